package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/builtin"
	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// looks runs alexnet look, and gives the document that it writes, what it says, and its exit code.
func looks(t *testing.T, document any, args ...string) (code int, said string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(append([]string{"look"}, append(args, "--json")...), &ui.Terminal{Out: &out, Err: &err})
	if out.Len() > 0 {
		if e := json.Unmarshal(out.Bytes(), document); e != nil {
			t.Errorf("%v: %v\n%s", args, e, out.String())
		}
	}
	return code, err.String()
}

// mustLook is looks where that succeeds.
func mustLook(t *testing.T, document any, args ...string) {
	t.Helper()
	if code, said := looks(t, document, args...); code != exitOK {
		t.Fatalf("alexnet look %v: exit code %d: %s", args, code, said)
	}
}

// drawn reads a picture.
func drawn(t *testing.T, path string) *image.RGBA {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	c := image.NewRGBA(m.Bounds())
	for y := range c.Rect.Dy() {
		for x := range c.Rect.Dx() {
			c.Set(x, y, m.At(x, y))
		}
	}
	return c
}

// count is how many pixels of a picture have a colour.
func count(m *image.RGBA, c color.RGBA) (n int) {
	for i := 0; i < len(m.Pix); i += 4 {
		if (color.RGBA{m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3]}) == c {
			n++
		}
	}
	return n
}

// withKernels writes the net in the program to a file, with other kernels in conv1: those of each column all alike.
func withKernels(t *testing.T, path string, columns ...[3]float32) {
	t.Helper()
	c, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, p := range c.Params {
		if p.Name != "conv1.weight" {
			continue
		}
		w := make([]float32, 64*3*25)
		for at := range w {
			w[at] = columns[at/(32*75)][at/25%3]
		}
		c.Params[i] = tensor.Of(p.Name, p.Shape, w)
	}
	if err := checkpoint.Save(files.OS, path, c); err != nil {
		t.Fatal(err)
	}
}

// TestLookFilters: red kernels are red, black ones black, the first column stands above the second, and columns that
// are swapped change the picture and turn the report over.
func TestLookFilters(t *testing.T) {
	t.Chdir(t.TempDir())
	red, black := [3]float32{1, 0, 0}, [3]float32{-1, -1, -1}
	withKernels(t, "a.safetensors", red, black)
	withKernels(t, "b.safetensors", black, red)
	pink := color.RGBA{255, 128, 128, 255}
	var first [2]image.Point // upper left pixels of the red kernels
	for i, name := range []string{"a", "b"} {
		var r filtersResult
		mustLook(t, &r, "filters", "--weights", name+".safetensors", "--out", name+".png")
		m := drawn(t, name+".png")
		if count(m, pink) != 32*40*40 || count(m, color.RGBA{0, 0, 0, 255}) < 32*40*40 {
			t.Errorf("%s: %d red pixels, %d black ones", name, count(m, pink), count(m, color.RGBA{0, 0, 0, 255}))
		}
		at := slices.IndexFunc(slices.Collect(slices.Chunk(m.Pix, 4)), func(p []uint8) bool {
			return slices.Equal(p, []uint8{255, 128, 128, 255})
		})
		first[i] = image.Pt(at%m.Rect.Dx(), at/m.Rect.Dx())
		medians := [2]float64{2. / 3, 0}
		if i == 1 {
			slices.Reverse(medians[:])
		}
		for column, want := range medians {
			if got := *r.Color.Columns[column].Median; math.Abs(got-want) > 1e-6 {
				t.Errorf("%s: column %d has a median of %g, want %g", name, column+1, got, want)
			}
		}
		if *r.Color.AUC != float64(1-i) || *r.Color.P > .001 || r.Shown != 64 || len(r.Kernels) != 64 ||
			r.Kernels[40].Column != 2 || r.Scale.High != 1 {
			t.Errorf("%s: AUC %g, p %g, %d shown, scale %v", name, *r.Color.AUC, *r.Color.P, r.Shown, r.Scale)
		}
	}
	if first[0].X != first[1].X || first[0].Y >= first[1].Y {
		t.Errorf("the red column begins at %v, and swapped at %v", first[0], first[1])
	}
	withKernels(t, "nan.safetensors", [3]float32{float32(math.NaN()), 0, 0}, red)
	var r filtersResult
	mustLook(t, &r, "filters", "--weights", "nan.safetensors", "--out", "nan.png")
	if n := count(drawn(t, "nan.png"), figure.NotFinite); n != 32*40*40 || r.Color.AUC != nil {
		t.Errorf("of kernels that are no numbers %d pixels show, AUC %v", n, r.Color.AUC)
	}
}

