package pth

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

// wanted is what scripts/weights.py took down of a file.
type wanted struct {
	Form      string
	Unchecked bool
	Tensors   []struct {
		Name, DType string
		Shape       []int
		Bits        []uint32 // nil: not floating-point
	}
	Scalars map[string]string
	Refused *struct{ Kind, Name string }
}

func readWanted(t testing.TB) map[string]wanted {
	t.Helper()
	b, err := os.ReadFile("testdata/want.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]wanted
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWanted: of PyTorch's own files every tensor has the name, the type, the shape and the very bits that PyTorch
// says.
func TestWanted(t *testing.T) {
	kinds := map[string]Kind{"model": WholeModel, "torchscript": TorchScript, "global": OtherGlobal}
	for name, want := range readWanted(t) {
		path := filepath.Join("testdata", name)
		f, err := Open(files.OS, path)
		if want.Refused != nil {
			var refused *Refused
			why := Refused{path, kinds[want.Refused.Kind], want.Refused.Name}
			if !errors.As(err, &refused) || *refused != why {
				t.Errorf("%s: %v, want %+v", name, err, *want.Refused)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if f.Form != want.Form || f.Unchecked != want.Unchecked || !maps.Equal(f.Scalars, want.Scalars) {
			t.Errorf("%s: %s, unchecked %v, %v; want %s, %v, %v", name, f.Form, f.Unchecked, f.Scalars, want.Form,
				want.Unchecked, want.Scalars)
		}
		if len(f.Tensors) != len(want.Tensors) {
			t.Errorf("%s: %d tensors, want %d", name, len(f.Tensors), len(want.Tensors))
			continue
		}
		for i, w := range want.Tensors {
			got := f.Tensors[i]
			if got.Name != w.Name || got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) {
				t.Errorf("%s: %s of %s %v, want %s of %s %v", name, got.Name, got.DType, got.Shape, w.Name, w.DType,
					w.Shape)
			}
			checkBits(t, path, got, w.Bits)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func checkBits(t *testing.T, path string, got tensor.Tensor, want []uint32) {
	t.Helper()
	values, err := got.Values()
	if want == nil {
		var bad *tensor.BadFile
		if !errors.As(err, &bad) || bad.Fault != tensor.OtherType || bad.Path != path {
			t.Errorf("%s: %s: %v", path, got.Name, err)
		}
		return
	}
	if err != nil || len(values) != len(want) {
		t.Errorf("%s: %d values, want %d: %v", path, len(values), len(want), err)
		return
	}
	for i, x := range values {
		if x == x && math.Float32bits(x) != want[i] || x != x && want[i]&0x7fffffff <= 0x7f800000 {
			t.Errorf("%s: %s[%d] is %g, want %g", path, got.Name, i, x, math.Float32frombits(want[i]))
		}
	}
}
