package picturetest

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Crafted are files that try to take more memory or time than they should, or to trip a decoder: each is to give what
// its case says within 512 MB and 5 s of a core. Making them takes some seconds, the first time; they are not to be
// changed.
func Crafted() []Case { return crafted() }

var crafted = sync.OnceValue(func() []Case {
	return slices.Concat(craftedOther(), craftedJPEG(), craftedPNG(), craftedGIF(), craftedBMP(), craftedTIFF(),
		craftedWebP(), craftedNetpbm())
})

// Others are files that are no picture, or one of a format that is not read.
func craftedOther() []Case {
	all := []Case{
		bad("empty", nil), bad("one byte", []byte{0xff}), bad("zeros", make([]byte, 1<<16)),
		bad("page", []byte("<html><body>404 Not Found</body></html>")),
		bad("pointer of Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")),
		bad("heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")),
	}
	for _, c := range []Case{Bases()[0], good("", encodeGIF(false)), basesJPEG()[0], basesPNG()[0], basesWebP()[0]} {
		for _, n := range []int{3, 8, 12, 16, 20, 26, 30, 33} {
			all = append(all, bad(fmt.Sprintf("the first %d bytes of %.4q", n, c.Bytes), c.Bytes[:n]))
		}
	}
	return all
}

func craftedNetpbm() []Case {
	spaces := bytes.Repeat([]byte(" "), 8<<20)
	return []Case{
		bad("ppm of 999999999x999999999", []byte("P6 999999999 999999999 255\n12345")),
		bad("ppm of 10^12x1", []byte("P6 1000000000000 1 255\n12345")),
		bad("pbm plain of 9000x9000 without samples", []byte("P1 9000 9000\n")),
		bad("pgm of 0x5", []byte("P5 0 5 255\n")), bad("pgm of 5x0", []byte("P5 5 0 255\n")),
		bad("pgm whose white is 0", []byte("P5 1 1 0\n1")), bad("pgm whose white is 65536", []byte("P5 1 1 65536\n12")),
		bad("pgm with a sample too few", []byte("P5 2 2 255\n123")), bad("pgm that is a header", []byte("P5 2 2 255")),
		bad("pgm plain with a sample above white", []byte("P2 1 1 9\n10")),
		bad("pgm plain with a word", []byte("P2 2 1 9\n1 two")), bad("pbm plain with a 2", []byte("P1 2 1\n12")),
		bad("ppm that is a comment", append([]byte("P6 #"), spaces...)),
		good("pgm with a comment of 8 MB", slices.Concat([]byte("P5 #"), spaces, []byte("\n1 1 255\n1"))),
		good("pgm plain with 8 MB of white space", slices.Concat([]byte("P2 1 1 255"), spaces, []byte("1"))),
		good("pbm of 99 megapixels", append([]byte("P4 10000 9900\n"), make([]byte, 1250*9900)...)),
		good("ppm of 9 megapixels", append([]byte("P6 3000 3000 255\n"), make([]byte, 27e6)...)),
		good("pgm plain of 9 megapixels", append([]byte("P2 3000 3000 9\n"), bytes.Repeat([]byte("7\n"), 9e6)...)),
	}
}

