package crafted

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// Parquets are Parquet files that are refused, when they are opened or while they are read. Want is part of the error.
func Parquets() []File {
	var all []File
	add := func(name, want string, bytes func() []byte) {
		all = append(all, File{Name: name, Want: want, Bytes: bytes})
	}
	addFile := func(name, want string, f parquet) { add(name, want, f.bytes) }
	addPages := func(name, want string, rows int64, pages ...[]byte) { // of the pictures
		addFile(name, want, parquet{rows: rows, pages: bytes.Join(pages, nil)})
	}
	const snappy, zstd = 1, 6
	const data, dictionary, dataV2 = 0, 2, 3
	const plain, byIndex = 0, 8
	picture := []byte("\x04\x00\x00\x00abcd")
	one := page(data, 8, 1, plain, picture) // what a sound file would have
	million := strings.Repeat("x", 1_000_000)

	// the footer
	add("a footer of 4 GB", "a footer of 4294967295 bytes", func() []byte {
		return []byte("PAR1 and nothing\xff\xff\xff\xffPAR1")
	})
	addFile("a list of 2^62 columns", "cannot be read", parquet{
		schema: "\x09\x04\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x3f",
	})
	addFile("a map of 2^62 entries", "cannot be read", parquet{
		more: "\x0b\x28\xff\xff\xff\xff\xff\xff\xff\xff\x3f\x33",
	})
	addFile("a million lists in each other", "cannot be read", parquet{
		more: "\x09\x28" + strings.Repeat("\x19", 1_000_000),
	})
	addFile("a million structs in each other", "cannot be read", parquet{
		more: "\x0c\x28" + strings.Repeat("\x1c", 1_000_000),
	})
	addFile("a column's name of 1 MB", "a column's name of 1000000 bytes", parquet{
		columns: []string{column(million, 6, 0)},
	})
	addFile("2^60 columns in a struct", "fit into no table", parquet{columns: []string{column("image", -1, 1<<60)}})
	addFile("a negative number of columns", "fit into no table", parquet{columns: []string{column("image", -1, -5)}})
	deep := make([]string, 9_000)
	for i := range deep {
		deep[i] = column("a", -1, 1)
	}
	addFile("9,000 structs in each other", "no column of {bytes, path}", parquet{
		columns: append(deep, column("b", 6, 0)),
	})
	many := make([]string, 20_000)
	for i := range many {
		many[i] = column("a", 6, 0)
	}
	addFile("20,000 columns", "more than 10000 columns", parquet{columns: many, top: 20_000})
	addFile("names in a million brackets", "what is said of the columns", parquet{info: strings.Repeat("[", 1_000_000)})
	addFile("names of 3 MB", "3000000 bytes that describe", parquet{info: strings.Repeat(" ", 3_000_000)})
	addFile("150,000 row groups", "more than 131072 row groups", parquet{empty: 150_000})

	// places and counts
	addFile("2^40 rows", "a row group of 1099511627776 rows", parquet{rows: 1 << 40, pages: one})
	addFile("-1 rows", "a row group of -1 rows", parquet{rows: -1, pages: one})
	for _, size := range []int64{-1, math.MinInt64, math.MaxInt64, 1 << 40} {
		addFile("a column of many bytes", "bytes of a column from byte 4", parquet{rows: 1, pages: one, size: size})
	}
	addFile("columns in each other", "columns that lie in each other", parquet{rows: 1, pages: one, groups: 1_000})
	addFile("fewer values than rows", "a page's header cannot be read", parquet{rows: 2, pages: one})

	// pages
	addPages("a page of 2 GB", "a page of 2147483647 bytes", 1, pageOf(data, math.MaxInt32, math.MaxInt32, 1, plain))
	addPages("a page of -1 bytes", "a page of -1 bytes", 1, pageOf(data, -1, -1, 1, plain))
	addPages("a page of 2^62 values", "where 1 rows are left", 1, page(data, 8, 1<<62, plain, picture))
	addPages("a page of -1 values", "where 1 rows are left", 1, page(data, 8, -1, plain, picture))
	addPages("a header without an end", "a page's header of more than", 1,
		[]byte(strings.Repeat("\x15\x00", 400_000)))
	addPages("a header of 1 MB", "a page's header of more than", 1, []byte(words(20, million)))
	addPages("a million pages without values", "a page's header cannot be read", 1,
		bytes.Repeat(page(data, 0, 0, plain, nil), 1_000_000))
	addPages("a picture of 4 GB", "a value of 4294967295 bytes", 1,
		page(data, 8, 1, plain, []byte("\xff\xff\xff\xffabcd")))
	addPages("bytes after the last picture", "4 bytes after a page's last value", 1,
		page(data, 12, 1, plain, []byte("\x04\x00\x00\x00abcdefgh")))
	addPages("a page of no known type", "a page of type 9", 1, page(9, 8, 1, plain, picture))
	addPages("levels of a list", "levels of a list", 1, page(dataV2, 8, 1, plain, picture))
	addFile("another checksum", "a page's checksum is", parquet{
		rows: 1, pages: append(pageOf(data, 8, 8, 1, plain, number(4, 1)), picture...),
	})

	// dictionaries
	addPages("a dictionary of 2^31 entries", "a dictionary of 2147483647 entries", 1,
		page(dictionary, 8, math.MaxInt32, plain, picture))
	addPages("two dictionaries", "a second dictionary", 1, page(dictionary, 8, 1, plain, picture),
		page(dictionary, 8, 1, plain, picture))
	addPages("no dictionary", "a dictionary that is not there", 1, page(data, 3, 1, byIndex, []byte("\x01\x02\x00")))
	entry := page(dictionary, 8, 1, plain, picture)
	for name, b := range map[string]string{
		"a place beyond the dictionary":   "\x01\x02\x01",
		"a run that does not say what of": "\x20\x02\x01",
		"runs of nothing":                 "\x01" + strings.Repeat("\x00\x00", 100_000),
		"packed numbers that are missing": "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"no numbers":                      "",
	} {
		addPages(name, "not in the dictionary of 1", 1, entry, page(data, int64(len(b)), 1, byIndex, []byte(b)))
	}
	addPages("numbers of 33 bits", "of 33 bits", 1, entry, page(data, 3, 1, byIndex, []byte("\x21\x02\x00")))
	const rows = 500_000
	vast := binary.LittleEndian.AppendUint32(nil, 1_000_000)
	vast = append(vast, million...)
	addFile("a picture of 1 MB in 500,000 rows", "its rows hold more than", parquet{
		rows: rows, pages: bytes.Join([][]byte{
			page(dictionary, int64(len(vast)), 1, plain, vast),
			page(data, 4, rows, byIndex, append([]byte{0}, binary.AppendUvarint(nil, rows<<1)...)),
		}, nil),
	})

	// what is packed
	addFile("7 bytes of Snappy that are 4 GB", "its pages unpack to more than", parquet{
		rows: 1, codec: snappy, pages: page(data, math.MaxInt32, 1, plain, []byte("\xff\xff\xff\xff\x0f\x00a")),
	})
	addFile("Snappy of another length", "does not unpack to the length that it states", parquet{
		rows: 1, codec: snappy, pages: page(data, 8, 1, plain, []byte("\xff\xff\xff\xff\x0f\x00a")),
	})
	addFile("Zstandard of another length", "that Zstandard cannot unpack", parquet{
		rows: 1, codec: zstd, pages: page(data, 8, 1, plain, zstandard(1<<30)),
	})
	addFile("Zstandard of 3 GB", "its pages unpack to more than", parquet{
		rows: 1, codec: zstd, pages: bytes.Repeat(page(data, 30<<20, 0, plain, zstandard(30<<20)), 100),
	})
	return all
}

