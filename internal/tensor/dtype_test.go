package tensor

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"math"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// Every binary16 but infinities and NaN comes back as it was.
func TestHalfRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		x := half(uint16(h))
		back, ok := toHalf(x)
		if special := h&0x7c00 == 0x7c00; ok == special || !special && back != uint16(h) {
			t.Errorf("%04x is %g and comes back as %04x, %v", h, x, back, ok)
		}
	}
}

// Rounding is to the nearest, of two to the even one: held to a search among all binary16.
func TestHalfRounds(t *testing.T) {
	nearest := func(x float32) uint16 {
		best, least := 0, math.Inf(1)
		for h := range 0x7c00 { // the positive ones
			d := math.Abs(float64(half(uint16(h))) - float64(x))
			if d < least || d == least && h%2 == 0 {
				best, least = h, d
			}
		}
		return uint16(best)
	}
	for _, x := range []float32{
		0, 1, 1 + 1./2048, 1 + 3./2048, math.Nextafter32(1+1./2048, 2), 0.1, 1. / 3, 65504, 65519.99,
		6.103515625e-5, 6.1e-5, 6.1020255e-5 /* to the smallest normal */, 5.9604645e-8,
		2.9802322e-8 /* half of that: to 0 */, 2.9802326e-8, 8.940697e-8, 1e-40,
	} {
		want := nearest(x)
		if got, ok := toHalf(x); !ok || got != want {
			t.Errorf("%g: %04x, %v, want %04x", x, got, ok, want)
		}
		if got, ok := toHalf(-x); !ok || got != want|1<<15 && x != 0 {
			t.Errorf("%g: %04x, %v, want %04x", -x, got, ok, want|1<<15)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float32Range(0, 65519).Draw(t, "x")
		if got, ok := toHalf(x); !ok || got != nearest(x) {
			t.Errorf("%g: %04x, %v, want %04x", x, got, ok, nearest(x))
		}
	})
	for _, x := range []float32{65520, 1e30, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())} {
		if got, ok := toHalf(x); ok {
			t.Errorf("%g became %04x", x, got)
		}
	}
}

// All binary16 numbers, against arithmetic in float64.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1-2*float64(h>>15), float64(h>>10&31), float64(h&1023)
		want := sign * math.Pow(2, exp-15) * (1 + frac/1024)
		switch {
		case exp == 0:
			want = math.Copysign(math.Pow(2, -14)*frac/1024, sign)
		case exp == 31 && frac == 0:
			want = math.Inf(int(sign))
		case exp == 31:
			want = math.NaN()
		}
		got := float64(half(uint16(h)))
		if math.IsNaN(want) != math.IsNaN(got) || !math.IsNaN(want) && math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("half %04x = %g, want %g", h, got, want)
		}
	}
}

// full is a writer that fails.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// TestEncode: numbers that fill more than a Chunk are written as one row, and the errors say whose they are.
func TestEncode(t *testing.T) {
	v := make([]float32, 2*Chunk/2+3) // of F16 two whole chunks and a bit
	for i := range v {
		v[i] = float32(i % 2048)
	}
	for _, dtype := range []string{"", "F32", "F16"} {
		var b bytes.Buffer
		if err := (Tensor{Name: "w", DType: dtype}).Encode(&b, v); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(v))
		Decoders[cmp.Or(dtype, "F32")](got, b.Bytes())
		if !slices.Equal(got, v) || b.Len() != len(v)*int(Widths[cmp.Or(dtype, "F32")]) {
			t.Errorf("%q: %d bytes for %d numbers, or other ones", dtype, b.Len(), len(v))
		}
	}
	if err := (Tensor{Name: "w", DType: "BF16"}).Encode(io.Discard, v); err == nil ||
		err.Error() != "tensor w: cannot be written as BF16; F32 and F16 can" {
		t.Errorf("error %v", err)
	}
	broken := &fs.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}
	if err := (Tensor{Name: "w"}).Encode(full{broken}, v); err != error(broken) { //nolint:errorlint // not wrapped
		t.Errorf("error %v, want the writer's own", err)
	}
}
