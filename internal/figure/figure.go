// Package figure draws pictures for people to look at: mosaics, bars, maps of numbers over photographs, with words and
// the scale of their colours under them. A [Canvas] is white paper; [Grid] says where the tiles of a mosaic lie,
// [Scale] gives numbers colours, [Field] is a map of numbers, [Kernels] are weights, a [Style] measures, cuts and wraps
// words, and a [Page] puts title, bodies, scale and notes together into what [Write] writes.
//
// It knows nothing of nets and data: it is given numbers, images and words, which whoever calls has bounded and, where
// they came from outside, made fit to be shown (package text). Letters are those of the Liberation fonts, which have
// Latin, Greek, Cyrillic and Hebrew; any other is an empty box. It imports atomicfile and files to write, of other
// libraries x/image to scale and to set words, and gonum/plot's palettes and fonts. Curves are drawn by package report.
package figure

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"math"

	"golang.org/x/image/draw"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// Colours. Those with a meaning stay apart for the colour-blind (Okabe and Ito, 2008); pink and lilac are the bars of
// the paper's figure 4, as shownet.py of 2012 has them.
var (
	Paper      = color.RGBA{255, 255, 255, 255}
	Ink        = color.RGBA{40, 40, 40, 255}
	Faint      = color.RGBA{120, 120, 120, 255} // words beside the matter
	Line       = color.RGBA{200, 200, 200, 255}
	Blue       = color.RGBA{0, 114, 178, 255}
	Vermillion = color.RGBA{213, 94, 0, 255}
	Green      = color.RGBA{0, 110, 80, 255}
	Pink       = color.RGBA{255, 170, 170, 255}
	Lilac      = color.RGBA{170, 170, 255, 255}
	Red        = color.RGBA{225, 80, 80, 255} // light enough for words over it
)

// Canvas is a picture that is being drawn. What reaches over its edges is cut off. Pixels are counted from the upper
// left corner.
type Canvas struct{ *image.RGBA }

// New is white paper of so many pixels.
func New(width, height int) *Canvas {
	c := &Canvas{image.NewRGBA(image.Rect(0, 0, width, height))}
	c.Fill(c.Rect, Paper)
	return c
}

// Fill paints a rectangle.
func (c *Canvas) Fill(r image.Rectangle, with color.Color) {
	draw.Draw(c, r, image.NewUniform(with), image.Point{}, draw.Src)
}

// Frame draws the border of a rectangle, so many pixels wide, on the inside.
func (c *Canvas) Frame(r image.Rectangle, wide int, with color.Color) {
	c.Fill(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+wide), with)
	c.Fill(image.Rect(r.Min.X, r.Max.Y-wide, r.Max.X, r.Max.Y), with)
	c.Fill(image.Rect(r.Min.X, r.Min.Y, r.Min.X+wide, r.Max.Y), with)
	c.Fill(image.Rect(r.Max.X-wide, r.Min.Y, r.Max.X, r.Max.Y), with)
}

// hatching is the distance of hatching lines, pixels.
const hatching = 6

// Hatch draws slanting lines over a rectangle: what a colour says, for those who do not see it.
func (c *Canvas) Hatch(r image.Rectangle, with color.Color) {
	r = r.Intersect(c.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if (x+y)%hatching == 0 {
				c.Set(x, y, with)
			}
		}
	}
}

// Bar draws a bar from the left edge of a rectangle, share (0 to 1) of it long to the pixel, and gives where it is.
func (c *Canvas) Bar(r image.Rectangle, share float64, with color.Color) image.Rectangle {
	if !(share > 0) { // NaN too
		share = 0
	}
	r.Max.X = r.Min.X + int(math.Round(min(share, 1)*float64(r.Dx())))
	c.Fill(r, with)
	return r
}

// Pixels draws an image into a rectangle with each of its pixels a block: weights, maps, small pictures.
func (c *Canvas) Pixels(r image.Rectangle, m image.Image) {
	draw.NearestNeighbor.Scale(c, r, m, m.Bounds(), draw.Over, nil)
}

// Photo draws an image into a rectangle, smoothly scaled where it has another size.
func (c *Canvas) Photo(r image.Rectangle, m image.Image) {
	if r.Size() == m.Bounds().Size() {
		draw.Draw(c, r, m, m.Bounds().Min, draw.Over)
		return
	}
	draw.CatmullRom.Scale(c, r, m, m.Bounds(), draw.Over, nil)
}

// Write writes a picture as PNG to a name that somebody gave, whole or not at all, as [atomicfile.Put] does.
func Write(ctx context.Context, fsys files.FS, name string, m image.Image) error {
	_, err := atomicfile.Put(ctx, fsys, name, func(f atomicfile.File) error {
		if c, is := m.(*Canvas); is { // as an image.RGBA, which is encoded without a call for each pixel
			return png.Encode(f, c.RGBA)
		}
		return png.Encode(f, m)
	})
	return err
}
