package parquet

import "encoding/binary"

// Types in Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md).
const (
	kindStop = iota
	kindTrue
	kindFalse
	kindByte
	kindI16
	kindI32
	kindI64
	kindDouble
	kindBinary
	kindList
	kindSet
	kindMap
	kindStruct
	kindUUID
)

// deepest is how many structs, lists and maps may lie in each other where they are passed over. Those of the format's
// own definition lie 6 deep.
const deepest = 32

// compact reads values in Thrift's compact protocol from b. After a failure everything reads as zero and every struct
// and list as ended, so that one look at failed is enough.
type compact struct {
	b     []byte
	at    int
	short bool // b ended too early: there may be more of it
	bad   bool // whatever comes after b, this is no value
}

func (c *compact) failed() bool { return c.short || c.bad }

func (c *compact) byte() byte {
	if c.failed() {
		return 0
	}
	if c.at >= len(c.b) {
		c.short = true
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

// bytes are the next n of b itself.
func (c *compact) bytes(n uint64) []byte {
	if c.failed() {
		return nil
	}
	if n > uint64(len(c.b)-c.at) {
		c.short = true
		return nil
	}
	c.at += int(n)
	return c.b[c.at-int(n) : c.at : c.at]
}

// varint is an unsigned number of 7 bits a byte, the lowest first.
func (c *compact) varint() uint64 {
	if c.failed() {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.at:])
	switch {
	case n > 0:
		c.at += n
		return v
	case n == 0:
		c.short = true
	default:
		c.bad = true
	}
	return 0
}

func (c *compact) zigzag() int64 {
	v := c.varint()
	return int64(v>>1) ^ -int64(v&1)
}

// integer reads a field of a whole number into v; false, and nothing read, where the field is of another kind.
func (c *compact) integer(kind byte, v *int64) bool {
	if kind != kindI16 && kind != kindI32 && kind != kindI64 {
		return false
	}
	*v = c.zigzag()
	return true
}

// binary reads a field of bytes, as integer does.
func (c *compact) binary(kind byte, v *[]byte) bool {
	if kind != kindBinary {
		return false
	}
	*v = c.bytes(c.varint())
	return true
}

// structure reads a struct. field is called for each field, and returns false if it has not read it.
func (c *compact) structure(field func(id int, kind byte) bool) {
	id := 0
	for !c.failed() {
		head := c.byte()
		if head == kindStop {
			return
		}
		if delta := int(head >> 4); delta != 0 {
			id += delta
		} else {
			id = int(int16(c.zigzag()))
		}
		if kind := head & 15; !field(id, kind) {
			c.skip(kind, deepest)
		}
	}
}

// list reads a field that is a list of elements of a kind, as integer does.
func (c *compact) list(kind, of byte, element func(i int)) bool {
	if kind != kindList {
		return false
	}
	n, elements := c.elements()
	if elements != of && n > 0 {
		c.bad = true
	}
	for i := range n {
		if c.failed() {
			return true
		}
		element(i)
	}
	return true
}

// elements reads the head of a list or set. Every element takes a byte at least.
func (c *compact) elements() (n int, kind byte) {
	head := c.byte()
	long := uint64(head >> 4)
	if long == 15 {
		long = c.varint()
	}
	if long > uint64(len(c.b)-c.at) {
		c.short = true
		return 0, head & 15
	}
	return int(long), head & 15
}

// skip passes over the value of a field.
func (c *compact) skip(kind byte, depth int) {
	if depth == 0 {
		c.bad = true
		return
	}
	switch kind {
	case kindTrue, kindFalse: // the kind is the value
	case kindByte:
		c.byte()
	case kindI16, kindI32, kindI64:
		c.varint()
	case kindDouble:
		c.bytes(8)
	case kindBinary:
		c.bytes(c.varint())
	case kindUUID:
		c.bytes(16)
	case kindList, kindSet:
		n, kind := c.elements()
		for i := 0; i < n && !c.failed(); i++ {
			c.skipElement(kind, depth-1)
		}
	case kindMap:
		n := c.varint()
		if n == 0 {
			return
		}
		kinds := c.byte()
		for i := uint64(0); i < n && !c.failed(); i++ {
			c.skipElement(kinds>>4, depth-1)
			c.skipElement(kinds&15, depth-1)
		}
	case kindStruct:
		for head := c.byte(); head != kindStop; head = c.byte() {
			if head>>4 == 0 {
				c.zigzag()
			}
			c.skip(head&15, depth-1)
		}
	default:
		c.bad = true
	}
}

// skipElement passes over an element of a list, set or map, where a truth value takes a byte.
func (c *compact) skipElement(kind byte, depth int) {
	if kind == kindTrue || kind == kindFalse {
		kind = kindByte
	}
	c.skip(kind, depth)
}
