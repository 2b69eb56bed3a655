package data

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSums: many pictures, white ones among them, whose lanes and halves of words are full, against the plain sums.
func TestSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ pixels, channels, pictures int }{
		{3 * 70000, 3, 2}, {3 * 65536, 3, 2}, {3 * 17, 3, 600}, {13, 1, 300}, {3, 3, 1000},
	} {
		a, b := NewSums(c.pixels), NewSums(c.pixels)
		image, product := make([]uint64, c.pixels), [3][3]uint64{}
		for n := range c.pictures {
			pixels := make([]uint8, c.pixels)
			for i := range pixels {
				if pixels[i] = 255; n%3 == 2 {
					pixels[i] = uint8(r.Uint32())
				}
				image[i] += uint64(pixels[i])
			}
			for i := 0; c.channels == 3 && i < len(pixels); i += 3 {
				for k := range 3 {
					for m := range 3 {
						product[k][m] += uint64(pixels[i+k]) * uint64(pixels[i+m])
					}
				}
			}
			if n%10 == 1 {
				b.Add(pixels, c.channels)
			} else {
				a.Add(pixels, c.channels)
			}
		}
		a.Merge(b)
		back := NewSums(c.pixels)
		if err := back.SetBinary(a.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		for _, got := range []*Sums{a, back} {
			if !slices.Equal(got.image, image) || got.product != product || got.pictures != c.pictures {
				t.Errorf("%+v: other sums", c)
			}
		}
	}
}
