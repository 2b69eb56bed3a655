package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Decoder turns files into pictures. It owns what one goroutine reuses from one picture to the next.
type Decoder struct {
	// MaxPixels is the size from which on a picture is refused before it is decoded, by what its header announces.
	MaxPixels int
	turbo     *turbo  // nil: JPEG through image/jpeg
	rgb       []uint8 // (height, width, 3) as decoded
	fit       fitter
}

// NewDecoder makes a decoder that takes pictures of up to DefaultMaxPixels; close it.
func NewDecoder() *Decoder { return &Decoder{MaxPixels: DefaultMaxPixels, turbo: openTurbo()} }

// Close gives back what the decoder holds of libjpeg-turbo.
func (d *Decoder) Close() { d.turbo.close() }

// Decode makes a picture of a file's contents: its shorter side is made resize long and the centre square cut out, or
// with 0 it keeps its size; channels is 3 (RGB) or 1 (luma). The pixels lie in dst where they fit, else in a new slice.
// Alpha is dropped, not blended; 16-bit samples lose their lower half; the orientation in EXIF data is ignored, as the
// field's pipelines do. Any input is answered by a picture or an error, never by a panic.
func (d *Decoder) Decode(raw []byte, resize, channels int, dst []uint8) (Picture, error) {
	if resize < 0 || channels != 1 && channels != 3 {
		return Picture{}, errors.New("pictures have 1 or 3 channels, and sizes are not negative")
	}
	file, err := d.unpack(raw, d.MaxPixels)
	if err != nil {
		return Picture{}, err
	}
	pic := Picture{Height: file.Height, Width: file.Width, Channels: channels, File: file}
	if resize > 0 {
		pic.Height, pic.Width = resize, resize
	}
	pic.Pixels = sized(dst, pic.Height*pic.Width*pic.Channels)
	if resize > 0 {
		d.fit.square(d.rgb, file.Height, file.Width, pic.Pixels, resize, channels)
	} else {
		copyPixels(pic.Pixels, d.rgb, channels)
	}
	return pic, nil
}

// format is one kind of file, recognised by how it begins.
type format struct {
	name   string
	magic  []string // "?" matches any byte
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// formats lists what can be read. Package image keeps such a list too, but whoever imports a decoder adds to it.
var formats = []format{
	{"jpeg", []string{"\xff\xd8\xff"}, jpeg.DecodeConfig, jpeg.Decode},
	{"png", []string{"\x89PNG\r\n\x1a\n"}, png.DecodeConfig, png.Decode},
	{"gif", []string{"GIF87a", "GIF89a"}, gif.DecodeConfig, gif.Decode}, // the first frame
	{"webp", []string{"RIFF????WEBPVP8"}, webp.DecodeConfig, webp.Decode},
	{"bmp", []string{"BM????\x00\x00\x00\x00"}, bmp.DecodeConfig, bmp.Decode},
	{"tiff", []string{"II\x2a\x00", "MM\x00\x2a"}, tiff.DecodeConfig, tiff.Decode},
}

// sniff finds the format by the contents; extensions lie.
func sniff(raw []byte) *format {
	for i := range formats {
		for _, m := range formats[i].magic {
			if begins(raw, m) {
				return &formats[i]
			}
		}
	}
	return nil
}

// Format names the format that a file has by its first bytes, as File.Format does; "" where it is none of a picture.
func Format(raw []byte) string {
	if f := sniff(raw); f != nil {
		return f.name
	}
	return ""
}

func begins(raw []byte, magic string) bool {
	if len(raw) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && raw[i] != magic[i] {
			return false
		}
	}
	return true
}

// unpack decodes a file into d.rgb (height, width, 3).
func (d *Decoder) unpack(raw []byte, maxPixels int) (file File, err error) {
	if len(raw) == 0 {
		return file, errors.New("empty file")
	}
	f := sniff(raw)
	if f == nil {
		return file, fmt.Errorf("no picture in a known format: it begins with %q", raw[:min(len(raw), 8)])
	}
	file.Format = f.name
	defer func() { // a decoder that trips over its input must not take the training run with it
		if r := recover(); r != nil {
			err = fmt.Errorf("%s decoder failed: %v", f.name, r)
		}
	}()
	if f.name == "jpeg" {
		if done, err := d.unpackTurbo(raw, &file, maxPixels); done || err != nil {
			return file, err
		}
	}
	return file, d.unpackStandard(f, raw, &file, maxPixels)
}

// unpackTurbo tries libjpeg-turbo. Whatever it does not decode without complaint (CMYK, damage, oddities) is left to
// the standard library, so that which pictures count as readable does not depend on the machine.
func (d *Decoder) unpackTurbo(raw []byte, file *File, maxPixels int) (done bool, err error) {
	h, w, kind, ok := d.turbo.header(raw)
	if !ok || kind == "cmyk" {
		return false, nil
	}
	if err := checkSize(w, h, maxPixels); err != nil {
		return false, err
	}
	d.rgb = sized(d.rgb, h*w*3)
	file.Height, file.Width, file.Color = h, w, kind
	return d.turbo.decode(raw, d.rgb, h, w), nil
}

func (d *Decoder) unpackStandard(f *format, raw []byte, file *File, maxPixels int) error {
	config, err := f.config(bytes.NewReader(raw))
	if err != nil {
		return explain(f.name, err)
	}
	if err := checkSize(config.Width, config.Height, maxPixels); err != nil {
		return err
	}
	img, err := f.decode(bytes.NewReader(raw))
	if err != nil {
		return explain(f.name, err)
	}
	size := img.Bounds().Size()
	if err := checkSize(size.X, size.Y, maxPixels); err != nil { // headers lie as well
		return err
	}
	file.Height, file.Width, file.Color = size.Y, size.X, colorOf(img)
	d.rgb = sized(d.rgb, size.Y*size.X*3)
	pack(d.rgb, img)
	return nil
}

