package parquet

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"alexnet/internal/text"
)

// group is a row group: its rows, and where the chunks of the columns lie that are read.
type group struct {
	rows   int64
	chunks [3]chunk
}

// chunk is a column's part of a row group.
type chunk struct {
	at, size int64
	codec    codec
}

// leaf is a column.
type leaf struct {
	name   string // in dots, as image.bytes
	number int    // among the columns of a row group
	kind   int64  // typeInt32, ..
	levels uint32 // how many of it and the structs around it may be missing: the highest definition level
	depth  int    // 1 is a column that lies in no struct
	lists  bool   // it, or what it lies in, is there several times in a row
}

// Physical types, parquet.thrift's Type, and its repetition types.
const (
	typeInt32     = 1
	typeInt64     = 2
	typeByteArray = 6

	optional = 1
	repeated = 2
)

const (
	magic     = "PAR1"
	encrypted = "PARE"
	tail      = 8 // bytes at the end: the footer's length and the magic
)

// readFooter reads the footer and holds all it says to the file's size.
func (f *File) readFooter() error {
	if f.size < int64(len(magic)+tail) {
		return &Error{Problem: NotParquet, Detail: fmt.Sprintf("it has %d bytes", f.size)}
	}
	var ends [len(magic) + tail]byte
	if err := f.readAt(ends[:len(magic)], 0); err != nil {
		return err
	}
	if err := f.readAt(ends[len(magic):], f.size-tail); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(ends[len(magic):]))
	switch end := string(ends[len(magic)+4:]); {
	case end == encrypted:
		return &Error{Problem: Unsupported, At: f.size - tail, Detail: "an encrypted footer"}
	case string(ends[:len(magic)]) != magic:
		return &Error{Problem: NotParquet, Detail: "it does not begin with " + magic}
	case end != magic:
		return &Error{
			Problem: Damaged, At: f.size - tail, Detail: "it does not end with " + magic + ", so it may be cut off",
		}
	case length > f.size-tail-int64(len(magic)):
		return &Error{
			Problem: Damaged, At: f.size - tail,
			Detail: fmt.Sprintf("a footer of %d bytes in a file of %d", length, f.size),
		}
	}
	b := make([]byte, length)
	if err := f.readAt(b, f.size-tail-length); err != nil {
		return err
	}
	return f.parseFooter(b, f.size-tail-length)
}

// readAt fills b from a place in the file, which is known to have it.
func (f *File) readAt(b []byte, at int64) error {
	if n, err := f.r.ReadAt(b, at); n < len(b) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		came := fmt.Sprintf("%d of %d bytes came", n, len(b))
		return &Error{Problem: NotRead, At: at + int64(n), Detail: came, Err: err}
	}
	return nil
}

// footer is what is being read of one, which begins at byte begins of the file.
type footer struct {
	compact
	f      *File
	begins int64
	err    *Error // the first
	left   int64  // of the file's bytes, those that no chunk took yet
	rows   int64  // of the whole file, as it says
	info   []byte // what `datasets` says of the columns, JSON
	leaves int    // columns of the schema
}

func (p *footer) fail(problem Problem, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{Problem: problem, At: p.begins + int64(p.at), Detail: fmt.Sprintf(format, args...)}
		p.bad = true
	}
}

// parseFooter reads parquet.thrift's FileMetaData.
func (f *File) parseFooter(b []byte, at int64) error {
	p := &footer{compact: compact{b: b}, f: f, begins: at, left: f.size, rows: -1}
	p.structure(func(id int, kind byte) bool {
		switch id {
		case 2:
			return p.schema(kind)
		case 3:
			return p.integer(kind, &p.rows)
		case 4:
			if p.leaves == 0 {
				p.fail(Damaged, "row groups before the columns")
			}
			return p.list(kind, kindStruct, func(int) { p.group() })
		case 5:
			return p.list(kind, kindStruct, func(int) { p.keyValue() })
		case 8:
			p.fail(Unsupported, "encryption")
		}
		return false
	})
	switch {
	case p.failed() && p.err == nil:
		p.fail(Damaged, "the footer cannot be read")
	case p.leaves == 0:
		p.fail(Damaged, "a footer without columns")
	case p.rows != f.rows:
		p.fail(Damaged, "%d rows, and %d in its row groups", p.rows, f.rows)
	}
	if p.err != nil {
		return p.err
	}
	return f.readNames(p.info, at)
}

