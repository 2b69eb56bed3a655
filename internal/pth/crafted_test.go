package pth

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/zipped"
)

// readAll opens a file and reads every tensor whose numbers can be read.
func readAll(b []byte) (f *File, values [][]float32, err error) {
	f, err = NewFile("f", bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	for _, t := range f.Tensors {
		if tensor.Decoders[t.DType] == nil {
			continue
		}
		if n := t.Len(); n > max(len(b), 4096) {
			return nil, nil, fmt.Errorf("%d numbers of %d bytes", n, len(b))
		}
		v, err := t.Values()
		if err != nil {
			return nil, nil, err
		}
		values = append(values, v)
	}
	if f.Form == Zip {
		z, err := zipped.Open(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			err = z.Verify(context.Background())
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return f, values, nil
}

// readAsked is readAll, and tells how much memory was asked for besides the numbers.
func readAsked(b []byte) (f *File, asked uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, values, err := readAll(b)
	runtime.ReadMemStats(&after)
	asked = after.TotalAlloc - before.TotalAlloc
	for _, v := range values {
		asked -= min(asked, 4*uint64(len(v)))
	}
	return f, asked, err
}

// mayAsk is how much memory a file of so many bytes may ask for in all, and each of its tensors.
func mayAsk(size, tensors int) uint64 { return 2*uint64(size) + 16<<20 + uint64(tensors)*300<<10 }

// sound tells whether an error is of those that are promised.
func sound(err error) bool {
	return errors.As(err, new(*tensor.BadFile)) || errors.As(err, new(*Refused))
}

// TestCrafted: a file that is made to hurt is refused, in little memory.
func TestCrafted(t *testing.T) {
	for _, c := range crafted.Pths() {
		b := c.Bytes()
		_, asked, err := readAsked(b)
		if !sound(err) || !strings.Contains(err.Error(), c.Want) {
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

// same tells whether two files hold the same tensors and the same plain values.
func same(a, b *File, av, bv [][]float32) bool {
	tensors := slices.EqualFunc(a.Tensors, b.Tensors, func(a, b tensor.Tensor) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape)
	})
	return tensors && fmt.Sprint(a.Scalars) == fmt.Sprint(b.Scalars) &&
		slices.EqualFunc(av, bv, func(a, b []float32) bool {
			return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
		})
}

// TestFlips: a flipped bit in what a zip holds is found, wherever it is; and one elsewhere in the zip is, or changes
// nothing of the tensors.
func TestFlips(t *testing.T) {
	for _, name := range []string{"zip.pth", "checkpoint.pth.tar"} {
		whole := readTestdata(t, name)
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
				data[at+int64(i)] = true
			}
		}
		step := 11 // in eight bytes every bit of a byte has its turn
		if testing.Short() {
			step = 43
		}
		for bit := 0; bit < 8*len(whole); bit += step {
			whole[bit/8] ^= 1 << (bit % 8)
			got, gotValues, err := readAll(whole)
			switch {
			case err != nil && !sound(err):
				t.Errorf("%s: byte %d: %T %v", name, bit/8, err, err)
			case err == nil && data[bit/8]:
				t.Errorf("%s: bit %d of byte %d was flipped, and nobody said so", name, bit%8, bit/8)
			case err == nil && !same(want, got, values, gotValues):
				t.Errorf("%s: bit %d of byte %d was flipped, and it is another file: %v", name, bit%8, bit/8, got)
			}
			whole[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestCuts: no file that was cut is taken for a whole one, of either form.
func TestCuts(t *testing.T) {
	for _, name := range []string{"zip.pth", "crc0.pth", "legacy.pth", "lpips-v0.0-alex.pth"} {
		whole := readTestdata(t, name)
		for n := range whole {
			if _, _, err := readAll(whole[:n]); !sound(err) {
				t.Errorf("%s: cut at byte %d: %v", name, n, err)
			}
		}
	}
}

// TestShrunk: a file that becomes shorter while it is read is said to be cut short.
func TestShrunk(t *testing.T) {
	for _, name := range []string{"zip.pth", "legacy.pth"} {
		path := filepath.Join(t.TempDir(), name)
		whole := readTestdata(t, name)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(files.OS, path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := os.Truncate(path, 900); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, x := range f.Tensors {
			if _, err := x.Values(); err != nil && !sound(err) {
				t.Errorf("%s: %v", name, err)
			} else if err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("%s: nothing was said", name)
		}
	}
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

// TestLarge: of a file of 64 MB little is in memory besides the tensor that is read, whatever its strides.
func TestLarge(t *testing.T) {
	const n = 16 << 20 // numbers
	for name, strides := range map[string][]int{"as it lies": {4096, 1}, "transposed": {1, 4096}} {
		b := crafted.OneTensor(n, []int{4096, 4096}, strides)
		f, asked, err := readAsked(b)
		if err != nil || len(f.Tensors) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		if asked > 1<<20 {
			t.Errorf("%s: %d MB asked for", name, asked>>20)
		}
	}
}

// TestPython2: what only old files have. An OrderedDict is called with its pairs, strings have no code, two storages
// are parts of one, and whether a tensor learns is not told.
func TestPython2(t *testing.T) {
	part := func(offset, count string) string {
		return "ctorch._utils\n_rebuild_tensor\n((U\x07storagectorch\nFloatStorage\nU\x01aU\x06cuda:0K\x05" +
			"(U\x01bK" + offset + "K" + count + "ttQK\x00K" + count + "\x85K\x01\x85tR"
	}
	b := crafted.LegacyPth("\x80\x02ccollections\nOrderedDict\n](](U\x04biasq\x01"+part("\x01", "\x02")+"e"+
		"](U\x04moreU\x01\xe9e](U\x04lastq\x02"+part("\x02", "\x03")+"ee\x85R.",
		[]string{"a"}, []byte("\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@"))
	f, values, err := readAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if f.Tensors[0].Name != "bias" || f.Tensors[1].Name != "last" || f.Scalars["more"] != "\xe9" ||
		!slices.Equal(values[0], []float32{1, 2}) || !slices.Equal(values[1], []float32{2, 3, 4}) {
		t.Errorf("%+v %v", f, values)
	}
}

// TestAtOnce: goroutines may read the tensors of a file at once.
func TestAtOnce(t *testing.T) {
	f, want, err := readAll(readTestdata(t, "views.pth"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i, x := range f.Tensors {
				if v, err := x.Values(); err != nil || !slices.Equal(v, want[i]) {
					t.Errorf("%s: %v", x.Name, err)
				}
			}
		})
	}
	all.Wait()
}

// FuzzPth: whatever the bytes are, there is an error of those that are promised or tensors that can be read, in little
// memory.
func FuzzPth(f *testing.F) {
	for name := range readWanted(f) {
		if b := readTestdata(f, name); len(b) < 5000 { // larger ones take go test long to make smaller
			f.Add(b)
		}
	}
	for _, c := range crafted.Pths() {
		if b := c.Bytes(); len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		f, asked, err := readAsked(b)
		if err != nil && !sound(err) {
			t.Fatalf("%T: %v", err, err)
		}
		tensors := 0
		if f != nil {
			tensors = len(f.Tensors)
		}
		if asked > mayAsk(len(b), tensors) {
			t.Fatalf("%d MB for %d bytes", asked>>20, len(b))
		}
	})
}
