package data

import (
	"errors"
	"fmt"
)

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
	d := newDecoder()
	defer d.close()
	return d.decode(raw, p, dst)
}

// DecodeFile reads and decodes a single file. Failures are *BadPicture with the path as name.
func DecodeFile(path string, p Prep) (Picture, error) {
	raw, err := readFile(path, nil)
	if err != nil {
		return Picture{}, &BadPicture{Name: path, Err: err}
	}
	pic, err := p.Decode(raw, nil)
	if err != nil {
		return Picture{}, &BadPicture{Name: path, Err: err}
	}
	return pic, nil
}

// Size is the height and width that pictures of the set have after Prep: Resize x Resize, or else the size of the first
// readable one.
func (p Prep) Size(set *Set) (height, width int, err error) {
	if p.Resize > 0 {
		return p.Resize, p.Resize, nil
	}
	d := newDecoder()
	defer d.close()
	var first error
	for i := range set.entries {
		pic, err := d.load(set, i, p, nil)
		if err == nil {
			return pic.Height, pic.Width, nil
		}
		if first == nil {
			first = &BadPicture{Name: set.Name(i), Err: err}
		}
	}
	return 0, 0, unreadable(set, first)
}

// unreadable is the error of a set none of whose pictures can be read.
func unreadable(set *Set, first error) error {
	if set.Len() == 0 {
		return fmt.Errorf("%w: no pictures in this part of the data", ErrNoData)
	}
	return fmt.Errorf("%w: none of %d pictures can be read: %w", ErrNoData, set.Len(), first)
}

// filled is p with the defaults in place.
func (p Prep) filled() (Prep, error) {
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
