package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math"
)

// The formats of Netpbm have a reader of our own: the library for them cannot be had at a fixed version, and the others
// give each pixel through an interface or read only a part of the forms.

// netpbm is the header of a PBM, PGM or PPM.
type netpbm struct {
	plain         bool // samples are written as decimal numbers
	samples       int  // a pixel: 0: a bit
	width, height int
	most          int    // the value of white
	rest          []byte // the samples
}

// netpbmMagic is how files of the forms begin: "P5", and white space or a comment.
func netpbmMagic(kinds string) (all []string) {
	for _, kind := range kinds {
		for _, space := range "\n\r\t #" {
			all = append(all, "P"+string(kind)+string(space))
		}
	}
	return all
}

// readNetpbm reads a header. Whoever announces more samples than there are bytes is refused before memory is taken.
func readNetpbm(raw []byte) (*netpbm, error) {
	kind := raw[1] - '0'
	n := &netpbm{plain: kind <= 3, samples: [...]int{0, 1, 3}[(kind-1)%3], most: 1, rest: raw[2:]}
	fields := []*int{&n.width, &n.height, &n.most}
	if n.samples == 0 {
		fields = fields[:2]
	}
	var ok bool
	for _, field := range fields {
		if *field, ok = n.number(); !ok {
			if len(n.rest) == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, errors.New("the header is damaged")
		}
	}
	if n.most < 1 || n.most > math.MaxUint16 {
		return nil, fmt.Errorf("white is %d, want 1 to %d", n.most, math.MaxUint16)
	}
	if n.width < 1 || n.height < 1 {
		return nil, fmt.Errorf("size %dx%d", n.width, n.height)
	}
	if len(n.rest) > 0 && !n.plain {
		n.rest = n.rest[1:] // one white space
	}
	if int64(len(n.rest)) < n.least() {
		return nil, io.ErrUnexpectedEOF
	}
	return n, nil
}

// least is how many bytes the samples take at least.
func (n *netpbm) least() int64 {
	w, h := int64(n.width), int64(n.height)
	switch {
	case n.samples == 0 && n.plain:
		return w * h
	case n.samples == 0:
		return (w + 7) / 8 * h
	case n.plain:
		return 2*w*h*int64(n.samples) - 1
	}
	return w * h * int64(n.samples) * n.wide()
}

// wide is the bytes of a sample.
func (n *netpbm) wide() int64 {
	if n.most > math.MaxUint8 {
		return 2
	}
	return 1
}

// number takes the next number from the rest, up to nine digits.
func (n *netpbm) number() (v int, ok bool) {
	n.skip()
	i := 0
	for ; i < len(n.rest) && i < 9 && n.rest[i] >= '0' && n.rest[i] <= '9'; i++ {
		v = 10*v + int(n.rest[i]-'0')
	}
	n.rest = n.rest[i:]
	return v, i > 0
}

// skip goes past white space and comments.
func (n *netpbm) skip() {
	for len(n.rest) > 0 {
		switch c := n.rest[0]; {
		case c == '#':
			end := bytes.IndexAny(n.rest, "\n\r")
			if end < 0 {
				end = len(n.rest) - 1
			}
			n.rest = n.rest[end+1:]
		case c == ' ' || c >= '\t' && c <= '\r':
			n.rest = n.rest[1:]
		default:
			return
		}
	}
}

// configNetpbm reads the size.
func configNetpbm(raw []byte) (image.Config, error) {
	n, err := readNetpbm(raw)
	if err != nil {
		return image.Config{}, err
	}
	c := image.Config{ColorModel: color.GrayModel, Width: n.width, Height: n.height}
	if n.samples == 3 {
		c.ColorModel = color.RGBAModel
	}
	return c, nil
}

// decodeNetpbm reads the first picture of a file. Samples are scaled to 0..255 and rounded as Pillow rounds them.
func decodeNetpbm(raw []byte) (image.Image, error) {
	n, err := readNetpbm(raw)
	if err != nil {
		return nil, err
	}
	scale := make([]uint8, n.most+1)
	for v := range scale {
		scale[v] = uint8(math.RoundToEven(float64(v) / float64(n.most) * 255))
	}
	frame := image.Rect(0, 0, n.width, n.height)
	if n.samples == 3 {
		m := image.NewRGBA(frame)
		for i := range m.Pix {
			m.Pix[i] = 255
			if i%4 == 3 {
				continue
			}
			if m.Pix[i], err = n.sample(scale); err != nil {
				return nil, err
			}
		}
		return m, nil
	}
	m := image.NewGray(frame)
	for i := range m.Pix {
		switch {
		case n.samples == 1:
			m.Pix[i], err = n.sample(scale)
		case n.plain:
			m.Pix[i], err = n.digit()
		default:
			x := i % n.width
			m.Pix[i] = ^-(n.rest[i/n.width*((n.width+7)/8)+x/8] >> (7 - x%8) & 1) // 1 is black
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// sample takes the next sample.
func (n *netpbm) sample(scale []uint8) (uint8, error) {
	if !n.plain { // the bytes were counted
		v := int(n.rest[0])
		if n.wide() == 2 {
			v = v<<8 | int(n.rest[1])
		}
		n.rest = n.rest[n.wide():]
		return scale[min(v, n.most)], nil
	}
	v, ok := n.number()
	switch {
	case !ok && len(n.rest) == 0:
		return 0, io.ErrUnexpectedEOF
	case !ok || v > n.most:
		return 0, errors.New("the samples are damaged")
	}
	return scale[v], nil
}

// digit takes the next digit of a plain PBM.
func (n *netpbm) digit() (uint8, error) {
	n.skip()
	switch {
	case len(n.rest) == 0:
		return 0, io.ErrUnexpectedEOF
	case n.rest[0] != '0' && n.rest[0] != '1':
		return 0, errors.New("the samples are damaged")
	}
	v := 255 * ('1' - n.rest[0])
	n.rest = n.rest[1:]
	return v, nil
}

// costNetpbm counts the bytes, for those of plain files are read one by one.
func costNetpbm(raw []byte, c image.Config) cost {
	px, bytes := float64(c.Width)*float64(c.Height), 4.
	if c.ColorModel == color.RGBAModel {
		bytes = 7
	}
	return cost{px * bytes, px*bytes*4 + float64(len(raw))*5}
}
