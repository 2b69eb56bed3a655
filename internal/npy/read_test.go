package npy

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

// wanted is what scripts/weights.py took down of a file.
type wanted struct {
	Dict    bool
	Tensors []struct {
		Name, DType string
		Shape       []int
		Bits        []uint32
		CRC         *uint32 // of many values, instead of the bits; neither: not floating-point
	}
	Refused string
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

// TestWanted: of NumPy's own files every array has the name, the type, the shape and the very bits that NumPy says.
func TestWanted(t *testing.T) {
	for name, want := range readWanted(t) {
		path := filepath.Join("testdata", name)
		a, err := Open(files.OS, path)
		if want.Refused != "" {
			var bad *tensor.BadFile
			if !errors.As(err, &bad) || bad.Path != path || !strings.Contains(err.Error(), want.Refused) {
				t.Errorf("%s: %v, want %q", name, err, want.Refused)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if a.Dict != want.Dict || len(a.Tensors) != len(want.Tensors) {
			t.Errorf("%s: a dict %v, %d tensors; want %v, %d", name, a.Dict, len(a.Tensors), want.Dict,
				len(want.Tensors))
			continue
		}
		for i, w := range want.Tensors {
			got := a.Tensors[i]
			if got.Name != w.Name || got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) {
				t.Errorf("%s: %s of %s %v, want %s of %s %v", name, got.Name, got.DType, got.Shape, w.Name, w.DType,
					w.Shape)
			}
			values, err := got.Values()
			var bad *tensor.BadFile
			switch {
			case w.CRC == nil && w.Bits == nil:
				if !errors.As(err, &bad) || bad.Fault != tensor.OtherType || bad.Path != path {
					t.Errorf("%s: %s: %v", name, got.Name, err)
				}
			case err != nil:
				t.Error(err)
			case w.CRC != nil:
				b, _ := binary.Append(nil, binary.LittleEndian, values)
				if crc32.ChecksumIEEE(b) != *w.CRC {
					t.Errorf("%s: %s has other values", name, got.Name)
				}
			case !slices.EqualFunc(values, w.Bits, func(x float32, b uint32) bool { return math.Float32bits(x) == b }):
				t.Errorf("%s: %s is %v", name, got.Name, values)
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

// update writes testdata/encoded.npz anew; scripts/weights.py then takes down what NumPy reads in it.
var update = flag.Bool("update", false, "write testdata/encoded.npz")

// TestEncodeArchive: the bytes are those of which numpy.load told what is in them, see TestWanted; and what is longer
// than a buffer is read back.
func TestEncodeArchive(t *testing.T) {
	tensors := []tensor.Tensor{
		tensor.Of("conv1.weight", []int{2, 3}, []float32{1, -2, .5, 3, 4, 65504}),
		tensor.Of("conv1.bias", []int{2}, []float32{.1, 1e-30}),
		tensor.Of("scalar", nil, []float32{7}),
		tensor.Of("empty", []int{0, 2}, nil),
	}
	tensors[0].DType = "F16"
	var b bytes.Buffer
	if err := EncodeArchive(&b, []byte(`{"a":1}`), tensors); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/encoded.npz", b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(b.Bytes(), readTestdata(t, "encoded.npz")) {
		t.Error("the bytes are others than NumPy has read")
	}
	long := make([]float32, 3*chunk+1)
	for i := range long {
		long[i] = float32(i)
	}
	tensors = append(tensors, tensor.Of("long", []int{1, len(long)}, long))
	b.Reset()
	if err := EncodeArchive(&b, []byte(`{"a":1}`), tensors); err != nil {
		t.Fatal(err)
	}
	a, values, err := readAll(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if a.Meta[Metadata] != `{"a":1}` || len(values) != len(tensors) || !slices.Equal(values[4], long) ||
		!slices.Equal(a.Tensors[4].Shape, []int{1, len(long)}) {
		t.Errorf("%+v", a)
	}
	tensors[0] = tensor.Of("large", []int{1}, []float32{65520})
	tensors[0].DType = "F16"
	if err := EncodeArchive(io.Discard, nil, tensors); err == nil || !strings.Contains(err.Error(), "large: 65520") {
		t.Errorf("fp16: %v", err)
	}
	tensors[0].DType = "I64"
	if err := EncodeArchive(io.Discard, nil, tensors); err == nil || !strings.Contains(err.Error(), "as I64") {
		t.Errorf("integers: %v", err)
	}
	tensors[0].DType = ""
	if err := EncodeArchive(&fullAfter{100}, nil, tensors[:1]); !errors.Is(err, errFull) {
		t.Errorf("full: %v", err)
	}
}
