package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math/bits"

	"golang.org/x/image/tiff"
)

// Tags of TIFF.
const (
	tiffBits        = 258
	tiffCompression = 259
	tiffPhotometric = 262
	tiffFillOrder   = 266
	tiffOffsets     = 273
	tiffRows        = 278
	tiffStripBytes  = 279
	tiffPlanes      = 284
	tiffPredictor   = 317
	tiffTileWidth   = 322
	tiffTileHeight  = 323
	tiffTileOffsets = 324
	tiffTileBytes   = 325
	tiffExtra       = 338
	tiffFormat      = 339
)

// unreadTIFF names what x/image/tiff does not read, or reads wrongly: it takes separate planes for pixels.
func unreadTIFF(raw []byte) string {
	t := readTIFF(raw)
	samples := len(t[tiffBits].data) / max(t[tiffBits].size, 1)
	depth := max(t.first(tiffBits), 1)
	photometric := t.first(tiffPhotometric)
	switch packing := t.first(tiffCompression); packing {
	case 0, 1, 3, 4, 5, 8, 32773, 32946:
	case 2:
		return "TIFF with CCITT's run lengths"
	case 6, 7:
		return "TIFF with a JPEG in it"
	default:
		return fmt.Sprintf("TIFF of compression %d", packing)
	}
	switch {
	case t.first(tiffFormat) > 1:
		return "TIFF of numbers that are not whole"
	case photometric == 5:
		return "CMYK TIFF"
	case photometric == 6:
		return "YCbCr TIFF"
	case photometric == 8 || photometric == 9 || photometric == 10:
		return "CIELab TIFF"
	case photometric > 3:
		return fmt.Sprintf("TIFF of colours %d", photometric)
	case depth != 1 && depth != 8 && depth != 16:
		return fmt.Sprintf("TIFF of %d bits a sample", depth)
	case t.first(tiffPlanes) == 2 && samples > 1:
		return "TIFF of separate colour planes"
	case t.first(tiffPredictor) > 2:
		return "TIFF with a predictor for fractions"
	case photometric != 2 && samples > 1:
		return "TIFF of grey and alpha"
	case samples == 4 && depth == 16 && t.first(tiffExtra) == 1:
		return "TIFF of 16 bits, multiplied by alpha"
	}
	return ""
}

// decodeTIFF reads a TIFF's first picture.
func decodeTIFF(raw []byte) (image.Image, error) {
	t := readTIFF(raw)
	packing := t.first(tiffCompression)
	fax := packing == 3 || packing == 4
	if t.first(tiffFillOrder) == 2 && !fax { // for those the decoder minds it
		raw = t.turnBits(raw)
	}
	img, err := tiff.Decode(bytes.NewReader(raw))
	var form tiff.UnsupportedError
	if errors.As(err, &form) {
		return nil, &Unsupported{Form: "TIFF with " + string(form)}
	}
	switch m := img.(type) {
	case *image.RGBA:
		if t.first(tiffExtra) == 1 {
			divide(m.Pix)
		}
	case *image.Gray: // x/image/tiff takes a fax's white for white, where it is 0 and 0 may be black
		if fax && t.first(tiffPhotometric) == 1 {
			for i := range m.Pix {
				m.Pix[i] = ^m.Pix[i]
			}
		}
	}
	return img, err
}

// turnBits is a copy of a file in which the first bit of each byte of the picture is its last. It goes no further than
// through as many bytes as the file has: strips of a sound one do not overlap.
func (t tiffTags) turnBits(raw []byte) []byte {
	raw = bytes.Clone(raw)
	at, counts := t[tiffTileOffsets], t[tiffTileBytes]
	if at.size == 0 {
		at, counts = t[tiffOffsets], t[tiffStripBytes]
	}
	left := len(raw)
	for i := range min(at.count(), counts.count()) {
		from := min(at.at(i), len(raw))
		strip := raw[from:][:min(counts.at(i), len(raw)-from, left)]
		left -= len(strip)
		for k, b := range strip {
			raw[from+k] = bits.Reverse8(b)
		}
	}
	return raw
}

