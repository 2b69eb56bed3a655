package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/crafted"
	"alexnet/internal/files"
)

// TestFormSafetensors: the length of a header may begin as a pickle does, and it is none.
func TestFormSafetensors(t *testing.T) {
	for _, length := range []int{128, 640, 896, 1152, 1408, 640 + 65536} {
		entry := `"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
		json := "{" + strings.Repeat(" ", length-len(entry)-1) + entry
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, crafted.Header(json, 0, 0, 128, 63), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(files.OS, path)
		if err != nil {
			t.Errorf("a header of %d bytes: %v", length, err)
			continue
		}
		if v, err := s.Tensors[0].Values(); s.Form != Safetensors || err != nil || v[0] != 1 {
			t.Errorf("a header of %d bytes: %s, %v, %v", length, s.Form, v, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFormCaffe: a net may begin with any of its fields.
func TestFormCaffe(t *testing.T) {
	layer := "\x0a\x01a\x12\x04ReLU"
	layers := fmt.Sprintf("\xa2\x06%c%s", len(layer), layer)
	for _, begins := range []string{"", "\x0a\x01n", "\x1a\x04data", "\x42\x08\x0a\x06\x01\x03\xe3\x01\xe3\x01"} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(begins+layers), 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := Open(files.OS, path)
		if err != nil {
			t.Errorf("%q: %v", begins, err)
			continue
		}
		if s.Form != Caffe {
			t.Errorf("%q: %s", begins, s.Form)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