func craftedJPEG() []Case {
	base := func(change func(j *jpegFile)) []byte {
		j := jpegFile{w: width, h: height, sof: 0xc0, sampling: "221111"}
		change(&j)
		return j.encode()
	}
	progressive := func(w, h, scans int, sampling string) []byte {
		return base(func(j *jpegFile) { j.w, j.h, j.sof, j.scans, j.sampling = w, h, 0xc2, scans, sampling })
	}
	all := []Case{
		bad("jpeg progressive, 6000 scans", progressive(1500, 1500, 6000, "11")),
		bad("jpeg progressive, 6000 scans of a pixel", progressive(1, 1, 6000, "111111")),
		bad("jpeg progressive, 501 scans", progressive(16, 16, 500, "111111")),
		good("jpeg progressive, 500 scans", progressive(16, 16, 499, "111111")),
		good("jpeg progressive, 100 scans of 4 megapixels", progressive(2000, 2000, 99, "221111")),
		bad("jpeg progressive, 500 scans of 16 megapixels", progressive(4000, 4000, 499, "221111")),
		bad("jpeg progressive, 99 megapixels", progressive(9950, 9950, 9, "111111")),
		good("jpeg progressive, 20 megapixels", progressive(5000, 4000, 9, "221111")),
		bad("jpeg baseline, 6000 scans", base(func(j *jpegFile) { j.scans = 5999 })),
		good("jpeg baseline, two scans", base(func(j *jpegFile) { j.scans, j.sampling = 1, "111111" })),
		bad("jpeg baseline, 300 scans of 16 megapixels", base(func(j *jpegFile) {
			j.w, j.h, j.scans, j.sampling = 4000, 4000, 299, "11"
		})),
		bad("jpeg of 65535x65535", base(func(j *jpegFile) { j.w, j.h = 65535, 65535 })),
		good("jpeg of 65000x1", base(func(j *jpegFile) { j.w, j.h = 65000, 1 })),
		good("jpeg of 1x65000", base(func(j *jpegFile) { j.w, j.h, j.sampling = 1, 65000, "411111" })),
		good("jpeg of 99 megapixels, grey", base(func(j *jpegFile) { j.w, j.h, j.sampling = 9950, 9950, "11" })),
		bad("jpeg without width", base(func(j *jpegFile) { j.w = 0 })),
		bad("jpeg without height", base(func(j *jpegFile) { j.h = 0 })),
		bad("jpeg with its height after the scan", base(func(j *jpegFile) { j.dnl = true })),
		bad("jpeg without end", base(func(j *jpegFile) { j.cut = true })),
		good("jpeg with more after its end", append(base(func(*jpegFile) {}), 0xff, 0xd8, 0xff, 0, 0xff)),
		good("jpeg with a million comments", base(func(j *jpegFile) {
			j.before = bytes.Repeat(segment(0xfe), 1e6)
		})),
		good("jpeg with 64 kB of fill", base(func(j *jpegFile) { j.before = bytes.Repeat([]byte{0xff}, 1<<16) })),
		good("jpeg with 10,000 Huffman tables", base(func(j *jpegFile) { j.tables = 10000 })),
		bad("jpeg of 12 bits", base(func(j *jpegFile) { j.precision, j.sof = 12, 0xc1 })),
		good("jpeg extended", base(func(j *jpegFile) { j.sof = 0xc1 })),
		bad("jpeg of two components", base(func(j *jpegFile) { j.sampling = "1111" })),
		bad("jpeg of five components", base(func(j *jpegFile) { j.sampling = "1111111111" })),
		bad("jpeg of 80 components", base(func(j *jpegFile) { j.sampling = strings.Repeat("11", 80) })),
		turbo("jpeg with one component twice", base(func(j *jpegFile) { j.ids = "\x01\x02\x02" })),
		good("jpeg of RGB", base(func(j *jpegFile) { j.ids, j.sampling = "RGB", "111111" })),
		good("jpeg of Adobe's RGB", base(func(j *jpegFile) { j.adobe, j.sampling = []byte{0}, "111111" })),
		bad("jpeg with a segment beyond its end", base(func(j *jpegFile) {
			j.before = []byte{0xff, 0xe1, 0xff, 0xff}
		})),
		bad("jpeg with a segment of one byte", base(func(j *jpegFile) { j.before = []byte{0xff, 0xe1, 0, 1} })),
		good("jpeg with a table of 255 codes of a bit, then another", base(func(j *jpegFile) {
			j.before = segment(0xc4, append(append([]byte{0, 255}, make([]byte, 15)...), make([]byte, 255)...)...)
		})),
		bad("jpeg with two frames", base(func(j *jpegFile) {
			j.before = segment(0xc0, 8, 0, 1, 0, 1, 1, 1, 0x11, 0)
		})),
		good("jpeg with a restart interval of 65535", base(func(j *jpegFile) { j.restart = 65535 })),
		good("jpeg with 30,000 restarts", base(func(j *jpegFile) { j.w, j.h, j.restart = 4000, 2000, 1 })),
		bad("jpeg of data only", append([]byte{0xff, 0xd8, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0}, make([]byte, 99)...)),
	}
	for sof := byte(0xc3); sof <= 0xcf; sof++ {
		if sof != 0xc4 && sof != 0xc8 && sof != 0xcc { // the last three are data of other kinds
			c := bad(fmt.Sprintf("jpeg of SOF%d", sof-0xc0), base(func(j *jpegFile) { j.sof = sof }))
			c.Good, c.Turbo = sof == 0xc9, sof == 0xc9 // arithmetic decoding makes something of any data
			all = append(all, c)
		}
	}
	for _, s := range []string{"221112", "221211", "311111", "131111", "212111", "112211", "122111", "141111"} {
		all = append(all, turbo("jpeg with the sampling factors "+s, base(func(j *jpegFile) { j.sampling = s })))
	}
	for _, s := range []string{"331111", "001111", "551111", "441111", "110011", "444444"} {
		all = append(all, bad("jpeg with the sampling factors "+s, base(func(j *jpegFile) { j.sampling = s })))
	}
	return append(all, turbo("jpeg cmyk, sampled 2x1", base(func(j *jpegFile) { j.sampling = "21111121" })),
		bad("jpeg arithmetic, cut", stored(arithmetic)[:220]))
}

