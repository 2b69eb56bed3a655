package picture

import (
	"bytes"
	"encoding/binary"
	"image"

	"golang.org/x/image/webp"
)

// limited is a lossy WebP, of which the samples have the range of television: black is 16, white 235. Go's YCbCr means
// JPEG's, where they are 0 and 255.
type limited struct{ *image.YCbCr }

func decodeWebP(raw []byte) (image.Image, error) {
	img, err := webp.Decode(bytes.NewReader(raw))
	switch m := img.(type) {
	case *image.YCbCr:
		return limited{m}, err
	case *image.NYCbCrA:
		return limited{&m.YCbCr}, err
	}
	return img, err
}

// pack writes row y as RGB, with libwebp's numbers: chroma, of half the size, is interpolated from the four samples
// around each pixel (WebPUpsampler), and turned into RGB as ITU-R BT.601 has it, with 14 bits (VP8YUVToR and others).
func (m limited) pack(row []uint8, y int) {
	y -= m.Rect.Min.Y
	w, last := m.Rect.Dx(), (m.Rect.Dy()-1)/2
	near := y / 2 * m.CStride
	far := min(max(y/2-1+2*(y%2), 0), last) * m.CStride
	luma := m.Y[y*m.YStride:][:w]
	b, r := chroma{m.Cb[near:], m.Cb[far:]}, chroma{m.Cr[near:], m.Cr[far:]}
	limitedRGB(row, luma[0], b.edge(0), r.edge(0))
	for x := 1; x+1 < w; x += 2 {
		b0, b1 := b.pair(x / 2)
		r0, r1 := r.pair(x / 2)
		limitedRGB(row[3*x:], luma[x], b0, r0)
		limitedRGB(row[3*x+3:], luma[x+1], b1, r1)
	}
	if w%2 == 0 {
		limitedRGB(row[3*w-3:], luma[w-1], b.edge(w/2-1), r.edge(w/2-1))
	}
}

// chroma are the two lines of samples that a line of pixels lies between.
type chroma struct{ near, far []uint8 }

// edge is the value of a pixel that has samples on one side only.
func (c *chroma) edge(k int) int { return (3*int(c.near[k]) + int(c.far[k]) + 2) >> 2 }

// pair are the values of the two pixels between samples k and k+1.
func (c *chroma) pair(k int) (left, right int) {
	a, b, e, f := int(c.near[k]), int(c.near[k+1]), int(c.far[k]), int(c.far[k+1])
	sum := a + b + e + f + 8
	return ((sum+2*(b+e))>>3 + a) >> 1, ((sum+2*(a+f))>>3 + b) >> 1
}

// limitedRGB writes a pixel.
func limitedRGB(p []uint8, y uint8, u, v int) {
	p, luma := p[:3:3], int(y)*19077>>8
	p[0] = clip6(luma + v*26149>>8 - 14234)
	p[1] = clip6(luma - u*6419>>8 - v*13320>>8 + 8708)
	p[2] = clip6(luma + u*33050>>8 - 17685)
}

// clip6 drops six bits.
func clip6(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }

// Flags of a WebP's VP8X chunk.
const (
	webpAnimation = 0x02
	webpAlpha     = 0x10
)

// webpFlags are those of an extended WebP, 0 of others.
func webpFlags(raw []byte) byte {
	if len(raw) > 20 && string(raw[12:16]) == "VP8X" {
		return raw[20]
	}
	return 0
}

// unreadWebP names what is not read.
func unreadWebP(raw []byte) string {
	if webpFlags(raw)&webpAnimation != 0 {
		return "animated WebP"
	}
	return ""
}

// exifWebP is the contents of the chunk with EXIF data.
func exifWebP(raw []byte) []byte {
	for at := 12; at+8 <= len(raw); {
		n := int64(binary.LittleEndian.Uint32(raw[at+4:]))
		data := raw[at+8:]
		if string(raw[at:at+4]) == "EXIF" {
			return bytes.TrimPrefix(data[:min(n, int64(len(data)))], []byte(exifHead))
		}
		if n >= int64(len(data)) {
			return nil
		}
		at += 8 + int(n+n%2)
	}
	return nil
}
