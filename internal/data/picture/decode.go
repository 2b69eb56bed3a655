package picture

import (
	"bytes"
	"cmp"
	"context"
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

	"alexnet/internal/files"
)

// Decoder turns files into pictures. It owns what one goroutine reuses from one picture to the next. The zero Decoder
// decodes with Go's own decoders and nothing else.
type Decoder struct {
	limit int     // pixels, for tests; 0: MaxPixels
	turbo *turbo  // nil: JPEG through image/jpeg
	rgb   []uint8 // (height, width, 3) as decoded
	fit   fitter
}

// NewDecoder makes a decoder that has libjpeg-turbo where that is installed; close it.
func NewDecoder() *Decoder { return &Decoder{turbo: openTurbo()} }

// Close gives back what the decoder holds of libjpeg-turbo.
func (d *Decoder) Close() { d.turbo.close() }

// Decode makes a picture of a file's contents. The pixels lie in dst where they fit, else in a new slice. Alpha is
// dropped, not blended; 16-bit samples lose their lower half; of several frames or pages the first counts. Any input is
// answered by a picture or an error, never by a panic; what would take more than 512 MB, or some 5 s of a core, is
// refused before it is decoded. Errors that are data: *Unsupported and files.ErrPointer.
//
// When ctx ends Decode gives its error within a fraction of a second. No decoder can be interrupted, so that one at
// work on a large picture is then left to end by itself; raw must stay as it is for that long.
func (d *Decoder) Decode(ctx context.Context, raw []byte, want Want, dst []uint8) (Picture, error) {
	if want.Resize < 0 || want.Channels != 1 && want.Channels != 3 {
		return Picture{}, errors.New("pictures have 1 or 3 channels, and sizes are not negative")
	}
	if err := ctx.Err(); err != nil {
		return Picture{}, err
	}
	o, err := open(raw, cmp.Or(d.limit, MaxPixels))
	if err != nil {
		return Picture{}, err
	}
	if o.ns(d.turbo != nil) < slowNanos {
		return d.decode(o, want, dst)
	}
	return d.decodeAside(ctx, o, want, dst)
}

// decodeAside decodes in a goroutine of its own. When ctx ends that keeps what it was lent, and d takes other memory.
func (d *Decoder) decodeAside(ctx context.Context, o *opened, want Want, dst []uint8) (Picture, error) {
	var pic Picture
	var err error
	done, aside := make(chan struct{}), *d
	go func() {
		defer close(done)
		pic, err = aside.decode(o, want, nil)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		turbo := aside.turbo
		if *d = (Decoder{limit: d.limit}); turbo != nil {
			d.turbo = openTurbo()
		}
		go func() {
			<-done
			turbo.close()
		}()
		return Picture{}, ctx.Err()
	}
	*d = aside
	if err == nil && cap(dst) >= len(pic.Pixels) {
		dst = dst[:len(pic.Pixels)]
		copy(dst, pic.Pixels)
		pic.Pixels = dst
	}
	return pic, err
}

// decode is Decode, to its end.
func (d *Decoder) decode(o *opened, want Want, dst []uint8) (pic Picture, err error) {
	defer func() { // a decoder that trips over its input must not take the training run with it
		if r := recover(); r != nil {
			pic, err = Picture{}, fmt.Errorf("%s decoder failed: %v", o.format.name, r)
		}
	}()
	turn := 1
	if want.Upright {
		turn = o.orientation()
	}
	// nothing is to be done to the RGB
	asIs := want.Channels == 3 && turn == 1 &&
		(want.Resize == 0 || want.Resize == o.height && want.Resize == o.width)
	if asIs {
		kept := d.rgb
		defer func() { d.rgb = kept }()
		d.rgb = dst
	}
	file, err := d.unpack(o)
	if err != nil {
		return Picture{}, err
	}
	all := upright(d.rgb, file.Height, file.Width, turn)
	file.Height, file.Width, file.Turned = all.height, all.width, turn > 1
	pic = Picture{Height: all.height, Width: all.width, Channels: want.Channels, Pixels: d.rgb, File: file}
	switch row := pic.Width * want.Channels; {
	case asIs:
	case want.Resize > 0:
		side := want.Resize
		if want.Shrink {
			side = min(side, all.height, all.width)
		}
		pic.Height, pic.Width = side, side
		pic.Pixels = sized(dst, side*side*want.Channels)
		d.fit.square(&all, pic.Pixels, side, want)
	default:
		pic.Pixels = sized(dst, pic.Height*row)
		for y := range pic.Height {
			all.copyRow(pic.Pixels[y*row:][:row], y, 0, want.Channels)
		}
	}
	return pic, nil
}