func craftedPNG() []Case {
	base := func(change func(p *pngFile)) []byte {
		p := pngFile{w: width, h: height, depth: 8, kind: 2}
		change(&p)
		return p.encode()
	}
	size := func(w, h int, depth, kind, interlaced byte) []byte {
		return base(func(p *pngFile) { p.w, p.h, p.depth, p.kind, p.interlaced = w, h, depth, kind, interlaced })
	}
	nothing := func(w, h int, depth, kind, interlaced byte) []byte { // says the size and has no data
		return base(func(p *pngFile) {
			p.w, p.h, p.depth, p.kind, p.interlaced, p.data = w, h, depth, kind, interlaced, packed(nil)
		})
	}
	bomb := packed(make([]byte, 64<<20))
	before := func(c ...[]byte) []byte { return base(func(p *pngFile) { p.before = c }) }
	all := []Case{
		good("png of 64 megapixels", size(8000, 8000, 8, 2, 0)),
		good("png of 40 megapixels of 16 bits", size(8000, 5000, 16, 6, 0)),
		good("png of 48 megapixels, interlaced", size(6900, 6900, 8, 6, 1)),
		bad("png of 49 megapixels, interlaced", size(7000, 7000, 8, 6, 1)),
		bad("png of 64 megapixels of 16 bits", nothing(8000, 8000, 16, 6, 0)),
		bad("png of 81 megapixels", nothing(9000, 9000, 8, 2, 0)),
		bad("png of 64 megapixels, interlaced", nothing(8000, 8000, 8, 2, 1)),
		bad("png of 60 megapixels without data", nothing(10000, 6000, 8, 6, 0)),
		bad("png of 40000x40000", nothing(40000, 40000, 1, 0, 0)),
		bad("png of 2^31-1 squared", nothing(1<<31-1, 1<<31-1, 8, 2, 0)),
		bad("png of 2^32-1 squared", nothing(1<<32-1, 1<<32-1, 8, 2, 0)),
		bad("png of 2^31x1", nothing(1<<31, 1, 8, 2, 0)),
		bad("png of 0x5", nothing(0, 5, 8, 2, 0)), bad("png of 5x0", nothing(5, 0, 8, 2, 0)),
		good("png of 1x4,000,000", size(1, 4000000, 8, 0, 0)), good("png of 4,000,000x1", size(4000000, 1, 1, 0, 0)),
		good("png of 1x1, interlaced", size(1, 1, 16, 6, 1)), good("png of 1x7, interlaced", size(1, 7, 1, 0, 1)),
		good("png with a profile of 64 MB", before(chunk("iCCP", append([]byte("p\x00\x00"), bomb...)))),
		good("png with a text of 64 MB", before(chunk("zTXt", append([]byte("k\x00\x00"), bomb...)))),
		good("png with 100,000 texts", before(bytes.Repeat(chunk("tEXt", []byte("k\x00v")), 1e5))),
		bad("png with 5,000,000 empty texts", before(bytes.Repeat(chunk("tEXt", nil), 5e6))),
		good("png with 100,000 empty chunks of data", base(func(p *pngFile) { p.emptyChunks = 1e5 })),
		good("png in chunks of a byte", base(func(p *pngFile) { p.split = 1 })),
		good("png with a chunk before the first", base(func(p *pngFile) { p.chunkBeforeFirst = true })),
		bad("png with a chunk of 2^31", before([]byte("\x80\x00\x00\x00tEXtk"))),
		bad("png with a chunk beyond its end", before([]byte("\x7f\xff\xff\xfftEXtk"))),
		bad("png with 64 MB of data for 1 kB", base(func(p *pngFile) { p.data = bomb })),
		bad("png with a byte too many", base(func(p *pngFile) { p.extra = 1 })),
		bad("png with a byte too few", base(func(p *pngFile) { p.extra = -1 })),
		bad("png without data", base(func(p *pngFile) { p.data = []byte{} })),
		bad("png with data that are not packed", base(func(p *pngFile) { p.data = []byte("not zlib at all") })),
		bad("png with a wrong sum", base(func(p *pngFile) { p.badSum = true })),
		bad("png with a wrong bit", base(func(p *pngFile) { p.flip = true })),
		bad("png without a header", base(func(p *pngFile) { p.noHeader = true })),
		bad("png with two headers", base(func(p *pngFile) { p.twice = true })),
		bad("png without end", base(func(p *pngFile) { p.noEnd = true })),
		bad("png with a palette of 300", base(func(p *pngFile) { p.kind, p.palette = 3, 300 })),
		bad("png without its palette", base(func(p *pngFile) { p.kind = 3 })),
		good("png with colours beyond its palette", base(func(p *pngFile) {
			p.kind, p.palette = 3, 1
			p.data = packed(bytes.Repeat([]byte("\x00"+strings.Repeat("\x09", width)), height))
		})),
		bad("png with transparency beyond its palette", base(func(p *pngFile) {
			p.kind, p.palette, p.before = 3, 1, [][]byte{chunk("tRNS", make([]byte, 257))}
		})),
		good(
			"png with a transparent grey",
			base(func(p *pngFile) { p.kind, p.before = 0, [][]byte{chunk("tRNS", []byte{0, 1})} }),
		),
		bad(
			"png with transparency and alpha",
			base(func(p *pngFile) { p.kind, p.before = 6, [][]byte{chunk("tRNS", []byte{0, 1})} }),
		),
		bad("png in another interlacing", base(func(p *pngFile) { p.interlaced = 2 })),
		bad("png's header alone", nothing(5, 5, 8, 2, 0)[:33]),
	}
	for filter := range byte(7) {
		raw := base(func(p *pngFile) { p.filter = filter })
		all = append(all, Case{Name: fmt.Sprintf("png with the filter %d", filter), Bytes: raw, Good: filter < 5})
	}
	for _, form := range [][2]byte{
		{1, 8},
		{5, 8},
		{7, 8},
		{2, 1},
		{2, 4},
		{4, 4},
		{3, 16},
		{0, 3},
		{0, 32},
		{6, 0},
		{255, 255},
	} {
		all = append(all, bad(fmt.Sprintf("png of colours %d with %d bits", form[0], form[1]),
			base(func(p *pngFile) { p.kind, p.depth = form[0], form[1] })))
	}
	return all
}

