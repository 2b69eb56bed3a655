package stats

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// expected is what SciPy and statsmodels have, by scripts/stats.py.
var expected struct {
	Wilson []struct {
		K, N     int
		Interval [2]float64
	}
	Paired []struct {
		N, B, C         int
		Exact           float64
		MidP            float64 `json:"mid_p"`
		Interval, Tango [2]float64
	}
	Groups []struct {
		A, B   []float64
		AUC, P float64
	}
}

func TestMain(m *testing.M) {
	text, err := os.ReadFile("testdata/expected.json")
	if err == nil {
		err = json.Unmarshal(text, &expected)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// near tells whether two numbers are the same to nine digits.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

func TestWilson(t *testing.T) {
	if len(expected.Wilson) < 10 {
		t.Fatal("nothing to compare with")
	}
	for _, c := range expected.Wilson {
		if in := Wilson(c.K, c.N); !near(in.Low, c.Interval[0]) || !near(in.High, c.Interval[1]) {
			t.Errorf("%d of %d: %v, want %v", c.K, c.N, in, c.Interval)
		}
	}
	if in := Wilson(0, 0); in != (Interval{0, 1}) {
		t.Errorf("0 of 0: %v", in)
	}
	for _, n := range []int{1, 7, 10000, 50000} { // exactly
		if none, all := Wilson(0, n), Wilson(n, n); none.Low != 0 || all.High != 1 {
			t.Errorf("of %d: %v and %v", n, none, all)
		}
	}
}

func TestPaired(t *testing.T) {
	if len(expected.Paired) < 10 {
		t.Fatal("nothing to compare with")
	}
	for _, c := range expected.Paired {
		p := Paired{N: c.N, FirstOnly: c.B, SecondOnly: c.C}
		exact, mid := p.Exact(), p.MidP()
		if !near(exact, c.Exact) || !near(mid, c.MidP) {
			t.Errorf("%+v: p %g and %g, want %g and %g", p, exact, mid, c.Exact, c.MidP)
		}
		d, in := p.Difference()
		if !near(in.Low, c.Interval[0]) || !near(in.High, c.Interval[1]) || d != float64(c.B-c.C)/float64(c.N) {
			t.Errorf("%+v: difference %g, %v, want %v", p, d, in, c.Interval)
		}
		// another method's interval, where the normal distribution holds: 100 pictures are judged differently, or more
		if off := max(math.Abs(in.Low-c.Tango[0]), math.Abs(in.High-c.Tango[1])); c.B >= 30 && c.C >= 30 &&
			off > .03*(in.High-in.Low) {
			t.Errorf("%+v: %v, and Tango's %v", p, in, c.Tango)
		}
		swapped := Paired{N: c.N, FirstOnly: c.C, SecondOnly: c.B}
		if back, other := swapped.Difference(); back != -d || !near(other.Low, -in.High) ||
			!near(swapped.Exact(), exact) || !near(swapped.MidP(), mid) {
			t.Errorf("%+v the other way round: %g, %v", p, back, other)
		}
	}
	var none Paired
	if d, in := none.Difference(); d != 0 || in != (Interval{-1, 1}) || none.Exact() != 1 || none.MidP() != 1 {
		t.Errorf("of no pictures: %g, %v, p %g and %g", d, in, none.Exact(), none.MidP())
	}
}

func TestAUC(t *testing.T) {
	const rounds = 20000
	for _, c := range expected.Groups {
		area, p := Permutation(c.A, c.B, rounds, 1)
		if !near(area, c.AUC) || area != AUC(c.A, c.B) {
			t.Errorf("%v and %v: AUC %g, want %g", c.A, c.B, area, c.AUC)
		}
		// the exact p is a mean over all ways to deal; of so many rounds five standard deviations
		if off := 5 * math.Sqrt(c.P*(1-c.P)/rounds); math.Abs(p-c.P) > off+2./rounds {
			t.Errorf("%v and %v: p %g, want %g within %g", c.A, c.B, p, c.P, off)
		}
		if _, again := Permutation(c.A, c.B, rounds, 1); again != p {
			t.Errorf("the same seed gives p %g, then %g", p, again)
		}
	}
	if _, other := Permutation(expected.Groups[4].A, expected.Groups[4].B, 100, 2); other == 0 {
		t.Error("a p of 0")
	}
	for _, c := range [][2][]float64{{nil, {1}}, {{1}, nil}, {{1, math.NaN()}, {2}}} {
		if area, p := Permutation(c[0], c[1], 10, 1); !math.IsNaN(AUC(c[0], c[1])) || !math.IsNaN(area) ||
			!math.IsNaN(p) {
			t.Errorf("%v: %g, p %g", c, area, p)
		}
	}
	if a := AUC([]float64{math.Inf(1), 1}, []float64{math.Inf(-1), 1}); a != .875 {
		t.Errorf("with infinities %g, want .875", a)
	}
}
