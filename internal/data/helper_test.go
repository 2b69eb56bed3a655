package data

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
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
	sym  string // a symbolic link to there
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
		case f.sym != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.sym
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
	src, err := Open(t.Context(), files.OS, At(path), share, seed)
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

// decodeFiles is [Pictures.Decode] of files by their paths.
func decodeFiles(ctx context.Context, fsys files.Reader, paths []string, by *recipe.Recipe, ahead int, p Patience,
) iter.Seq2[picture.Picture, error] {
	return Files(fsys, paths).Decode(ctx, by, ahead, p)
}

func writeTo(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
}
