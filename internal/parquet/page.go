package parquet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
)

// reading is what the columns of one reading share.
type reading struct {
	*unpackers
	f    *File
	held int64 // bytes of buffers that may still be asked for
	out  int64 // bytes that may still be unpacked and given out
}

func (f *File) newReading() *reading {
	return &reading{
		unpackers: new(unpackers), f: f,
		held: heldTimes*f.size + heldMore, out: outTimes*f.size + outMore,
	}
}

// column reads a column's values in order, a row group's chunk after the other.
type column struct {
	*reading
	leaf
	group   int
	chunk   chunk // what was not read yet of it
	rows    int64 // of the chunk, those that are in no page yet
	head    []byte
	packed  []byte
	page    []byte   // unpacked, or as it lies in the file
	dict    []byte   // likewise
	starts  []uint32 // of the dictionary's entries in dict, where they are byte arrays
	entries int      // of the dictionary; -1: there is none

	// The page that is given out.
	left    int64  // values
	begins  int64  // in the file
	levels  hybrid // which values are missing, if any can be
	plain   []byte // PLAIN values; or
	byIndex bool
	indices hybrid // places in the dictionary
}

// begin goes on with the next row group.
func (c *column) begin(group int, chunk chunk, rows int64) {
	c.group, c.chunk, c.rows, c.entries, c.left = group, chunk, rows, -1, 0
}

func (c *column) fail(problem Problem, err error, format string, args ...any) error {
	return &Error{
		Problem: problem, Column: c.name, Group: c.group, At: c.begins, Detail: fmt.Sprintf(format, args...), Err: err,
	}
}

// width is how many bytes a value has, 0 where each says so itself.
func (c *column) width() int {
	switch c.kind {
	case typeInt32:
		return 4
	case typeInt64:
		return 8
	default:
		return 0
	}
}

// next is the next value's bytes, and nil of one that is missing. They stay until next is called again.
func (c *column) next(ctx context.Context) ([]byte, error) {
	for c.left == 0 {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := c.nextPage(); err != nil {
			return nil, err
		}
	}
	c.left--
	v, err := c.value()
	if err != nil {
		return nil, err
	}
	if c.left == 0 && !c.byIndex && len(c.plain) > 0 {
		return nil, c.fail(Damaged, nil, "%d bytes after a page's last value", len(c.plain))
	}
	if c.out -= int64(len(v)); c.out < 0 {
		return nil, c.fail(TooLarge, nil, "its rows hold more than %d times what the file has", outTimes)
	}
	return v, nil
}

func (c *column) value() (v []byte, err error) {
	if c.leaf.levels > 0 {
		level, ok := c.levels.next()
		if !ok || level > c.leaf.levels {
			return nil, c.fail(Damaged, nil, "which values are missing cannot be read")
		}
		if level < c.leaf.levels {
			return nil, nil
		}
	}
	from := &c.plain
	if c.byIndex {
		i, ok := c.indices.next()
		if !ok || int64(i) >= int64(c.entries) {
			return nil, c.fail(Damaged, nil, "a value that is not in the dictionary of %d", c.entries)
		}
		start := int(i) * c.width()
		if c.width() == 0 {
			start = int(c.starts[i])
		}
		entry := c.dict[start:]
		from = &entry
	}
	if v, *from, err = c.cut(*from); err != nil {
		return nil, err
	}
	return v, nil
}

// cut takes a value in the encoding PLAIN from the front of b.
func (c *column) cut(b []byte) (v, rest []byte, err error) {
	n := int64(c.width())
	if n == 0 {
		if len(b) < 4 {
			return nil, nil, c.fail(Damaged, nil, "a page ends before its last value")
		}
		n, b = int64(binary.LittleEndian.Uint32(b)), b[4:]
	}
	if n > int64(len(b)) {
		return nil, nil, c.fail(Damaged, nil, "a value of %d bytes where its page has %d left", n, len(b))
	}
	return b[:n:n], b[n:], nil
}

// Types of pages, and encodings, in parquet.thrift.
const (
	dataPage       = 0
	indexPage      = 1
	dictionaryPage = 2
	dataPageV2     = 3

	plain           = 0
	plainDictionary = 2
	rle             = 3
	rleDictionary   = 8
)

// header is a page's.
type header struct {
	kind         int64 // dataPage, ..
	size, packed int64 // bytes in memory and in the file
	sum          int64 // CRC-32 of these; -1: not known
	values       int64
	encoding     int64
	levels       int64 // encoding of the definition levels; of version 2: how many bytes they have
	repetition   int64 // bytes of the repetition levels, of version 2
	raw          bool  // of version 2: it is not packed
}

