package figure

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// Net is a net as the paper's figure 2 draws it: blocks from left to right, a row for each column, joined by lines that
// cross where a layer reads every column.
type Net struct {
	Title  string
	Rows   int // columns of the net
	Blocks []Block
	Notes  []string // a line each, under the drawing
}

// Block is a layer, or the picture that goes in.
type Block struct {
	Name  string
	Lines []string // what is written under it
	// Side is that of the layer's maps, and Maps how many each column has; of a fully connected layer Side is 0 and
	// Maps are the units.
	Side, Maps int
	Whole      bool // there is one for all columns
	Both       bool // it reads every column
	// Window is the side of the kernels that read the block before, and Of that of the maps that they move over, after
	// pooling; 0: it is read whole.
	Window, Of int
}

// Sizes of a net, pixels. Lengths go with the square root, so that 224 pixels and 6, 4096 units and 10, are both seen.
const (
	sideUnit  = 11  // by the root of a side
	mapsUnit  = 2   // of the number of maps
	unitsUnit = 2.2 // of the number of units
	thinnest  = 3
	barThick  = 10
	slant     = .34 // of a side, that the faces on the right and above reach aside; half of that up
	slotGap   = 30  // between what is written under two blocks
	linesGap  = 34  // between blocks
	netRowGap = 26
	netMargin = 24
)

// netBlock is a block where it lies in one row. X and Y are those of the front's upper left corner.
type netBlock struct {
	Row        string // class of its colour
	Title      string
	X, Y, W, H float64
	Aside, Up  float64 // how far the other faces reach
}

// Front, Top and Side are the corners of the three faces.
func (b netBlock) Front() string {
	return corners(b.X, b.Y, b.X+b.W, b.Y, b.X+b.W, b.Y+b.H, b.X, b.Y+b.H)
}

// Top is the face above.
func (b netBlock) Top() string {
	return corners(b.X, b.Y, b.X+b.Aside, b.Y-b.Up, b.X+b.W+b.Aside, b.Y-b.Up, b.X+b.W, b.Y)
}

// Side is the face on the right.
func (b netBlock) Side() string {
	x, aside, up := b.X+b.W, b.Aside, b.Up
	return corners(x, b.Y, x+aside, b.Y-up, x+aside, b.Y-up+b.H, x, b.Y+b.H)
}

// at is a point of the face on the right: shares of its width and height.
func (b *netBlock) at(u, v float64) (x, y float64) {
	return b.X + b.W + u*b.Aside, b.Y + v*b.H - u*b.Up
}

// netPatch is where kernels look in the block before.
type netPatch struct{ Row, Points string }

// netLine joins two blocks.
type netLine struct {
	Row            string
	X1, Y1, X2, Y2 float64
	Whole          bool // all of a block goes there: with an arrow
}

// netWords is a line of words.
type netWords struct {
	X, Y  float64
	Class string
	Words string
}

// netDrawing is what the template writes.
type netDrawing struct {
	Width, Height float64
	Title         string
	Blocks        []netBlock
	Patches       []netPatch
	Lines         []netLine
	Words         []netWords
}

func corners(xys ...float64) (s string) {
	for i := 0; i < len(xys); i += 2 {
		s += fmt.Sprintf("%.1f,%.1f ", xys[i], xys[i+1])
	}
	return s[:len(s)-1]
}

//go:embed net.svg
var netSVG string

var netTemplate = template.Must(template.New("net").Funcs(template.FuncMap{
	"px": func(x float64) string { return fmt.Sprintf("%.1f", x) },
}).Parse(netSVG))

// size is how wide and high the front of a block is.
func (b *Block) size() (w, h float64) {
	if b.Side == 0 {
		return barThick, math.Max(unitsUnit*math.Sqrt(float64(b.Maps)), thinnest)
	}
	return math.Max(mapsUnit*math.Sqrt(float64(b.Maps)), thinnest), sideUnit * math.Sqrt(float64(b.Side))
}

// aside is how far its other faces reach to the right.
func (b *Block) aside() float64 {
	_, h := b.size()
	if b.Side == 0 {
		return thinnest
	}
	return slant * h
}

