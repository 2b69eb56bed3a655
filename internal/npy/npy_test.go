package npy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"
)

// numbered are n numbers that differ.
func numbered(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i) + .25
	}
	return x
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func TestEncode(t *testing.T) {
	for _, shape := range [][]int{{2, 3, 2, 5}, {3, 4, 5}, {2, 7}, {9}, {0, 7}} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			want := numbered(product(shape))
			path := filepath.Join(t.TempDir(), "f.npy")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(Encode(f, want, shape), f.Close()); err != nil {
				t.Fatal(err)
			}
			checkFile(t, path, shape, want)
		})
	}
}

// TestHeader: as numpy.save writes it, NumPy 2.4, room for the first dimension to grow included.
func TestHeader(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  string
	}{
		{
			[]int{3, 4}, "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }" +
				strings.Repeat(" ", 58) + "\n",
		},
		{
			[]int{123456}, "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (123456,), }" +
				strings.Repeat(" ", 55) + "\n",
		},
	} {
		if got := header("<f4", c.shape); string(got) != c.want {
			t.Errorf("%v: %q, want %q", c.shape, got, c.want)
		}
	}
}

// TestWriter: rows that come one after the other make the file that Encode makes of all, however many a chunk holds.
func TestWriter(t *testing.T) {
	for _, c := range []struct {
		row  []int
		rows int
	}{
		{[]int{10}, 0},
		{[]int{10}, 1},
		{[]int{10}, 12345},
		{[]int{2, 3, 5}, 1000},
		{[]int{3, 100, 101}, 11},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "f.npy"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w, err := NewWriter(f, c.row...)
		if err != nil {
			t.Fatal(err)
		}
		shape := append([]int{c.rows}, c.row...)
		all := numbered(product(shape))
		for row := range slices.Chunk(all, product(c.row)) {
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil || !slices.Equal(w.Shape(), shape) {
			t.Fatalf("%v, shape %v, want %v", err, w.Shape(), shape)
		}
		var want bytes.Buffer
		if err := Encode(&want, all, shape); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d rows of %v: %d bytes, %v; want %d", c.rows, c.row, len(got), err, want.Len())
		}
	}
}

// fullAfter is a disk with room for so many bytes.
type fullAfter struct{ left int }

var errFull = errors.New("full")

func (f *fullAfter) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func (f *fullAfter) WriteAt([]byte, int64) (int, error) { return 0, errFull }

// TestWriterFails: an error of the file is told by the call that met it.
func TestWriterFails(t *testing.T) {
	if _, err := NewWriter(&fullAfter{10}, 3); !errors.Is(err, errFull) {
		t.Errorf("header: %v", err)
	}
	w, err := NewWriter(&fullAfter{200}, chunk)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]float32, chunk)); !errors.Is(err, errFull) {
		t.Errorf("row: %v", err)
	}
	for _, room := range []int{128, 1000} { // for the row or not; never for the header again
		if w, err = NewWriter(&fullAfter{room}, 3); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(make([]float32, 3)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); !errors.Is(err, errFull) {
			t.Errorf("close with room for %d: %v", room, err)
		}
	}
	if err := Encode(io.Discard, nil, []int{0}); err != nil {
		t.Error(err)
	}
}

// checkFile wants a file of float32 in row-major order, read by a library.
func checkFile(t *testing.T, path string, shape []int, want []float32) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := npyio.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header.Descr; !slices.Equal(h.Shape, shape) || strings.Trim(h.Type, "'") != "<f4" || h.Fortran {
		t.Errorf("header %+v, want shape %v of <f4", h, shape)
	}
	var got []float32
	if err := r.Read(&got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("read %v, wrote %v", got, want)
	}
}
