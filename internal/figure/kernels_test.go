package figure

import (
	"image"
	"image/color"
	"math"
	"slices"
	"testing"
)

// redAndBlue are kernels of 2x2 in two columns, the first column's red, the second's blue, of growing strength.
func redAndBlue(count int) *Kernels {
	k := &Kernels{Count: count, Channels: 3, Size: 2, Columns: 2, Color: true}
	for i := range count {
		v := float32(i%(count/2)+1) / float32(count/2)
		kernel := make([]float32, 12)
		for p := range 4 {
			if i < count/2 {
				kernel[p] = v
			} else {
				kernel[8+p] = v
			}
		}
		k.Weights = append(k.Weights, kernel...)
	}
	return k
}

// A red kernel is red, one a half as strong is between that and grey, and the second column lies under the first.
func TestKernelsInColor(t *testing.T) {
	k := redAndBlue(40)
	c, g := k.Mosaic(), k.grid()
	below := g.Size(20).Y + 3*g.Gap
	for column, want := range []func(v uint8) color.RGBA{
		func(v uint8) color.RGBA { return color.RGBA{v, 128, 128, 255} },
		func(v uint8) color.RGBA { return color.RGBA{128, 128, v, 255} },
	} {
		for i, v := range map[int]uint8{0: 134, 9: 191, 15: 230, 16: 236, 19: 255} {
			r := g.Tile(i).Add(image.Pt(0, column*below))
			for _, at := range []image.Point{r.Min, r.Max.Sub(image.Pt(1, 1))} {
				if got := c.RGBAAt(at.X, at.Y); got != want(v) {
					t.Errorf("kernel %d of column %d is %v at %v, want %v", i, column, got, at, want(v))
				}
			}
		}
	}
	if n := inked(c, c.Rect); n != 40*g.Width*g.Height {
		t.Errorf("%d pixels are drawn, want %d", n, 40*g.Width*g.Height)
	}
	k.Each = true
	if c, r := k.Mosaic(), g.Tile(0); c.RGBAAt(r.Min.X, r.Min.Y) != (color.RGBA{255, 128, 128, 255}) {
		t.Errorf("on its own scale the weakest is %v", c.RGBAAt(r.Min.X, r.Min.Y))
	}
}

// Columns that are swapped change the picture.
func TestSwappedColumnsShow(t *testing.T) {
	k := redAndBlue(40)
	before := slices.Clone(k.Mosaic().Pix)
	half := len(k.Weights) / 2
	k.Weights = append(slices.Clone(k.Weights[half:]), k.Weights[:half]...)
	if slices.Equal(before, k.Mosaic().Pix) {
		t.Error("the picture is the same")
	}
}

// A kernel that reads many maps is a block of grey tiles, one a map, row by row; what is no number shows.
func TestKernelsInGrey(t *testing.T) {
	k := &Kernels{Count: 2, Channels: 3, Size: 1, Columns: 1, Weights: []float32{-1, 0, 1, .5, float32(math.NaN()), 0}}
	c, g := k.Mosaic(), k.grid()
	tiles := Grid{Columns: 2, Width: k.zoom(), Height: k.zoom(), Gap: 1}
	for i, want := range []color.RGBA{Grey(0), Grey(.5), Grey(1), Grey(.75), NotFinite, Grey(.5)} {
		at := tiles.Tile(i % 3).Min.Add(g.Tile(i / 3).Min)
		if got := c.RGBAAt(at.X, at.Y); got != want {
			t.Errorf("tile %d of kernel %d is %v, want %v", i%3, i/3, got, want)
		}
	}
	if s := k.Scale(); s.Low != -1 || s.High != 1 {
		t.Errorf("the scale is %v to %v", s.Low, s.High)
	}
}

// However many and large kernels are, the picture stays of a size that can be drawn, and Shown says how many it has.
func TestKernelsAreBounded(t *testing.T) {
	for _, k := range []Kernels{
		{Count: 96, Channels: 3, Size: 11, Columns: 2, Color: true},
		{Count: 256, Channels: 48, Size: 5, Columns: 2},
		{Count: 384, Channels: 256, Size: 3, Columns: 2},
	} {
		if k.Shown() != k.Count/2 {
			t.Errorf("of %d kernels of the paper's %d in each column are shown", k.Count, k.Shown())
		}
	}
	for _, k := range []Kernels{
		{Count: 1 << 20, Channels: 1, Size: 1, Columns: 2},
		{Count: 4096, Channels: 1024, Size: 7, Columns: 1},
		{Count: 2, Channels: 3, Size: 1 << 20, Columns: 2, Color: true},
	} {
		n, g := k.Shown(), k.grid()
		size := g.Size(n)
		if n >= k.Count/k.Columns || size.X*size.Y*k.Columns > 2*mosaicPixels {
			t.Errorf("%d kernels of %dx%d: %d shown in each column, %v", k.Count, k.Size, k.Size, n, size)
		}
	}
}

func TestHistogram(t *testing.T) {
	h := Spread([]float64{0, .1, .1, .5, 1, 1.5, math.NaN()}, 0, 1, 4)
	if !slices.Equal(h.Counts, []int{3, 0, 1, 1}) {
		t.Errorf("counted %v", h.Counts)
	}
	h.Mark = .5
	c := h.Draw(81, 40)
	floor := 40 - Small.Height() - 1
	high := func(x int) (n int) {
		for y := range floor {
			if c.RGBAAt(x, y) == Blue {
				n++
			}
		}
		return n
	}
	if high(5) != floor || high(25) != 0 || high(70) != (floor+1)/3 {
		t.Errorf("bars of %d, %d and %d of %d pixels", high(5), high(25), high(70), floor)
	}
	if c.RGBAAt(40, 0) != Vermillion {
		t.Error("the mark is not in the middle")
	}
}
