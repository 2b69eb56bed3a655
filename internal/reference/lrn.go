package reference

import (
	"math"

	"alexnet/internal/device"
)

// lrn is local response normalisation of rows of shape.
type lrn[T Float] struct {
	*device.LRN
	shape device.Shape
}

// window is the range of channels whose squares channel c is divided by: it stops at the borders of c's group.
func (l *lrn[T]) window(c int) (from, to int) {
	part := l.shape.C / l.Groups
	first := c / part * part
	return max(c-l.Size/2, first), min(c+l.Size/2+1, first+part)
}

// sums writes to out, for every channel and pixel of one row, the sum of v over the channel's window.
func (l *lrn[T]) sums(v func(i int) T, out []T) {
	plane := l.shape.H * l.shape.W
	for c := range l.shape.C {
		dst := out[c*plane : (c+1)*plane]
		clear(dst)
		from, to := l.window(c)
		for j := from; j < to; j++ {
			for p := range dst {
				dst[p] += v(j*plane + p)
			}
		}
	}
}

// power is scale^-beta. The paper's exponent, 3/4, goes by roots: math.Pow would be half of the demo net's step.
func power[T Float](scale T, beta float32) T {
	if beta == .75 {
		root := math.Sqrt(float64(scale))
		return T(1 / (root * math.Sqrt(root)))
	}
	return T(math.Pow(float64(scale), -float64(beta)))
}

// forward computes y = x scale^-Beta, where scale = K + Alpha/Size sum x^2: a/n as in the 2012 code. It keeps scale, of
// x's shape, for backward, unless that is nil.
func (l *lrn[T]) forward(rows int, x, y, scale []T, s *scratch[T]) {
	n := l.shape.Len()
	forShares(rows, len(s.worker), func(worker, _, from, to int) {
		for r := from; r < to; r++ {
			x, y, sum := x[r*n:(r+1)*n], y[r*n:(r+1)*n], s.worker[worker][:n]
			if scale != nil {
				sum = scale[r*n : (r+1)*n]
			}
			l.sums(func(i int) T { return x[i] * x[i] }, sum)
			for i := range sum {
				sum[i] = T(l.K) + T(l.Alpha)/T(l.Size)*sum[i]
				y[i] = x[i] * power(sum[i], l.Beta)
			}
		}
	})
}

// backward computes
//
//	dx[c] = dy[c] scale[c]^-Beta - 2 Alpha Beta / Size x[c] sum over c's window of dy[j] y[j] / scale[j]
//
// The windows are symmetric: j lies in c's if c lies in j's.
func (l *lrn[T]) backward(rows, workers int, x, y, scale, dy, dx []T) {
	n := l.shape.Len()
	factor := 2 * T(l.Alpha) * T(l.Beta) / T(l.Size)
	forShares(rows, workers, func(_, _, from, to int) {
		for r := from; r < to; r++ {
			x, y, scale := x[r*n:(r+1)*n], y[r*n:(r+1)*n], scale[r*n:(r+1)*n]
			dy, dx := dy[r*n:(r+1)*n], dx[r*n:(r+1)*n]
			l.sums(func(i int) T { return dy[i] * y[i] / scale[i] }, dx)
			for i := range dx {
				dx[i] = dy[i]*power(scale[i], l.Beta) - factor*x[i]*dx[i]
			}
		}
	})
}
