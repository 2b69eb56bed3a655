package picture

import (
	"encoding/binary"
	"fmt"
	"image"
)

// What one picture may take, whatever its form: a file of some bytes may announce anything.
const (
	maxBytes = 512 << 20
	maxNanos = 5e9
	// slowNanos is what is decoded aside, so that nobody has to wait for its end.
	slowNanos = 2e8
)

// cost is about what decoding a picture to RGB takes: the decoder's memory and the RGB, and the time of one core of a
// 2.x GHz server, measured. Not counted: the file, and what makes a square of the RGB.
type cost struct{ bytes, ns float64 }

func (c cost) check(h, w int) error {
	switch {
	case c.bytes > maxBytes:
		return fmt.Errorf("size %dx%d takes %.0f MB to decode in this form, more than the limit of %d MB", w, h,
			c.bytes/(1<<20), maxBytes>>20)
	case c.ns > maxNanos:
		return fmt.Errorf("size %dx%d takes about %.0f s to decode in this form, more than the limit of %.0f s", w, h,
			c.ns/1e9, maxNanos/1e9)
	}
	return nil
}

// costPNG knows the samples' bits, the colours and the interlacing from the header. Interlaced pictures are put
// together from others, of as many pixels in all, none of which the collector need have taken away by the end.
func costPNG(raw []byte, c image.Config) cost {
	px := float64(c.Width) * float64(c.Height)
	sample, passes := 8., 2. // where the header is not in its place
	if len(raw) > 28 && string(raw[12:16]) == "IHDR" {
		if raw[24] <= 8 {
			sample = 4
		}
		if raw[28] == 0 {
			passes = 1
		}
	}
	chunks := 0
	for at := 8; at+12 <= len(raw); chunks++ {
		at += 12 + int(binary.BigEndian.Uint32(raw[at:]))
	}
	return cost{
		px * (3 + sample*passes),
		px*(10+8*sample*passes) + float64(c.Height)*50 + float64(len(raw))*10 + float64(chunks)*pngChunk,
	}
}

// pngChunk is how many nanoseconds image/png takes for a chunk that it passes over, twice.
const pngChunk = 1200

// costGIF counts an interlaced picture twice.
func costGIF(raw []byte, c image.Config) cost {
	px := float64(c.Width) * float64(c.Height)
	return cost{px * 5, px*30 + float64(len(raw))*10}
}

func costBMP(_ []byte, c image.Config) cost {
	px := float64(c.Width) * float64(c.Height)
	return cost{px * 7, px * 10}
}

// costWebP: lossless pictures are four bytes a pixel, transformed to four others, and up to 2600 groups of Huffman
// trees of 75 kB; lossy ones are 4:2:0, with their alpha a lossless one.
func costWebP(raw []byte, c image.Config) cost {
	px := float64(c.Width) * float64(c.Height)
	trees := min(px*5e3, 2600*75e3) // a group has 16 pixels at least
	lossless := cost{px*8 + trees, px*60 + trees*10}
	switch chunk := string(raw[min(len(raw), 12):min(len(raw), 16)]); {
	case chunk == "VP8L":
		return cost{px*3 + lossless.bytes, lossless.ns}
	case webpFlags(raw)&webpAlpha != 0:
		return cost{px*6.5 + lossless.bytes, px*60 + lossless.ns}
	case chunk == "VP8X": // either may follow
		return cost{px*3 + lossless.bytes, lossless.ns}
	}
	return cost{px * 5, px*60 + float64(len(raw))*20}
}
