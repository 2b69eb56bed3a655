package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"strings"
)

// jpegForm is what the markers of a JPEG tell before any decoder sees it.
type jpegForm struct {
	sof           byte // the marker of its frame; 0: none was found
	precision     int  // bits
	height, width int
	parts         []jpegPart // the frame's components
	adobe         bool       // it has Adobe's marker
	transform     byte       // Adobe's: 0 says that RGB or CMYK are stored as they are
	jfif          bool
	exif          []byte // EXIF data, a TIFF
	scans         int
	tables        int // Huffman tables, at most
	segments      int
}

// jpegPart is a component of a frame.
type jpegPart struct {
	id   byte
	h, v int // sampling factors
}

// maxScans is libjpeg-turbo's own limit. Files have ten, seldom more than twenty.
const maxScans = 500

// Markers, the second of their two bytes.
const (
	sof0, sof1, sof2, sof3, sof9, sof10 = 0xc0, 0xc1, 0xc2, 0xc3, 0xc9, 0xca

	dht, jpg, dac, soi, eoi, sos, dnl, app0, app1, app14 = 0xc4, 0xc8, 0xcc, 0xd8, 0xd9, 0xda, 0xdc, 0xe0, 0xe1, 0xee
)

// readForm walks over a JPEG's markers up to its end. It stops where a decoder would stop too.
func readForm(raw []byte) (f jpegForm) {
	for at := 2; ; {
		skip := bytes.IndexByte(raw[min(at, len(raw)):], 0xff)
		if at += skip; skip < 0 || at+4 > len(raw) {
			return f
		}
		marker := raw[at+1]
		switch {
		case marker == 0xff: // a fill byte
			at++
			continue
		case marker < 2 || 0xd0 <= marker && marker < soi: // data, or a marker without a segment
			at += 2
			continue
		case marker < sof0 || marker == soi || marker == eoi:
			return f
		}
		size := int(binary.BigEndian.Uint16(raw[at+2:]))
		if size < 2 {
			return f
		}
		f.take(marker, raw[at+4:max(at+4, min(at+2+size, len(raw)))])
		at += 2 + size
	}
}

// take notes what a segment tells.
func (f *jpegForm) take(marker byte, segment []byte) {
	f.segments++
	switch {
	case marker == dht:
		f.tables += 1 + len(segment)/17
	case marker == sos:
		f.scans++
	case marker == app0:
		f.jfif = f.jfif || bytes.HasPrefix(segment, []byte("JFIF\x00"))
	case marker == app1 && f.exif == nil && bytes.HasPrefix(segment, []byte(exifHead)):
		f.exif = segment[len(exifHead):]
	case marker == app14 && len(segment) >= 12 && bytes.HasPrefix(segment, []byte("Adobe")):
		f.adobe, f.transform = true, segment[11]
	case marker < 0xd0 && marker != jpg && marker != dac && f.sof == 0 && len(segment) >= 6:
		f.sof, f.precision = marker, int(segment[0])
		f.height, f.width = int(binary.BigEndian.Uint16(segment[1:])), int(binary.BigEndian.Uint16(segment[3:]))
		for p := segment[6:]; len(p) >= 3; p = p[3:] {
			f.parts = append(f.parts, jpegPart{p[0], int(p[1] >> 4), int(p[1] & 15)})
		}
	}
}

// check names what no decoder here takes, and what would take too long.
func (f *jpegForm) check() error {
	switch {
	case f.sof == 0:
		return nil // whatever it is, a decoder will find that too
	case f.scans > maxScans:
		kind := "JPEG"
		if f.progressive() {
			kind = "progressive JPEG"
		}
		return fmt.Errorf("%s of %d scans, more than the limit of %d", kind, f.scans, maxScans)
	case f.sof == sof3 || f.sof == 0xcb:
		return &Unsupported{Form: fmt.Sprintf("lossless JPEG (SOF%d)", f.sof-sof0)}
	case f.sof > sof10 || sof3 < f.sof && f.sof < sof9:
		return &Unsupported{Form: fmt.Sprintf("hierarchical JPEG (SOF%d)", f.sof-sof0)}
	case f.precision != 8:
		return &Unsupported{Form: fmt.Sprintf("JPEG of %d bits", f.precision)}
	case f.height == 0 && f.width > 0:
		return &Unsupported{Form: "JPEG whose height stands after its first scan (DNL)"}
	case len(f.parts) != 1 && len(f.parts) != 3 && len(f.parts) != 4:
		return &Unsupported{Form: fmt.Sprintf("JPEG of %d components", len(f.parts))}
	}
	return nil
}

