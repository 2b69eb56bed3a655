package data

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/files"
)

// Every test must leave no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pngOf is a PNG file of one grey value.
func pngOf(t testing.TB, w, h int, value uint8) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{value, value, value, 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folder writes files below a new folder. Names that end in / are empty folders.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, raw := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if name[len(name)-1] == '/' {
			p, raw = filepath.Join(p, "x"), nil
		}
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if raw == nil {
			continue
		}
		if err := os.WriteFile(p, raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tarFile is one entry of a test's tar.
type tarFile struct {
	name string
	raw  []byte
	link string // a hard link to this name
}

// tarOf makes a tar in memory.
func tarOf(t testing.TB, files []tarFile) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.raw)), Typeflag: tar.TypeReg}
		switch {
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, f.link
		case f.name[len(f.name)-1] == '/':
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.raw); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t testing.TB, name string, raw []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t testing.TB, path string, share float64, seed uint64) *Source {
	t.Helper()
	src, err := Open(t.Context(), files.OS, path, share, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

func names(s *Set) []string {
	all := make([]string, s.Len())
	for i := range all {
		all[i] = s.Name(i)
	}
	return all
}

// sharedData is a file of pictures that are too large for the repository. They lie in the folder that ALEXNET_TEST_DATA
// names, or else in shared/data beside the repository; where there are none, the test is skipped.
func sharedData(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("ALEXNET_TEST_DATA")
	if dir == "" {
		dir = filepath.Join(repository(t), "..", "shared", "data")
	}
	p := filepath.Join(dir, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no %s; set ALEXNET_TEST_DATA to a folder that holds it", name)
	}
	return p
}

// repository is the folder of go.mod, above that in which the tests run.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the tests")
		}
		dir = filepath.Dir(dir)
	}
}

func testFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("picture", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// numbered is a set of n pictures of 6x5 in memory, picture i grey of value i, labels i mod 3; those listed cannot be
// read.
func numbered(t testing.TB, n int, bad ...int) *Set {
	t.Helper()
	var store Memory
	records := make([]Record, n)
	for i := range n {
		raw := []byte("no picture")
		if !slices.Contains(bad, i) {
			raw = pngOf(t, 6, 5, uint8(i))
		}
		store = append(store, raw)
		records[i] = Record{Name: fmt.Sprintf("%04d", i+1), Label: int32(i % 3), Number: int32(i)}
	}
	return newSet(records, store, &cache{left: 1 << 20, kept: map[viewKey][]*Set{}})
}
