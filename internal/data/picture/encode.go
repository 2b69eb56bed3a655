package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
)

// Encoder makes JPEGs of colour that is sampled 4:2:0, by libjpeg-turbo where it is installed, else by the standard
// library: [JPEGDecoder] names which, and the same pixels give the same bytes with the same one. It owns what one
// goroutine reuses from one picture to the next.
type Encoder struct {
	quality int
	turbo   *turbo // nil: through image/jpeg
	rgba    image.RGBA
}

// NewEncoder makes an encoder of a quality, 1 to 100; close it.
func NewEncoder(quality int) *Encoder { return &Encoder{quality: quality, turbo: openTurboEncoder()} }

// Close gives back what the encoder holds of libjpeg-turbo.
func (e *Encoder) Close() { e.turbo.close() }

// Encode makes a JPEG of a picture of three channels, in dst where it fits.
func (e *Encoder) Encode(p *Picture, dst []byte) ([]byte, error) {
	if p.Channels != 3 || p.Height < 1 || p.Width < 1 || len(p.Pixels) != p.Height*p.Width*3 {
		return nil, fmt.Errorf("no JPEG can be made of a picture of %dx%dx%d", p.Width, p.Height, p.Channels)
	}
	if e.turbo != nil {
		raw, said := e.turbo.encode(p.Pixels, p.Height, p.Width, e.quality, dst)
		if said != "" {
			return nil, errors.New(said)
		}
		return raw, nil
	}
	e.rgba.Rect, e.rgba.Stride = image.Rect(0, 0, p.Width, p.Height), 4*p.Width
	e.rgba.Pix = sized(e.rgba.Pix, 4*p.Width*p.Height)
	for i, at := 0, 0; i < len(p.Pixels); i, at = i+3, at+4 {
		copy(e.rgba.Pix[at:at+3], p.Pixels[i:i+3])
		e.rgba.Pix[at+3] = 255
	}
	out := bytes.NewBuffer(dst[:0])
	err := jpeg.Encode(out, &e.rgba, &jpeg.Options{Quality: e.quality})
	return out.Bytes(), err
}
