// Package picture makes pictures of one size out of the files of pictures: it decodes, makes the shorter side as long
// as asked for and cuts out the centre. JPEG goes through libjpeg-turbo where it is installed, as Pillow and the
// field's other programs decode it, and through the standard library elsewhere; everything else through Go's own
// decoders.
//
// It sees bytes and gives pixels: where files come from, and what becomes of a picture that cannot be decoded, is
// package data's business. It imports nothing of the program.
package picture

// DefaultMaxPixels is the largest picture that a decoder takes where nothing is said: 100 megapixels, 300 MB of RGB.
const DefaultMaxPixels = 100_000_000

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
	Height, Width int    // before it was resized
}
