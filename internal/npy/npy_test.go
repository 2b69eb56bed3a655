package npy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"

	"alexnet/internal/files"
)

func TestWrite(t *testing.T) {
	for _, shape := range [][]int{{2, 3, 2, 5}, {3, 4, 5}, {2, 7}} {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			n := 1
			for _, d := range shape {
				n *= d
			}
			want := make([]float32, n)
			for i := range want {
				want[i] = float32(i) + .25
			}
			path := filepath.Join(t.TempDir(), "f.npy")
			if err := Write(files.OS, path, want, shape); err != nil {
				t.Fatal(err)
			}
			checkFile(t, path, shape, want)
		})
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
