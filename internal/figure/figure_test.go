package figure

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// inked counts the pixels of a rectangle that are no paper.
func inked(c *Canvas, r image.Rectangle) (n int) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if c.RGBAAt(x, y) != Paper {
				n++
			}
		}
	}
	return n
}

// A bar is as long as its share, to the pixel, and paints nothing else.
func TestBar(t *testing.T) {
	place := image.Rect(10, 5, 110, 15)
	for share, long := range map[float64]int{0: 0, .25: 25, .994: 99, 1: 100, 3: 100, -1: 0, math.NaN(): 0} {
		c := New(200, 20)
		got := c.Bar(place, share, Pink)
		if got.Dx() != long || inked(c, c.Rect) != long*10 || inked(c, got) != long*10 {
			t.Errorf("a bar of %g is %v, %d pixels; want %d long", share, got, inked(c, c.Rect), long)
		}
	}
}

func TestHatch(t *testing.T) {
	c, r := New(60, 60), image.Rect(6, 6, 48, 48)
	c.Hatch(r, Ink)
	if n := inked(c, r); n != 42*42/hatching || n != inked(c, c.Rect) {
		t.Errorf("%d pixels of lines in %v, %d in all", n, r, inked(c, c.Rect))
	}
}

// A pixel that is enlarged is a block of its colour, in its place.
func TestPixels(t *testing.T) {
	m := image.NewRGBA(image.Rect(3, 3, 5, 5))
	want := []color.RGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {9, 9, 9, 255}}
	for i, w := range want {
		m.SetRGBA(3+i%2, 3+i/2, w)
	}
	c := New(100, 100)
	c.Pixels(image.Rect(10, 20, 30, 40), m)
	for y := range 20 {
		for x := range 20 {
			if got := c.RGBAAt(10+x, 20+y); got != want[y/10*2+x/10] {
				t.Fatalf("%d, %d is %v", x, y, got)
			}
		}
	}
	if inked(c, c.Rect) != 400 {
		t.Error("it painted beside the rectangle")
	}
}