// keyValue reads a KeyValue, what programs note in the footer.
func (p *footer) keyValue() {
	var key, value []byte
	p.structure(func(id int, kind byte) bool {
		switch id {
		case 1:
			return p.binary(kind, &key)
		case 2:
			return p.binary(kind, &value)
		}
		return false
	})
	if string(key) == "huggingface" {
		p.info = value
	}
}

// readNames takes the classes' names from the JSON of `datasets`.
func (f *File) readNames(info []byte, at int64) error {
	if len(info) == 0 {
		return nil
	}
	if len(info) > maxInfo {
		return &Error{Problem: TooLarge, At: at, Detail: fmt.Sprintf("%d bytes that describe the columns", len(info))}
	}
	var says struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if err := json.Unmarshal(info, &says); err != nil {
		return &Error{Problem: Damaged, At: at, Detail: "what is said of the columns", Err: err}
	}
	var feature struct {
		Names []string `json:"names"`
	}
	if of, ok := says.Info.Features[f.cols[label].name]; ok {
		if err := json.Unmarshal(of, &feature); err != nil {
			return &Error{Problem: Damaged, At: at, Detail: "what is said of the classes", Err: err}
		}
	}
	f.names = feature.Names
	return nil
}

// element is a SchemaElement.
type element struct {
	kind, repetition, children int64
	name                       []byte
}

// schema reads the columns, and chooses those of pictures, paths and labels.
func (p *footer) schema(kind byte) bool {
	var all []element
	read := p.list(kind, kindStruct, func(int) {
		if len(all) == maxElements {
			p.fail(TooLarge, "more than %d columns", maxElements)
			return
		}
		e := element{kind: -1}
		p.structure(func(id int, kind byte) bool {
			switch id {
			case 1:
				return p.integer(kind, &e.kind)
			case 3:
				return p.integer(kind, &e.repetition)
			case 4:
				return p.binary(kind, &e.name)
			case 5:
				return p.integer(kind, &e.children)
			}
			return false
		})
		if len(e.name) > maxName {
			p.fail(TooLarge, "a column's name of %d bytes", len(e.name))
		}
		all = append(all, e)
	})
	if !read || p.failed() {
		return read
	}
	if len(all) == 0 {
		p.fail(Damaged, "a footer without columns")
		return true
	}
	var leaves []leaf
	if rest := p.tree(&leaves, all[1:], all[0].children, leaf{}); len(rest) > 0 || len(leaves) == 0 {
		p.fail(Damaged, "columns that fit into no table")
	}
	if p.failed() {
		return true
	}
	p.leaves = len(leaves)
	p.choose(leaves)
	return true
}

// tree adds the columns of the next n elements to leaves, and gives the elements after those.
func (p *footer) tree(leaves *[]leaf, all []element, n int64, parent leaf) (rest []element) {
	for ; n > 0; n-- {
		if len(all) == 0 {
			p.fail(Damaged, "columns that fit into no table")
			return nil
		}
		e, l := all[0], parent
		all = all[1:]
		l.depth++
		l.kind, l.number = e.kind, len(*leaves)
		if l.depth <= 2 {
			l.name = strings.TrimPrefix(parent.name+"."+string(e.name), ".")
		}
		switch e.repetition {
		case optional:
			l.levels++
		case repeated:
			l.lists = true
		}
		switch {
		case e.children > 0:
			all = p.tree(leaves, all, e.children, l)
			if p.failed() {
				return nil
			}
		case e.kind >= 0: // a struct of nothing is no column
			*leaves = append(*leaves, l)
		}
	}
	return all
}