// SoundParquet is a file of one row group with a picture a page, each of so many bytes, not packed.
func SoundParquet(pictures, size int) []byte {
	picture := append(binary.LittleEndian.AppendUint32(nil, uint32(size)), bytes.Repeat([]byte("x"), size)...)
	one := page(0, int64(len(picture)), 1, 0, picture)
	return parquet{rows: int64(pictures), pages: bytes.Repeat(one, pictures)}.bytes()
}

// parquet is a file with the columns image.bytes, image.path and label, of which none may be missing. What is not given
// is as a sound file has it.
type parquet struct {
	rows    int64
	codec   int64  // of the pictures
	pages   []byte // of the pictures
	size    int64  // of the pictures' chunk; 0: of pages
	groups  int    // so many row groups, all of the same chunks; 0: one
	empty   int    // so many row groups without rows besides
	columns []string
	top     int64  // columns that lie in no struct
	schema  string // the field
	info    string // of `datasets`
	more    string // a field that no reader knows
}

func (p parquet) bytes() []byte {
	b := bytes.NewBufferString("PAR1")
	chunk := func(kind, codec, rows, size int64, pages []byte) string {
		at := int64(b.Len())
		b.Write(pages)
		return structure(inside(3, number(1, kind), number(4, codec), number(5, rows), number(7, size), number(9, at)))
	}
	group := func(rows int64, pictures, paths, labels string) string {
		return structure(list(1, pictures, paths, labels), number(3, rows))
	}
	size := p.size
	if size == 0 {
		size = int64(len(p.pages))
	}
	pictures := chunk(6, p.codec, p.rows, size, p.pages)
	names := make([]byte, 4*max(0, min(p.rows, 1<<20))) // each of no letters
	namesPage := page(0, int64(len(names)), p.rows, 0, names)
	paths := chunk(6, 0, p.rows, int64(len(namesPage)), namesPage)
	zeros := make([]byte, 2*len(names))
	zerosPage := page(0, int64(len(zeros)), p.rows, 0, zeros)
	labels := chunk(2, 0, p.rows, int64(len(zerosPage)), zerosPage)
	groups := slices.Repeat([]string{group(p.rows, pictures, paths, labels)}, max(1, p.groups))
	if p.empty > 0 {
		nothing := [2]string{chunk(6, 0, 0, 0, nil), chunk(2, 0, 0, 0, nil)}
		groups = slices.Repeat([]string{group(0, nothing[0], nothing[0], nothing[1])}, p.empty)
	}

	columns, top := p.columns, max(1, p.top)
	if columns == nil {
		columns, top = []string{
			column("image", -1, 2), column("bytes", 6, 0), column("path", 6, 0), column("label", 2, 0),
		}, 2
	}
	schema := p.schema
	if schema == "" {
		schema = list(2, append([]string{column("schema", -1, top)}, columns...)...)
	}
	footer := structure(p.more, schema, number(3, p.rows*int64(max(1, p.groups))), list(4, groups...),
		list(5, structure(words(1, "huggingface"), words(2, p.info))))
	b.WriteString(footer)
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(footer))))
	b.WriteString("PAR1")
	return b.Bytes()
}

