package picturetest

import "encoding/binary"

// jpegFile is a JPEG to be written, of blocks of one colour each: what stands in its markers is what tests are about.
type jpegFile struct {
	w, h      int
	sof       byte   // 0xc0, 0xc1, 0xc2; others are written as 0xc0 would be
	precision byte   // 0: 8
	sampling  string // two digits a component: "221111"
	ids       string // of the components; "": 1, 2, 3, 4
	restart   int    // MCUs between restart markers; 0: none
	scans     int    // more scans, for the AC coefficients of the first component: empty ones
	adobe     []byte // its marker, with this transform
	before    []byte // segments after SOI
	tables    int    // more Huffman tables
	dnl       bool   // the height is 0 in the frame and stands in a marker after the first scan
	cut       bool   // no EOI
}

// segment is a marker with its contents.
func segment(marker byte, contents ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(contents)+2)), contents...)
}

func (j *jpegFile) encode() []byte {
	if j.precision == 0 {
		j.precision = 8
	}
	n := len(j.sampling) / 2
	b := append([]byte{0xff, 0xd8}, j.before...)
	if j.adobe != nil {
		b = append(b, segment(0xee, append([]byte("Adobe\x00\x64\x00\x00\x00\x00"), j.adobe...)...)...)
	}
	quants := make([]byte, 65)
	for i := range quants[1:] {
		quants[1+i] = 16
	}
	b = append(b, segment(0xdb, quants...)...)
	h := j.h
	if j.dnl {
		h = 0
	}
	frame := []byte{j.precision, byte(h >> 8), byte(h), byte(j.w >> 8), byte(j.w), byte(n)}
	for i := range n {
		frame = append(frame, j.id(i), (j.sampling[2*i]-'0')<<4|(j.sampling[2*i+1]-'0'), 0)
	}
	b = append(b, segment(j.sof, frame...)...)
	for range 1 + j.tables {
		b = append(b, segment(0xc4, jpegDC()...)...)
	}
	b = append(b, segment(0xc4, jpegAC(0x00)...)...)
	if j.restart > 0 {
		b = append(b, segment(0xdd, byte(j.restart>>8), byte(j.restart))...)
	}
	b = append(b, j.scanHeader(n)...)
	b = append(b, j.data()...)
	if j.dnl {
		b = append(b, segment(0xdc, byte(j.h>>8), byte(j.h))...)
	}
	for i := range j.scans {
		b = append(b, j.emptyScan(i)...)
	}
	if j.cut {
		return b
	}
	return append(b, 0xff, 0xd9)
}

func (j *jpegFile) id(i int) byte {
	if j.ids != "" {
		return j.ids[i]
	}
	return byte(i + 1)
}

func (j *jpegFile) scanHeader(n int) []byte {
	s := []byte{byte(n)}
	for i := range n {
		s = append(s, j.id(i), 0)
	}
	if j.sof == 0xc2 {
		return segment(0xda, append(s, 0, 0, 0)...)
	}
	return segment(0xda, append(s, 0, 63, 0)...)
}

// emptyScan is one of a progressive picture's AC coefficients, the whole of it a run of zeros; of another picture, all
// of its first component again.
func (j *jpegFile) emptyScan(i int) []byte {
	if j.sof != 0xc2 {
		one := jpegFile{w: j.w, h: j.h, sof: j.sof, sampling: "11"}
		return append(segment(0xda, 1, j.id(0), 0, 0, 63, 0), one.data()...)
	}
	at := byte(1 + i%63)
	b := append(segment(0xc4, jpegAC(0xe0)...), segment(0xda, 1, j.id(0), 0, at, at, 0)...)
	var w bits
	for left := (j.w + 7) / 8 * ((j.h + 7) / 8); left > 0; left -= 1<<15 - 1 {
		w.put(0, 1)
		w.put(1<<14-1, 14) // blocks less one, beyond 2^14
	}
	return append(b, w.end()...)
}

// jpegDC is a table of codes of four bits for the sizes 0 to 11.
func jpegDC() []byte {
	t := make([]byte, 17, 29)
	t[4] = 12
	for i := range byte(12) {
		t = append(t, i)
	}
	return t
}

// jpegAC is a table of one code, "0".
func jpegAC(symbol byte) []byte {
	t := make([]byte, 18)
	t[0], t[1], t[17] = 0x10, 1, symbol
	return t
}

// data is the first scan: all components, interleaved. There are none where they would be too many.
func (j *jpegFile) data() []byte {
	if j.w*j.h > 1e9 {
		return nil
	}
	var hs, vs []int
	h, v := 1, 1
	for i := range len(j.sampling) / 2 {
		hs, vs = append(hs, int(j.sampling[2*i]-'0')), append(vs, int(j.sampling[2*i+1]-'0'))
		h, v = max(h, hs[i]), max(v, vs[i])
	}
	if len(hs) == 1 {
		h, v, hs[0], vs[0] = 1, 1, 1, 1
	}
	if min(h, v) < 1 || h > 4 || v > 4 {
		return nil
	}
	var w bits
	last := make([]int, len(hs))
	for m := range (j.w + 8*h - 1) / (8 * h) * ((j.h + 8*v - 1) / (8 * v)) {
		if j.restart > 0 && m > 0 && m%j.restart == 0 {
			w.end()
			w.out = append(w.out, 0xff, byte(0xd0+(m/j.restart-1)%8))
			clear(last)
		}
		for i := range hs {
			for k := range hs[i] * vs[i] {
				dc := (m*7+k*3+i*20)%100 - 50
				w.coefficient(dc - last[i])
				last[i] = dc
				if j.sof != 0xc2 {
					w.put(0, 1) // end of block
				}
			}
		}
	}
	return w.end()
}

// bits are the bits of a scan.
type bits struct {
	out  []byte
	word uint32
	n    int
}

func (b *bits) put(v uint32, n int) {
	for n--; n >= 0; n-- {
		b.word, b.n = b.word<<1|v>>n&1, b.n+1
		if b.n == 8 {
			b.out = append(b.out, byte(b.word))
			if byte(b.word) == 0xff {
				b.out = append(b.out, 0)
			}
			b.n = 0
		}
	}
}

// coefficient writes the size of v by jpegDC, and v.
func (b *bits) coefficient(v int) {
	size, a := 0, max(v, -v)
	for a>>size > 0 {
		size++
	}
	b.put(uint32(size), 4)
	if v < 0 {
		v += 1<<size - 1
	}
	b.put(uint32(v), size)
}

// end fills up the last byte.
func (b *bits) end() []byte {
	for b.n > 0 {
		b.put(1, 1)
	}
	return b.out
}