// Size is the height and width that Decode would give a file of which the header is sound, by nothing but that. Its
// errors are Decode's.
func (d *Decoder) Size(raw []byte, want Want) (height, width int, err error) {
	o, err := open(raw, cmp.Or(d.limit, MaxPixels))
	if err != nil {
		return 0, 0, err
	}
	if want.Resize > 0 && !want.Shrink {
		return want.Resize, want.Resize, nil
	}
	height, width = o.height, o.width
	if height == 0 { // a JPEG without a frame
		return 0, 0, explain(o.format.name, io.ErrUnexpectedEOF)
	}
	if want.Upright && o.orientation() >= 5 {
		height, width = width, height
	}
	if want.Resize > 0 {
		side := min(want.Resize, height, width)
		return side, side, nil
	}
	return height, width, nil
}

// format is one kind of file, recognised by how it begins.
type format struct {
	name   string
	magic  []string // "?" matches any byte
	config func(raw []byte) (image.Config, error)
	decode func(raw []byte) (image.Image, error)
	cost   func(raw []byte, c image.Config) cost // nil: by the JPEG's form
	unread func(raw []byte) string               // names a form that is not read, "" for others; nil: there is none
}

// formats lists what can be read. Package image keeps such a list too, but whoever imports a decoder adds to it.
var formats = []format{
	{"jpeg", []string{"\xff\xd8\xff"}, from(jpeg.DecodeConfig), from(jpeg.Decode), nil, nil},
	{"png", []string{"\x89PNG\r\n\x1a\n"}, from(png.DecodeConfig), from(png.Decode), costPNG, nil},
	{"gif", []string{"GIF87a", "GIF89a"}, from(gif.DecodeConfig), decodeGIF, costGIF, nil}, // the first frame
	{"webp", []string{"RIFF????WEBPVP8"}, from(webp.DecodeConfig), decodeWebP, costWebP, unreadWebP},
	{"bmp", []string{"BM????\x00\x00\x00\x00"}, from(bmp.DecodeConfig), from(bmp.Decode), costBMP, unreadBMP},
	{"tiff", []string{"II\x2a\x00", "MM\x00\x2a"}, from(tiff.DecodeConfig), decodeTIFF, costTIFF, unreadTIFF},
	{"pbm", netpbmMagic("14"), configNetpbm, decodeNetpbm, costNetpbm, nil},
	{"pgm", netpbmMagic("25"), configNetpbm, decodeNetpbm, costNetpbm, nil},
	{"ppm", netpbmMagic("36"), configNetpbm, decodeNetpbm, costNetpbm, nil},
}

// from gives a decoder that wants a reader the bytes.
func from[T any](decode func(io.Reader) (T, error)) func([]byte) (T, error) {
	return func(raw []byte) (T, error) { return decode(bytes.NewReader(raw)) }
}

