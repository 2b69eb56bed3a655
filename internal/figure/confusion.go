package figure

import (
	"image"
	"image/color"
	"math"
	"strconv"
)

// Cell is how many of one class were taken for a class.
type Cell struct{ Row, Column, Count int }

// Confusion is a confusion matrix: a row a class, a column what it was taken for.
type Confusion struct {
	Names  []string // of the classes
	Totals []int    // of each row
	Cells  []Cell   // those that are not 0
}

// Sizes of a matrix, pixels.
const (
	numbered   = 24   // classes; of more the cells bear no numbers
	cellWide   = 44   // of one with a number
	cellHigh   = 24   //
	matrixSide = 1000 // of all cells, without numbers
	namesWide  = 180  // at most
)

// Shares is the scale of a matrix's colours, which are those of the root of a cell's share of its row, so that a rare
// confusion can be seen: white to blue.
var Shares = Scale{0, 1, func(share float64) color.RGBA {
	mix := func(full uint8) uint8 { return uint8(math.Round(255 - math.Sqrt(share)*(255-float64(full)))) }
	return color.RGBA{mix(Blue.R), mix(Blue.G), mix(Blue.B), 255}
}}

// Draw draws the matrix: at the left the number and the name of a class, above the numbers. Of many classes only every
// second, fifth, tenth and so on is named, and where there are more than pixels, one has the largest share of several.
func (m *Confusion) Draw() *Canvas {
	n := len(m.Names)
	wide, high, per := cellWide, cellHigh, 1 // of a cell, and how many classes share a pixel
	if n > numbered {
		wide = max(matrixSide/n, 1)
		per = (n + matrixSide - 1) / matrixSide
		high = wide
	}
	side := (n + per - 1) / per
	down := every(float64(high)/float64(per), Small.Height())
	labels, left := make([]string, n), 0
	for i := 0; i < n; i += down {
		labels[i] = Small.Cut(strconv.Itoa(i)+"  "+m.Names[i], namesWide)
		left = max(left, Small.Width(labels[i]))
	}
	left += margin / 2
	top := Small.Height() + margin/4
	c := New(left+side*wide+1, top+side*high+1)
	tile := func(row, column int) image.Rectangle {
		return image.Rect(0, 0, wide, high).Add(image.Pt(left+column/per*wide, top+row/per*high))
	}
	for at, share := range m.shares(per) {
		c.Fill(tile(at[0]*per, at[1]*per), Shares.Color(share))
	}
	c.Frame(image.Rect(left-1, top-1, left+side*wide+1, top+side*high+1), 1, Line)
	if n <= numbered {
		for _, cell := range m.Cells {
			with := Ink
			if m.share(cell) > .5 { // two thirds of the way to blue
				with = Paper
			}
			c.Label(Small, tile(cell.Row, cell.Column), strconv.Itoa(cell.Count), with)
		}
	}
	for i := 0; i < n; i += down {
		c.Words(Small, 0, tile(i, 0).Min.Y+max(0, (high-Small.Height())/2), labels[i], Ink)
	}
	for i := 0; i < n; i += every(float64(wide)/float64(per), Small.Width(strconv.Itoa(n))+margin/2) {
		t := tile(0, i)
		c.Label(Small, image.Rect(t.Min.X-cellWide, 0, t.Max.X+cellWide, Small.Height()), strconv.Itoa(i), Ink)
	}
	return c
}

// share is a cell's share of its row.
func (m *Confusion) share(c Cell) float64 { return float64(c.Count) / float64(max(m.Totals[c.Row], 1)) }

// shares are the largest shares, by row and column of squares of so many classes.
func (m *Confusion) shares(per int) map[[2]int]float64 {
	all := map[[2]int]float64{}
	for _, c := range m.Cells {
		at := [2]int{c.Row / per, c.Column / per}
		all[at] = max(all[at], m.share(c))
	}
	return all
}

// every is the least of 1, 2, 5, 10, 20, .. that is at least as far as apart, where one is so far.
func every(one float64, apart int) int {
	for step := 1; ; step *= 10 {
		for _, k := range []int{1, 2, 5} {
			if float64(k*step)*one >= float64(apart) {
				return k * step
			}
		}
	}
}