// divide undoes the multiplication of colours by alpha as Pillow does.
func divide(rgba []uint8) {
	for i := 0; i+4 <= len(rgba); i += 4 {
		a := int(rgba[i+3])
		if a == 0 || a == 255 {
			continue
		}
		for k := range 3 {
			rgba[i+k] = uint8(min(255*int(rgba[i+k])/a, 255))
		}
	}
}

// costTIFF looks up how the picture is cut into strips or tiles. A strip may unpack to 8 bytes a pixel, in memory that
// grows by doubling, and any number of them may be read from the same bytes.
func costTIFF(raw []byte, c image.Config) cost {
	t := readTIFF(raw)
	wide, high := t.first(tiffTileWidth), t.first(tiffTileHeight)
	counts := t[tiffTileBytes]
	if wide == 0 {
		wide, high, counts = c.Width, t.first(tiffRows), t[tiffStripBytes]
		if high == 0 || high > c.Height {
			high = c.Height
		}
	}
	if wide < 1 || high < 1 {
		return cost{} // the decoder's to refuse
	}
	block := float64(wide) * float64(high)
	blocks := float64((c.Width+wide-1)/wide) * float64((c.Height+high-1)/high)
	unpacked := block * 8
	if k := t.first(tiffCompression); k <= 1 {
		unpacked = min(unpacked, float64(len(raw)))
	}
	sample := 8.
	if t.first(tiffBits) <= 8 {
		sample = 4
	}
	px, packed := float64(c.Width)*float64(c.Height), float64(counts.sum(int(min(blocks, 1<<30))))
	all := cost{
		px*(3+sample) + unpacked*2.25 + blocks*40, max(px, blocks*block)*5*sample + packed*40 + blocks*500,
	}
	if t.first(tiffFillOrder) == 2 {
		all.bytes += float64(len(raw))
	}
	return all
}

// tiffTag are the numbers of a tag.
type tiffTag struct {
	order binary.ByteOrder
	size  int // bytes of a number
	data  []byte
}

func (t tiffTag) at(i int) int {
	switch t.size {
	case 2:
		return int(t.order.Uint16(t.data[2*i:]))
	case 4:
		return int(t.order.Uint32(t.data[4*i:]))
	}
	return int(t.data[i])
}

// count is how many there are in the file.
func (t tiffTag) count() int {
	if t.size == 0 {
		return 0
	}
	return len(t.data) / t.size
}

// sum is of the first n numbers.
func (t tiffTag) sum(n int) (all int) {
	for i := range min(n, t.count()) {
		all += t.at(i)
	}
	return all
}

// tiffTags are those of a file's first picture, by number.
type tiffTags map[uint16]tiffTag

func (t tiffTags) first(tag uint16) int {
	if x := t[tag]; x.count() > 0 {
		return x.at(0)
	}
	return 0
}

// readTIFF reads the tags whose values are in the file.
func readTIFF(raw []byte) tiffTags {
	tags := tiffTags{}
	if len(raw) < 8 {
		return tags
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if raw[0] == 'M' {
		order = binary.BigEndian
	}
	at := int64(order.Uint32(raw[4:])) + 2
	if at > int64(len(raw)) {
		return tags
	}
	count := int(order.Uint16(raw[at-2:]))
	for e := raw[at:]; count > 0 && len(e) >= 12; count, e = count-1, e[12:] {
		size := map[uint16]int{1: 1, 3: 2, 4: 4}[order.Uint16(e[2:])]
		n := int64(size) * int64(order.Uint32(e[4:]))
		data := e[8:12]
		if n > 4 {
			data = raw[min(int64(order.Uint32(e[8:])), int64(len(raw))):]
		}
		if size > 0 {
			tags[order.Uint16(e)] = tiffTag{order, size, data[:min(n, int64(len(data)))]}
		}
	}
	return tags
}
