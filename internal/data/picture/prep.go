// Package picture makes pictures of one size out of the files of pictures: it decodes, makes the shorter side as long
// as asked for and cuts out the centre. JPEG goes through libjpeg-turbo where it is installed, as Pillow and the
// field's other programs decode it, and through the standard library elsewhere; everything else through Go's own
// decoders.
//
// It sees bytes and gives pixels: where files come from, and what becomes of a picture that cannot be decoded, is
// package data's business. It imports nothing of the program.
package picture

import "errors"

// DefaultMaxPixels is the largest picture that is decoded where Prep does not say: 100 megapixels, 300 MB of RGB.
const DefaultMaxPixels = 100_000_000

// Prep says how a file becomes a picture of the size that the net is trained on.
type Prep struct {
	// the shorter side is made this long, then the centre square is cut out; 0: pictures keep their size, which must be
	// the same for all
	Resize    int
	Channels  int // 3 (RGB) or 1 (luma); 0 means 3
	MaxPixels int // pictures whose header announces more are refused before they are decoded; 0 means DefaultMaxPixels
}

// Picture is a decoded picture.
type Picture struct {
	Pixels                  []uint8 // (Height, Width, Channels), 0..255, RGB or luma
	Height, Width, Channels int
	File                    File // what it was made from
}

// File tells about the file of a picture.
type File struct {
	Format        string // by its contents: "jpeg", "png", "gif", "webp", "bmp", "tiff"
	Color         string // "rgb", "grey" or "cmyk"
	Height, Width int    // before Prep
}

// Decode makes a picture of a file's contents. The pixels lie in dst where they fit, else in a new slice. Alpha is
// dropped, not blended; 16-bit samples lose their lower half; the orientation in EXIF data is ignored, as the field's
// pipelines do. Any input is answered by a picture or an error, never by a panic.
func (p Prep) Decode(raw []byte, dst []uint8) (Picture, error) {
	d := NewDecoder()
	defer d.Close()
	return d.Decode(raw, p, dst)
}

// Filled is p with the defaults in place; an error where no picture can be made so.
func (p Prep) Filled() (Prep, error) {
	if p.Channels == 0 {
		p.Channels = 3
	}
	if p.MaxPixels == 0 {
		p.MaxPixels = DefaultMaxPixels
	}
	if p.Resize < 0 || p.MaxPixels < 0 || (p.Channels != 1 && p.Channels != 3) {
		return p, errors.New("pictures have 1 or 3 channels, and sizes are not negative")
	}
	return p, nil
}
