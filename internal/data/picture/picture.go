// Package picture makes pictures of one size out of the files of pictures: it decodes, turns as EXIF says, and makes
// the picture a square of the side asked for: it scales the shorter side and cuts out the centre, or scales both sides;
// with antialiasing as Pillow does, or without as OpenCV does. JPEG goes through libjpeg-turbo where it is installed,
// as Pillow and the field's other programs decode it, and through the standard library elsewhere; everything else
// through Go's own decoders. Where these make other pixels than Pillow and browsers, what they give is mended here: the
// range of lossy WebP, the canvas of GIF, the order of bits in TIFF. A form that they read wrongly is refused by its
// name.
//
// It sees bytes and gives pixels: where files come from, and what becomes of a picture that cannot be decoded, is
// package data's business. Of the program it imports files, which knows what Git LFS leaves behind.
package picture

// MaxPixels is the largest picture that a decoder takes, by what its header announces: 100 megapixels, 300 MB of RGB.
const MaxPixels = 100_000_000

// Want is what is made of a file.
type Want struct {
	Resize   int  // the side of the square that the picture becomes; 0: it keeps its size
	Squash   bool // both sides are made so long; otherwise the shorter one is, and the centre square is cut out
	Linear   bool // resized between the two nearest pixels each way, as OpenCV does; otherwise with antialiasing
	Shrink   bool // Resize makes nothing longer: where the shorter side is shorter, the square has that length
	Channels int  // 3: RGB, 1: luma
	Upright  bool // turned as the file's EXIF orientation says; otherwise that is ignored
}

// Picture is a decoded picture.
type Picture struct {
	Pixels                  []uint8 // (Height, Width, Channels), 0..255, RGB or luma
	Height, Width, Channels int
	File                    File // what it was made from
}

// File tells about the file of a picture.
type File struct {
	Format        string // by its contents: "jpeg", "png", "gif", "webp", "bmp", "tiff", "pbm", "pgm", "ppm"
	Color         string // "rgb", "grey" or "cmyk"
	Height, Width int    // before it was resized, and after it was turned
	Turned        bool   // EXIF said so, and it was asked for
}

// Unsupported is a picture in a form that is not read here.
type Unsupported struct {
	Form       string // "arithmetic-coded JPEG (SOF9)"
	NeedsTurbo bool   // libjpeg-turbo reads it, and is not there
}

func (u *Unsupported) Error() string {
	if u.NeedsTurbo {
		return u.Form + ": it is read only by libjpeg-turbo, which is not installed"
	}
	return u.Form + ": that form is not read"
}
