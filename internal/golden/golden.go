// Package golden reads the files that scripts/golden.py writes: what PyTorch computed in float64. It draws the inputs
// that belong to them and measures how far a result is from the truth. The tests of backends and of the model use it;
// nothing else does.
//
// The script's header says what the files hold and how to make them again.
package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"

	"alexnet/internal/philox"
	"alexnet/internal/safetensors"
)

// Gates for single precision: relative norm of the difference, |got - want| / |want| over a tensor. PyTorch's own
// float32 is at 3e-7 forward and 1e-6 in gradients.
const (
	Forward  = 1e-5
	Gradient = 1e-4
)

// buckets is the length of a count-sketch.
const buckets = 1024

// File is one golden file.
type File struct {
	Seed    uint64 // of all streams
	meta    map[string]string
	tensors map[string][]float32
}

// Open reads a file from its bytes, as go:embed gives them.
func Open(t testing.TB, data []byte) *File {
	t.Helper()
	r, err := safetensors.NewReader("golden.safetensors", bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	f := &File{meta: r.Meta, tensors: map[string][]float32{}}
	for i, info := range r.Tensors {
		if f.tensors[info.Name], err = r.Tensor(i).Values(); err != nil {
			t.Fatal(err)
		}
	}
	if f.Seed, err = strconv.ParseUint(f.meta["seed"], 10, 64); err != nil {
		t.Fatal(err)
	}
	return f
}

// Meta decodes one entry of the metadata, which is JSON, into v.
func (f *File) Meta(t testing.TB, key string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(f.meta[key]), v); err != nil {
		t.Fatalf("golden: metadata %s: %v", key, err)
	}
}

// Text is an entry of the metadata that is a plain string.
func (f *File) Text(key string) string { return f.meta[key] }

// Tensor is one tensor; it fails the test where there is none.
func (f *File) Tensor(t testing.TB, name string) []float32 {
	t.Helper()
	x, ok := f.tensors[name]
	if !ok {
		t.Fatalf("golden: no tensor %s", name)
	}
	return x
}

// Words are the first n words of a stream: word i is word i%4 of the block with counter (i/4, stream, 0, 0).
func (f *File) Words(name string, n int) []uint32 {
	w := make([]uint32, 0, n+3)
	for i := uint32(0); len(w) < n; i++ {
		b := f.block(philox.Stream(name), i)
		w = append(w, b[:]...)
	}
	return w[:n]
}

func (f *File) block(stream, i uint32) [4]uint32 {
	return philox.Block(philox.Key(f.Seed, philox.PurposeTest), [4]uint32{i, stream, 0, 0})
}

// Uniform are n multiples of 2^-23 in [-1, 1), times times.
func (f *File) Uniform(name string, n int, times float32) []float32 {
	x := make([]float32, n)
	for i, w := range f.Words(name, n) {
		x[i] = (float32(w>>8)/(1<<23) - 1) * times
	}
	return x
}

// Coarse are n multiples of 1/2 in [-2, 2): plenty of zeros and of ties.
func (f *File) Coarse(name string, n int) []float32 {
	x := make([]float32, n)
	for i, w := range f.Words(name, n) {
		x[i] = (float32(w>>29) - 4) / 2
	}
	return x
}

// Picture writes height x width x 3 bytes: squares of random colours, and a quarter of noise.
func (f *File) Picture(name string, height, width, size int, dst []uint8) {
	across := (width + size - 1) / size
	squares := f.Words(name+".squares", (height+size-1)/size*across*3)
	noise := f.Words(name+".noise", height*width*3)
	for i := range height * width * 3 {
		y, x, c := i/3/width, i/3%width, i%3
		dst[i] = uint8((3*(squares[(y/size*across+x/size)*3+c]>>24) + noise[i]>>24) / 4)
	}
}

// Deviation is the relative norm |got - want| / |want| of a tensor. Where the file holds a sketch of it, it is an
// estimate with a standard deviation of 2.2% of itself, or the deviation of the stored samples if that is larger.
func (f *File) Deviation(t testing.TB, name string, got []float32) float64 {
	t.Helper()
	d := f.Estimate(t, name, got)
	if _, whole := f.tensors[name]; whole {
		return d
	}
	return max(d, f.sampled(t, name, got, f.Tensor(t, name+"#norm")))
}

// Estimate is Deviation without the samples, which say something where a deviation should be nothing, not how large it
// is.
func (f *File) Estimate(t testing.TB, name string, got []float32) float64 {
	t.Helper()
	if want, whole := f.tensors[name]; whole {
		return relative(t, name, got, want)
	}
	norm := f.Tensor(t, name+"#norm")
	if len(got) != int(norm[1]) {
		t.Fatalf("%s: %d numbers, want %d", name, len(got), int(norm[1]))
	}
	return distance(f.sketch(name, got), f.Tensor(t, name+"#sketch")) / float64(norm[0])
}

// Check fails the test where the deviation is beyond the gate. It returns the deviation.
func (f *File) Check(t testing.TB, name string, got []float32, gate float64) float64 {
	t.Helper()
	d := f.Deviation(t, name, got)
	if !(d <= gate) { // not ">": NaN must fail
		t.Errorf("%s: %.3g from PyTorch, allowed %.1g", name, d, gate)
	}
	return d
}

// sampled compares the 256 stored elements, relative to their norm or to that which as many elements of the tensor have
// on average.
func (f *File) sampled(t testing.TB, name string, got, norm []float32) float64 {
	want := f.Tensor(t, name+"#samples")
	x := make([]float64, len(want))
	for i, w := range f.Words("sample."+name, len(want)) {
		x[i] = float64(got[uint64(w)*uint64(len(got))>>32])
	}
	mean := float64(norm[0]) * math.Sqrt(float64(len(want))/float64(len(got)))
	return distance(x, want) / max(mean, distance(make([]float64, len(want)), want))
}

// sketch is the count-sketch of x: element i, with the sign of bit 31 of word i, is added to the bucket of its low ten
// bits.
func (f *File) sketch(name string, x []float32) []float64 {
	s := make([]float64, buckets)
	stream := philox.Stream("sketch." + name)
	for i := 0; i < len(x); i += 4 {
		for j, w := range f.block(stream, uint32(i/4)) {
			if i+j == len(x) {
				break
			}
			s[w%buckets] += float64(x[i+j]) * (1 - 2*float64(w>>31))
		}
	}
	return s
}

func distance(a []float64, b []float32) float64 {
	var sq float64
	for i := range a {
		d := a[i] - float64(b[i])
		sq += d * d
	}
	return math.Sqrt(sq)
}

func relative(t testing.TB, name string, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", name, len(got), len(want))
	}
	var sq, norm float64
	for i := range got {
		d := float64(got[i]) - float64(want[i])
		sq += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	if sq == 0 {
		return 0
	}
	return math.Sqrt(sq / norm)
}

// String names the versions that computed the file.
func (f *File) String() string { return fmt.Sprintf("golden file of %s", f.meta["versions"]) }