// gifFile is a GIF of one frame, of zeros where data is nil.
func gifFile(canvas, frame [2]int, flags byte, data []byte, extensions ...byte) []byte {
	b := []byte("GIF89a")
	for _, n := range canvas {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, 0x80, 0, 0, 1, 2, 3, 4, 5, 6)
	b = append(append(b, extensions...), ',', 0, 0, 0, 0)
	for _, n := range frame {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	b = append(b, flags, 2)
	if data == nil {
		data = packedLZW(make([]byte, frame[0]*frame[1]))
	}
	for c := range slices.Chunk(data, 255) {
		b = append(append(b, byte(len(c))), c...)
	}
	return append(b, 0, ';')
}

func packedLZW(raw []byte) []byte {
	var b bytes.Buffer
	w := lzw.NewWriter(&b, lzw.LSB, 2)
	_, err := w.Write(raw)
	must(err)
	must(w.Close())
	return b.Bytes()
}

func craftedGIF() []Case {
	small, large := [2]int{8, 8}, [2]int{65535, 65535}
	comment := []byte{'!', 0xfe, 1, 'x', 0}
	frame := gifFile(small, small, 0, nil)
	frame = frame[bytes.IndexByte(frame, ','):]
	return []Case{
		good("gif of 8x8", gifFile(small, small, 0, nil)), good("gif, interlaced", gifFile(small, small, 0x40, nil)),
		good("gif of 64 megapixels", gifFile([2]int{8000, 8000}, [2]int{8000, 8000}, 0x40, nil)),
		bad("gif of 65535x65535 with a frame of 8x8", gifFile(large, small, 0, nil)),
		bad("gif of 65535x65535", gifFile(large, large, 0, []byte{4})),
		bad("gif with a frame beyond its canvas", gifFile(small, [2]int{9, 9}, 0, nil)),
		bad("gif with a frame of nothing", gifFile(small, [2]int{0, 0}, 0, []byte{})),
		bad("gif with too little data", gifFile(small, small, 0, packedLZW(make([]byte, 63)))),
		bad("gif with too much data", gifFile(small, small, 0, packedLZW(make([]byte, 1<<20)))),
		bad("gif with data that are none", gifFile(small, small, 0, bytes.Repeat([]byte{0xff}, 1000))),
		bad("gif without data", gifFile(small, small, 0, []byte{})),
		bad("gif with a table of colours that is cut", gifFile(small, small, 0x87, nil)),
		good("gif with a million comments", gifFile(small, small, 0, nil, bytes.Repeat(comment, 1e6)...)),
		bad("gif of comments", append(gifFile(small, small, 0, nil)[:19], bytes.Repeat(comment, 1e6)...)),
		bad("gif with an unknown extension", gifFile(small, small, 0, nil, '!', 0x55, 0)),
		good("gif of 10,000 frames", append(gifFile(small, small, 0, nil), bytes.Repeat(frame, 1e4)...)),
		good(
			"gif with a transparent colour beyond its table",
			gifFile(small, small, 0, nil, '!', 0xf9, 4, 1, 0, 0, 200, 0),
		),
		bad("gif with an application of 255 bytes that ends", gifFile(small, small, 0, nil, '!', 0xff, 255)),
	}
}

// bmpFile is a BMP of zeros, or with the pixels given.
func bmpFile(w, h int32, bits uint16, compression, colors uint32, pixels []byte) []byte {
	le := binary.LittleEndian
	start := uint32(54)
	if bits <= 8 {
		start += 4 * colors
	}
	b := le.AppendUint32(le.AppendUint32(le.AppendUint32([]byte("BM"), 0), 0), start)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 40), uint32(w)), uint32(h))
	b = le.AppendUint16(le.AppendUint16(b, 1), bits)
	b = le.AppendUint32(le.AppendUint32(b, compression), 0)
	b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 0), 0), colors), 0)
	if bits <= 8 {
		b = append(b, make([]byte, min(4*colors, 1<<12))...)
	}
	if pixels == nil {
		pixels = make([]byte, (int(w)*int(bits)+31)/32*4*int(max(h, -h)))
	}
	return append(b, pixels...)
}

