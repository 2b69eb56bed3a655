package figure

import (
	"image"
	"image/color"
	"math"
)

// Field is a map of numbers, row by row.
type Field struct {
	Width, Height int
	Values        []float32 // (Height, Width)
}

// Image is the field with a pixel for each number.
func (f Field) Image(s Scale) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	for i, v := range f.Values[:f.Width*f.Height] {
		m.SetRGBA(i%f.Width, i/f.Width, s.Color(float64(v)))
	}
	return m
}

// Resize is the field in another size, linear between the centres of its places and level beyond the outermost.
func (f Field) Resize(width, height int) Field {
	g := Field{width, height, make([]float32, width*height)}
	for y := range height {
		y0, y1, b := between(y, height, f.Height)
		for x := range width {
			x0, x1, a := between(x, width, f.Width)
			above := (1-a)*f.Values[y0*f.Width+x0] + a*f.Values[y0*f.Width+x1]
			below := (1-a)*f.Values[y1*f.Width+x0] + a*f.Values[y1*f.Width+x1]
			g.Values[y*width+x] = (1-b)*above + b*below
		}
	}
	return g
}

// between is where place i of n lies among m places: between two of them, and how far from the first to the second.
func between(i, n, m int) (first, second int, share float32) {
	at := min(max((float64(i)+.5)*float64(m)/float64(n)-.5, 0), float64(m-1))
	first = int(math.Floor(at))
	return first, min(first+1, m-1), float32(at - float64(first))
}

// Over is a picture in grey, with the field, stretched over the whole of it, in colours: opacity (0 to 1) of these.
func (f Field) Over(picture image.Image, s Scale, opacity float64) *Canvas {
	r := picture.Bounds()
	c, g := New(r.Dx(), r.Dy()), f.Resize(r.Dx(), r.Dy())
	for y := range r.Dy() {
		for x := range r.Dx() {
			grey := float64(luma(picture.At(r.Min.X+x, r.Min.Y+y)))
			over := s.Color(float64(g.Values[y*g.Width+x]))
			mix := func(v uint8) uint8 { return uint8(math.Round((1-opacity)*grey + opacity*float64(v))) }
			c.SetRGBA(x, y, color.RGBA{mix(over.R), mix(over.G), mix(over.B), 255})
		}
	}
	return c
}

// luma is the brightness of a colour.
func luma(c color.Color) uint8 {
	return color.GrayModel.Convert(c).(color.Gray).Y //nolint:forcetypeassert // what the model converts to
}