func (f *jpegForm) progressive() bool { return f.sof == sof2 || f.sof == sof10 }

// onlyTurbo is the form of a JPEG that image/jpeg does not take, "" where it does.
func (f *jpegForm) onlyTurbo() string {
	switch {
	case f.sof == sof9 || f.sof == sof10:
		return fmt.Sprintf("arithmetic-coded JPEG (SOF%d)", f.sof-sof0)
	case f.twice():
		return "JPEG with one number for two components"
	case f.sof != 0 && !f.plainSampling():
		return "JPEG with sampling factors " + f.sampling()
	}
	return ""
}

func (f *jpegForm) twice() bool {
	var seen [256]bool
	for _, p := range f.parts {
		if seen[p.id] {
			return true
		}
		seen[p.id] = true
	}
	return false
}

// plainSampling tells whether image/jpeg takes the sampling factors.
func (f *jpegForm) plainSampling() bool {
	first := f.parts[0]
	for _, p := range f.parts {
		if p.h > 4 || p.v > 4 || p.h == 0 || p.v == 0 {
			return true // wrong for every decoder
		}
		if p.h == 3 || p.v == 3 {
			return false
		}
	}
	switch len(f.parts) {
	case 3:
		b, r := f.parts[1], f.parts[2]
		return first.v != 4 && first.h%b.h == 0 && first.v%b.v == 0 && r.h == b.h && r.v == b.v
	case 4:
		one := jpegPart{h: 1, v: 1}
		same := func(a, b jpegPart) bool { return a.h == b.h && a.v == b.v }
		return (same(first, one) || same(first, jpegPart{h: 2, v: 2})) && same(f.parts[1], one) &&
			same(f.parts[2], one) && same(f.parts[3], first)
	}
	return true
}

// sampling writes the factors: "2x2,1x1,1x2".
func (f *jpegForm) sampling() string {
	var all []string
	for _, p := range f.parts {
		all = append(all, fmt.Sprintf("%dx%d", p.h, p.v))
	}
	return strings.Join(all, ",")
}

// kind is File.Color.
func (f *jpegForm) kind() string { return [...]string{"", "grey", "", "rgb", "cmyk"}[len(f.parts)] }

// samples is how many there are for each pixel: 3 at full size, 1.5 for 4:2:0.
func (f *jpegForm) samples() float64 {
	h, v, sum := 1, 1, 0
	for _, p := range f.parts {
		h, v, sum = max(h, p.h), max(v, p.v), sum+p.h*p.v
	}
	if len(f.parts) == 1 {
		return 1
	}
	return float64(sum) / float64(h*v)
}

// rgb tells whether RGB is stored, which image/jpeg makes a second picture of.
func (f *jpegForm) rgb() bool {
	if f.jfif || len(f.parts) != 3 {
		return false
	}
	return f.adobe && f.transform == 0 || f.parts[0].id == 'R' && f.parts[1].id == 'G' && f.parts[2].id == 'B'
}

// turboCost is what libjpeg-turbo takes. It keeps the coefficients of the whole picture, 2 bytes each, where there is
// more than one scan.
func (f *jpegForm) turboCost(length int) cost {
	px, c := float64(f.height)*float64(f.width), cost{}
	c.bytes = px * 3
	if len(f.parts) == 4 {
		c.bytes += px * 4
	}
	c.ns = px*(5+3*f.samples()) + float64(length)*jpegByte/3 + float64(f.segments)*50
	if f.sof == sof9 || f.sof == sof10 {
		c.ns += float64(length) * jpegByte * 2
	}
	if f.scans > 1 || f.progressive() {
		c.bytes += px * f.samples() * 2
		c.ns += px * 1.5 * float64(f.scans)
	}
	return c
}

