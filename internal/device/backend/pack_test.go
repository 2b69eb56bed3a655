package backend

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Buffers that are in use at the same time never share memory, and each begins where it may.
func TestPack(t *testing.T) {
	align := func(bytes int64) int64 {
		if bytes > 1000 {
			return 256
		}
		return 16
	}
	rapid.Check(t, func(t *rapid.T) {
		buffers := make([]*Buffer, rapid.IntRange(0, 20).Draw(t, "buffers"))
		sum := int64(0)
		for i := range buffers {
			first := rapid.IntRange(0, 20).Draw(t, "first")
			bytes := rapid.Int64Range(1, 2000).Draw(t, "bytes")
			buffers[i] = &Buffer{Bytes: bytes, Life: Life{first, first + rapid.IntRange(0, 10).Draw(t, "more")}}
			sum += RoundUp(bytes, 256)
		}
		all := Pack(buffers, align)
		if all > sum {
			t.Errorf("%d bytes for what takes %d side by side", all, sum)
		}
		for i, p := range buffers {
			if p.Offset < 0 || p.Offset%align(p.Bytes) != 0 || p.Offset+p.Bytes > all {
				t.Errorf("%+v lies badly in %d bytes", p, all)
			}
			for _, q := range buffers[:i] {
				if p.Life.Meets(q.Life) && p.Offset < q.Offset+q.Bytes && q.Offset < p.Offset+p.Bytes {
					t.Errorf("%+v and %+v share memory", p, q)
				}
			}
		}
	})
}

// The plans of memory that users see stand on this: the largest first, each in the lowest place.
func TestPackPlaces(t *testing.T) {
	buffers := []*Buffer{
		{Bytes: 10, Life: Life{0, 1}},
		{Bytes: 100, Life: Life{1, 3}},
		{Bytes: 30, Life: Life{3, 5}},
		{Bytes: 60, Life: Life{4, 6}},
		{Bytes: 30, Life: Life{6, 9}},
	}
	bytes := Pack(buffers, func(int64) int64 { return 8 })
	var offsets []int64
	for _, p := range buffers {
		offsets = append(offsets, p.Offset)
	}
	// 104 = 100 rounded up to 8, 64 = 60: the third of 30 bytes is behind both of the pieces that it meets.
	if want := []int64{104, 0, 104, 0, 64}; !slices.Equal(offsets, want) || bytes != 134 {
		t.Errorf("offsets %d in %d bytes, want %d in 134", offsets, bytes, want)
	}
}

// Each purpose has an arena, in the order in which they appear; what has no bytes is in none.
func TestArenas(t *testing.T) {
	type own struct {
		Buffer
		name string
	}
	buffers := []*own{
		{Buffer{Purpose: "empty", Life: Life{0, 9}}, "none"},
		{Buffer{Purpose: "values", Bytes: 10, Life: Life{0, 1}}, "first"},
		{Buffer{Purpose: "work", Bytes: 5, Life: Life{0, 9}}, "work"},
		{Buffer{Purpose: "values", Bytes: 20, Life: Life{1, 2}}, "second"},
		{Buffer{Purpose: "values", Bytes: 16, Life: Life{3, 4}}, "third"},
	}
	var got []string
	for _, a := range Arenas(buffers, func(int64) int64 { return 8 }) {
		line := fmt.Sprint(a.Purpose, " ", a.Bytes, ":")
		for _, b := range a.Buffers {
			line += fmt.Sprint(" ", b.name, " at ", b.Offset)
		}
		got = append(got, line)
	}
	// 24 is the second's 20 rounded up to 8.
	want := []string{"values 34: first at 24 second at 0 third at 0", "work 5: work at 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWalk(t *testing.T) {
	w := Walk(3)
	if w.Backward(0) != 5 || w.Backward(2) != 3 {
		t.Errorf("gradients of ops 0 and 2 run at %d and %d, want 5 and 3", w.Backward(0), w.Backward(2))
	}
	for time := -1; time <= 6; time++ {
		if l := At(time); !l.Meets(w.Always()) || l.Meets(w.Never()) {
			t.Errorf("time %d lies outside of always, or within never", time)
		}
	}
	never := w.Never()
	never.Extend(2)
	never.Extend(4)
	if never != (Life{2, 4}) {
		t.Errorf("in use at 2 and 4 is %v", never)
	}
}