func craftedBMP() []Case {
	none := []byte{}
	all := []Case{
		good("bmp upside down", bmpFile(5, -5, 24, 0, 0, nil)), good("bmp of 32 bits", bmpFile(5, 5, 32, 0, 0, nil)),
		good("bmp of a bit", bmpFile(50, 5, 1, 0, 2, nil)), good("bmp of 4 bits", bmpFile(51, 5, 4, 0, 16, nil)),
		good("bmp of 8 bits", bmpFile(5, 5, 8, 0, 256, nil)),
		bad("bmp of 60 megapixels without data", bmpFile(10000, 6000, 24, 0, 0, none)),
		bad("bmp of 90 megapixels", bmpFile(10000, 9000, 24, 0, 0, none)),
		bad("bmp of 2^31-1 squared", bmpFile(1<<31-1, 1<<31-1, 24, 0, 0, none)),
		bad("bmp of -2^31", bmpFile(5, -1<<31, 24, 0, 0, none)),
		bad("bmp of less than no width", bmpFile(-5, 5, 24, 0, 0, none)),
		bad("bmp of 0x0", bmpFile(0, 0, 24, 0, 0, none)), bad("bmp of 0x5", bmpFile(0, 5, 24, 0, 0, none)),
		bad("bmp with run lengths", bmpFile(5, 5, 8, 1, 256, nil)),
		bad("bmp with a JPEG in it", bmpFile(5, 5, 24, 4, 0, nil)),
		bad("bmp of 3 bits", bmpFile(5, 5, 3, 0, 8, nil)), bad("bmp of 64 bits", bmpFile(5, 5, 64, 0, 0, nil)),
		bad("bmp with 2^32-1 colours", bmpFile(5, 5, 8, 0, 1<<32-1, nil)),
		bad("bmp with a colour beyond its table", bmpFile(4, 1, 8, 0, 2, []byte{0, 1, 2, 3})),
		bad("bmp that is cut", bmpFile(5, 5, 24, 0, 0, make([]byte, 30))),
	}
	return all
}

