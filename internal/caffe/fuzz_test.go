package caffe

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// seed adds the files of a kind.
func seed(f *testing.F, pattern string) {
	f.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		f.Fatal(paths, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, c := range hostile {
		if len(c.file) < 1000 {
			f.Add(c.file)
		}
	}
}

// readable sees that a tensor is no longer than its file, where each number has four bytes, and can be read.
func readable(t *testing.T, b tensor.Tensor, file []byte) {
	t.Helper()
	if b.Len() > len(file)/4 {
		t.Fatalf("%q has %d numbers in a file of %d bytes", b.Name, b.Len(), len(file))
	}
	if _, err := b.Values(); err != nil {
		t.Errorf("%q: %v", b.Name, err)
	}
}

// Whatever a file is: it is refused, or its blobs can be read.
func FuzzCaffe(f *testing.F) {
	seed(f, "testdata/*.caffemodel")
	f.Fuzz(func(t *testing.T, file []byte) {
		n, err := open(file)
		if err != nil {
			return
		}
		for _, l := range n.Layers {
			for _, b := range l.Blobs {
				readable(t, b, file)
			}
		}
	})
}

// Whatever a file is: it is refused, or it is a mean of one channel or more that can be read.
func FuzzMean(f *testing.F) {
	seed(f, "testdata/*.binaryproto")
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := readMean(wire.New("crafted", bytes.NewReader(file), int64(len(file))))
		if err != nil {
			return
		}
		if len(m.Shape) != 1 && len(m.Shape) != 3 {
			t.Errorf("shape %v", m.Shape)
		}
		readable(t, m.Tensor, file)
	})
}