// TestLookFiltersOfOneColumn: there is nothing to compare, and that is said.
func TestLookFiltersOfOneColumn(t *testing.T) {
	t.Chdir(t.TempDir())
	finish(t, ".", "weights", "init", "--config", "cifar10-quick", "--set", "model.classes=10", "--out",
		"one.safetensors")
	var out bytes.Buffer
	if code := execute([]string{"look", "filters", "--weights", "one.safetensors"},
		&ui.Terminal{Out: &out, Err: &out}); code != exitOK || !strings.Contains(out.String(),
		"One column: there is no other to compare it with.") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
	if strings.Contains(out.String(), "AUC") {
		t.Errorf("it compares: %s", out.String())
	}
}

// TestLookRefuses: what look cannot draw is an error with what to do, and no file is left.
func TestLookRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	finish(t, ".", "data", "demo", "--out", "shapes", "--train", "1", "--val", "1")
	if err := os.MkdirAll("empty", 0o777); err != nil {
		t.Fatal(err)
	}
	keep(t, "there.png", []byte("mine"))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"filters", "--layer", "cnov1"}, exitUsage, "nearest: conv1"},
		{[]string{"filters", "--layer", "fc6"}, exitUsage, "layer fc6 has no kernels"},
		{[]string{"filters", "--out", "a.npy"}, exitUsage, "--out a.png"},
		{[]string{"filters", "--out", "there.png"}, exitFailed, "there.png is there already"},
		{[]string{"filters", "--out", "no/a.png"}, exitFailed, "there is no folder no"},
		{[]string{"filters", "--weights", "no.safetensors"}, exitCheckpoint, "there is no such checkpoint"},
		{[]string{"maps", "shapes/val/ring/0001.png"}, exitUsage, "look maps needs --layer"},
		{[]string{"maps", "shapes/val/ring/0001.png", "--layer", "cnov1"}, exitUsage, "nearest: conv1"},
		{[]string{"maps", "shapes", "--layer", "conv1"}, exitUnreadable, "name a picture in it"},
		{[]string{"maps", "no.png", "--layer", "conv1"}, exitUnreadable, "check the name"},
		{[]string{"maps", "a.png", "b.png", "--layer", "conv1"}, exitUsage, "takes a picture"},
		{[]string{"predictions"}, exitUsage, "needs pictures, a folder or a tar"},
		{[]string{"predictions", "empty"}, exitNoData, "no picture"},
		{[]string{"predictions", "no.png"}, exitUnreadable, "none of the pictures can be read"},
		{[]string{"predictions", "shapes/val/ring/0001.png", "--errors"}, exitUsage, "have no labels"},
		{[]string{"predictions", "shapes", "--errors"}, exitCheckpoint, "knows none of the classes"},
	} {
		args := append(slices.Clone(c.args), "--device", "reference")
		if c.args[0] == "filters" {
			args = c.args
		}
		code, said := looks(t, new(any), args...)
		if code != c.code || !strings.Contains(said, c.says) || !strings.Contains(said, "next:") {
			t.Errorf("alexnet look %v: exit code %d, want %d: %s", c.args, code, c.code, said)
		}
	}
	for _, name := range []string{"filters.png", "maps.png", "predictions.png"} {
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	if mine, err := os.ReadFile("there.png"); err != nil || string(mine) != "mine" {
		t.Errorf("a file that was there is %q, %v", mine, err)
	}
}

// TestLookMaps: the document has every map's numbers, which are those of alexnet features, and the picture has them.
func TestLookMaps(t *testing.T) {
	t.Chdir(t.TempDir())
	finish(t, ".", "data", "demo", "--out", "shapes", "--train", "1", "--val", "1")
	const picture = "shapes/val/ring/0001.png"
	var r mapsResult
	mustLook(t, &r, "maps", picture, "--layer", "conv1", "--strongest", "--device", "reference")
	if !slices.Equal(r.Shape, []int{64, 28, 28}) || r.Shown != 64 || len(r.Maps) != 64 || len(r.Maps[0].Values) != 784 {
		t.Fatalf("%v, %d shown, %d maps", r.Shape, r.Shown, len(r.Maps))
	}
	for i := range r.Maps[1:] {
		if r.Maps[i].Strength < r.Maps[i+1].Strength {
			t.Errorf("map %d before %d", r.Maps[i].Map, r.Maps[i+1].Map)
		}
	}
	high := slices.MaxFunc(r.Maps, func(a, b mapResult) int {
		return int(slices.Max(a.Values)*1e6) - int(slices.Max(b.Values)*1e6)
	})
	if got := slices.Max(high.Values); math.Abs(float64(got)-r.Scale.High) > 1e-6 {
		t.Errorf("the scale ends at %g, the largest number is %g", r.Scale.High, got)
	}
	m := drawn(t, "maps.png")
	if count(m, figure.Grey(1)) < 4 || count(m, figure.Grey(0)) < 784 {
		t.Error("the picture has no white and no black")
	}
	mustLook(t, &r, "maps", picture, "--layer", "prob", "--out", "prob.png", "--device", "reference")
	sum := finite(0)
	for _, m := range r.Maps {
		sum += m.Values[0]
	}
	if math.Abs(float64(sum)-1) > 1e-5 || len(r.Maps) != 10 {
		t.Errorf("%d probabilities with a sum of %g", len(r.Maps), sum)
	}
}

