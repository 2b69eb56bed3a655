package figure

import "image"

// Page is what is drawn for a file.
type Page struct {
	Title  string
	Bodies []image.Image // below each other
	// Scale is that of the bodies' colours, drawn as a bar with its numbers; nil: there is none for all.
	Scale *Scale
	Of    string   // what the scale's numbers are: "weight", "probability"
	Notes []string // a paragraph each
}

// Sizes of a page, pixels.
const (
	margin    = 16
	narrowest = 440 // between the margins: a title and notes can be read
	barWidth  = 200
	barHeight = 12
	mostLines = 12 // of a note
)

// Draw draws the page, as wide as its widest body or, where that is more, as notes need.
func (p *Page) Draw() *Canvas {
	inner, heads := narrowest, 2
	for _, b := range p.Bodies {
		inner = max(inner, b.Bounds().Dx())
	}
	title := Title.Wrap(p.Title, inner, heads)
	var notes []string
	for _, n := range p.Notes {
		notes = append(notes, Body.Wrap(n, inner, mostLines)...)
	}
	height := margin + len(title)*Title.Height() + len(notes)*Body.Height() + margin/2 + margin
	for _, b := range p.Bodies {
		height += b.Bounds().Dy() + margin/2
	}
	if p.Scale != nil {
		height += Small.Height() + margin/2
	}
	c, y := New(inner+2*margin, height), margin
	for _, line := range title {
		c.Words(Title, margin, y, line, Ink)
		y += Title.Height()
	}
	for _, b := range p.Bodies {
		y += margin / 2
		c.Photo(b.Bounds().Sub(b.Bounds().Min).Add(image.Pt(margin, y)), b)
		y += b.Bounds().Dy()
	}
	if p.Scale != nil {
		y += margin / 2
		c.scale(margin, y, *p.Scale, p.Of)
		y += Small.Height()
	}
	y += margin / 2
	for _, line := range notes {
		c.Words(Body, margin, y, line, Ink)
		y += Body.Height()
	}
	return c
}

// scale draws a scale as a bar between its ends, and what it is of.
func (c *Canvas) scale(x, y int, s Scale, of string) {
	low, high := Number(s.Low), Number(s.High)
	c.Words(Small, x, y, low, Ink)
	x += Small.Width(low) + margin/4
	bar := image.Rect(0, 0, barWidth, barHeight).Add(image.Pt(x, y+(Small.Height()-barHeight)/2))
	for i := range barWidth {
		at := s.Colors(float64(i) / (barWidth - 1))
		c.Fill(image.Rect(bar.Min.X+i, bar.Min.Y, bar.Min.X+i+1, bar.Max.Y), at)
	}
	c.Frame(bar.Inset(-1), 1, Line)
	c.Words(Small, bar.Max.X+margin/4, y, high+"  "+of, Ink)
}
