package philox

import (
	_ "embed"
	"encoding/json"
	"math"
	"strconv"
	"testing"
)

// vectors come from scripts/golden.py, which has a Philox of its own, in numpy.
//
//go:embed testdata/vectors.json
var vectors []byte

type golden struct {
	Streams map[string]uint32
	Dropout []struct {
		Seed         string // a JSON number is exact up to 2^53 only
		Step         uint64
		Layer        string
		Sample, Unit uint64
		Word         uint32
	}
	Words []struct {
		Seed    string
		Purpose Purpose
		Name    string
		Words   []uint32
	}
	Normals []struct {
		Words   []uint32
		Normals []float64
	}
}

func TestGolden(t *testing.T) {
	var g golden
	if err := json.Unmarshal(vectors, &g); err != nil {
		t.Fatal(err)
	}
	for name, want := range g.Streams {
		if got := Stream(name); got != want {
			t.Errorf("Stream(%q) = %d, want %d", name, got, want)
		}
	}
	for _, d := range g.Dropout {
		if got := Dropout(seed(t, d.Seed), d.Step, Stream(d.Layer), d.Sample, d.Unit); got != d.Word {
			t.Errorf("Dropout of seed %s, step %d, %s, sample %d, unit %d: %d, want %d", d.Seed, d.Step, d.Layer,
				d.Sample, d.Unit, got, d.Word)
		}
	}
	for _, w := range g.Words {
		for i, want := range w.Words {
			got := Block(Key(seed(t, w.Seed), w.Purpose), [4]uint32{uint32(i / 4), Stream(w.Name), 0, 0})[i%4]
			if got != want {
				t.Errorf("word %d of seed %s, purpose %d, %s: %d, want %d", i, w.Seed, w.Purpose, w.Name, got, want)
			}
		}
	}
	if len(g.Streams)*len(g.Dropout)*len(g.Words)*len(g.Normals) == 0 {
		t.Error("the file lacks a part")
	}
	for _, n := range g.Normals {
		for i := 0; i < len(n.Words); i += 4 {
			for j, got := range Normals([4]uint32(n.Words[i:])) {
				// The last bits are the libraries': log and sincos differ between Go and C.
				if want := n.Normals[i+j]; math.Abs(got-want) > 1e-14*math.Max(1, math.Abs(want)) {
					t.Errorf("normal %d of %x: %v, want %v", j, n.Words[i:i+4], got, want)
				}
			}
		}
	}
}

func seed(t *testing.T, text string) uint64 {
	t.Helper()
	s, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
