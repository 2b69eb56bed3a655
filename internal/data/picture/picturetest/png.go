package picturetest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

// pngFile is a PNG to be written.
type pngFile struct {
	w, h             int
	depth, kind      byte
	interlaced       byte
	palette          int      // colours
	before           [][]byte // chunks between the header and the data
	data             []byte   // nil: what belongs there
	extra            int      // bytes more than that, or fewer
	filter           byte
	split            int // bytes of a chunk of data; 0: one chunk
	noHeader, twice  bool
	noEnd, badSum    bool
	flip             bool // one bit of the zlib stream
	emptyChunks      int
	chunkBeforeFirst bool
}

// chunk is one of a PNG.
func chunk(name string, contents []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(contents)))
	b = append(append(b, name...), contents...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// packed is a zlib stream.
func packed(raw []byte) []byte {
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	must(err)
	_, err = w.Write(raw)
	must(err)
	must(w.Close())
	return b.Bytes()
}

var pngSamples = map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

// rows is how many bytes the picture's data have.
func (p *pngFile) rows() []byte {
	bits := max(pngSamples[p.kind], 1) * int(p.depth)
	var b []byte
	add := func(w, h int) {
		if w > 0 && h > 0 {
			row := make([]byte, 1+(w*bits+7)/8)
			row[0] = p.filter
			b = slices.Grow(b, len(row)*h)
			for y := range h {
				b = append(b, row...)
				if len(b) < 1<<16 && p.palette == 0 {
					b[len(b)-1] = byte(y * 31)
				}
			}
		}
	}
	if p.interlaced != 1 {
		add(p.w, p.h)
		return b
	}
	for _, a := range [7][4]int{{8, 8}, {8, 8, 4}, {4, 8, 0, 4}, {4, 4, 2}, {2, 4, 0, 2}, {2, 2, 1}, {1, 2, 0, 1}} {
		add((p.w-a[2]+a[0]-1)/a[0], (p.h-a[3]+a[1]-1)/a[1])
	}
	return b
}

func (p *pngFile) encode() []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	head := binary.BigEndian.AppendUint32(nil, uint32(p.w))
	head = append(binary.BigEndian.AppendUint32(head, uint32(p.h)), p.depth, p.kind, 0, 0, p.interlaced)
	if p.chunkBeforeFirst {
		b = append(b, chunk("teSt", []byte("before all"))...)
	}
	if !p.noHeader {
		b = append(b, chunk("IHDR", head)...)
	}
	if p.twice {
		b = append(b, chunk("IHDR", head)...)
	}
	if p.palette > 0 {
		b = append(b, chunk("PLTE", bytes.Repeat([]byte{1, 2, 3}, p.palette))...)
	}
	for _, c := range p.before {
		b = append(b, c...)
	}
	data := p.data
	if data == nil {
		rows := p.rows()
		if p.extra > 0 {
			rows = append(rows, make([]byte, p.extra)...)
		}
		data = packed(rows[:len(rows)+min(p.extra, 0)])
	}
	if p.flip {
		data[len(data)/2] ^= 4
	}
	for range p.emptyChunks {
		b = append(b, chunk("IDAT", nil)...)
	}
	if p.split == 0 {
		p.split = max(len(data), 1)
	}
	for c := range slices.Chunk(data, p.split) {
		b = append(b, chunk("IDAT", c)...)
	}
	if p.badSum {
		b[len(b)-1] ^= 1
	}
	if !p.noEnd {
		b = append(b, chunk("IEND", nil)...)
	}
	return b
}

// pngForms are the depths that go with a kind of colours.
var pngForms = map[byte][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}

// Long is a sound picture that takes half a second of a core to decode.
func Long() []byte {
	p := pngFile{w: 8000, h: 8000, depth: 8, kind: 2}
	return p.encode()
}

func basesPNG() (all []Case) {
	for _, kind := range slices.Sorted(maps.Keys(pngForms)) {
		for _, depth := range pngForms[kind] {
			for _, interlaced := range []byte{0, 1} {
				p := pngFile{w: width, h: height, depth: depth, kind: kind, interlaced: interlaced}
				if kind == 3 {
					p.palette = 1 << min(depth, 4)
				}
				all = append(all, good(fmt.Sprintf("png colours %d, %d bits, interlacing %d", kind, depth, interlaced),
					p.encode()))
			}
		}
	}
	return all
}