// numbered are maps of one number each, map i of i.
func numbered(count, side int) *infer.Maps {
	m := &infer.Maps{
		Count: count, Height: side, Width: side, Columns: 1, Seen: image.NewRGBA(image.Rect(0, 0, 32, 32)),
	}
	for i := range count * side * side {
		m.Values = append(m.Values, float32(i/(side*side)))
	}
	return m
}

// TestMapsThatDoNotFit: as many as there is room for are drawn, the number of the others is written, and every tile
// has its own number's colour.
func TestMapsThatDoNotFit(t *testing.T) {
	d := mapsDrawing{m: numbered(384, 13), layer: "conv3", order: inOrder(384)}
	tile := (13*4 + 4) * (13*4 + 4 + figure.Small.Height())
	d.room = 64*tile + 1
	page := d.page()
	if d.shown != 64 || !slices.Contains(page.Notes, "64 of 384 maps shown.") {
		t.Errorf("%d shown: %q", d.shown, page.Notes)
	}
	mosaic := page.Bodies[1].(*figure.Canvas)
	for i := range 64 {
		x, y := i%21*56+5, i/21*(tile/56)+5
		if got, want := mosaic.RGBAAt(x, y), figure.Grey(float64(i)/383); got != want {
			t.Errorf("map %d is %v, want %v", i, got, want)
		}
	}
	d.room = mapsPixels
	if page = d.page(); d.shown != 384 || strings.Contains(strings.Join(page.Notes, ""), "shown") {
		t.Errorf("with room for all %d are shown: %q", d.shown, page.Notes)
	}
	d = mapsDrawing{m: &infer.Maps{
		Count: 1, Height: 2, Width: 2, Columns: 1, Values: make([]float32, 4), Seen: d.m.Seen,
	}, order: inOrder(1), room: mapsPixels, each: true}
	if got := d.page().Bodies[1].(*figure.Canvas).RGBAAt(9, 9); got != figure.Grey(0) {
		t.Errorf("a map of zeros is %v", got)
	}
	d = mapsDrawing{m: numbered(20000, 1), layer: "fc6", order: inOrder(20000), room: 100 * unitSide * unitSide}
	if page = d.page(); d.shown != 100 || !slices.Contains(page.Notes, "100 of 20000 units shown.") {
		t.Errorf("%d units shown: %q", d.shown, page.Notes)
	}
}

// TestLookBars: a bar is as long as its probability, the right class's red and hatched, all others lilac, whatever
// their names.
func TestLookBars(t *testing.T) {
	right := 2
	shares := []float64{.5, .25, .125, .0625, 0}
	var p []infer.ClassProbability
	for i, share := range shares {
		p = append(p, infer.ClassProbability{
			Index: i, Class: text.Raw(strings.Repeat(hostile+"</script>\"", 30)), Probability: share,
		})
	}
	seen := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for i := range seen.Pix {
		seen.Pix[i] = 255
	}
	r := predictionsResult{Pictures: []answeredResult{{
		Image: hostile, Label: &labelResult{Index: &right, Class: "ring"}, Predictions: p, seen: seen,
	}}}
	m := drawAnswers(&r, true).Bodies[0].(*figure.Canvas)
	bottom := m.Rect.Dy() - answerBars*(barTall+barGap)
	for i, share := range shares {
		y := bottom + i*(barTall+barGap) + 1 // above the letters
		got := map[color.RGBA]int{}
		for x := range answerWidth {
			got[m.RGBAAt(x, y)]++
		}
		long := int(math.Round(share * answerWidth))
		switch {
		case i == right && (got[figure.Pink]+got[figure.Red] != long || got[figure.Red] == 0 || got[figure.Lilac] > 0):
			t.Errorf("the right bar of %g: %v", share, got)
		case i != right && (got[figure.Lilac] != long || got[figure.Pink]+got[figure.Red] > 0):
			t.Errorf("bar of %g: %v", share, got)
		}
	}
}

