package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"alexnet/internal/files"
)

// course is a run: n steps, a validation after each val of them.
func course(n, val int) []Metrics {
	var ms []Metrics
	for i := 1; i <= n; i++ {
		x := math.Exp(-3 * float64(i) / float64(n))
		noise := 1 + 0.2*math.Sin(float64(i*i))
		ms = append(ms, Metrics{
			Step: uint64(i), Loss: new(2 * x * noise), Top1Error: new(0.8 * x * noise), LR: new(0.01),
		})
		if val > 0 && i%val == 0 {
			ms = append(ms, Metrics{
				Step: uint64(i), ValLoss: new(2.1 * x), ValTop1Error: new(0.85 * x), ValTop5Error: new(0.4 * x),
			})
		}
	}
	return ms
}

func curvesOf(ms []Metrics) *Curves {
	var c Curves
	for _, m := range ms {
		c.Add(m)
	}
	return &c
}

// drawn draws a course and counts the picture's dots of some colours.
func drawn(t *testing.T, ms []Metrics, wanted ...color.RGBA) (size image.Point, dots []int) {
	t.Helper()
	img := picture(t, ms)
	for _, c := range wanted {
		n := 0
		for p := img.Pix; len(p) > 0; p = p[4:] {
			if p[0] == c.R && p[1] == c.G && p[2] == c.B {
				n++
			}
		}
		dots = append(dots, n)
	}
	return img.Bounds().Size(), dots
}

// picture is a course as it is drawn.
func picture(t *testing.T, ms []Metrics) *image.RGBA {
	t.Helper()
	path := filepath.Join(t.TempDir(), "curves.png")
	if err := curvesOf(ms).Draw(files.OS, path, "runs/train"); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.RGBA) // opaque pictures are decoded so
}

func TestCurvesShowWhatThereIs(t *testing.T) {
	rates := course(300, 0)
	for i := range rates {
		rates[i].Loss, rates[i].Top1Error = nil, nil
	}
	for name, c := range map[string]struct {
		ms             []Metrics
		height         int
		blue, val, ink bool
	}{
		"everything":    {course(300, 50), 1253, true, true, true},
		"one step":      {course(1, 1), 1253, true, true, true},
		"many steps":    {course(5000, 500), 1253, true, true, true},
		"no validation": {course(300, 0), 1253, true, false, true},
		"learning rate": {rates, 340, false, false, true},
		"speed alone":   {paces(300, 100, 100), 412, true, false, true},
		"a frozen net":  {[]Metrics{{Step: 5, Loss: new(0.0), LR: new(0.0)}}, 532, true, false, true},
		"validation alone": {
			[]Metrics{{Step: 0, ValTop1Error: new(1.0), ValTop5Error: new(0.5)}}, 532, false, true, true,
		},
	} {
		size, dots := drawn(t, c.ms, blue, vermillion, ink)
		if size.X != 1200 || size.Y != c.height {
			t.Errorf("%s: %v dots, want 1200 x %d", name, size, c.height)
		}
		for i, want := range []bool{c.blue, c.val, c.ink} {
			if n := dots[i]; (n > 20) != want {
				t.Errorf("%s: %d dots of the colour of %s", name, n, [...]string{"training", "validation", "text"}[i])
			}
		}
	}
}

// paces is a run of n steps whose speeds are fast and slow in turn.
func paces(n int, fast, slow float64) (ms []Metrics) {
	for i := range n {
		speed := fast
		if i%2 == 1 {
			speed = slow
		}
		ms = append(ms, Metrics{Step: uint64(i + 1), ImagesPerSecond: &speed})
	}
	return ms
}

// The speed over two steps is their pictures over their time, and the stall goes by the scale on the right: of a step
// of 3,200 and one of 800 images a second the mean is 1,280, on an axis to 2,000, and a quarter of the time is that
// share of the height.
func TestSpeedPanel(t *testing.T) {
	ms := paces(300, 3200, 800)
	for i := range ms {
		ms[i].DataStall = new(0.25)
	}
	img := picture(t, ms)
	rows := func(is func(color.RGBA) bool) (from, to int) { // at a column without labels, below the keys
		from = -1
		for y := 115; y < img.Bounds().Dy(); y++ {
			if is(img.RGBAAt(400, y)) {
				if to = y; from < 0 {
					from = y
				}
			}
		}
		return from, to
	}
	top, bottom := rows(func(c color.RGBA) bool { return c.R == c.G && c.G == c.B && c.R < 255 }) // grid and axis
	for name, c := range map[string]struct {
		of   color.RGBA
		want float64 // share of the height
	}{"speed": {blue, 1280. / 2000}, "stall": {vermillion, 0.25}} {
		from, to := rows(func(is color.RGBA) bool { return is == c.of })
		got := (float64(bottom) - float64(from+to)/2) / float64(bottom-top)
		if from < 0 || to-from > 8 || math.Abs(got-c.want) > 0.02 {
			t.Errorf("%s is at %.3f of the height (rows %d to %d of %d to %d), want %.3f", name, got, from, to, top,
				bottom, c.want)
		}
	}
}