// nextPage reads a page, of whatever type.
func (c *column) nextPage() error {
	c.begins = c.chunk.at
	h, err := c.header()
	if err != nil {
		return err
	}
	if h.size < 0 || h.size > math.MaxInt32 || h.packed < 0 || h.packed > c.chunk.size {
		return c.fail(Damaged, nil, "a page of %d bytes, %d in memory, where its column has %d left", h.packed, h.size,
			c.chunk.size)
	}
	switch h.kind {
	case indexPage:
		c.chunk.at, c.chunk.size = c.chunk.at+h.packed, c.chunk.size-h.packed
		return nil
	case dictionaryPage:
		return c.dictionary(h)
	case dataPage, dataPageV2:
		return c.values(h)
	default:
		return c.fail(Unsupported, nil, "a page of type %d", h.kind)
	}
}

// header reads the next page's header. How long it is only it tells, and most have less than 100 bytes.
func (c *column) header() (header, error) {
	for size := int64(firstHeader); ; size *= 8 {
		b, err := c.grow(c.head, min(size, c.chunk.size))
		if err != nil {
			return header{}, err
		}
		c.head = b
		if err := c.read(b, c.chunk.at); err != nil {
			return header{}, err
		}
		p := compact{b: b}
		h := p.header()
		switch {
		case !p.failed():
			c.chunk.at, c.chunk.size = c.chunk.at+int64(p.at), c.chunk.size-int64(p.at)
			return h, nil
		case p.bad || size >= c.chunk.size:
			return h, c.fail(Damaged, nil, "a page's header cannot be read; rows to come: %d", c.rows)
		case size >= maxHeader:
			return h, c.fail(TooLarge, nil, "a page's header of more than %d bytes", size)
		}
	}
}

func (p *compact) header() header {
	h := header{kind: -1, size: -1, packed: -1, sum: -1, values: -1, encoding: -1}
	p.structure(func(id int, kind byte) bool {
		switch id {
		case 1:
			return p.integer(kind, &h.kind)
		case 2:
			return p.integer(kind, &h.size)
		case 3:
			return p.integer(kind, &h.packed)
		case 4:
			var sum int64
			if !p.integer(kind, &sum) {
				return false
			}
			h.sum = int64(uint32(sum))
			return true
		}
		its := id == 5 && h.kind == dataPage || id == 7 && h.kind == dictionaryPage || id == 8 && h.kind == dataPageV2
		if !its || kind != kindStruct {
			return false
		}
		p.structure(func(id int, kind byte) bool { return p.inner(&h, id, kind) })
		return true
	})
	return h
}

// inner reads a field of a DataPageHeader, a DictionaryPageHeader or a DataPageHeaderV2.
func (p *compact) inner(h *header, id int, kind byte) bool {
	switch {
	case id == 1:
		return p.integer(kind, &h.values)
	case id == 2 && h.kind != dataPageV2, id == 4 && h.kind == dataPageV2:
		return p.integer(kind, &h.encoding)
	case id == 3 && h.kind == dataPage, id == 5 && h.kind == dataPageV2:
		return p.integer(kind, &h.levels)
	case id == 6 && h.kind == dataPageV2:
		return p.integer(kind, &h.repetition)
	case id == 7 && h.kind == dataPageV2:
		h.raw = kind == kindFalse
		return kind == kindTrue || kind == kindFalse
	}
	return false
}

// read is File.readAt of a place in the column.
func (c *column) read(b []byte, at int64) error {
	err := c.f.readAt(b, at)
	var e *Error
	if errors.As(err, &e) {
		e.Column, e.Group = c.name, c.group
	}
	return err
}

// grow is a buffer of n bytes, b's if it has room.
func (c *column) grow(b []byte, n int64) ([]byte, error) {
	if n <= int64(cap(b)) {
		return b[:n], nil
	}
	if c.held -= n - int64(cap(b)); c.held < 0 {
		return nil, c.fail(TooLarge, nil, "a page of %d bytes, in a file of %d", n, c.f.size)
	}
	return make([]byte, n), nil
}

