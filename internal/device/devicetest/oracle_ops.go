package devicetest

import (
	"math"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// taps calls f for every product that a convolution sums: output element y, input element x, weight element w.
func taps(c *device.Conv, rows int, in, out device.Shape, f func(y, x, w int)) {
	perGroupIn, perGroupOut := in.C/c.Groups, out.C/c.Groups
	for r := range rows {
		for k := range out.C {
			for i := range out.H {
				for j := range out.W {
					y := ((r*out.C+k)*out.H+i)*out.W + j
					for ch := range perGroupIn {
						for ky := range c.Kernel {
							for kx := range c.Kernel {
								iy, ix := i*c.Stride-c.Pad+ky, j*c.Stride-c.Pad+kx
								if iy < 0 || iy >= in.H || ix < 0 || ix >= in.W {
									continue // zero
								}
								from := k/perGroupOut*perGroupIn + ch
								f(y, ((r*in.C+from)*in.H+iy)*in.W+ix, ((k*perGroupIn+ch)*c.Kernel+ky)*c.Kernel+kx)
							}
						}
					}
				}
			}
		}
	}
}

func convForward(c *device.Conv, rows int, in, out device.Shape, x, w, b, y []float64) {
	plane := out.H * out.W
	for i := range y[:rows*out.Len()] {
		y[i] = b[i/plane%out.C]
	}
	taps(c, rows, in, out, func(iy, ix, iw int) { y[iy] += x[ix] * w[iw] })
}

func convBackward(c *device.Conv, rows int, in, out device.Shape, x, dy, w, dw, db []float64) (dx []float64) {
	clear(dw)
	clear(db)
	dx = make([]float64, rows*in.Len())
	for i := range rows * out.Len() {
		db[i/(out.H*out.W)%out.C] += dy[i]
	}
	taps(c, rows, in, out, func(iy, ix, iw int) {
		dw[iw] += dy[iy] * x[ix]
		dx[ix] += dy[iy] * w[iw]
	})
	return dx
}

func fcForward(rows, inputs, units int, x, w, b, y []float64) {
	for r := range rows {
		for u := range units {
			sum := b[u]
			for i := range inputs {
				sum += x[r*inputs+i] * w[u*inputs+i]
			}
			y[r*units+u] = sum
		}
	}
}

func fcBackward(rows, inputs, units int, x, dy, w, dw, db []float64) (dx []float64) {
	clear(dw)
	clear(db)
	dx = make([]float64, rows*inputs)
	for r := range rows {
		for u := range units {
			g := dy[r*units+u]
			db[u] += g
			for i := range inputs {
				dw[u*inputs+i] += g * x[r*inputs+i]
				dx[r*inputs+i] += g * w[u*inputs+i]
			}
		}
	}
	return dx
}

// actBackward is the gradient ahead of an activation, from what it gave.
func actBackward(act device.Activation, y, dy []float64) []float64 {
	dx := append([]float64(nil), dy...)
	for i := range dx {
		switch {
		case act == device.ReLU && y[i] == 0:
			dx[i] = 0
		case act == device.Tanh:
			dx[i] *= 1 - y[i]*y[i]
		}
	}
	return dx
}

// neighbours calls f for the channels whose squares enter the normalisation of channel c.
func neighbours(l *device.LRN, channels, c int, f func(j int)) {
	part := channels / l.Groups
	for j := c - l.Size/2; j <= c+l.Size/2; j++ {
		if j >= 0 && j < channels && j/part == c/part {
			f(j)
		}
	}
}

// lrnScale is K + Alpha/Size * the sum of squares around channel c of the column of numbers x, which lie step apart.
func lrnScale(l *device.LRN, channels, c int, x []float64, step int) float64 {
	sum := 0.
	neighbours(l, channels, c, func(j int) { sum += x[j*step] * x[j*step] })
	return float64(l.K) + float64(l.Alpha)/float64(l.Size)*sum
}

func lrnForward(l *device.LRN, rows int, s device.Shape, x, y []float64) {
	plane := s.H * s.W
	for r := range rows {
		for at := range plane {
			for c := range s.C {
				i := r*s.Len() + c*plane + at
				y[i] = x[i] * math.Pow(lrnScale(l, s.C, c, x[r*s.Len()+at:], plane), -float64(l.Beta))
			}
		}
	}
}

// lrnBackward sums every partial derivative of y[c] by x[j] one by one.
func lrnBackward(l *device.LRN, rows int, s device.Shape, x, dy []float64) (dx []float64) {
	plane, beta := s.H*s.W, float64(l.Beta)
	dx = make([]float64, rows*s.Len())
	for r := range rows {
		for at := range plane {
			base := r*s.Len() + at
			for c := range s.C {
				scale := lrnScale(l, s.C, c, x[base:], plane)
				g, xc := dy[base+c*plane], x[base+c*plane]
				dx[base+c*plane] += g * math.Pow(scale, -beta)
				neighbours(l, s.C, c, func(j int) {
					dscale := 2 * float64(l.Alpha) / float64(l.Size) * x[base+j*plane]
					dx[base+j*plane] += g * xc * -beta * math.Pow(scale, -beta-1) * dscale
				})
			}
		}
	}
	return dx
}

// windows calls f for each pooling window with the elements of x that lie in it, row by row.
func windows(p *device.Pool, rows int, in, out device.Shape, f func(y int, x []int)) {
	for plane := range rows * in.C {
		for i := range out.H {
			for j := range out.W {
				var at []int
				for iy := i*p.Stride - p.Pad; iy < i*p.Stride-p.Pad+p.Window; iy++ {
					for ix := j*p.Stride - p.Pad; ix < j*p.Stride-p.Pad+p.Window; ix++ {
						if iy >= 0 && iy < in.H && ix >= 0 && ix < in.W {
							at = append(at, (plane*in.H+iy)*in.W+ix)
						}
					}
				}
				f((plane*out.H+i)*out.W+j, at)
			}
		}
	}
}

// first is the index of the first of the largest, and its lead over the next smaller one.
func first(x []float64, at []int) (best int, lead float64) {
	best, lead = at[0], math.Inf(1)
	for _, i := range at[1:] {
		if x[i] > x[best] {
			best = i
		}
	}
	for _, i := range at {
		if x[i] < x[best] {
			lead = min(lead, x[best]-x[i])
		}
	}
	return best, lead
}

func poolForward(p *device.Pool, rows int, in, out device.Shape, x, y []float64) (margin float64) {
	margin = math.Inf(1)
	windows(p, rows, in, out, func(iy int, at []int) {
		if p.Kind == device.Max {
			best, lead := first(x, at)
			y[iy], margin = x[best], min(margin, lead)
			return
		}
		y[iy] = 0
		for _, i := range at {
			y[iy] += x[i] / float64(len(at))
		}
	})
	return margin
}

func poolBackward(p *device.Pool, rows int, in, out device.Shape, x, dy []float64) (dx []float64) {
	dx = make([]float64, rows*in.Len())
	windows(p, rows, in, out, func(iy int, at []int) {
		if p.Kind == device.Max {
			best, _ := first(x, at)
			dx[best] += dy[iy]
			return
		}
		for _, i := range at {
			dx[i] += dy[iy] / float64(len(at))
		}
	})
	return dx
}

// dropout serves both directions: the gradient is masked as the value was.
func dropout(d *device.Dropout, train bool, pass device.Pass, units int, x, y []float64) {
	for r := range pass.Rows {
		for u := range units {
			i := r*units + u
			word := philox.Dropout(pass.Seed, pass.Step, d.Stream, pass.First+uint64(r), uint64(d.FirstUnit+u))
			switch {
			case !train:
				y[i] = x[i] * (1 - float64(d.Rate))
			case float64(word) < float64(d.Rate)*(1<<32):
				y[i] = 0
			default:
				y[i] = x[i]
			}
		}
	}
}

// softmaxForward also tells the least distance of another logit from that of the label, on which its rank hangs.
func softmaxForward(rows, classes int, x []float64, y labels, prob, stats []float64) (margin float64) {
	margin = math.Inf(1)
	for r := range rows {
		row, top, sum := x[r*classes:(r+1)*classes], math.Inf(-1), 0.
		for _, l := range row {
			top = max(top, l)
		}
		for _, l := range row {
			sum += math.Exp(l - top)
		}
		for k, l := range row {
			prob[r*classes+k] = math.Exp(l-top) / sum
		}
		st := stats[3*r : 3*r+3]
		st[0], st[1], st[2] = 0, 0, 0
		if y[r] < 0 {
			continue
		}
		label, rank := int(y[r]), 0
		for k, l := range row {
			if l > row[label] || l == row[label] && k < label {
				rank++
			}
			if l != row[label] {
				margin = min(margin, math.Abs(l-row[label]))
			}
		}
		st[0] = math.Log(sum) + top - row[label]
		if rank >= 1 {
			st[1] = 1
		}
		if rank >= 5 {
			st[2] = 1
		}
	}
	return margin
}

func softmaxBackward(pass device.Pass, classes int, prob []float64, y labels) (dx []float64) {
	dx = make([]float64, pass.Rows*classes)
	for r := range pass.Rows {
		if y[r] < 0 {
			continue
		}
		for k := range classes {
			dx[r*classes+k] = prob[r*classes+k] / float64(pass.Divisor)
		}
		dx[r*classes+int(y[r])] -= 1 / float64(pass.Divisor)
	}
	return dx
}
