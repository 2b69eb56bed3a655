package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/interop"
	"alexnet/internal/ui"
)

// TestImportMissing: where an .onnx lies without the file of its weights, it is that file which is named.
func TestImportMissing(t *testing.T) {
	whole, err := os.ReadFile("../../internal/onnx/testdata/torch-beside.onnx")
	if err != nil {
		t.Fatal(err)
	}
	net := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(net, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(net), "torch-beside.onnx.data")
	quiet := &ui.Terminal{Out: io.Discard, Err: io.Discard}
	for what, err := range map[string]error{
		"show":   runWeightsShow(t.Context(), net, quiet),
		"import": runWeightsImport(t.Context(), importOptions{out: net + ".safetensors"}, net, quiet),
	} {
		want := net + ": its weights lie in " + beside + ", and there is no such file"
		if err == nil || err.Error() != want || exitCode(err) != exitCheckpoint ||
			!strings.HasPrefix(nextStep(err), "put "+beside+" there") {
			t.Errorf("%s: %v; next: %s", what, err, nextStep(err))
		}
	}
}

// TestImportAdvice: weights import does not send to weights import for what it refuses.
func TestImportAdvice(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "a.npz") // a zip of something else, as its first bytes do not tell
	if err := os.WriteFile(other, []byte("PK\x05\x06"+strings.Repeat("\x00", 18)), 0o666); err != nil {
		t.Fatal(err)
	}
	pickle := filepath.Join(dir, "a.pkl")
	if err := os.WriteFile(pickle, []byte("\x80\x02N."), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, other, pickle} {
		err := runWeightsImport(t.Context(), importOptions{out: filepath.Join(dir, "o.safetensors")}, path,
			&ui.Terminal{Out: io.Discard, Err: io.Discard})
		if !errors.As(err, new(*interop.OtherForm)) || !strings.Contains(nextStep(err), importHelp) ||
			exitCode(err) != exitCheckpoint {
			t.Errorf("%s: %T %v; next: %s", path, err, err, nextStep(err))
		}
	}
	err := runWeightsImport(t.Context(), importOptions{out: filepath.Join(dir, "o.safetensors"), mean: dir},
		"../../internal/interop/testdata/zip.pth", &ui.Terminal{Out: io.Discard, Err: io.Discard})
	if !errors.As(err, new(*interop.NoMean)) {
		t.Errorf("a folder as a mean: %T %v", err, err)
	}
}

// TestShowTypes: the types of a file's numbers are told whatever its form.
func TestShowTypes(t *testing.T) {
	for file, want := range map[string]string{
		"onnx/testdata/torch.onnx":                 "F32",
		"onnx/testdata/torch-beside.onnx":          "F32",
		"caffe/testdata/alexnet-v2.caffemodel":     "F32",
		"interop/testdata/float16.pth":             "F16",
		"npy/testdata/f8.npy":                      "F64",
		"interop/testdata/kaffe.npy":               "F32",
		"caffe/testdata/alexnet-v1-old.caffemodel": "F32",
	} {
		var out bytes.Buffer
		if err := runWeightsShow(t.Context(), "../../internal/"+file, &ui.Terminal{
			Out: &out, Err: io.Discard, JSON: true,
		}); err != nil {
			t.Fatal(err)
		}
		var r weightsShowResult
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Tensors) == 0 {
			t.Errorf("%s: no tensor", file)
		}
		for _, tensor := range r.Tensors {
			if tensor.DType != want {
				t.Errorf("%s: %s is of type %q, want %s", file, tensor.Name, tensor.DType, want)
			}
		}
	}
}