func checkSize(w, h, maxPixels int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("size %dx%d", w, h)
	}
	if h > maxPixels/w {
		return fmt.Errorf("size %dx%d is more than the limit of %d pixels", w, h, maxPixels)
	}
	return nil
}

// explain puts the format before a decoder's error, once, and says what an early end means.
func explain(format string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s file is cut off", format)
	}
	if s := err.Error(); len(s) > len(format)+2 && s[:len(format)] == format {
		return err
	}
	return fmt.Errorf("%s: %w", format, err)
}

func colorOf(img image.Image) string {
	switch img.ColorModel() {
	case color.GrayModel, color.Gray16Model:
		return "grey"
	case color.CMYKModel:
		return "cmyk"
	}
	return "rgb"
}

// pack writes an image as RGB (height, width, 3). Alpha is dropped: stored colours count, as Pillow's convert("RGB")
// does it.
func pack(dst []uint8, img image.Image) {
	b := img.Bounds()
	w := b.Dx()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := dst[(y-b.Min.Y)*w*3:][:w*3]
		switch m := img.(type) {
		case *image.YCbCr:
			packYCbCr(row, m, y)
		case *image.NYCbCrA:
			packYCbCr(row, &m.YCbCr, y)
		case *image.Gray:
			packGrey(row, m.Pix[m.PixOffset(b.Min.X, y):], 1)
		case *image.Gray16:
			packGrey(row, m.Pix[m.PixOffset(b.Min.X, y):], 2)
		case *image.RGBA:
			packRGB(row, m.Pix[m.PixOffset(b.Min.X, y):], 4, 1)
		case *image.NRGBA:
			packRGB(row, m.Pix[m.PixOffset(b.Min.X, y):], 4, 1)
		case *image.RGBA64:
			packRGB(row, m.Pix[m.PixOffset(b.Min.X, y):], 8, 2)
		case *image.NRGBA64:
			packRGB(row, m.Pix[m.PixOffset(b.Min.X, y):], 8, 2)
		default:
			packAny(row, img, y)
		}
	}
}

func packYCbCr(row []uint8, m *image.YCbCr, y int) {
	for i, x := 0, m.Rect.Min.X; x < m.Rect.Max.X; i, x = i+3, x+1 {
		yi, ci := m.YOffset(x, y), m.COffset(x, y)
		row[i], row[i+1], row[i+2] = color.YCbCrToRGB(m.Y[yi], m.Cb[ci], m.Cr[ci])
	}
}

// packGrey repeats the first of every step bytes.
func packGrey(row, pix []uint8, step int) {
	for i, k := 0, 0; i < len(row); i, k = i+3, k+step {
		row[i], row[i+1], row[i+2] = pix[k], pix[k], pix[k]
	}
}

// packRGB takes the high bytes of three samples, each wide bytes, of every step bytes.
func packRGB(row, pix []uint8, step, wide int) {
	for i, k := 0, 0; i < len(row); i, k = i+3, k+step {
		row[i], row[i+1], row[i+2] = pix[k], pix[k+wide], pix[k+2*wide]
	}
}

// packAny serves palettes, CMYK and whatever a decoder may bring.
func packAny(row []uint8, img image.Image, y int) {
	for i, x := 0, img.Bounds().Min.X; i < len(row); i, x = i+3, x+1 {
		switch c := img.At(x, y).(type) {
		case color.NRGBA:
			row[i], row[i+1], row[i+2] = c.R, c.G, c.B
		case color.RGBA:
			row[i], row[i+1], row[i+2] = c.R, c.G, c.B
		case color.CMYK:
			row[i], row[i+1], row[i+2] = color.CMYKToRGB(c.C, c.M, c.Y, c.K)
		default:
			r, g, b, _ := c.RGBA()
			row[i], row[i+1], row[i+2] = uint8(r>>8), uint8(g>>8), uint8(b>>8)
		}
	}
}

// copyPixels copies RGB pixels to dst as they are or as luma.
func copyPixels(dst, rgb []uint8, channels int) {
	if channels == 3 {
		copy(dst, rgb)
		return
	}
	for i := range dst {
		dst[i] = luma(rgb[3*i], rgb[3*i+1], rgb[3*i+2])
	}
}

// luma is ITU-R BT.601's, with weights that sum to 2^16 and rounding, as libjpeg and Pillow compute it.
func luma(r, g, b uint8) uint8 {
	return uint8((19595*uint32(r) + 38470*uint32(g) + 7471*uint32(b) + 1<<15) >> 16)
}

// What JPEGDecoder may say.
const (
	Standard = "Go image/jpeg"
	Turbo    = "libjpeg-turbo"
)

// JPEGDecoder names what decodes JPEG here. The two that there are give other pixels where colours are stored at half
// the size. Versions of libjpeg-turbo are not told apart.
func JPEGDecoder() string {
	if turboPath() == "" {
		return Standard
	}
	return Turbo
}

// JPEGLibrary is JPEGDecoder with the library's file, for people: "libjpeg-turbo (libturbojpeg.so.0.2.0)".
func JPEGLibrary() string {
	if p := turboPath(); p != "" {
		return Turbo + " (" + filepath.Base(p) + ")"
	}
	return Standard
}

// sized is a slice of length n, in s if it fits.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