// column is an element of the schema; without a kind (-1) it has others in it.
func column(name string, kind, children int64) string {
	fields := []string{number(3, 0), words(4, name)}
	if kind >= 0 {
		fields = append(fields, number(1, kind))
	}
	if children != 0 {
		fields = append(fields, number(5, children))
	}
	return structure(fields...)
}

// page is a page of some bytes, that says how many it has in memory.
func page(kind, size, values, encoding int64, body []byte) []byte {
	return append(pageOf(kind, size, int64(len(body)), values, encoding), body...)
}

// pageOf is a page's header, with as many bytes as it says. more are fields before the last.
func pageOf(kind, size, packed, values, encoding int64, more ...string) []byte {
	fields := append([]string{number(1, kind), number(2, size), number(3, packed)}, more...)
	switch kind {
	case 2:
		fields = append(fields, inside(7, number(1, values), number(2, encoding)))
	case 3:
		fields = append(fields, inside(8, number(1, values), number(4, encoding), number(5, 0), number(6, 1)))
	default:
		fields = append(fields, inside(5, number(1, values), number(2, encoding), number(3, 3)))
	}
	return []byte(structure(fields...))
}

// zstandard is a frame of n zeros, 4 bytes for 128 KB (RFC 8878).
func zstandard(n uint64) []byte {
	b := append([]byte("\x28\xb5\x2f\xfd\xe0"), binary.LittleEndian.AppendUint64(nil, n)...)
	for left := n; left > 0; {
		size := min(left, 128<<10)
		left -= size
		head := size<<3 | 1<<1 // a run
		if left == 0 {
			head |= 1 // the last
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return b
}

// Values in Thrift's compact protocol, as fields with a number; every field says its whole number.

func zigzag(v int64) string { return string(binary.AppendUvarint(nil, uint64(v<<1)^uint64(v>>63))) }

func number(id, v int64) string { return "\x06" + zigzag(id) + zigzag(v) }

func words(id int64, s string) string {
	return "\x08" + zigzag(id) + string(binary.AppendUvarint(nil, uint64(len(s)))) + s
}

func structure(fields ...string) string { return strings.Join(fields, "") + "\x00" }

func inside(id int64, fields ...string) string { return "\x0c" + zigzag(id) + structure(fields...) }

func list(id int64, structs ...string) string {
	head := "\x09" + zigzag(id) + "\xfc" + string(binary.AppendUvarint(nil, uint64(len(structs))))
	return head + strings.Join(structs, "")
}
