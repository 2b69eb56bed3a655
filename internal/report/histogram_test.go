package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"testing"
)

func TestHistogramOfFewNumbers(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		xs   []float32
		want string // N, Min, Max, Sum, Squares, Limits, Counts
	}{
		{nil, "0 0 0 0 0 [] []"},
		{[]float32{inf, -inf, float32(math.NaN())}, "0 0 0 0 0 [] []"},
		{[]float32{3}, "1 3 3 3 9 [3] [1]"},
		{[]float32{0, 0, 0}, "3 0 0 0 0 [0] [3]"},
		{[]float32{-2, inf, -2}, "2 -2 -2 -4 8 [-2] [2]"},
		// Buckets end at powers of two and sixteenths of them. Between 1 and 8 there is nothing.
		{[]float32{1, 8, 8}, "3 1 8 17 129 [1.0625 8 8] [1 0 2]"},
		{[]float32{-8, 1}, "2 -8 1 -7 65 [-8 1 1] [1 0 1]"},
		{[]float32{math.MaxFloat32, -math.MaxFloat32}, fmt.Sprintf("2 %g %[2]g 0 %[3]g [%[4]g %[5]g %[2]g] [1 0 1]",
			-math.MaxFloat32, math.MaxFloat32, 2*math.MaxFloat32*math.MaxFloat32, -31./32*(2<<127),
			31./32*(2<<127))},
	} {
		h := Count("x", c.xs)
		got := fmt.Sprintf("%g %g %g %g %g %v %v", h.N, h.Min, h.Max, h.Sum, h.Squares, h.Limits, h.Counts)
		if got != c.want || h.Tag != "x" {
			t.Errorf("%v: %s, want %s", c.xs, got, c.want)
		}
	}
}

// tails are 300,000 normal numbers, of which some are a thousand times as large.
func tails() []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	xs := make([]float32, 300_000)
	for i := range xs {
		xs[i] = float32(r.NormFloat64())
		if i%100 == 0 {
			xs[i] *= 1000
		}
	}
	return xs
}

// TestHistogramIsFineEnough: a histogram of any shape has few buckets, and from these alone the share below any number
// is right to a part where the numbers are dense.
func TestHistogramIsFineEnough(t *testing.T) {
	xs := tails()
	for name, part := range map[string][]float32{"tails": xs, "normal": xs[1:99], "few": xs[:1000]} {
		h := Count(name, part)
		sorted := slices.Clone(part)
		slices.Sort(sorted)
		if n := len(h.Counts); n > 3*coarse || len(h.Limits) != n {
			t.Errorf("%s: %d buckets with %d limits", name, n, len(h.Limits))
		}
		if h.Min != float64(sorted[0]) || h.Max != float64(sorted[len(sorted)-1]) || h.N != float64(len(part)) {
			t.Errorf("%s: %g numbers from %g to %g", name, h.N, h.Min, h.Max)
		}
		below, sum := 0.0, 0.0
		for i, limit := range h.Limits {
			below += h.Counts[i]
			if i > 0 && limit < h.Limits[i-1] {
				t.Fatalf("%s: limits %v", name, h.Limits)
			}
			want := sort.Search(len(sorted), func(k int) bool { return float64(sorted[k]) > limit })
			if int(below) != want {
				t.Errorf("%s: %g numbers up to %g, want %d", name, below, limit, want)
			}
		}
		for _, x := range part {
			sum += float64(x)
		}
		if math.Abs(sum-h.Sum) > 1e-9*h.Squares {
			t.Errorf("%s: sum %g, want %g", name, h.Sum, sum)
		}
	}
	h := Count("tails", xs)
	for i, n := range h.Counts { // all but a hundredth lie within a thousandth of the range
		if n > h.N/coarse+h.N/50 {
			t.Errorf("bucket %d of %d, up to %g, has %g of %g numbers", i, len(h.Counts), h.Limits[i], n, h.N)
		}
	}
}

// The order of the sums does not depend on the number of cores.
func TestHistogramOnAnyCores(t *testing.T) {
	xs := slices.Repeat(tails(), 3)
	want := fmt.Sprintf("%x", Count("x", xs))
	for _, n := range []int{1, 2, 5} {
		before := runtime.GOMAXPROCS(n)
		got := fmt.Sprintf("%x", Count("x", xs))
		runtime.GOMAXPROCS(before)
		if got != want {
			t.Errorf("on %d cores %s, want %s", n, got, want)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	xs := slices.Repeat(tails(), 40)
	b.SetBytes(int64(4 * len(xs)))
	for b.Loop() {
		Count("x", xs)
	}
}
