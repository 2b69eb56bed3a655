package figure

import "image"

// Thumb is a small picture with a few words under it, a line each; nil: there is no picture, and Missing says why.
type Thumb struct {
	Picture image.Image
	Missing string
	Words   []string
}

// Row is a picture and those that go with it: a question and its answers.
type Row struct {
	Title string // above it, of a row that begins something; or ""
	First Thumb  // without a picture and Missing nothing is drawn but its words
	Then  []Thumb
}

// rowGap is between the first picture of a row and the others, cellGap between these, pixels.
const rowGap, cellGap = 24, 8

// Rows draws rows below each other, each picture a square of side pixels.
func Rows(rows []Row, side int) *Canvas {
	most, height := 0, 0
	for _, r := range rows {
		most = max(most, len(r.Then))
		height += r.height(side)
	}
	c, y := New(side+rowGap+max(most*(side+cellGap)-cellGap, 0), max(height, 1)), 0
	for _, r := range rows {
		top := y
		if r.Title != "" {
			c.Words(Body, 0, top, Body.Cut(r.Title, c.Rect.Dx()), Ink)
			top += Body.Height()
		}
		c.cell(r.First, image.Pt(0, top), side)
		for i, cell := range r.Then {
			c.cell(cell, image.Pt(side+rowGap+i*(side+cellGap), top), side)
		}
		y += r.height(side)
	}
	return c
}

// height is that of a row with what keeps it from the next.
func (r Row) height(side int) int {
	lines := len(r.First.Words)
	for _, cell := range r.Then {
		lines = max(lines, len(cell.Words))
	}
	height := side + lines*Small.Height() + cellGap
	if r.Title != "" {
		height += Body.Height()
	}
	return height
}

// cell draws a picture with its words. Small pictures show their pixels.
func (c *Canvas) cell(cell Thumb, at image.Point, side int) {
	tile := image.Rectangle{at, at.Add(image.Pt(side, side))}
	switch m := cell.Picture; {
	case m != nil && m.Bounds().Dx() < side:
		c.Pixels(tile, m)
	case m != nil:
		c.Photo(tile, m)
	case cell.Missing != "":
		c.Frame(tile, 1, Line)
		c.Label(Small, tile.Inset(cellGap/2), cell.Missing, Faint)
	}
	for i, words := range cell.Words {
		c.Words(Small, at.X, at.Y+side+i*Small.Height(), Small.Cut(words, side), Ink)
	}
}
