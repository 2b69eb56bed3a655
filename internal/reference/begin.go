package reference

import "alexnet/internal/device"

// prepare makes the net's input x (rows, C, H, W) of a batch: crop, flip, mean, colour, scale, as device.Input says.
func prepare[T Float](in device.Input, s device.Shape, rows, workers int, b *device.Batch, x []T) {
	forShares(rows, workers, func(_, _, from, to int) {
		for r := from; r < to; r++ {
			for c := range s.C {
				for i := range s.H {
					y := int(b.Crop[r][0]) + i
					for j := range s.W {
						px := int(b.Crop[r][1]) + j
						if b.Flip[r] {
							px = int(b.Crop[r][1]) + s.W - 1 - j
						}
						v := T(b.Pixels[((r*in.Height+y)*in.Width+px)*in.Channels+c]) - meanAt[T](in, c, y, px) +
							T(b.Color[r][c])
						x[((r*s.C+c)*s.H+i)*s.W+j] = v * scaleOf[T](in, c)
					}
				}
			}
		}
	})
}

// meanAt is the mean at a pixel: of the mean image, of the mean colour, or 0.
func meanAt[T Float](in device.Input, c, y, x int) T {
	switch len(in.Mean) {
	case 0:
		return 0
	case in.Channels:
		return T(in.Mean[c])
	}
	return T(in.Mean[(c*in.Height+y)*in.Width+x])
}

func scaleOf[T Float](in device.Input, c int) T {
	if len(in.Scale) == 0 {
		return 1
	}
	return T(in.Scale[c])
}
