package interop

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/files"
)

// FuzzImport: whatever a file holds, it becomes a sound checkpoint with finite numbers, or an error.
func FuzzImport(f *testing.F) {
	for _, pattern := range []string{
		"testdata/*.pth*", "testdata/*.npy", "../caffe/testdata/*.caffemodel", "../onnx/testdata/*.onnx",
		"../npy/testdata/*.npz", "../pth/testdata/*.pth",
	} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, true)
			f.Add(b, false)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte, caffe bool) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(files.OS, path)
		if err != nil {
			return
		}
		defer s.Close()
		if _, err := recognise(s, ""); err != nil && errors.As(err, new(*config.Error)) {
			t.Errorf("a page's error for a file: %v", err)
		}
		page := "testdata/torchvision.yaml"
		if caffe {
			page = "testdata/alexnet.yaml"
		}
		i, err := NewImport(t.Context(), files.OS, s, ImportOptions{Net: page})
		if err != nil {
			return
		}
		own := filepath.Join(dir, "own")
		if _, err := i.Write(context.Background(), files.OS, own); err != nil {
			return
		}
		c, err := checkpoint.Load(files.OS, own)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, p := range c.Params {
			v, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					t.Fatalf("%s holds %g", p.Name, x)
				}
			}
		}
	})
}
