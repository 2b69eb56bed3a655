package golden

import (
	"math"
	"testing"

	"alexnet/internal/philox"
)

// normals are n standard normal numbers times scale.
func normals(which uint32, n int, scale float64) []float32 {
	src := philox.NewSource(1, philox.PurposeTest, which, 0)
	x := make([]float32, 0, n+3)
	for len(x) < n {
		for _, z := range src.Normals() {
			x = append(x, float32(z*scale))
		}
	}
	return x[:n]
}

// sketched is a file with the sketch of x alone, as the script writes it.
func sketched(x []float32) *File {
	f := &File{Seed: 5, tensors: map[string][]float32{}}
	var norm float64
	for _, v := range x {
		norm += float64(v) * float64(v)
	}
	for _, s := range f.sketch("x", x) {
		f.tensors["x#sketch"] = append(f.tensors["x#sketch"], float32(s))
	}
	for _, w := range f.Words("sample.x", 256) {
		f.tensors["x#samples"] = append(f.tensors["x#samples"], x[uint64(w)*uint64(len(x))>>32])
	}
	f.tensors["x#norm"] = []float32{float32(math.Sqrt(norm)), float32(len(x))}
	return f
}

func add(x []float32, d ...float32) []float32 {
	y := append([]float32(nil), x...)
	for i := range y {
		y[i] += d[i%len(d)]
	}
	return y
}

// The estimate of a sketch lies within 5 standard deviations (11%) of the relative norm of the difference, whatever the
// difference looks like.
func TestSketchMeasuresTheDifference(t *testing.T) {
	const n = 100_001 // no multiple of 4
	x := normals(1, n, 2)
	f := sketched(x)
	spread := normals(2, n, 1e-3)
	for name, d := range map[string][]float32{"everywhere": spread, "constant": {1e-3}} {
		y := add(x, d...)
		want := relative(t, name, y, x)
		if got := f.Deviation(t, "x", y); math.Abs(got/want-1) > .11 {
			t.Errorf("%s: %g, want about %g", name, got, want)
		}
	}
	if got := f.Deviation(t, "x", x); got > 1e-7 { // the buckets were rounded to float32
		t.Errorf("no difference: %g", got)
	}
	// One wrong number of 100,001: a bucket shows it exactly.
	y := add(x, 0)
	y[77_777]++
	want := relative(t, "one", y, x)
	if got := f.Deviation(t, "x", y); math.Abs(got/want-1) > 1e-3 {
		t.Errorf("one number: %g, want %g", got, want)
	}
}

func TestDeviationOfWholeTensors(t *testing.T) {
	f := &File{tensors: map[string][]float32{"x": {3, 4}, "zero": {0, 0}}}
	if d := f.Deviation(t, "x", []float32{3, 4.5}); math.Abs(d-.1) > 1e-9 {
		t.Errorf("deviation %g, want .1", d)
	}
	if d := f.Deviation(t, "zero", []float32{0, 0}); d != 0 {
		t.Errorf("zero against zero: %g", d)
	}
	if d := f.Deviation(t, "zero", []float32{0, 1e-30}); d <= Gradient {
		t.Errorf("something against zero: %g", d)
	}
	if d := f.Deviation(t, "x", []float32{3, float32(math.NaN())}); d <= Gradient {
		t.Errorf("NaN: %g", d)
	}
}
