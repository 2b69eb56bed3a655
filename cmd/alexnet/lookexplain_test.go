package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/ui"
)

// seenGrey is what a net of so many pixels sees: grey.
func seenGrey(side int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range m.Pix {
		m.Pix[i] = 128
	}
	return m
}

// panelPixel is how a pixel of what the net sees, of so many a side, is drawn in a panel.
func panelPixel(m image.Image, panel, side, y, x int) color.RGBA {
	zoom := explainZoom(side)
	px, py := panel*(zoom*side+12)+x*zoom+zoom/2, y*zoom+zoom/2
	return color.RGBAModel.Convert(m.At(px, py)).(color.RGBA) //nolint:forcetypeassert // what the model converts to
}

// Squares of 2 on a picture of 4, at 0, 1 and 2: where covering does most is darkest, and the most probable class has
// its colour.
func TestOcclusionPage(t *testing.T) {
	c := &checkpoint.Checkpoint{Classes: []string{"cat", "dog"}}
	m := &infer.Occlusion{Square: 2, At: []int{0, 1, 2}, Explained: infer.Explained{Seen: seenGrey(4)}}
	for i := range 9 {
		p, w := float32(.9), 0
		if i == 2 { // the upper right
			p, w = .1, 1
		}
		m.Probability, m.Winners = append(m.Probability, p), append(m.Winners, infer.ClassProbability{Index: w})
	}
	page := occlusionPage(c, m)
	if page.Scale.Low != float64(float32(.1)) || page.Scale.High != float64(float32(.9)) {
		t.Errorf("scale from %g to %g", page.Scale.Low, page.Scale.High)
	}
	body := page.Bodies[0]
	dark, light := panelPixel(body, 1, 4, 0, 3), panelPixel(body, 1, 4, 3, 0)
	if dark.R >= light.R || dark.G >= light.G {
		t.Errorf("covered where it matters: %v, elsewhere %v", dark, light)
	}
	for _, p := range []struct {
		y, x int
		want color.RGBA
	}{{0, 3, winnerColors[1]}, {0, 0, winnerColors[0]}, {3, 3, winnerColors[0]}, {2, 1, winnerColors[0]}} {
		if got := panelPixel(body, 2, 4, p.y, p.x); got != p.want {
			t.Errorf("most probable at %d, %d: %v, want %v", p.y, p.x, got, p.want)
		}
	}
	if got := color.RGBAModel.Convert(page.Bodies[1].At(4, 6)); got != winnerColors[0] {
		t.Errorf("the legend begins with %v", got)
	}
}

// The pixel that matters is as light as the scale goes, and lies where it is.
func TestSaliencyPage(t *testing.T) {
	m := &infer.Saliency{Side: 4, Map: make([]float32, 16), Explained: infer.Explained{Seen: seenGrey(4)}}
	m.Map[1*4+2] = 3
	page := saliencyPage(m)
	if got, want := panelPixel(page.Bodies[0], 1, 4, 1, 2), figure.Heat(1); got != want {
		t.Errorf("the largest: %v, want %v", got, want)
	}
	if got, want := panelPixel(page.Bodies[0], 1, 4, 2, 1), figure.Heat(0); got != want {
		t.Errorf("none: %v, want %v", got, want)
	}
	if page.Scale.High != 3 || page.Scale.Low != 0 {
		t.Errorf("scale %+v", page.Scale)
	}
}

// A map's lower left place is the picture's, and a map of zeros is drawn and said.
func TestCAMPage(t *testing.T) {
	c := &checkpoint.Checkpoint{Classes: []string{"cat"}}
	m := &infer.CAM{Height: 2, Width: 2, Map: []float32{0, 0, 5, 0}, Explained: infer.Explained{Seen: seenGrey(8)}}
	page := camPage(c, m)
	if hot, cold := panelPixel(page.Bodies[0], 1, 8, 7, 0), panelPixel(page.Bodies[0], 1, 8, 0, 7); hot.R <= cold.R {
		t.Errorf("lower left %v, upper right %v", hot, cold)
	}
	m.Map = make([]float32, 4)
	if notes := strings.Join(camPage(c, m).Notes, " "); !strings.Contains(notes, "Nothing in them speaks for cat") {
		t.Error(notes)
	}
}

// explainPicture draws a picture for the net in the program.
func explainPicture(t *testing.T, name string) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 40, 48))
	for y := range 48 {
		for x := range 40 {
			m.SetRGBA(x, y, color.RGBA{uint8(5 * x), uint8(4 * y), uint8(x * y), 255})
		}
	}
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// lookAt runs a command and gives its exit code and what it says.
func lookAt(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = execute(args, &ui.Terminal{Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// The commands write a picture and, with --json, the numbers; a file that is there stays; a class is named or refused.
func TestLookExplained(t *testing.T) {
	picture := explainPicture(t, "a \"name\"\n<script>.png")
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		keys []string
	}{
		{[]string{"occlusion"}, []string{"square", "at", "probability", "winners"}},
		{[]string{"saliency", "--smooth", "3"}, []string{"copies", "sigma", "seed", "map"}},
		{[]string{"cam"}, []string{"layer", "map"}},
	} {
		args := append([]string{"look"}, c.args...)
		args = append(args, picture, "--weights", "builtin", "--class", "ship", "--json")
		code, out, errs := lookAt(args...)
		if code != 0 {
			t.Fatalf("%v: %d, %s", c.args, code, errs)
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(out), &document); err != nil {
			t.Fatal(err)
		}
		for _, key := range append(c.keys, "out", "image", "class", "best") {
			if document[key] == nil {
				t.Errorf("%v: no %s", c.args, key)
			}
		}
		file := c.args[0] + ".png"
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if code, _, errs := lookAt(args...); code != exitFailed || !strings.Contains(errs, "--force") {
			t.Errorf("%v: a file that is there: %d, %s", c.args, code, errs)
		}
		if after, err := os.ReadFile(file); err != nil || !slices.Equal(before, after) {
			t.Errorf("%v: it was written over: %v", c.args, err)
		}
	}
	code, _, errs := lookAt("look", "cam", picture, "--weights", "builtin", "--layer", "fc6", "--out", "x.png")
	if code != exitUsage || !strings.Contains(errs, "there are conv1") {
		t.Errorf("Grad-CAM of units: %d, %s", code, errs)
	}
}