// load reads what a page holds, unpacked, into a buffer. The first bytes of it are never packed: the levels of version
// 2, which are given apart.
func (c *column) load(h header, first int64, into *[]byte) (levels, values []byte, err error) {
	packed := c.chunk.codec != uncompressed && !h.raw
	if first < 0 || first > h.packed || first > h.size || !packed && h.packed != h.size {
		return nil, nil, c.fail(Damaged, nil, "a page of %d bytes, %d in memory, %d of levels", h.packed, h.size, first)
	}
	raw := into
	if packed {
		raw = &c.packed
	}
	if *raw, err = c.grow(*raw, h.packed); err != nil {
		return nil, nil, err
	}
	b := *raw
	if err := c.read(b, c.chunk.at); err != nil {
		return nil, nil, err
	}
	c.chunk.at, c.chunk.size = c.chunk.at+h.packed, c.chunk.size-h.packed
	if sum := int64(crc32.ChecksumIEEE(b)); h.sum >= 0 && sum != h.sum {
		return nil, nil, c.fail(Damaged, nil, "a page's checksum is %08x, and it says %08x", sum, h.sum)
	}
	if !packed {
		return b[:first], b[first:], nil
	}
	if c.out -= h.size; c.out < 0 {
		return nil, nil, c.fail(TooLarge, nil, "its pages unpack to more than %d times the file", outTimes)
	}
	if *into, err = c.grow(*into, h.size-first); err != nil {
		return nil, nil, err
	}
	if h.size == first { // nothing may be packed as nothing
		return b[:first], nil, nil
	}
	if err := c.unpack(c.chunk.codec, *into, b[first:]); err != nil {
		return nil, nil, c.fail(Damaged, err, "a page that %v cannot unpack", c.chunk.codec)
	}
	return b[:first], *into, nil
}

// dictionary reads the dictionary of the chunk.
func (c *column) dictionary(h header) error {
	if c.entries >= 0 {
		return c.fail(Damaged, nil, "a second dictionary")
	}
	if h.encoding != plain && h.encoding != plainDictionary {
		return c.fail(Unsupported, nil, "a dictionary in the encoding %s", encoding(h.encoding))
	}
	_, b, err := c.load(h, 0, &c.dict)
	if err != nil {
		return err
	}
	c.dict = b
	least := int64(4) // bytes of an entry
	if c.width() > 0 {
		least = int64(c.width())
	}
	if h.values < 0 || h.values > int64(len(b))/least {
		return c.fail(Damaged, nil, "a dictionary of %d entries in %d bytes", h.values, len(b))
	}
	c.entries = int(h.values)
	if c.width() > 0 {
		return nil
	}
	if n := c.entries - cap(c.starts); n > 0 {
		if c.held -= 4 * int64(n); c.held < 0 {
			return c.fail(TooLarge, nil, "a dictionary of %d entries, in a file of %d bytes", c.entries, c.f.size)
		}
		c.starts = make([]uint32, c.entries)
	}
	c.starts = c.starts[:c.entries]
	for i, rest := 0, b; i < c.entries; i++ {
		c.starts[i] = uint32(len(b) - len(rest))
		if _, rest, err = c.cut(rest); err != nil {
			return err
		}
	}
	return nil
}

// values reads a page of values.
func (c *column) values(h header) error {
	if h.values < 0 || h.values > c.rows {
		return c.fail(Damaged, nil, "a page of %d values where %d rows are left", h.values, c.rows)
	}
	first := int64(0)
	if h.kind == dataPageV2 {
		if first = h.levels; h.repetition != 0 || h.levels < 0 {
			return c.fail(Damaged, nil, "levels of a list, which the column is not")
		}
	}
	levels, b, err := c.load(h, first, &c.page)
	if err != nil {
		return err
	}
	if h.kind == dataPage && c.leaf.levels > 0 {
		if h.levels != rle {
			return c.fail(Unsupported, nil, "definition levels in the encoding %s", encoding(h.levels))
		}
		if levels, b, err = c.cutLevels(b); err != nil {
			return err
		}
	}
	c.levels = hybrid{b: levels, width: uint(bits.Len32(c.leaf.levels))}
	switch h.encoding {
	case plain:
		c.plain, c.byIndex = b, false
	case plainDictionary, rleDictionary:
		if c.entries < 0 {
			return c.fail(Damaged, nil, "values of a dictionary that is not there")
		}
		c.indices, c.byIndex = hybrid{}, true
		if len(b) > 0 { // nothing may follow if all values are missing
			if b[0] > 32 {
				return c.fail(Damaged, nil, "places in a dictionary of %d bits", b[0])
			}
			c.indices = hybrid{b: b[1:], width: uint(b[0])}
		}
	default:
		return c.fail(Unsupported, nil, "the encoding %s", encoding(h.encoding))
	}
	c.left, c.rows = h.values, c.rows-h.values
	return nil
}

// cutLevels takes the definition levels of version 1 from the front of b: their length and they themselves.
func (c *column) cutLevels(b []byte) (levels, rest []byte, err error) {
	if len(b) >= 4 {
		n := int64(binary.LittleEndian.Uint32(b))
		if b = b[4:]; n <= int64(len(b)) {
			return b[:n], b[n:], nil
		}
	}
	return nil, nil, c.fail(Damaged, nil, "a page ends in its levels")
}

// encoding names one for a message.
func encoding(n int64) string {
	names := map[int64]string{
		4: "BIT_PACKED", 5: "DELTA_BINARY_PACKED", 6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY",
		9: "BYTE_STREAM_SPLIT",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return fmt.Sprintf("number %d", n)
}
