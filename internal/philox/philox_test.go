package philox

import (
	"math"
	"testing"
)

// The known answers of the authors' Random123 distribution (kat_vectors, philox4x32 10).
func TestBlockKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		key       [2]uint32
		ctr, want [4]uint32
	}{
		{[2]uint32{0, 0}, [4]uint32{0, 0, 0, 0}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[2]uint32{0xffffffff, 0xffffffff}, [4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [4]uint32{
			0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
		}},
		{[2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [4]uint32{
			0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
		}},
	} {
		if got := Block(c.key, c.ctr); got != c.want {
			t.Errorf("Block(%x, %x) = %x, want %x", c.key, c.ctr, got, c.want)
		}
	}
}

func TestMoments(t *testing.T) {
	src := NewSource(7, PurposeTest, 1, 2)
	const n = 40000
	var sum, sq, uni float64
	for range n / 4 {
		for _, x := range src.Normals() {
			sum += x
			sq += x * x
		}
		uni += src.Float64()
	}
	// Standard errors: 1/sqrt(n) = .005, sqrt(2/n) = .007, .29/sqrt(n/4) = .003; five of each.
	if m := sum / n; math.Abs(m) > .025 {
		t.Errorf("mean of normals %g", m)
	}
	if v := sq / n; math.Abs(v-1) > .035 {
		t.Errorf("variance of normals %g", v)
	}
	if m := uni / (n / 4); math.Abs(m-.5) > .015 {
		t.Errorf("mean of uniforms %g", m)
	}
}

func TestIntnIsUniform(t *testing.T) {
	src := NewSource(7, PurposeTest, 0, 0)
	var count [7]int
	for range 70000 {
		count[src.Intn(7)]++
	}
	for k, c := range count {
		if c < 9500 || c > 10500 { // 10000, standard deviation 93
			t.Errorf("%d drawn %d times of 70000, expected about 10000", k, c)
		}
	}
}
