package figure

import (
	"image"
	"image/color"
	"strings"
	"sync"
	"unicode/utf8"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Style is how words are set.
type Style int

// Styles.
const (
	Small Style = iota // numbers of tiles, ends of scales
	Body               // labels, notes
	Title
	styles
)

// setting is a style's typeface; a face may be used by one goroutine at a time.
type setting struct {
	sync.Mutex
	font.Face
	height, ascent int
}

var settings = sync.OnceValue(func() *[styles]setting {
	var all [styles]setting
	for s, f := range map[Style]struct {
		ttf    []byte
		pixels float64
	}{
		Small: {liberationsansregular.TTF, 11},
		Body:  {liberationsansregular.TTF, 13},
		Title: {liberationsansbold.TTF, 16},
	} {
		parsed, err := opentype.Parse(f.ttf)
		if err != nil { // it is in the program
			panic(err)
		}
		// at 72 dots an inch a point is a pixel
		face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: f.pixels, DPI: 72, Hinting: font.HintingFull})
		if err != nil {
			panic(err)
		}
		m := face.Metrics()
		all[s].Face, all[s].height, all[s].ascent = face, (m.Ascent+m.Descent).Ceil()+1, m.Ascent.Ceil()
	}
	return &all
})

// Height is that of a line, in pixels.
func (s Style) Height() int { return settings()[s].height }

// Width is how many pixels words take in a line.
func (s Style) Width(words string) int {
	_, width := s.fit(words, fixed.Int26_6(1<<31-1))
	return width.Ceil()
}

// fit is how many bytes of words go into a width, at whole letters, and how wide these are.
func (s Style) fit(words string, width fixed.Int26_6) (bytes int, is fixed.Int26_6) {
	f := &settings()[s]
	f.Lock()
	defer f.Unlock()
	before := rune(-1)
	for i, r := range words {
		next := is
		if before >= 0 {
			next += f.Kern(before, r)
		}
		advance, _ := f.GlyphAdvance(r)
		if next += advance; next > width {
			return i, is
		}
		is, before = next, r
	}
	return len(words), is
}

// Cut is words as they go into so many pixels, with … at the end where they do not whole.
func (s Style) Cut(words string, width int) string {
	if n, _ := s.fit(words, fixed.I(width)); n == len(words) {
		return words
	}
	const dots = "…"
	n, _ := s.fit(words, fixed.I(width-s.Width(dots)))
	return strings.TrimRight(words[:n], " ") + dots
}

// Wrap is words in lines of so many pixels, broken at spaces and, where a word is longer than a line, in it; of more
// lines than most the last ends with …. Ends of lines in words are kept.
func (s Style) Wrap(words string, width, most int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(words, "\n") {
		for len(lines) < most {
			n, _ := s.fit(paragraph, fixed.I(width))
			if n == len(paragraph) {
				lines = append(lines, paragraph)
				break
			}
			if len(lines) == most-1 {
				lines = append(lines, s.Cut(paragraph, width))
				break
			}
			if n == 0 { // not even a letter
				_, n = utf8.DecodeRuneInString(paragraph)
			}
			end := n
			if space := strings.LastIndexByte(paragraph[:min(n+1, len(paragraph))], ' '); space > 0 {
				end = space
			}
			lines = append(lines, paragraph[:end])
			paragraph = strings.TrimLeft(paragraph[end:], " ")
		}
	}
	return lines
}

// Words writes a line, x and y its upper left corner.
func (c *Canvas) Words(s Style, x, y int, words string, with color.Color) {
	f := &settings()[s]
	f.Lock()
	defer f.Unlock()
	d := font.Drawer{Dst: c.RGBA, Src: image.NewUniform(with), Face: f.Face, Dot: fixed.P(x, y+f.ascent)}
	d.DrawString(words)
}

// Label writes a line into a rectangle: cut to its width, and in its middle both ways.
func (c *Canvas) Label(s Style, r image.Rectangle, words string, with color.Color) {
	words = s.Cut(words, r.Dx())
	c.Words(s, r.Min.X+(r.Dx()-s.Width(words))/2, r.Min.Y+(r.Dy()-s.Height())/2, words, with)
}

// Before writes a line so that it ends at x, y its upper edge.
func (c *Canvas) Before(s Style, x, y int, words string, with color.Color) {
	c.Words(s, x-s.Width(words), y, words, with)
}
