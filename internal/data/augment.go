package data

import (
	"alexnet/internal/config"
	"alexnet/internal/philox"
	"alexnet/internal/recipe"
)

// draws is what is done to one row of a batch on the device.
type draws struct {
	crop  [2]int32 // y, x
	flip  bool
	color [3]float32
}

// draw makes the draws of picture index in an epoch. Counters (index, 0, epoch) for crop and flip, (index, 1, epoch)
// for colour. The crop is one of Height-Crop+1 by Width-Crop+1 places.
func draw(a *config.Augment, seed, epoch uint64, index int, by *recipe.Recipe) draws {
	key := philox.Key(seed, philox.PurposeAugment)
	counter := [4]uint32{uint32(index), 0, uint32(epoch), uint32(epoch >> 32)}
	w := philox.Block(key, counter)
	d := draws{crop: by.Centre()}
	if a.Crop != config.CenterCrop {
		d.crop = [2]int32{below(w[0], by.Height-by.Crop+1), below(w[1], by.Width-by.Crop+1)}
	}
	d.flip = a.Flip && w[2]>>31 == 1
	if a.Color != 0 {
		counter[1] = 1
		d.color = noise(&by.Colors, a.Color, philox.Normals(philox.Block(key, counter)))
	}
	return d
}

// below maps a word to [0, n); n is the number of crops along a side, so the bias of n/2^32 is nothing.
func below(w uint32, n int) int32 { return int32(uint64(w) * uint64(n) >> 32) }

// noise is the paper's: the sum over the components of eigenvector times alpha times stdev, alpha from N(0, color).
func noise(c *recipe.Colors, color float64, normal [4]float64) (add [3]float32) {
	for i := range add {
		sum := 0.
		for k := range c.Stdev {
			sum += c.Eigvec[i][k] * (color * normal[k]) * c.Stdev[k]
		}
		add[i] = float32(sum)
	}
	return add
}

// views are the crops that evaluation averages: the centre, or with 10 the four corners and the centre, then their
// mirror images.
func views(n int, by *recipe.Recipe) []draws {
	mid := by.Centre()
	if n == 1 {
		return []draws{{crop: mid}}
	}
	y, x := int32(by.Height-by.Crop), int32(by.Width-by.Crop)
	all := make([]draws, 0, 10)
	for _, flip := range []bool{false, true} {
		for _, c := range [][2]int32{{0, 0}, {0, x}, {y, 0}, {y, x}, mid} {
			all = append(all, draws{crop: c, flip: flip})
		}
	}
	return all
}
