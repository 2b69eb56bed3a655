package data

import (
	"context"
	"image"
	"iter"

	"alexnet/internal/philox"
	"alexnet/internal/recipe"
)

// Pictures are pictures of the set by their numbers, in that order: what looks at files looks at them as well. They
// read from the set's own store, which lasts as long as its source: they need no Close.
func (s *Set) Pictures(numbers []int) *Pictures {
	l := &Pictures{store: s.store, records: make([]Record, len(numbers))}
	for k, i := range numbers {
		l.records[k] = Record{Name: s.File(i), Label: s.Label(i), Number: s.records[i].Number}
	}
	return l
}

// Choose are some of the pictures by their numbers, in that order, from the same store.
func (l *Pictures) Choose(numbers []int) *Pictures {
	some := &Pictures{store: l.store, records: make([]Record, len(numbers))}
	for k, i := range numbers {
		some.records[k] = l.records[i]
	}
	return some
}

// Drawn is the numbers from 0 to n-1 in an order drawn from a seed, for whoever shows some of n pictures.
func Drawn(n int, seed uint64) []int {
	order, drawn := make([]int32, n), make([]int, n)
	for i := range order {
		order[i] = int32(i)
	}
	shuffle(order, philox.NewSource(seed, philox.PurposeShown, 0, 0))
	for i, k := range order {
		drawn[i] = int(k)
	}
	return drawn
}

// Seen are pictures as a net sees them, for people to look at: decoded by its recipe, whose crop is the net's, and cut
// to the centre, before mean and scale. Grey ones are grey. They come, and end, as Decode has it: each picture or its
// *BadPicture; they stay good.
func (l *Pictures) Seen(ctx context.Context, by *recipe.Recipe, p Patience) iter.Seq2[*image.RGBA, error] {
	return func(yield func(*image.RGBA, error) bool) {
		for pic, err := range l.Decode(ctx, by, 0, p) {
			var seen *image.RGBA
			if err == nil {
				seen = CentreOf(pic.Pixels, by)
			}
			if !yield(seen, err) {
				return
			}
		}
	}
}

// CentreOf is what a net sees of a picture that was decoded by its recipe, (Height, Width, Channels).
func CentreOf(pixels []uint8, by *recipe.Recipe) *image.RGBA {
	m, at := image.NewRGBA(image.Rect(0, 0, by.Crop, by.Crop)), by.Centre()
	for y := range by.Crop {
		row := pixels[((int(at[0])+y)*by.Width+int(at[1]))*by.Channels:]
		for x := range by.Crop {
			from, to := row[x*by.Channels:][:by.Channels], m.Pix[m.PixOffset(x, y):][:4]
			to[0], to[1], to[2], to[3] = from[0], from[len(from)/2], from[len(from)-1], 255
		}
	}
	return m
}
