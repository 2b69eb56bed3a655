package picture

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
)

// canvas is the first frame of a GIF on its canvas, in the colours that are stored. image/gif gives the frame only,
// which may be a part of the canvas, and makes what is transparent black. What the frame leaves free has the frame's
// transparent colour, or the first of its colours, as Pillow has it.
type canvas struct {
	*image.Paletted // the frame
	size            image.Rectangle
	colors          [256][3]uint8
	free            byte // the index of what the frame leaves free
}

// Bounds is the whole canvas.
func (c *canvas) Bounds() image.Rectangle { return c.size }

// pack writes row y as RGB.
func (c *canvas) pack(row []uint8, y int) {
	for i := 0; i < len(row); i += 3 {
		copy(row[i:i+3], c.colors[c.free][:])
	}
	if y < c.Rect.Min.Y || y >= c.Rect.Max.Y {
		return
	}
	row = row[3*c.Rect.Min.X : 3*c.Rect.Max.X]
	for i, index := range c.Pix[c.PixOffset(c.Rect.Min.X, y):][:len(row)/3] {
		rgb := &c.colors[index]
		row[3*i], row[3*i+1], row[3*i+2] = rgb[0], rgb[1], rgb[2]
	}
}

// decodeGIF reads a GIF's first frame.
func decodeGIF(raw []byte) (image.Image, error) {
	img, err := gif.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	frame, ok := img.(*image.Paletted)
	if !ok || frame.Rect.Empty() {
		return nil, errors.New("the first frame is empty")
	}
	c := &canvas{Paletted: frame}
	c.size = image.Rect(0, 0, int(raw[6])|int(raw[7])<<8, int(raw[8])|int(raw[9])<<8)
	colors, free := gifColors(raw)
	for i := 0; 3*i < len(colors); i++ {
		copy(c.colors[i][:], colors[3*i:])
	}
	c.free = free
	return c, nil
}

// gifColors are the colours of the first frame of a GIF that can be decoded, and the index that is transparent in it,
// or 0. The frame's own colours are those that count where it has some.
func gifColors(raw []byte) (colors []byte, transparent byte) {
	table := func(at int, flags byte) []byte {
		if flags&0x80 == 0 {
			return nil
		}
		return raw[at:min(at+3<<(flags&7+1), len(raw))]
	}
	colors = table(13, raw[10])
	for at := 13 + len(colors); at+10 <= len(raw); {
		switch raw[at] {
		case 0x21: // an extension: its kind, then blocks up to one of no bytes
			if raw[at+1] == 0xf9 && raw[at+3]&1 != 0 {
				transparent = raw[at+6]
			}
			for at += 2; at < len(raw) && raw[at] > 0; at += 1 + int(raw[at]) {
			}
			at++
		case 0x2c: // the frame
			if own := table(at+10, raw[at+9]); own != nil {
				colors = own
			}
			return colors, transparent
		default:
			return nil, 0
		}
	}
	return nil, 0
}
