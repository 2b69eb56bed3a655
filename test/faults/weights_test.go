package main

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/tensor"
)

// TestReadKept: a flipped bit in whole numbers, which no tensor's Values reads, is found where there are checksums.
func TestReadKept(t *testing.T) {
	const ints = "../../internal/pth/testdata/ints.pth"
	whole, err := os.ReadFile(ints)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readKept(ints); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(ints)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	tensors := 0
	for _, m := range z.File {
		if !strings.Contains(m.Name, "/data/") {
			continue
		}
		tensors++
		at, err := m.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		spoilt := slices.Clone(whole)
		spoilt[at] ^= 1
		path := filepath.Join(t.TempDir(), "spoilt")
		if err := os.WriteFile(path, spoilt, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := readKept(path); !errors.As(err, new(*tensor.BadFile)) {
			t.Errorf("a bit of %s flipped: %v", m.Name, err)
		}
	}
	if tensors == 0 {
		t.Error("no tensor was looked at")
	}
}