// layOut says where everything lies.
func (n *Net) layOut() *netDrawing {
	rowHeight := 0.0 // of what lies in rows
	tallest := 0.0   // of all
	for i := range n.Blocks {
		b := &n.Blocks[i]
		_, h := b.size()
		h += b.aside() / 2
		if tallest = max(tallest, h); !b.Whole {
			rowHeight = max(rowHeight, h)
		}
	}
	title := float64(Title.Height())
	all := max(float64(n.Rows)*(rowHeight+netRowGap)-netRowGap, tallest)
	d := &netDrawing{Title: n.Title}
	top := netMargin + title + netRowGap
	d.Words = append(d.Words, netWords{netMargin, netMargin + title*.8, "title", n.Title})
	x := float64(netMargin)
	var before []netBlock
	for i := range n.Blocks {
		b := &n.Blocks[i]
		w, h := b.size()
		wide := w + b.aside() + linesGap
		y := top + all + netRowGap
		for k, line := range append([]string{b.Name}, b.Lines...) {
			style, class := Body, "words"
			if k == 0 {
				class = "name"
			}
			y += float64(style.Height())
			d.Words = append(d.Words, netWords{x, y, class, line})
			wide = max(wide, float64(style.Width(line)+slotGap/2))
			d.Height = max(d.Height, y)
		}
		var now []netBlock
		for row := range n.Rows {
			if b.Whole && row > 0 {
				break
			}
			middle := top + all/2 + (float64(row)-float64(n.Rows-1)/2)*(rowHeight+netRowGap)
			class := fmt.Sprintf("row%d", row%2)
			if b.Whole {
				middle, class = top+all/2, "whole"
			}
			now = append(now, netBlock{
				Row: class, Title: b.Name, X: x, Y: middle - h/2 + b.aside()/4, W: w, H: h, Aside: b.aside(),
				Up: b.aside() / 2,
			})
		}
		d.join(b, before, now)
		d.Blocks = append(d.Blocks, now...)
		before = now
		x += wide
	}
	d.Width = max(x, float64(2*netMargin+Title.Width(n.Title)))
	d.Height += netRowGap / 2
	for _, note := range n.Notes {
		d.Height += float64(Body.Height()) * 1.2
		d.Words = append(d.Words, netWords{netMargin, d.Height, "note", note})
		d.Width = max(d.Width, float64(2*netMargin+Body.Width(note)))
	}
	d.Height += netMargin
	return d
}

// join draws the lines from the blocks before to those of a layer: from the corners of a kernel's window to a point, or
// an arrow where it reads the whole.
func (d *netDrawing) join(b *Block, before, now []netBlock) {
	for from := range before {
		f := &before[from]
		if b.Window > 0 {
			share := min(float64(b.Window)/float64(b.Of), 1)
			u, v := (1-share)*.55, (1-share)*.4
			var xys []float64
			for _, c := range [][2]float64{{u, v}, {u + share, v}, {u + share, v + share}, {u, v + share}} {
				x, y := f.at(c[0], c[1])
				xys = append(xys, x, y)
				for to := range now {
					if len(before) == 1 || len(now) == 1 || b.Both || to == from {
						d.Lines = append(d.Lines, netLine{f.Row, x, y, now[to].X, now[to].Y + now[to].H/2, false})
					}
				}
			}
			d.Patches = append(d.Patches, netPatch{f.Row, corners(xys...)})
			continue
		}
		x, y := f.at(.5, .5)
		for to := range now {
			if len(before) == 1 || len(now) == 1 || b.Both || to == from {
				d.Lines = append(d.Lines, netLine{f.Row, x, y, now[to].X - 2, now[to].Y + now[to].H/2, true})
			}
		}
	}
}

// WriteSVG writes the drawing to a name that somebody gave, whole or not at all. Words stay words, in a sans serif of
// the reader's, and colours are light or dark as the reader has them.
func (n *Net) WriteSVG(ctx context.Context, fsys files.FS, name string) error {
	_, err := atomicfile.Put(ctx, fsys, name, func(f atomicfile.File) error { return n.svg(f) })
	return err
}

func (n *Net) svg(w io.Writer) error { return netTemplate.Execute(w, n.layOut()) }
