package parquet

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"alexnet/internal/crafted"
)

// Files with any byte changed are read, or refused with an *Error; in little memory, and with no more rows than bytes.
func TestMutations(t *testing.T) {
	try := func(name string, b []byte) {
		rows, asked, err := readAsked(t, b)
		if err != nil && !errors.As(err, new(*Error)) {
			t.Errorf("%s: %T: %v", name, err, err)
		}
		if asked > mayAsk(len(b)) {
			t.Errorf("%s: %d MB asked for: %v", name, asked>>20, err)
		}
		if len(rows) > len(b) {
			t.Errorf("%s: %d rows of %d bytes", name, len(rows), len(b))
		}
	}
	small := []string{"one.parquet", "missing.parquet"} // a dictionary of pictures; levels
	if testing.Short() {
		small = small[:1]
	}
	for _, name := range small {
		whole := readTestdata(t, name)
		for i, was := range whole {
			for _, b := range []byte{0, 1, 0x7f, 0x80, 0xff, was ^ 1, was ^ 0x80, was + 1} {
				whole[i] = b
				try(name, whole)
			}
			whole[i] = was
		}
	}
	r := rand.New(rand.NewPCG(17, 1))
	for name := range readWanted(t) {
		whole := readTestdata(t, name)
		for range 100 {
			b := slices.Clone(whole)
			for n := 1 << r.IntN(4); n > 0; n-- {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
			try(name, b)
		}
	}
}

// A flipped bit in a page that has a checksum is found, dictionaries' included.
func TestChecksums(t *testing.T) {
	for _, name := range []string{"pages.parquet", "pages-v2.parquet", "required.parquet"} {
		whole := readTestdata(t, name)
		r, pages := rand.New(rand.NewPCG(18, 1)), pagesOf(t, whole)
		for range 2_000 {
			b, page := slices.Clone(whole), pages[r.IntN(len(pages))]
			at := page.at + r.Int64N(page.size)
			b[at] ^= 1 << r.IntN(8)
			var bad *Error
			if _, _, err := readRows(t, b); !errors.As(err, &bad) || bad.Problem != Damaged {
				t.Errorf("%s: a bit of byte %d is another: %v", name, at, err)
			}
		}
	}
}

// pagesOf tells where the pages of a file lie, without their headers.
func pagesOf(t *testing.T, b []byte) (pages []chunk) {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for g, group := range f.group {
		for i, leaf := range f.cols {
			c := &column{reading: f.newReading(), leaf: leaf}
			c.begin(g, group.chunks[i], group.rows)
			for c.chunk.size > 0 {
				h, err := c.header()
				if err != nil {
					t.Fatal(err)
				}
				pages = append(pages, chunk{at: c.chunk.at, size: h.packed})
				c.chunk.at, c.chunk.size = c.chunk.at+h.packed, c.chunk.size-h.packed
			}
		}
	}
	return pages
}

// FuzzOpen holds whatever the bytes are to the same as TestMutations.
func FuzzOpen(f *testing.F) {
	for name := range readWanted(f) {
		if b := readTestdata(f, name); len(b) < 3_000 { // larger ones take go test long to make smaller
			f.Add(b)
		}
	}
	for _, c := range crafted.Parquets() {
		if b := c.Bytes(); len(b) < 1_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, asked, err := readAsked(t, b)
		if err != nil && !errors.As(err, new(*Error)) {
			t.Fatalf("%T: %v", err, err)
		}
		if asked > mayAsk(len(b)) || len(rows) > len(b) {
			t.Fatalf("%d bytes: %d asked for, %d rows", len(b), asked, len(rows))
		}
	})
}

// BenchmarkEach reads the file that ALEXNET_PARQUET names; scripts/parquet.py --big makes one, and starts this.
func BenchmarkEach(b *testing.B) {
	name := os.Getenv("ALEXNET_PARQUET")
	if name == "" {
		b.Skip("ALEXNET_PARQUET names no file")
	}
	r, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(info.Size())
	for b.Loop() {
		f, err := Open(r, info.Size())
		if err != nil {
			b.Fatal(err)
		}
		err = f.Each(b.Context(), func(int64, string, int64, []byte) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
}