// choose finds the columns that are read.
func (p *footer) choose(leaves []leaf) {
	find := func(name string, depth int, kinds ...int64) *leaf {
		for i, l := range leaves {
			if l.name == name && l.depth == depth && !l.lists && slices.Contains(kinds, l.kind) {
				return &leaves[i]
			}
		}
		return nil
	}
	structs := []string{"image", "img"}
	var have []string
	for _, l := range leaves {
		top, field, inside := strings.Cut(l.name, ".")
		if inside && field == "bytes" {
			structs = append(structs, top)
		}
		if !slices.Contains(have, top) {
			have = append(have, top)
		}
	}
	found := [3]*leaf{}
	for _, top := range structs {
		found[picture] = find(top+".bytes", 2, typeByteArray)
		found[path] = find(top+".path", 2, typeByteArray)
		if found[picture] != nil && found[path] != nil {
			break
		}
	}
	for _, name := range []string{"fine_label", "label"} {
		if l := find(name, 1, typeInt32, typeInt64); l != nil {
			found[label] = l
		}
	}
	switch {
	case found[picture] == nil || found[path] == nil:
		p.fail(NoPictures, "no column of {bytes, path} among %s", text.Examples(have))
	case found[label] == nil:
		p.fail(NoPictures, "no column label or fine_label of whole numbers among %s", text.Examples(have))
	default:
		for i, l := range found {
			p.f.cols[i] = *l
		}
	}
}

// group reads a RowGroup.
func (p *footer) group() {
	g, columns := group{rows: -1}, 0
	if len(p.f.group) == maxGroups {
		p.fail(TooLarge, "more than %d row groups", maxGroups)
		return
	}
	values := [3]int64{}
	p.structure(func(id int, kind byte) bool {
		switch id {
		case 1:
			return p.list(kind, kindStruct, func(i int) {
				columns++
				at := slices.IndexFunc(p.f.cols[:], func(l leaf) bool { return l.number == i })
				if at < 0 {
					p.skip(kindStruct, deepest)
					return
				}
				g.chunks[at], values[at] = p.chunk(p.f.cols[at])
			})
		case 3:
			return p.integer(kind, &g.rows)
		}
		return false
	})
	if p.failed() {
		return
	}
	if columns != p.leaves {
		p.fail(Damaged, "a row group of %d columns, of %d", columns, p.leaves)
		return
	}
	if g.rows < 0 || g.rows > p.f.size-p.f.rows { // each picture takes a byte at least
		p.fail(Damaged, "a row group of %d rows in a file of %d bytes", g.rows, p.f.size)
		return
	}
	for i, v := range values {
		if v != g.rows {
			p.fail(Damaged, "%d values of %s in %d rows", v, text.Name(p.f.cols[i].name), g.rows)
		}
	}
	p.f.rows += g.rows
	p.f.group = append(p.f.group, g)
}

// chunk reads a ColumnChunk, and how many values it has.
func (p *footer) chunk(l leaf) (chunk, int64) {
	var elsewhere []byte
	kindOf, codecOf, values, size, data, dictionary := int64(-1), int64(-1), int64(-1), int64(-1), int64(-1), int64(0)
	p.structure(func(id int, kind byte) bool {
		switch {
		case id == 1:
			return p.binary(kind, &elsewhere)
		case id == 8:
			p.fail(Unsupported, "encryption")
		case id == 3 && kind == kindStruct:
			p.structure(func(id int, kind byte) bool {
				switch id {
				case 1:
					return p.integer(kind, &kindOf)
				case 4:
					return p.integer(kind, &codecOf)
				case 5:
					return p.integer(kind, &values)
				case 7:
					return p.integer(kind, &size)
				case 9:
					return p.integer(kind, &data)
				case 11:
					return p.integer(kind, &dictionary)
				}
				return false
			})
			return true
		}
		return false
	})
	if p.failed() || values == 0 { // of an empty column some say that it begins at 0
		return chunk{}, 0
	}
	at := data
	if dictionary > 0 {
		at = min(at, dictionary)
	}
	ends := p.begins // of the chunks: the footer
	switch {
	case len(elsewhere) > 0:
		p.fail(Unsupported, "a column in another file")
	case kindOf != l.kind:
		p.fail(Damaged, "a column of another type than its own")
	case at < int64(len(magic)) || at > ends || size < 0 || size > ends-at:
		p.fail(Damaged, "%d bytes of a column from byte %d, and the footer begins at %d", size, at, ends)
	case size > p.left: // so nothing is read twice
		p.fail(Damaged, "columns that lie in each other")
	case !codec(codecOf).known():
		p.fail(Unsupported, "the codec %s, in column %s", codec(codecOf), text.Name(l.name))
	}
	p.left -= size
	return chunk{at, size, codec(codecOf)}, values
}
