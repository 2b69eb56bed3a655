package data

import (
	"fmt"

	"alexnet/internal/philox"
)

// Augment says what is drawn for each training picture.
type Augment struct {
	Crop string // "random" (or empty): anywhere; "center"
	Flip bool   // mirror left and right in half of the cases
	// standard deviation of the colour noise, in units of the training set's own along each principal component; .1 in
	// the paper, 0: none
	Color float64
	Stats *Stats // where Color is not 0: the principal components
}

func (a *Augment) check(train bool) error {
	if a.Crop != "" && a.Crop != "random" && a.Crop != "center" {
		return fmt.Errorf("augment.crop is %q, want random or center", a.Crop)
	}
	if train && a.Color != 0 && a.Stats == nil {
		return fmt.Errorf("colour noise needs the statistics of the training set")
	}
	return nil
}

// draws is what is done to one row of a batch on the device.
type draws struct {
	crop  [2]int32 // y, x
	flip  bool
	color [3]float32
}

// draw makes the draws of picture index in an epoch. Counters (index, 0, epoch) for crop and flip, (index, 1, epoch)
// for colour. The crop is one of height-crop+1 by width-crop+1 places.
func (a *Augment) draw(seed, epoch uint64, index, height, width, crop int) draws {
	key := philox.Key(seed, philox.PurposeAugment)
	counter := [4]uint32{uint32(index), 0, uint32(epoch), uint32(epoch >> 32)}
	w := philox.Block(key, counter)
	d := draws{crop: centre(height, width, crop)}
	if a.Crop != "center" {
		d.crop = [2]int32{below(w[0], height-crop+1), below(w[1], width-crop+1)}
	}
	d.flip = a.Flip && w[2]>>31 == 1
	if a.Color != 0 {
		counter[1] = 1
		d.color = a.Stats.noise(a.Color, philox.Normals(philox.Block(key, counter)))
	}
	return d
}

// below maps a word to [0, n); n is the number of crops along a side, so the bias of n/2^32 is nothing.
func below(w uint32, n int) int32 { return int32(uint64(w) * uint64(n) >> 32) }

// noise is the paper's: the sum over the components of eigenvector times alpha times stdev, alpha from N(0, color).
func (s *Stats) noise(color float64, normal [4]float64) (add [3]float32) {
	for c := range add {
		sum := 0.
		for k := range s.Stdev {
			sum += s.Eigvec[c][k] * (color * normal[k]) * s.Stdev[k]
		}
		add[c] = float32(sum)
	}
	return add
}

func centre(height, width, crop int) [2]int32 {
	return [2]int32{int32((height - crop) / 2), int32((width - crop) / 2)}
}

// views are the crops that evaluation averages: the centre, or with 10 the four corners and the centre, then their
// mirror images.
func views(n, height, width, crop int) []draws {
	mid := centre(height, width, crop)
	if n == 1 {
		return []draws{{crop: mid}}
	}
	y, x := int32(height-crop), int32(width-crop)
	all := make([]draws, 0, 10)
	for _, flip := range []bool{false, true} {
		for _, c := range [][2]int32{{0, 0}, {0, x}, {y, 0}, {y, x}, mid} {
			all = append(all, draws{crop: c, flip: flip})
		}
	}
	return all
}

// permutation fills order with the order of an epoch (Fisher and Yates, in Durstenfeld's form).
func permutation(order []int32, seed, epoch uint64) {
	for i := range order {
		order[i] = int32(i)
	}
	src := philox.NewSource(seed, philox.PurposeShuffle, uint32(epoch), uint32(epoch>>32))
	for i := len(order) - 1; i > 0; i-- {
		k := src.Intn(i + 1)
		order[i], order[k] = order[k], order[i]
	}
}