// Of so few classes that the right one is always among the first five no top-5 error is drawn, nor named.
func TestCurvesOfFewClasses(t *testing.T) {
	c := curvesOf(course(300, 50))
	for _, few := range []bool{false, true} {
		c.OnlyTop1 = few
		p, err := c.errorPanel()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, k := range p.keys {
			names = append(names, k.text)
		}
		if top5 := strings.Contains(strings.Join(names, ", "), "top-5"); top5 == few || len(names) < 2 {
			t.Errorf("few classes %t: %v", few, names)
		}
	}
}

func TestCurvesOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "curves.png")
	err := curvesOf([]Metrics{{Step: 1}}).Draw(files.OS, path, "x")
	if err == nil || !strings.Contains(err.Error(), "no numbers") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a picture of nothing was written: %v", err)
	}
}

func TestCurvesInMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "curves.png")
	if err := curvesOf(course(3, 1)).Draw(files.OS, path, "x"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

func labels(ticks []plot.Tick) string {
	var s []string
	for _, t := range ticks {
		s = append(s, t.Label)
	}
	return strings.Join(s, " ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		got  []plot.Tick
		want string
	}{
		{niceTicks(0, niceMax(6.9)), "0 2 4 6 8"},
		{niceTicks(0, niceMax(2.26)), "0.0 0.5 1.0 1.5 2.0 2.5"},
		{niceTicks(0, niceMax(0.3)), "0.0 0.1 0.2 0.3"},
		{niceTicks(0, niceMax(0)), "0.0 0.2 0.4 0.6 0.8 1.0"},
		{niceTicks(0, 100), "0 20 40 60 80 100"},
		{niceTicks(0, niceMax(1e-9)), "0 2e-10 4e-10 6e-10 8e-10 1e-09"},
		{stepTicks(0, 1), "0 1"},
		{stepTicks(0, 7), "0 1 2 3 4 5 6 7"},
		{stepTicks(0, 240), "0 50 100 150 200"},
		{stepTicks(0, 9999), "0 1000 2000 3000 4000 5000 6000 7000 8000 9000"},
		{stepTicks(0, 12000), "0 2k 4k 6k 8k 10k 12k"},
		{stepTicks(0, 24e6), "0 5M 10M 15M 20M"},
		{rateTicks(.00005, .02), "0.0001 0.001 0.01"},
		{rateTicks(.005, .02), "0.005 0.01 0.02"},
		{rateTicks(.0011, .004), "0.002"},
		{rateTicks(5e-9, 2), "1e-08 1e-05 0.01"},
	} {
		if got := labels(c.got); got != c.want {
			t.Errorf("ticks %s, want %s", got, c.want)
		}
	}
}

func TestMostLeavesOutWildSteps(t *testing.T) {
	xys := make(plotter.XYs, 1000)
	for i := range xys {
		xys[i] = plotter.XY{X: float64(i), Y: 2}
	}
	xys[0].Y = 900 // as the first step of a net with large initial weights
	if got := tallest(xys); got != 2.2 {
		t.Errorf("axis to %g, want 2.2", got)
	}
	if got := tallest(xys[:50]); got != 900 {
		t.Errorf("axis to %g, want 900: one in fifty is not rare", got)
	}
}

func TestThinAndSmooth(t *testing.T) {
	line := func(n int) plotter.XYs {
		xys := make(plotter.XYs, n)
		for i := range xys {
			xys[i] = plotter.XY{X: float64(i), Y: 3 * float64(i)}
		}
		return xys
	}
	if xys, each := thin(line(1000)); each != 1 || len(xys) != 1000 {
		t.Errorf("1000 points became %d, of %d each", len(xys), each)
	}
	xys, each := thin(line(2500))
	if each != 3 || len(xys) != 834 || math.Abs(xys[1].X-4) > 1e-12 || math.Abs(xys[1].Y-12) > 1e-12 ||
		xys[833].X != 2499 {
		t.Errorf("2500 points became %d, of %d each: %v ... %v", len(xys), each, xys[1], xys[len(xys)-1])
	}
	flat := smooth(line(100)) // of a straight line, itself, but for the ends, where the mean is that of what there is
	for i, want := range map[int]float64{0: 3, 1: 4.5, 2: 6, 50: 150, 97: 291, 99: 294} {
		if got := flat[i]; got.X != float64(i) || math.Abs(got.Y-want) > 1e-9 {
			t.Errorf("smoothed point %d is %v, want height %g", i, got, want)
		}
	}
	got := stairs(plotter.XYs{{X: 1, Y: 5}, {X: 2, Y: 5}, {X: 3, Y: 4}, {X: 4, Y: 4}})
	want := plotter.XYs{{X: 1, Y: 5}, {X: 3, Y: 5}, {X: 3, Y: 4}, {X: 4, Y: 4}}
	if len(got) != len(want) {
		t.Fatalf("stairs %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("stairs %v, want %v", got, want)
		}
	}
}
