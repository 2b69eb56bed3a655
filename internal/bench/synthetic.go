package bench

import (
	"alexnet/internal/data"
	"alexnet/internal/philox"
	"alexnet/internal/recipe"
)

// synthetic feeds noise: each of the net's upload slots is filled once and stays as it is.
type synthetic struct {
	by      *recipe.Recipe
	classes int
	batch   int
	seed    uint64
	next    uint64
	filled  map[*uint8]bool
}

func (s *synthetic) Next(dst data.Rows) (data.Info, error) {
	info := data.Info{First: s.next, Rows: s.batch, Good: s.batch}
	s.next += uint64(s.batch)
	if s.filled[&dst.Pixels[0]] {
		return info, nil
	}
	r := philox.NewSource(s.seed, philox.PurposeTest, 0, uint32(len(s.filled)))
	s.filled[&dst.Pixels[0]] = true
	word := uint32(0)
	for i := range dst.Pixels {
		if i%4 == 0 {
			word = r.Uint32()
		}
		dst.Pixels[i], word = uint8(word), word>>8
	}
	for i := range s.batch {
		dst.Labels[i] = int32(r.Intn(s.classes))
		dst.Crop[i] = [2]int32{
			int32(r.Intn(s.by.Height - s.by.Crop + 1)), int32(r.Intn(s.by.Width - s.by.Crop + 1)),
		}
		dst.Flip[i] = r.Intn(2) == 1
	}
	return info, nil
}
