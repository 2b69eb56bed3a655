package reference

import (
	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// dropout zeroes units of x (rows, units) in training and scales all of them in inference. The gradient goes the same
// way: with dy as x it writes dx.
func dropout[T Float](d *device.Dropout, train bool, pass device.Pass, units, workers int, x, y []T) {
	below := philox.Threshold(d.Rate)
	forShares(pass.Rows, workers, func(_, _, from, to int) {
		for r := from; r < to; r++ {
			sample := pass.First + uint64(r)
			for u := range units {
				v := x[r*units+u]
				switch {
				case !train:
					v *= 1 - T(d.Rate)
				case philox.Dropout(pass.Seed, pass.Step, d.Stream, sample, uint64(d.FirstUnit+u)) < below:
					v = 0
				}
				y[r*units+u] = v
			}
		}
	})
}
