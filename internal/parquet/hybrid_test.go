package parquet

import (
	"slices"
	"testing"
)

// The example of Encodings.md (0 to 7, of 3 bits), and runs that its words allow.
func TestHybrid(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     string
		width uint
		want  []uint32
	}{
		{"packed", "\x03\x88\xc6\xfa", 3, []uint32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"packed without its end", "\x03\x88\xc6", 3, []uint32{0, 1, 2, 3, 4}},
		{"one number, then packed", "\x06\x05\x03\x88\xc6\xfa", 3, []uint32{5, 5, 5, 0, 1, 2, 3, 4, 5, 6, 7}},
		{"of two bytes", "\x04\x34\x02", 10, []uint32{0x234, 0x234}},
		{"of four bytes", "\x02\xff\xff\xff\xff", 32, []uint32{0xffffffff}},
		{"packed of 31 bits", "\x03\xff\xff\xff\x7f\x00\x00", 31, []uint32{0x7fffffff}},
		{"of no bits, packed, then one number", "\x03\x04", 0, make([]uint32, 10)},
		{"nothing, then one number", "\x00\x01\x02\x01", 1, []uint32{1}},
		{"an end within a number", "\x04\x34", 10, nil},
		{"an end within a head", "\x80\x80", 1, nil},
		{"empty", "", 1, nil},
	} {
		h := hybrid{b: []byte(c.b), width: c.width}
		var got []uint32
		for len(got) < 100 {
			v, ok := h.next()
			if !ok {
				break
			}
			got = append(got, v)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
