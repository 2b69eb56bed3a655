package parquet

import "encoding/binary"

// hybrid reads small numbers of width bits, 0 to 32, as parquet-format's Encodings.md has them under "RLE/Bit-Packing
// Hybrid": runs of one number, and of numbers packed in groups of 8.
type hybrid struct {
	b     []byte // what was not read yet, from the run after this one on
	width uint
	left  uint64 // numbers left in this run
	same  bool   // the run is of one number
	one   uint32 // that number
	bits  []byte // of packed numbers: the run's
	bit   uint64 // the next number begins here
}

// next is the next number; false where there is none.
func (h *hybrid) next() (uint32, bool) {
	for h.left == 0 {
		if !h.run() {
			return 0, false
		}
	}
	h.left--
	if h.same {
		return h.one, true
	}
	v := uint64(0)
	for have, at := uint(0), h.bit/8; have < h.width+uint(h.bit%8); have, at = have+8, at+1 {
		v |= uint64(h.bits[at]) << have
	}
	v >>= h.bit % 8
	h.bit += uint64(h.width)
	return uint32(v & (1<<h.width - 1)), true
}

// run begins the next run. Writers may leave out the end of a last group of 8.
func (h *hybrid) run() bool {
	head, n := binary.Uvarint(h.b)
	if n <= 0 {
		return false
	}
	h.b = h.b[n:]
	if h.same = head&1 == 0; h.same {
		h.left = head >> 1
		bytes := int(h.width+7) / 8
		if len(h.b) < bytes {
			return false
		}
		h.one = 0
		for i, b := range h.b[:bytes] {
			h.one |= uint32(b) << (8 * i)
		}
		h.b = h.b[bytes:]
		return true
	}
	groups := head >> 1
	bytes := uint64(len(h.b))
	if groups <= bytes || h.width == 0 { // so the product is small
		bytes = min(bytes, groups*uint64(h.width))
	}
	h.left = 8 * groups
	if h.width > 0 {
		h.left = 8 * bytes / uint64(h.width)
	}
	h.bits, h.bit, h.b = h.b[:bytes], 0, h.b[bytes:]
	return true
}
