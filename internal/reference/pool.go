package reference

import "alexnet/internal/device"

// pool takes the maximum or the mean of windows of each map.
type pool[T Float] struct {
	*device.Pool
	in, out device.Shape
}

// windowRange is the part of window i that lies in a map of size n, along one side.
func (p *pool[T]) windowRange(i, n int) (from, to int) {
	at := i*p.Stride - p.Pad
	return max(at, 0), min(at+p.Window, n)
}

// eachWindow calls f for every window of one map: the number of the output, and the rows and columns of the map that it
// covers.
func (p *pool[T]) eachWindow(f func(at, top, bottom, left, right int)) {
	for i := range p.out.H {
		top, bottom := p.windowRange(i, p.in.H)
		for j := range p.out.W {
			left, right := p.windowRange(j, p.in.W)
			f(i*p.out.W+j, top, bottom, left, right)
		}
	}
}

// maps calls f side by side for every map of the rows: its place among the inputs and among the outputs.
func (p *pool[T]) maps(rows, workers int, f func(in, out int)) {
	forShares(rows, workers, func(_, _, from, to int) {
		for m := from * p.in.C; m < to*p.in.C; m++ {
			f(m*p.in.H*p.in.W, m*p.out.H*p.out.W)
		}
	})
}

// forward computes y of x. For Max, best (nil: not wanted) gets the place of each maximum within its map: the first of
// equals, row by row.
func (p *pool[T]) forward(rows, workers int, x, y []T, best []int32) {
	p.maps(rows, workers, func(in, out int) {
		x := x[in : in+p.in.H*p.in.W]
		p.eachWindow(func(at, top, bottom, left, right int) {
			if p.Kind == device.Avg {
				y[out+at] = p.mean(x, top, bottom, left, right)
				return
			}
			first := top*p.in.W + left
			for i := top; i < bottom; i++ {
				for j := left; j < right; j++ {
					// NaN is kept: hiding it would hide where it came from
					if v := x[i*p.in.W+j]; v > x[first] || v != v {
						first = i*p.in.W + j
					}
				}
			}
			y[out+at] = x[first]
			if best != nil {
				best[out+at] = int32(first)
			}
		})
	})
}

// mean is the mean of the pixels in the window that lie in the map.
func (p *pool[T]) mean(x []T, top, bottom, left, right int) T {
	var sum T
	for i := top; i < bottom; i++ {
		for _, v := range x[i*p.in.W+left : i*p.in.W+right] {
			sum += v
		}
	}
	return sum / T((bottom-top)*(right-left))
}

// backward computes dx of dy; best is what forward found.
func (p *pool[T]) backward(rows, workers int, best []int32, dy, dx []T) {
	p.maps(rows, workers, func(in, out int) {
		dx := dx[in : in+p.in.H*p.in.W]
		clear(dx)
		p.eachWindow(func(at, top, bottom, left, right int) {
			g := dy[out+at]
			if p.Kind == device.Max {
				dx[best[out+at]] += g
				return
			}
			g /= T((bottom - top) * (right - left))
			for i := top; i < bottom; i++ {
				for j := left; j < right; j++ {
					dx[i*p.in.W+j] += g
				}
			}
		})
	})
}
