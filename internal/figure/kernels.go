package figure

import (
	"image"
	"image/color"
	"math"
)

// Kernels are the weights of a convolution, to be drawn as in the paper's figure 3: 16 a row, column under column.
type Kernels struct {
	Weights               []float32 // (Count, Channels, Size, Size)
	Count, Channels, Size int
	Columns               int  // that the kernels lie in, as many in each, one column's after the other's
	Color                 bool // Channels are red, green and blue; otherwise each channel of a kernel is a grey tile
	Each                  bool // every kernel has a scale of its own; otherwise all have one
}

const (
	kernelsARow  = 16
	kernelSide   = 44      // pixels of a kernel in colour, about
	blockSide    = 96      // of one with a tile for each channel, about
	mosaicPixels = 1 << 24 // in all, about
)

// Shown is how many kernels of each column Mosaic draws: all, where they are not too many.
func (k *Kernels) Shown() int {
	g, n := k.grid(), k.Count/k.Columns
	return min(n, max(mosaicPixels/k.Columns/((g.Width+g.Gap)*(g.Height+g.Gap)), 0))
}

// across is how many tiles a kernel is wide.
func (k *Kernels) across() int {
	if k.Color {
		return 1
	}
	return int(math.Ceil(math.Sqrt(float64(k.Channels))))
}

// zoom is how many pixels wide a weight is.
func (k *Kernels) zoom() int {
	if n := k.across(); n > 1 {
		return max(blockSide/(n*(k.Size+1)), 1)
	}
	return max(kernelSide/k.Size, 1)
}

// grid is that of a column.
func (k *Kernels) grid() Grid {
	side := k.across()*(k.Size*k.zoom()+1) - 1
	return Grid{Columns: kernelsARow, Width: side, Height: side, Gap: max(k.zoom(), 4)}
}

// Scale is the one that all kernels have, with zero in its middle.
func (k *Kernels) Scale() Scale { return Around(k.Weights, Grey) }

// Mosaic draws the kernels. A weight of zero is mid-grey. Where nothing can be drawn, it is empty.
func (k *Kernels) Mosaic() *Canvas {
	g, shown, all := k.grid(), k.Shown(), k.Scale()
	size, between := g.Size(shown), 3*g.Gap
	c := New(size.X, k.Columns*(size.Y+between)-between)
	for column := range k.Columns {
		for i := range shown {
			w := k.kernel(column*(k.Count/k.Columns) + i)
			s := all
			if k.Each {
				s = Around(w, Grey)
			}
			k.draw(c, g.Tile(i).Add(image.Pt(0, column*(size.Y+between))), w, s)
		}
	}
	return c
}

// kernel is the weights of one, (Channels, Size, Size).
func (k *Kernels) kernel(i int) []float32 {
	n := k.Channels * k.Size * k.Size
	return k.Weights[i*n:][:n]
}

// draw draws a kernel into a rectangle.
func (k *Kernels) draw(c *Canvas, r image.Rectangle, w []float32, s Scale) {
	n := k.Size * k.Size
	if k.Color {
		m := image.NewRGBA(image.Rect(0, 0, k.Size, k.Size))
		for i := range n {
			m.SetRGBA(i%k.Size, i/k.Size, mixed(s, w[i], w[n+i], w[2*n+i]))
		}
		c.Pixels(r, m)
		return
	}
	side := k.Size * k.zoom()
	g := Grid{Columns: k.across(), Width: side, Height: side, Gap: 1}
	for i := range k.Channels {
		c.Pixels(g.Tile(i).Add(r.Min), Field{k.Size, k.Size, w[i*n:][:n]}.Image(s))
	}
}

// mixed is the colour of three weights of a grey scale.
func mixed(s Scale, red, green, blue float32) color.RGBA {
	r, g, b := s.Color(float64(red)), s.Color(float64(green)), s.Color(float64(blue))
	if r == NotFinite || g == NotFinite || b == NotFinite {
		return NotFinite
	}
	return color.RGBA{r.R, g.R, b.R, 255}
}
