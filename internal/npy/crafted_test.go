package npy

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

// readAll opens a file and reads every array whose numbers can be read.
func readAll(b []byte) (a *Archive, values [][]float32, err error) {
	a, err = NewArchive("f", bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	for _, t := range a.Tensors {
		if t.Len() > 2000*max(len(b), 1) { // deflate makes 1032 bytes of one
			return nil, nil, fmt.Errorf("%d numbers of %d bytes", t.Len(), len(b))
		}
		v := make([]float32, t.Len())
		err := t.Fill(v)
		var bad *tensor.BadFile
		if errors.As(err, &bad) && bad.Fault == tensor.OtherType {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		values = append(values, v)
	}
	return a, values, nil
}

// readAsked is readAll, and tells how much memory was asked for besides the numbers.
func readAsked(b []byte) (a *Archive, asked uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, values, err := readAll(b)
	runtime.ReadMemStats(&after)
	asked = after.TotalAlloc - before.TotalAlloc
	for _, v := range values {
		asked -= min(asked, 4*uint64(len(v)))
	}
	return a, asked, err
}

// mayAsk is how much memory a file of so many bytes may ask for in all, and each of its arrays.
func mayAsk(size, arrays int) uint64 { return 2*uint64(size) + 16<<20 + uint64(arrays)*300<<10 }

// TestCrafted: a file that is made to hurt is refused, in little memory.
func TestCrafted(t *testing.T) {
	for _, c := range crafted.Npys() {
		b := c.Bytes()
		_, asked, err := readAsked(b)
		if !errors.As(err, new(*tensor.BadFile)) || !strings.Contains(err.Error(), c.Want) {
			t.Errorf("%s: %.300v, want %q", c.Name, err, c.Want)
		}
		if asked > mayAsk(len(b), 0) {
			t.Errorf("%s: %d MB for %d bytes", c.Name, asked>>20, len(b))
		}
	}
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCuts: no file that was cut is taken for a whole one.
func TestCuts(t *testing.T) {
	for _, name := range []string{"f4.npy", "fortran.npy", "stored.npz", "kaffe.npy", "kaffe-python2.npy"} {
		whole := readTestdata(t, name)
		for n := range whole {
			if _, _, err := readAll(whole[:n]); !errors.As(err, new(*tensor.BadFile)) {
				t.Errorf("%s: cut at byte %d: %v", name, n, err)
			}
		}
	}
}

// TestFlips: a flipped bit in a floating-point array of an .npz is found, and one elsewhere is or changes no number.
func TestFlips(t *testing.T) {
	whole := readTestdata(t, "stored.npz")
	want, values, err := readAll(whole)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	data := make([]bool, len(whole))
	for _, f := range z.File {
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.CompressedSize64 {
			data[at+int64(i)] = f.Name != "steps.npy" // of whole numbers: nobody reads it
		}
	}
	for bit := range 8 * len(whole) {
		whole[bit/8] ^= 1 << (bit % 8)
		got, gotValues, err := readAll(whole)
		switch {
		case err != nil && !errors.As(err, new(*tensor.BadFile)):
			t.Errorf("byte %d: %T %v", bit/8, err, err)
		case err == nil && data[bit/8]:
			t.Errorf("bit %d of byte %d was flipped, and nobody said so", bit%8, bit/8)
		case err == nil && (len(got.Tensors) != len(want.Tensors) || !slices.EqualFunc(values, gotValues, sameBits)):
			t.Errorf("bit %d of byte %d was flipped, and it is another file: %v", bit%8, bit/8, got)
		}
		whole[bit/8] ^= 1 << (bit % 8)
	}
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestOpen: what is no file of bytes is not opened.
func TestOpen(t *testing.T) {
	var bad *tensor.BadFile
	if _, err := Open(files.OS, t.TempDir()); !errors.As(err, &bad) || bad.Fault != tensor.OtherFormat {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(files.OS, filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 1\n"
	path := filepath.Join(t.TempDir(), "pointer")
	if err := os.WriteFile(path, []byte(pointer), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(files.OS, path); !errors.As(err, &bad) || bad.Fault != tensor.Pointer {
		t.Errorf("a pointer: %v", err)
	}
}

// TestManyMembers: a zip of thousands of compressed arrays takes little for each.
func TestManyMembers(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 2000 {
		f, err := w.Create(fmt.Sprintf("layer%d.npy", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := Encode(f, []float32{float32(i)}, []int{1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a, err := NewArchive("f", bytes.NewReader(b.Bytes()), int64(b.Len()))
	runtime.ReadMemStats(&after)
	if err != nil || len(a.Tensors) != 2000 {
		t.Fatal(err)
	}
	if asked := after.TotalAlloc - before.TotalAlloc; asked > mayAsk(b.Len(), 0) {
		t.Errorf("%d MB for %d bytes", asked>>20, b.Len())
	}
	if v, err := a.Tensors[1999].Values(); err != nil || v[0] != 1999 {
		t.Errorf("%v, %v", v, err)
	}
}

// FuzzNpy: whatever the bytes are, there is an error or arrays that can be read, in little memory.
func FuzzNpy(f *testing.F) {
	for name := range readWanted(f) {
		if b := readTestdata(f, name); len(b) < 8000 { // larger ones take go test long to make smaller
			f.Add(b)
		}
	}
	for _, c := range crafted.Npys() {
		if b := c.Bytes(); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, asked, err := readAsked(b)
		if err != nil && !errors.As(err, new(*tensor.BadFile)) {
			t.Fatalf("%T: %v", err, err)
		}
		arrays := 0
		if a != nil {
			arrays = len(a.Tensors)
		}
		if asked > mayAsk(len(b), arrays) {
			t.Fatalf("%d MB for %d bytes", asked>>20, len(b))
		}
	})
}
