package crafted

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Tars are tars that are refused as data.
func Tars() []File {
	var all []File
	add := func(name string, bytes func() []byte) { all = append(all, File{Name: name, Bytes: bytes}) }
	type entry struct {
		kind byte
		name string
		size int64
		data string
	}
	raw := func(entries ...entry) func() []byte {
		return func() []byte {
			var b bytes.Buffer
			for _, e := range entries {
				b.Write(tarHeader(e.kind, e.name, e.size))
				b.WriteString(e.data)
				b.Write(make([]byte, (512-len(e.data)%512)%512))
			}
			b.Write(make([]byte, 1024))
			return b.Bytes()
		}
	}
	record := func(key, value string) string { // a PAX record begins with its own length
		for n := len(key) + len(value) + 3; ; n++ {
			if s := fmt.Sprintf("%d %s=%s\n", n, key, value); len(s) == n {
				return s
			}
		}
	}
	pax := func(records string) entry { return entry{tar.TypeXHeader, "pax", int64(len(records)), records} }
	picture := entry{tar.TypeReg, "cat/1.png", 5, "hello"}
	for _, size := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64 - 511, 1 << 62, 1 << 40, 4096} {
		add(fmt.Sprintf("an entry of %d bytes", size), raw(entry{tar.TypeReg, "cat/1.png", size, ""}))
		add(fmt.Sprintf("an entry of %d bytes, in a record", size), raw(pax(record("size", fmt.Sprint(size))), picture))
	}
	add("a folder of 2^62 bytes", raw(entry{tar.TypeDir, "cat/", 1 << 62, ""}))
	add("a record longer than it is", raw(pax("999 path=x\n"), picture))
	add("a record shorter than it is", raw(pax("3 path=x\n"), picture))
	add("a record of negative length", raw(pax("-9 path=x\n"), picture))
	add("records of 2 MB", raw(pax(record("comment", strings.Repeat("x", 2<<20))), picture))
	deep := strings.Repeat("a/", 500_000) + "1.png"
	add("a name of 500,000 folders", raw(pax(record("path", deep)), picture))
	add("a GNU name of 500,000 folders", raw(entry{tar.TypeGNULongName, "long", int64(len(deep)), deep}, picture))
	add("a GNU name of 2 MB", raw(entry{tar.TypeGNULongName, "long", 2 << 20, strings.Repeat("x", 2<<20)}, picture))
	add("a link's target of 500,000 folders",
		raw(pax(record("linkpath", deep)), entry{tar.TypeLink, "cat/1.png", 0, ""}))
	add("links that point at each other", func() []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, l := range [][2]string{{"cat/1.png", "cat/2.png"}, {"cat/2.png", "cat/1.png"}} {
			must(w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: l[0], Linkname: l[1]}))
		}
		must(w.Close())
		return b.Bytes()
	})
	add("a sparse file", raw(pax(record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")), picture))
	add("no end", func() []byte { return raw(picture)()[:1024] })
	return all
}

func must(err error) {
	if err != nil {
		panic(err) // written to memory
	}
}

// tarHeader is one block. A size that has no octal digits is written in base 256.
func tarHeader(kind byte, name string, size int64) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	if size >= 0 && size < 1<<33 {
		copy(h[124:], fmt.Sprintf("%011o\x00", size))
	} else {
		binary.BigEndian.PutUint64(h[128:], uint64(size))
		for i := 124; i < 128; i++ {
			h[i] = byte(size >> 63) // the sign
		}
		h[124] |= 0x80
	}
	copy(h[136:], "00000000000\x00        ")
	h[156] = kind
	copy(h[257:], "ustar  \x00")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}
