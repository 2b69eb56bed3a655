package report

import (
	"math"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"gonum.org/v1/plot/plotter"

	"alexnet/internal/files"
)

// What a writer keeps for the picture is what the file says: from the beginning, of a resumed run, and whether or not
// an epoch's end is written again.
func TestCurvesAreThoseOfTheFile(t *testing.T) {
	for name, c := range map[string]struct {
		from uint64
		more []Metrics
	}{
		"new":                  {0, undisturbed()},
		"resumed":              {4, undisturbed()[5:]},
		"nothing more":         {6, nil},
		"an epoch's end again": {3, []Metrics{{Step: 3, Epoch: 1, ValLoss: new(0.125)}, step(4)}},
		"after an epoch's end": {3, []Metrics{step(4)}},
	} {
		dir := t.TempDir()
		write(t, dir, 0, undisturbed()...)
		w, err := NewWriter(files.OS, dir, c.from, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(c.more) + 1 {
			ms, err := readMetrics(filepath.Join(dir, fileName))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := w.Curves(), curvesOf(ms); !reflect.DeepEqual(shown(got), shown(want)) {
				t.Errorf("%s: after %d lines the curves are %v, want %v", name, i, shown(got), shown(want))
			}
			if i < len(c.more) {
				if err := w.Append(c.more[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func shown(c *Curves) []plotter.XYs {
	return []plotter.XYs{
		{{X: float64(c.end)}},
		c.loss.all(), c.top1.all(), c.valLoss.all(), c.valTop1.all(), c.valTop5.all(),
		c.rates.all(), c.pace.all(), c.stall.all(),
	}
}

// The paper's run of ImageNet has some 900,000 steps. It is kept in few points, which stand for all of them.
func TestLongRunIsKeptInFewPoints(t *testing.T) {
	const steps = 900_001
	var c Curves
	for i := 1; i <= steps; i++ {
		x := float64(i)
		c.Add(Metrics{Step: uint64(i), Loss: new(3 * x), LR: new(1 / x)})
		if n := len(c.loss.points); n >= kept || len(c.rates.changes) >= kept {
			t.Fatalf("after %d steps %d points, and %d of the rate", i, n, len(c.rates.changes))
		}
	}
	points, sum := c.loss.all(), 0.0
	last := points[len(points)-1]
	for i, p := range points {
		if math.Abs(p.Y-3*p.X) > 1e-6*p.Y || i > 0 && p.X <= points[i-1].X {
			t.Fatalf("point %d is %v: not on the line", i, p)
		}
		sum += p.X * float64(c.loss.each)
	}
	// The last point is the mean of fewer, of those from first on.
	first := float64((len(points)-1)*c.loss.each + 1)
	sum -= last.X * (float64(c.loss.each) - (steps - first + 1))
	if want := steps * (steps + 1) / 2.; c.loss.each != 16 || math.Abs(sum-want) > 1e-9*want {
		t.Errorf("points are means of %d, and their sum is %g, want 16 and %g", c.loss.each, sum, want)
	}
	rates := c.rates.all()
	if rates[0] != (plotter.XY{X: 1, Y: 1}) || rates[len(rates)-1] != (plotter.XY{X: steps, Y: 1. / steps}) {
		t.Errorf("rates from %v to %v", rates[0], rates[len(rates)-1])
	}
	if err := c.Draw(files.OS, filepath.Join(t.TempDir(), "curves.png"), "a long run"); err != nil {
		t.Error(err)
	}
}

// A rate that stays costs nothing, and is drawn as if each step were kept.
func TestRatesKeepChanges(t *testing.T) {
	var r rates
	var all plotter.XYs
	for i, y := range []float64{5, 5, 5, 4, 4, 5, 3, 3, 3} {
		xy := plotter.XY{X: float64(i), Y: y}
		r.add(xy)
		all = append(all, xy)
		if got, want := stairs(r.all()), stairs(all); !reflect.DeepEqual(got, want) {
			t.Errorf("after %d steps stairs %v, want %v", i+1, got, want)
		}
	}
	if len(r.changes) != 4 {
		t.Errorf("%d changes are kept, want 4", len(r.changes))
	}
}

// Curves may be drawn while the run goes on (the race detector looks).
func TestDrawnWhileLinesAreAppended(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(files.OS, dir, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	var drawing sync.WaitGroup
	for i := range 300 {
		if i == 150 {
			c := w.Curves()
			drawing.Go(func() {
				if err := c.Draw(files.OS, filepath.Join(dir, "curves.png"), "a run"); err != nil {
					t.Error(err)
				}
			})
		}
		if err := w.Append(step(uint64(i + 1))); err != nil {
			t.Fatal(err)
		}
	}
	drawing.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