// standardCost is what image/jpeg takes. It keeps the coefficients of a progressive picture, 4 bytes each, and makes a
// picture anew of each scan of any other.
func (f *jpegForm) standardCost(length int) cost {
	px, c := float64(f.height)*float64(f.width), cost{}
	c.bytes = px * (f.samples() + 3)
	if len(f.parts) == 4 || f.rgb() {
		c.bytes += px * 4
	}
	c.ns = px*20 + float64(length)*jpegByte + float64(f.segments)*50 + float64(f.tables)*jpegTable
	if len(f.parts) == 4 {
		c.ns += px * 40
	}
	if f.progressive() {
		c.bytes += px * f.samples() * 4
		c.ns += px * 3 * float64(f.scans)
	} else {
		c.ns += px * 10 * max(float64(f.scans)-1, 0)
	}
	return c
}

// Nanoseconds that image/jpeg takes for a byte of entropy-coded data and for a Huffman table.
const (
	jpegByte  = 16
	jpegTable = 2000
)

// unpackJPEG decodes by libjpeg-turbo where it is there, into d.rgb (height, width, 3). What it does not decode without
// complaint (damage, oddities) is left to image/jpeg, so that every JPEG which can be read without libjpeg-turbo can be
// read with it. It is not so the other way round: of arithmetic coding and of some sampling
// factors only libjpeg-turbo makes a picture, and without it the error says so.
func (d *Decoder) unpackJPEG(o *opened, file *File) error {
	raw, f := o.raw, &o.jpeg
	only, said := f.onlyTurbo(), ""
	if d.turbo != nil && f.sof != 0 {
		if err := f.turboCost(len(raw)).check(f.height, f.width); err != nil {
			return err
		}
		file.Height, file.Width, file.Color = f.height, f.width, f.kind()
		d.rgb = sized(d.rgb, f.height*f.width*3)
		if said = d.decodeTurbo(raw, f); said == "" {
			return nil
		}
	}
	switch {
	case only != "" && d.turbo == nil:
		return &Unsupported{Form: only, NeedsTurbo: true}
	case strings.HasSuffix(said, "Premature end of JPEG file"):
		if only != "" {
			return explain("jpeg", io.ErrUnexpectedEOF)
		}
	case only != "":
		return fmt.Errorf("%s: %s", only, said)
	}
	if f.sof != 0 {
		if err := f.standardCost(len(raw)).check(f.height, f.width); err != nil {
			if d.turbo == nil && f.turboCost(len(raw)).check(f.height, f.width) == nil {
				return &Unsupported{
					Form: fmt.Sprintf("JPEG of %dx%d pixels in %d scans", f.width, f.height, f.scans), NeedsTurbo: true,
				}
			}
			return err
		}
	}
	img, err := jpeg.Decode(f.reader(raw))
	return d.keep(o, img, err, file)
}

// reader reads a JPEG for image/jpeg. That takes CMYK only with Adobe's marker, which some programs omit; such
// files are inverted all the same, as Pillow reads them too.
func (f *jpegForm) reader(raw []byte) io.Reader {
	if len(f.parts) != 4 || f.adobe {
		return bytes.NewReader(raw)
	}
	return io.MultiReader(strings.NewReader("\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"),
		bytes.NewReader(raw[2:]))
}

// Bare is what any loader of JPEGs has to do at least, to measure one by: libjpeg-turbo makes RGB of a file of this
// size (height, width), in dst, with nothing looked at before. It tells whether that is all there was to it: not where
// the library is missing, of other formats and sizes, and where it complains.
func (d *Decoder) Bare(raw []byte, height, width int, dst []uint8) bool {
	return d.turbo != nil && len(raw) > 0 && d.turbo.decode(raw, dst, height, width, false) == ""
}

// decodeTurbo decodes into d.rgb, and gives what libjpeg-turbo complains of.
func (d *Decoder) decodeTurbo(raw []byte, f *jpegForm) string {
	if len(f.parts) != 4 {
		return d.turbo.decode(raw, d.rgb, f.height, f.width, false)
	}
	img := image.NewCMYK(image.Rect(0, 0, f.width, f.height))
	if said := d.turbo.decode(raw, img.Pix, f.height, f.width, true); said != "" {
		return said
	}
	for i := range img.Pix {
		img.Pix[i] = 255 - img.Pix[i]
	}
	pack(d.rgb, img)
	return ""
}
