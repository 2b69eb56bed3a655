package crafted

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Zips are zips that are refused as data.
func Zips() []File {
	var all []File
	add := func(name string, bytes func() []byte) { all = append(all, File{Name: name, Bytes: bytes}) }
	add("a zip of nothing", func() []byte { return zipEnd(0, 0, 0) })
	add("a zip whose list is said to have 2^16 files", func() []byte { return zipEnd(math.MaxUint16, 0, 0) })
	add("a zip whose list is said to lie elsewhere", func() []byte { return zipEnd(1, 46, math.MaxUint32-1) })
	add("a zip whose list is said to be long", func() []byte { return zipEnd(1, math.MaxUint32-1, 0) })
	add("a zip that has only a list", func() []byte {
		entry := zipEntry("a/1.png", 0)
		list := bytes.Repeat(entry, 400_000)
		return append(list, zipEnd(uint16(400_000&math.MaxUint16), uint32(len(list)), 0)...)
	})
	add("a zip with a name of 20,000 folders", func() []byte { return zipOf(strings.Repeat("a/", 20_000) + "1.png") })
	add("a zip with a name of 100 folders", func() []byte { return zipOf(strings.Repeat("a/", 100) + "1.png") })
	add("a zip of a zip", func() []byte { return zipOf("x.zip") })
	add("a zip of a tar that is none", func() []byte { return zipOf("x.tar") })
	add("a zip cut off", func() []byte { b := zipOf("a/1.png"); return b[:len(b)-30] })
	return all
}

// zipOf is a zip of a file.
func zipOf(name string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	e, err := w.Create(name)
	must(err)
	_, err = fmt.Fprint(e, "PK\x03\x04 and nothing that anything could be made of")
	must(err)
	must(w.Close())
	return b.Bytes()
}

// zipEntry is an entry of a zip's list, of a stored file of so many bytes at the zip's beginning.
func zipEntry(name string, size uint32) []byte {
	e := make([]byte, 46, 46+len(name))
	copy(e, "PK\x01\x02")
	binary.LittleEndian.PutUint32(e[20:], size)
	binary.LittleEndian.PutUint32(e[24:], size)
	binary.LittleEndian.PutUint16(e[28:], uint16(len(name)))
	return append(e, name...)
}

// zipEnd is the end of a zip.
func zipEnd(files uint16, size, at uint32) []byte {
	e := make([]byte, 22)
	copy(e, "PK\x05\x06")
	binary.LittleEndian.PutUint16(e[8:], files)
	binary.LittleEndian.PutUint16(e[10:], files)
	binary.LittleEndian.PutUint32(e[12:], size)
	binary.LittleEndian.PutUint32(e[16:], at)
	return e
}
