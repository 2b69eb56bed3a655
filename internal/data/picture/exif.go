package picture

import (
	"bytes"
	"encoding/binary"
)

// exifHead begins a JPEG's segment of EXIF data, and with some programs a WebP's chunk. What follows is a TIFF.
const exifHead = "Exif\x00\x00"

// tiffOrientation is the tag of EXIF, and of TIFF, that says how a picture is to be turned: 1, or nothing, not at all.
const tiffOrientation = 274

// orientation is how a file says that it is to be turned, 1 to 8.
func (o *opened) orientation() int {
	exif := o.raw
	switch o.format.name {
	case "jpeg":
		exif = o.jpeg.exif
	case "png":
		exif = exifPNG(o.raw)
	case "webp":
		exif = exifWebP(o.raw)
	case "tiff":
	default:
		return 1
	}
	if !bytes.HasPrefix(exif, []byte("II")) && !bytes.HasPrefix(exif, []byte("MM")) {
		return 1
	}
	if k := readTIFF(exif).first(tiffOrientation); k >= 1 && k <= 8 {
		return k
	}
	return 1
}

// exifPNG is the contents of the chunk with EXIF data.
func exifPNG(raw []byte) []byte {
	for at := 8; at+12 <= len(raw); {
		n := int64(binary.BigEndian.Uint32(raw[at:]))
		data := raw[at+8:]
		if string(raw[at+4:at+8]) == "eXIf" {
			return data[:min(n, int64(len(data)))]
		}
		if n >= int64(len(data)) {
			return nil
		}
		at += 12 + int(n)
	}
	return nil
}

// plane is RGB that is read in any orientation: the colour at row y and column x is that at rgb[at+y*down+x*right].
type plane struct {
	rgb             []uint8
	height, width   int
	at, down, right int
}

// upright is RGB (h, w, 3), turned as an orientation says.
func upright(rgb []uint8, h, w, orientation int) plane {
	p := plane{rgb: rgb, height: h, width: w, down: 3 * w, right: 3}
	if orientation >= 5 { // rows are columns
		p.height, p.width, p.down, p.right = w, h, 3, 3*w
	}
	// Of 2, 3, 7 and 8 what is read as a row, or as a column, begins at the other end; of 3, 4, 6 and 7 the others.
	switch orientation {
	case 2, 8:
		p.at = 3 * (w - 1)
	case 3, 7:
		p.at = 3 * (w*h - 1)
	case 4, 6:
		p.at = 3 * w * (h - 1)
	}
	switch orientation {
	case 2, 3, 6, 7:
		p.right = -p.right
	}
	switch orientation {
	case 3, 4, 7, 8:
		p.down = -p.down
	}
	return p
}

// straight tells whether a row lies in memory as it is read.
func (p *plane) straight() bool { return p.right == 3 }

// from is where row y begins at column x.
func (p *plane) from(y, x int) int { return p.at + y*p.down + x*p.right }

// copyRow copies the row y from column x on to dst, as RGB or as luma.
func (p *plane) copyRow(dst []uint8, y, x, channels int) {
	at := p.from(y, x)
	if p.straight() {
		copyPixels(dst, p.rgb[at:][:3*len(dst)/channels], channels)
		return
	}
	for i := 0; i < len(dst); i, at = i+channels, at+p.right {
		copyPixels(dst[i:i+channels], p.rgb[at:at+3], channels)
	}
}