// notRead are formats that users meet and that are not read here.
var notRead = []struct{ name, magic string }{
	{"AVIF", "????ftypavi"},
	{"HEIC", "????ftyphe"},
	{"HEIC", "????ftypmif1"},
	{"HEIC", "????ftypmsf1"},
	{"MP4 or another film", "????ftyp"},
	{"JPEG XL", "\xff\x0a"},
	{"JPEG XL", "\x00\x00\x00\x0cJXL "},
	{"JPEG 2000", "\x00\x00\x00\x0cjP  "},
	{"JPEG 2000", "\xff\x4f\xff\x51"},
	{"BigTIFF", "II\x2b\x00"},
	{"BigTIFF", "MM\x00\x2b"},
	{"Netpbm's PAM", "P7\n"},
	{"Netpbm's PFM", "PF\n"},
	{"Netpbm's PFM", "Pf\n"},
	{"Photoshop's PSD", "8BPS"},
	{"icon (ICO)", "\x00\x00\x01\x00"},
	{"SVG", "<svg"},
	{"PDF", "%PDF-"},
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

// opened is a file of which the header was looked at.
type opened struct {
	raw       []byte
	format    *format
	jpeg      jpegForm // of a JPEG
	height    int      // as they are stored; 0: a JPEG without a frame
	width     int
	cost      cost // of the others
	maxPixels int
}

// open looks at a file's header, and refuses what is no picture, larger than maxPixels or too costly.
func open(raw []byte, maxPixels int) (*opened, error) {
	if len(raw) == 0 {
		return nil, errors.New("empty file")
	}
	o := &opened{raw: raw, format: sniff(raw), maxPixels: maxPixels}
	switch {
	case o.format == nil:
		return nil, strange(raw)
	case o.format.cost == nil:
		o.jpeg = readForm(raw)
		o.height, o.width = o.jpeg.height, o.jpeg.width
		if err := o.jpeg.check(); err != nil || o.jpeg.sof == 0 {
			return o, err
		}
		return o, checkSize(o.jpeg.width, o.jpeg.height, maxPixels)
	}
	if unread := o.format.unread; unread != nil {
		if form := unread(raw); form != "" {
			return nil, &Unsupported{Form: form}
		}
	}
	config, err := o.config()
	if err != nil {
		return nil, explain(o.format.name, err)
	}
	if err := checkSize(config.Width, config.Height, maxPixels); err != nil {
		return nil, err
	}
	o.height, o.width = config.Height, config.Width
	o.cost = o.format.cost(raw, config)
	return o, o.cost.check(config.Height, config.Width)
}

// config reads the header by the format's decoder, which may trip over it.
func (o *opened) config() (c image.Config, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder failed: %v", r)
		}
	}()
	return o.format.config(o.raw)
}

// strange is the error of a file in no known format.
func strange(raw []byte) error {
	if files.IsPointer(raw) {
		return files.ErrPointer
	}
	for _, f := range notRead {
		if begins(raw, f.magic) {
			return &Unsupported{Form: f.name}
		}
	}
	return fmt.Errorf("no picture in a known format: it begins with %q", raw[:min(len(raw), 8)])
}

// ns is about how long decoding takes, with libjpeg-turbo or without. What libjpeg-turbo gives back goes to image/jpeg.
func (o *opened) ns(turbo bool) float64 {
	if o.format.cost != nil {
		return o.cost.ns
	}
	if o.jpeg.sof == 0 {
		return 0
	}
	ns := o.jpeg.standardCost(len(o.raw)).ns
	if turbo {
		ns += o.jpeg.turboCost(len(o.raw)).ns
	}
	return ns
}

// unpack decodes a file into d.rgb (height, width, 3).
func (d *Decoder) unpack(o *opened) (file File, err error) {
	file.Format = o.format.name
	if o.format.cost == nil {
		return file, d.unpackJPEG(o, &file)
	}
	img, err := o.format.decode(o.raw)
	return file, d.keep(o, img, err, &file)
}

// keep packs what one of Go's decoders made of a file into d.rgb.
func (d *Decoder) keep(o *opened, img image.Image, err error, file *File) error {
	if form := (*Unsupported)(nil); errors.As(err, &form) {
		return form
	}
	if err != nil {
		return explain(o.format.name, err)
	}
	size := img.Bounds().Size()
	if err := checkSize(size.X, size.Y, o.maxPixels); err != nil { // headers lie as well
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
		case limited:
			m.pack(row, y)
		case *canvas:
			m.pack(row, y)
		case *image.CMYK:
			packCMYK(row, m.Pix[m.PixOffset(b.Min.X, y):])
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

// packCMYK computes as Pillow does.
func packCMYK(row, pix []uint8) {
	for i, k := 0, 0; i < len(row); i, k = i+3, k+4 {
		white := uint32(255 - pix[k+3])
		for c := range 3 {
			t := uint32(pix[k+c])*white + 128
			row[i+c] = uint8(white - (t>>8+t)>>8)
		}
	}
}

// packAny serves palettes and whatever a decoder may bring.
func packAny(row []uint8, img image.Image, y int) {
	for i, x := 0, img.Bounds().Min.X; i < len(row); i, x = i+3, x+1 {
		switch c := img.At(x, y).(type) {
		case color.NRGBA:
			row[i], row[i+1], row[i+2] = c.R, c.G, c.B
		case color.RGBA:
			row[i], row[i+1], row[i+2] = c.R, c.G, c.B
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
