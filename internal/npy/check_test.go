package npy

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// TestCheck: what Encode writes is sound; what is cut anywhere, too long, or of a header that is none is not.
func TestCheck(t *testing.T) {
	for _, shape := range [][]int{{3, 4}, {2, 2, 3}, {1, 3, 2, 2}} {
		var b bytes.Buffer
		if err := Encode(&b, make([]float32, 12), shape); err != nil {
			t.Fatal(err)
		}
		whole := b.Bytes()
		got, err := Check(bytes.NewReader(whole), int64(len(whole)))
		if err != nil || len(got) != len(shape) || got[0] != int64(shape[0]) {
			t.Errorf("shape %v: %v, %v", shape, got, err)
		}
		for n := range whole {
			if _, err := Check(bytes.NewReader(whole[:n]), int64(n)); err == nil {
				t.Errorf("cut at byte %d: no error", n)
			}
		}
		longer := append(slices.Clone(whole), 0)
		if _, err := Check(bytes.NewReader(longer), int64(len(longer))); err == nil {
			t.Error("too long: no error")
		}
		vast := bytes.Replace(whole, []byte("("), []byte("(999999999999999999, 999999999999999999, "), 1)
		if _, err := Check(bytes.NewReader(vast), int64(len(vast))); err == nil {
			t.Error("vast: no error")
		}
	}
}

// NumPy's own files of other versions and types.
func TestCheckOthers(t *testing.T) {
	for header, want := range map[string]string{
		"\x93NUMPY\x02\x00\x3a\x00\x00\x00{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n": "",
		"\x93NUMPY\x01\x00\x3a\x00{'descr': '|u1', 'fortran_order': False, 'shape': (17), }\n":         "says",
		"\x93NUMPY\x09\x00\x39\x00{'descr': '|u1', 'fortran_order': False, 'shape': (16), }\n":         "version 9",

		"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': '|u1', 'shape': (16,), }\n": "a header of",

		"\x93NUMPY\x01\x00\x10\x00{'shape': (1,) }": "header is none",
		"PK\x03\x04 an archive":                     "begin as an array",
	} {
		file := header + strings.Repeat("x", 16)
		_, err := Check(strings.NewReader(file), int64(len(file)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", header, err, want)
		}
	}
}