func TestScales(t *testing.T) {
	s := Around([]float32{-2, 1, float32(math.Inf(1)), float32(math.NaN())}, Grey)
	if s.Low != -2 || s.High != 2 {
		t.Errorf("around zero it goes from %g to %g", s.Low, s.High)
	}
	for v, want := range map[float64]uint8{-2: 0, -5: 0, 0: 128, 2: 255, 1: 191} {
		if got := s.Color(v); got != (color.RGBA{want, want, want, 255}) {
			t.Errorf("%g is %v, want grey %d", v, got, want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if s.Color(v) != NotFinite {
			t.Errorf("%g is %v", v, s.Color(v))
		}
	}
	if r := Range([]float32{3, -1, float32(math.NaN())}, Heat); r.Low != -1 || r.High != 3 {
		t.Errorf("the range is %g to %g", r.Low, r.High)
	}
	if got := Range(nil, Grey).Color(7); got != Grey(.5) {
		t.Errorf("a scale without length gives %v", got)
	}
}

// A scale that is read without colours gets ever lighter.
func TestHeatGetsLighter(t *testing.T) {
	before := -1
	for i := range 256 {
		l := int(luma(Heat(float64(i) / 255)))
		if l < before-4 { // it is CIE's lightness that grows, in which blue counts for more
			t.Fatalf("at %d it is darker, %d after %d", i, l, before)
		}
		before = max(before, l)
	}
	if Heat(0) != (color.RGBA{0, 0, 0, 255}) || before < 250 {
		t.Errorf("it goes from %v to %d", Heat(0), before)
	}
}

func TestGrid(t *testing.T) {
	g := Grid{Columns: 3, Width: 10, Height: 8, Gap: 2, Below: 5}
	if got := g.Size(5); got != image.Pt(34, 28) {
		t.Errorf("five tiles take %v", got)
	}
	if got := g.Size(2); got != image.Pt(22, 13) {
		t.Errorf("two tiles take %v", got)
	}
	if got := g.Size(0); got != image.Pt(0, 0) {
		t.Errorf("no tiles take %v", got)
	}
	if got := g.Tile(4); got != image.Rect(12, 15, 22, 23) || g.Under(4) != image.Rect(12, 23, 22, 28) {
		t.Errorf("tile 4 lies in %v, its words in %v", got, g.Under(4))
	}
}

func TestField(t *testing.T) {
	f := Field{2, 1, []float32{0, 1}}
	if got := f.Resize(4, 2).Values; !slices.Equal(got, []float32{0, .25, .75, 1, 0, .25, .75, 1}) {
		t.Errorf("stretched it is %v", got)
	}
	white := image.NewUniform(color.White)
	over := f.Over(cropped{white, image.Rect(5, 5, 9, 7)}, Scale{0, 1, Grey}, .5)
	if over.Rect != image.Rect(0, 0, 4, 2) || over.RGBAAt(0, 1) != (color.RGBA{128, 128, 128, 255}) ||
		over.RGBAAt(3, 0) != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("over white it is %v, from %v to %v", over.Rect, over.RGBAAt(0, 1), over.RGBAAt(3, 0))
	}
	if got := f.Image(Scale{0, 1, Grey}); got.RGBAAt(0, 0) != Grey(0) || got.RGBAAt(1, 0) != Grey(1) {
		t.Errorf("as an image it is %v", got.Pix)
	}
}

// cropped is a part of an image.
type cropped struct {
	image.Image
	r image.Rectangle
}

func (c cropped) Bounds() image.Rectangle { return c.r }

// Words that are cut or wrapped fit, whatever they are.
func TestWordsFit(t *testing.T) {
	long := strings.Repeat("W", 300)
	for _, words := range []string{
		"", "cat", "a cat on a mat beside a hat", long, long + " and " + long, "日本語", "\xff\n",
	} {
		for _, width := range []int{0, 1, 20, 80, 300} {
			cut := Body.Cut(words, width)
			if Body.Width(cut) > max(width, Body.Width("…")) {
				t.Errorf("%.20q cut to %d is %d wide: %q", words, width, Body.Width(cut), cut)
			}
			if Body.Width(words) <= width && cut != words {
				t.Errorf("%.20q fits into %d, and is cut to %q", words, width, cut)
			}
			lines := Body.Wrap(words, width, 3)
			if len(lines) > 3 {
				t.Errorf("%.20q in %d lines", words, len(lines))
			}
			for _, l := range lines {
				if Body.Width(l) > width && len([]rune(l)) > 1 {
					t.Errorf("%.20q: a line of %d pixels for %d: %q", words, Body.Width(l), width, l)
				}
			}
		}
	}
	if got := Body.Wrap("one two three four", Body.Width("one two t"), 9); !slices.Equal(got,
		[]string{"one two", "three", "four"}) {
		t.Errorf("wrapped: %q", got)
	}
	if got := Body.Wrap("one two three four", Body.Width("two…"), 2); !slices.Equal(got, []string{"one", "two…"}) {
		t.Errorf("wrapped into two lines: %q", got)
	}
}

func TestWords(t *testing.T) {
	c := New(200, 40)
	at := image.Rect(20, 10, 20+Title.Width("Iglu"), 10+Title.Height())
	c.Words(Title, 20, 10, "Iglu", Ink)
	if n := inked(c, at); n < 50 || n != inked(c, c.Rect) {
		t.Errorf("%d pixels of letters in their place, %d in all", n, inked(c, c.Rect))
	}
	c, at = New(200, 40), image.Rect(50, 10, 90, 30)
	c.Label(Small, at, strings.Repeat("long ", 30), Ink)
	if n := inked(c, at.Inset(-1)); n < 20 || n != inked(c, c.Rect) {
		t.Errorf("%d pixels of a label in its place, %d in all", n, inked(c, c.Rect))
	}
}

// A page holds its bodies as they are, and the scale under them.
func TestPage(t *testing.T) {
	red, blue := New(500, 30), New(40, 20)
	red.Fill(red.Rect, Red)
	blue.Fill(blue.Rect, Blue)
	s := Scale{0, 1, Grey}
	p := Page{Title: "Two", Bodies: []image.Image{red, blue}, Scale: &s, Of: "shares", Notes: []string{"a note"}}
	c := p.Draw()
	count := map[color.RGBA]int{}
	for i := 0; i < len(c.Pix); i += 4 {
		count[color.RGBA{c.Pix[i], c.Pix[i+1], c.Pix[i+2], c.Pix[i+3]}]++
	}
	if count[Red] != 500*30 || count[Blue] != 40*20 {
		t.Errorf("%d red pixels and %d blue ones", count[Red], count[Blue])
	}
	if count[Grey(.2)] < barHeight {
		t.Error("the scale is not there")
	}
	if c.Rect.Dx() != 500+2*margin {
		t.Errorf("it is %v", c.Rect)
	}
}

// A picture is written whole or not at all.
func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.png")
	c := New(3, 2)
	c.Set(1, 1, Red)
	if err := Write(t.Context(), files.OS, path, c); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if m.Bounds() != image.Rect(0, 0, 3, 2) || color.RGBAModel.Convert(m.At(1, 1)) != Red {
		t.Errorf("%v, %v", m.Bounds(), m.At(1, 1))
	}
	full := filestest.New(files.OS)
	full.Break(syscall.ENOSPC, func(c filestest.Call) bool { return c.Op == "write" })
	other := filepath.Join(t.TempDir(), "b.png")
	if err := Write(t.Context(), full, other, c); err == nil {
		t.Error("written to a full disk")
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("something is left of it")
	}
}