// tiffFile is a TIFF of the tags given, each a number or several, before the data, which begin at tiffData.
func tiffFile(tags map[uint16][]uint32, data []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("II\x2a\x00"), 8)
	b = le.AppendUint16(b, uint16(len(tags)))
	var numbers []uint16
	for t := range tags {
		numbers = append(numbers, t)
	}
	slices.Sort(numbers)
	after := uint32(tiffData + len(data))
	var long []byte
	for _, t := range numbers {
		v := tags[t]
		b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, t), 4), uint32(len(v)))
		if len(v) == 1 {
			b = le.AppendUint32(b, v[0])
			continue
		}
		b = le.AppendUint32(b, after+uint32(len(long)))
		for _, x := range v {
			long = le.AppendUint32(long, x)
		}
	}
	b = append(b, make([]byte, tiffData-len(b))...)
	return append(append(b, data...), long...)
}

const tiffData = 400

func many(n int, v uint32) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func craftedTIFF() []Case {
	// grey of 8 bits, in strips that all have the same data
	strips := func(w, h, rows, compression uint32, data []byte, change map[uint16][]uint32) []byte {
		n := int(min((h+rows-1)/max(rows, 1), 1<<16))
		tags := map[uint16][]uint32{
			256: {w}, 257: {h}, 258: {8}, 259: {compression}, 262: {1}, 273: many(n, tiffData), 278: {rows},
			279: many(n, uint32(len(data))),
		}
		for t, v := range change {
			if tags[t] = v; v == nil {
				delete(tags, t)
			}
		}
		return tiffFile(tags, data)
	}
	tiles := func(w, h, tw, th uint32, n int, data []byte) []byte {
		return tiffFile(map[uint16][]uint32{
			256: {w}, 257: {h}, 258: {8}, 259: {8}, 262: {1}, 322: {tw}, 323: {th}, 324: many(n, tiffData),
			325: many(n, uint32(len(data))),
		}, data)
	}
	plain, zeros := make([]byte, 64), func(n int) []byte { return packed(make([]byte, n)) }
	one := func(tag uint16, v ...uint32) []byte { return strips(8, 8, 8, 1, plain, map[uint16][]uint32{tag: v}) }
	all := []Case{
		good("tiff of 8x8", strips(8, 8, 8, 1, plain, nil)), good("tiff in strips", strips(8, 8, 1, 1, plain[:8], nil)),
		good("tiff, deflated", strips(8, 8, 8, 8, zeros(64), nil)),
		good("tiff in tiles", tiles(32, 32, 16, 16, 4, zeros(256))),
		good("tiff of 16 megapixels in one strip", strips(4000, 4000, 4000, 8, zeros(16e6), nil)),
		good("tiff of 36 megapixels in strips", strips(6000, 6000, 100, 8, zeros(600000), nil)),
		bad("tiff of 36 megapixels in one strip", strips(6000, 6000, 6000, 8, zeros(64), nil)),
		bad("tiff of 2^31 squared", strips(1<<31, 1<<31, 1<<31, 1, plain, nil)),
		bad("tiff of 2^32-1 squared", strips(1<<32-1, 1<<32-1, 1<<31, 1, plain, nil)),
		bad("tiff of 90 megapixels", strips(10000, 9000, 1, 1, plain, nil)),
		bad("tiff of 0x8", one(256, 0)), bad("tiff of 8x0", one(257, 0)), bad("tiff without width", one(256)),
		good("tiff with a strip that unpacks to 64 MB for 64 bytes", strips(8, 8, 8, 8, zeros(64<<20), nil)),
		bad(
			"tiff with 60,000 strips of the same megabyte",
			strips(64, 60000, 1, 32773, bytes.Repeat([]byte{0x80}, 1<<20), nil),
		),
		good("tiff with bits turned", one(266, 2)),
		bad("tiff with 60,000 strips of the same LZW, bits turned", strips(64, 60000, 1, 5,
			bytes.Repeat([]byte{0x80}, 1<<20), map[uint16][]uint32{266: {2}})),
		bad("tiff with 60,000 strips of the same LZW", strips(64, 60000, 1, 5, bytes.Repeat([]byte{0x80}, 1<<20), nil)),
		bad("tiff with a strip of 2^32-1 bytes", one(279, 1<<32-1)),
		bad("tiff with a strip beyond its end", one(273, 1<<31)),
		bad("tiff with too few strips", one(278, 1)), good("tiff without the rows of a strip", one(278)),
		bad("tiff with 1,000,000 tiles of a pixel", tiles(1000, 1000, 1, 1, 1e6, zeros(8))),
		bad("tiff with tiles of 2^31", tiles(8, 8, 1<<31, 1<<31, 1, zeros(64))),
		bad("tiff with tiles beyond its size", tiles(8, 8, 4096, 4096, 1, zeros(64))),
		bad("tiff with 250,000 tiles of 64 kB beside a line", tiles(1, 2000000, 1024, 8, 250000, zeros(1<<16))),
		bad("tiff without tiles", tiles(32, 32, 16, 16, 1, zeros(256))),
		bad("tiff of no bits", one(258, 0)), bad("tiff of 2^32-1 bits", one(258, 1<<32-1)),
		bad("tiff of 4 bits", one(258, 4)),
		bad("tiff in an unknown compression", one(259, 34712)), bad("tiff of JPEG", one(259, 7)),
		bad("tiff of CMYK", one(262, 5)), bad("tiff of YCbCr", one(262, 6)),
		bad("tiff of RGB with one sample", one(262, 2)),
		bad("tiff of floats", one(339, 3)), bad("tiff of a palette without colours", one(262, 3)),
		bad(
			"tiff with a palette of 4 numbers",
			strips(8, 8, 8, 1, plain, map[uint16][]uint32{262: {3}, 320: {1, 2, 3, 4}}),
		),
		good("tiff with a palette", strips(8, 8, 8, 1, plain, map[uint16][]uint32{262: {3}, 320: many(768, 99)})),
		good(
			"tiff with Group 4 of any bytes",
			strips(8, 8, 8, 4, bytes.Repeat([]byte{0x5a}, 999), map[uint16][]uint32{258: {1}}),
		),
		bad(
			"tiff with Group 3 that is none",
			strips(8, 8, 8, 3, bytes.Repeat([]byte{0}, 999), map[uint16][]uint32{258: {1}}),
		),
		bad("tiff whose tags stand beyond its end", []byte("II\x2a\x00\xff\xff\xff\x7f")),
		bad("tiff of 65535 tags", []byte("MM\x00\x2a\x00\x00\x00\x08\xff\xff\x01\x00")),
		bad("tiff without tags", []byte("II\x2a\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
		bad("tiff whose tags are itself", []byte("II\x2a\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
	}
	return all
}

// riff is a WebP of chunks.
func riff(chunks ...[]byte) []byte {
	b := append([]byte("RIFF\x00\x00\x00\x00WEBP"), bytes.Join(chunks, nil)...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

func riffChunk(name string, contents ...byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(contents))), contents...)
	return append(b, make([]byte, len(contents)%2)...)
}

// extended is the chunk VP8X.
func extended(flags byte, w, h int) []byte {
	w, h = w-1, h-1
	return riffChunk("VP8X", flags, 0, 0, 0, byte(w), byte(w>>8), byte(w>>16), byte(h), byte(h>>8), byte(h>>16))
}

// lossless is a chunk VP8L of the size given and of one colour: no transforms, no cache, five codes of one symbol.
func lossless(w, h int) []byte {
	v := uint32(w-1) | uint32(h-1)<<14
	contents := binary.LittleEndian.AppendUint32([]byte{0x2f}, v)
	return riffChunk("VP8L", append(contents, 0x88, 0x88, 0x08, 0, 0, 0, 0)...)
}

func craftedWebP() []Case {
	vp8 := stored(webpLossy)[12:]
	alpha := func(compression byte, n int) []byte {
		return riffChunk("ALPH", append([]byte{compression}, make([]byte, n)...)...)
	}
	sized := func(w, h int) []byte {
		raw := bytes.Clone(vp8)
		binary.LittleEndian.PutUint16(raw[14:], uint16(w))
		binary.LittleEndian.PutUint16(raw[16:], uint16(h))
		return raw
	}
	return []Case{
		good("webp of a colour", riff(lossless(24, 16))),
		good("webp of 25 megapixels of a colour", riff(lossless(5000, 5000))),
		bad("webp lossless of 16384x16384", riff(lossless(16384, 16384))),
		bad("webp lossless of 64 megapixels", riff(lossless(8000, 8000))),
		bad("webp of 16383x16383", riff(sized(16383, 16383))), bad("webp of 81 megapixels", riff(sized(9000, 9000))),
		bad("webp of 16 megapixels without data", riff(sized(4000, 4000))), bad("webp of 0x0", riff(sized(0, 0))),
		bad("webp with a canvas of 2^24 squared", riff(extended(0, 1<<24, 1<<24), vp8)),
		bad("webp with a canvas of 2^31", riff(extended(0, 1<<24, 1<<7), vp8)),
		bad("webp with another canvas", riff(extended(0, 99, 99), vp8)),
		good("webp with its canvas", riff(extended(0, 24, 16), vp8)),
		good("webp with alpha that is stored", riff(extended(0x10, 24, 16), alpha(0, 24*16), vp8)),
		bad("webp with alpha for 30 megapixels", riff(extended(0x10, 6000, 5000), alpha(1, 9), sized(6000, 5000))),
		bad("webp with alpha that is cut", riff(extended(0x10, 24, 16), alpha(0, 9), vp8)),
		bad("webp with alpha twice", riff(extended(0x10, 24, 16), alpha(0, 24*16), alpha(0, 24*16), vp8)),
		bad("webp with alpha of an unknown kind", riff(extended(0x10, 24, 16), alpha(3, 24*16), vp8)),
		bad("webp with two canvases", riff(extended(0, 24, 16), extended(0, 24, 16), vp8)),
		bad("webp, animated", stored(webpAnimated)), bad("webp of an unknown chunk", riff(riffChunk("VP8?", 1, 2, 3))),
		good("webp with 100,000 chunks", riff(extended(0, 24, 16), bytes.Repeat(riffChunk("EXIF", 1), 1e5), vp8)),
		bad("webp of 100,000 chunks", riff(extended(0, 24, 16), bytes.Repeat(riffChunk("EXIF", 1), 1e5))),
		bad("webp with a chunk beyond its end", riff(append([]byte("VP8 \xff\xff\xff\xff"), vp8[8:]...))),
		bad("webp of nothing", riff()), bad("webp of zeros", riff(riffChunk("VP8L", make([]byte, 999)...))),
		bad(
			"webp lossless of ones",
			riff(riffChunk("VP8L", append([]byte{0x2f}, bytes.Repeat([]byte{0xff}, 999)...)...)),
		),
	}
}
