package reference

import (
	"math"

	"alexnet/internal/device"
)

// activate writes act(x) to y, which may be x. NaN stays NaN.
func activate[T Float](act device.Activation, x, y []T) {
	switch act {
	case device.ReLU:
		for i, v := range x {
			if v < 0 {
				v = 0
			}
			y[i] = v
		}
	case device.Tanh:
		for i, v := range x {
			y[i] = T(math.Tanh(float64(v)))
		}
	default:
		copy(y, x)
	}
}

// activateBackward writes the gradient ahead of an activation that gave y: ReLU passes dy where y is not 0, tanh' = 1 -
// y^2. dx gives the number of elements.
func activateBackward[T Float](act device.Activation, y, dy, dx []T) {
	y, dy = y[:len(dx)], dy[:len(dx)]
	switch act {
	case device.ReLU:
		for i, v := range y {
			if v == 0 {
				dx[i] = 0
			} else {
				dx[i] = dy[i]
			}
		}
	case device.Tanh:
		for i, v := range y {
			dx[i] = dy[i] * (1 - v*v)
		}
	default:
		copy(dx, dy)
	}
}