// classed writes a folder of class folders of the net in the program, with so many drawn pictures of each.
func classed(t *testing.T, dir string, each int, classes ...string) {
	t.Helper()
	for c, class := range classes {
		for i := range each {
			m := image.NewRGBA(image.Rect(0, 0, 40, 40))
			for at := range 40 * 40 {
				m.SetRGBA(at%40, at/40, color.RGBA{uint8(at * (i + 3)), uint8(25 * c), uint8(at / 40 * (c + 1)), 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			keep(t, filepath.Join(dir, class, fmt.Sprintf("%d.png", i)), b.Bytes())
		}
	}
}

// TestLookPredictions: eight pictures are drawn by the seed from a folder of classes, with their labels; with --errors
// each is wrong. Files that cannot be read are passed over and told.
func TestLookPredictions(t *testing.T) {
	t.Chdir(t.TempDir())
	classed(t, "ten", 4, "airplane", "bird", "cat", "truck", "zebra")
	look := func(more ...string) (r predictionsResult) {
		t.Helper()
		mustLook(t, &r, append([]string{"predictions", "ten", "--force", "--device", "reference"}, more...)...)
		return r
	}
	one, again, other := look(), look(), look("--seed", "2")
	if len(one.Pictures) != 8 || !reflect.DeepEqual(one, again) || reflect.DeepEqual(one.Pictures, other.Pictures) {
		t.Errorf("drawn are %v, %v and %v", one, again, other)
	}
	for _, p := range slices.Concat(one.Pictures, other.Pictures) {
		class, _, _ := strings.Cut(string(p.Image), "/")
		if string(p.Label.Class) != class || (p.Label.Index == nil) != (class == "zebra") || len(p.Predictions) != 5 ||
			*p.Right != (string(p.Predictions[0].Class) == class) {
			t.Errorf("%+v of class %s", p, class)
		}
	}
	if m := drawn(t, "predictions.png"); count(m, figure.Lilac) == 0 {
		t.Error("there are no bars")
	}
	wrong := look("--errors")
	if len(wrong.Pictures) == 0 || wrong.LookedAt > 16 {
		t.Errorf("%d wrong of %d", len(wrong.Pictures), wrong.LookedAt)
	}
	for _, p := range wrong.Pictures {
		if *p.Right || p.Label.Class == "zebra" {
			t.Errorf("%s is no error", p.Image)
		}
	}

	// A single class is enough, whatever else is missing; a picture that is cut off is told, and the others are drawn.
	classed(t, "one", 3, "cat")
	keep(t, "one/cat/cut.png", []byte("\x89PNG\r\n\x1a\n"))
	var r predictionsResult
	code, said := looks(t, &r, "predictions", "one", "--out", "one.png", "--device", "reference")
	if code != exitUnreadable || len(r.Pictures) != 3 || r.LookedAt != 4 || !strings.Contains(said, "cut.png") {
		t.Errorf("exit code %d, %d of %d pictures: %s", code, len(r.Pictures), r.LookedAt, said)
	}
	drawn(t, "one.png")

	// Pictures that lie in no class folder have no label, and come as they were named.
	mustLook(t, &r, "predictions", "one/cat/2.png", "one/cat/0.png", "--out", "two.png", "--device", "reference")
	if len(r.Pictures) != 2 || r.Pictures[0].Image != "one/cat/2.png" || r.Pictures[0].Label != nil {
		t.Errorf("%+v", r.Pictures)
	}
	mustLook(t, &r, "predictions", "ten/cat", "--out", "flat.png", "--device", "reference")
	if len(r.Pictures) != 4 || r.Pictures[0].Label != nil {
		t.Errorf("%+v", r.Pictures)
	}
}

// TestClassWanted: a class goes by its key, its name or its number, and what is none of these names the nearest.
func TestClassWanted(t *testing.T) {
	c := &checkpoint.Checkpoint{Path: "a.safetensors", Classes: []string{"n01440764", "cat", "0", "a\nb"}}
	for class, want := range map[string]int{
		"": -1, "n01440764": 0, "tench": 0, "Tench": 0, "cat": 1, "0": 2, "3": 3, "1": 1, "a\nb": 3,
	} {
		if got, err := (&lookOptions{class: class}).wanted(c); err != nil || got != want {
			t.Errorf("%q is class %d, want %d: %v", class, got, want, err)
		}
	}
	for class, near := range map[string]string{"cta": "--class cat", "4": "lists them", "-1": "lists them"} {
		_, err := (&lookOptions{class: class}).wanted(c)
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(nextStep(err), near) {
			t.Errorf("%q: %v, next %q", class, err, nextStep(err))
		}
	}
	if got := className(c, 0); got != "tench" {
		t.Errorf("class 0 is called %s", got)
	}
}

// TestCompleteClasses: those of the net in the program.
func TestCompleteClasses(t *testing.T) {
	c := newLookFiltersCommand(&ui.Terminal{})
	if err := c.Flags().Set("weights", builtin.Name); err != nil {
		t.Fatal(err)
	}
	if got, _ := completeClasses(c, "a"); !slices.Equal(got, []string{"airplane", "automobile"}) {
		t.Errorf("offered are %v", got)
	}
}
