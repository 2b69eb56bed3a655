// Package sharedtest finds, for tests, what is too large for the repository or not its own: pictures and tables in a
// folder shared that may lie beside it. A test that needs some of it and does not find it is skipped, and says so. The
// package imports nothing of the program.
package sharedtest

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// dataEnv names a folder of pictures that is taken instead of shared/data.
const dataEnv = "ALEXNET_TEST_DATA"

// Data is the path of a file of pictures: in the folder that ALEXNET_TEST_DATA names, else in shared/data.
func Data(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv(dataEnv)
	if dir == "" {
		dir = filepath.Join(Folder(t), "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no %s; set %s to a folder that holds it", name, dataEnv)
	}
	return path
}

// Folder is shared, which may be there: beside the folder of go.mod, which is above that in which the tests run.
func Folder(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared")
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the tests")
		}
		dir = filepath.Dir(dir)
	}
}

// Photo is a file of photos.tar: a photograph of one of ILSVRC2012's classes.
type Photo struct {
	Name string // WNID/FILE, perhaps with ./ before it
	Raw  []byte
}

// Photos are the 106 photographs of photos.tar.
func Photos(t testing.TB) (all []Photo) {
	t.Helper()
	f, err := os.Open(Data(t, "photos.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Photo{h.Name, raw})
	}
}
