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
	slots   data.Slots
	next    uint64 // sample
	turns   int    // batches so far
}

func (s *synthetic) Next() (data.Info, error) {
	slot := s.turns % s.slots.Count()
	info := data.Info{First: s.next, Rows: s.batch, Good: s.batch, Slot: slot, Batch: s.slots.Rows(slot)}
	s.next += uint64(s.batch)
	s.turns++
	if s.turns <= s.slots.Count() {
		s.fill(info.Batch, philox.NewSource(s.seed, philox.PurposeTest, 0, uint32(slot)))
	}
	return info, nil
}

func (s *synthetic) fill(dst data.Rows, r *philox.Source) {
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
}
