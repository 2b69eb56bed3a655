package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/safetensors"
)

// counting is a checkpoint of tiny.yaml whose every tensor is 1, 2, 3, ..., with momentum and a mean image of the same
// kind.
func counting(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(page, nil)
	if err != nil {
		t.Fatal(err)
	}
	net, err := cfg.Model.ForClasses(3)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := model.New(net, true)
	if err != nil {
		t.Fatal(err)
	}
	c := &checkpoint.Checkpoint{
		Config: page, Dropout: checkpoint.DropoutPaper, Classes: []string{"cat", "dog", "emu"}, Data: checkpoint.Data{
			Path: "/home/me/photos", Fingerprint: "1",
		},
	}
	c.Preprocess = checkpoint.Preprocess{
		Resize: 16, Height: 16, Width: 16, Crop: 14, Channels: 3, MeanKind: "image", Mean: counted32(3 * 256),
		MeanShape: []int{3, 16, 16}, Scale: []float32{0.5, 0.25, 1. / 64},
	}
	for i := range arch.Params {
		p := &arch.Params[i]
		c.Params = append(c.Params, safetensors.Of(p.Name, p.Shape, counted32(p.Len())))
	}
	c.Momentum = c.Params
	path := filepath.Join(t.TempDir(), "c.safetensors")
	if err := checkpoint.Save(path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func counted32(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i + 1)
	}
	return v
}

// The file holds the parameters in order and as they are, but for those behind dropout; metadata and the .npy hold the
// rest.
func TestExportPlain(t *testing.T) {
	from, out := counting(t), filepath.Join(t.TempDir(), "net.safetensors")
	var text bytes.Buffer
	if err := runWeightsExport(context.Background(), exportOptions{to: "plain", dtype: "f32", out: out}, from,
		&terminal{out: &text, err: &text}); err != nil {
		t.Fatal(err)
	}
	r, err := safetensors.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// drop2 before fc3
	factors := map[string]float32{
		"conv1.weight": 1, "conv1.bias": 1, "fc2.weight": 1, "fc2.bias": 1, "fc3.weight": 0.5, "fc3.bias": 1,
	}
	if len(r.Tensors) != len(factors) {
		t.Errorf("tensors %+v", r.Tensors)
	}
	for i, info := range r.Tensors {
		v, err := r.Tensor(i).Values()
		if err != nil {
			t.Fatal(err)
		}
		for j := range v {
			if want := factors[info.Name] * float32(j+1); v[j] != want || info.DType != "F32" {
				t.Fatalf("%s[%d] is %g as %s, want %g", info.Name, j, v[j], info.DType, want)
			}
		}
	}
	var in exportedInput
	if err := json.Unmarshal([]byte(r.Meta["preprocess"]), &in); err != nil {
		t.Fatal(err)
	}
	if in.Shape != [3]int{3, 14, 14} || in.Color != "RGB" || in.Resize != 16 || in.Crop != 14 ||
		in.MeanImage != "net.mean.npy" ||
		!slices.Equal(in.Mean, []float32{128.5, 384.5, 640.5}) || !slices.Equal(in.Std, []float32{2, 4, 64}) {
		t.Errorf("preprocess %+v", in)
	}
	if r.Meta["classes"] != `["cat","dog","emu"]` || r.Meta["dropout"] != "inverted" ||
		strings.Contains(strings.Join(slices.Collect(maps.Values(r.Meta)), " "), "/home/me") {
		t.Errorf("metadata %q", r.Meta)
	}
	if mean := readNPY(t, strings.TrimSuffix(out, ".safetensors")+".mean.npy"); !slices.Equal(mean, counted32(3*256)) {
		t.Errorf("mean image %v", mean)
	}
}

func readNPY(t *testing.T, path string) (v []float32) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := npyio.Read(f, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What was asked to stop leaves nothing behind.
func TestExportInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, to := range targetNames() {
		if to == "torchvision" {
			continue // the net is another
		}
		out := filepath.Join(t.TempDir(), "net.safetensors")
		err := runWeightsExport(ctx, exportOptions{to: to, dtype: "f32", out: out}, counting(t), &terminal{})
		if left, _ := os.ReadDir(filepath.Dir(out)); !errors.Is(err, context.Canceled) || len(left) > 0 {
			t.Errorf("%s: error %v, left behind %v", to, err, left)
		}
	}
}

// A net without a mean has one of zeros, and no file for it; grey is grey; what no metadata could say is not said.
func TestExportedInput(t *testing.T) {
	in := inputOf(&checkpoint.Preprocess{Height: 28, Width: 28, Crop: 28, Channels: 1})
	if !slices.Equal(in.Mean, []float32{0}) || !slices.Equal(in.Std, []float32{1}) {
		t.Errorf("%+v", in)
	}
	if got := in.words(); got != "grey of 0..255; centre crop of 28; minus mean; divided by std; NCHW" {
		t.Errorf("in words: %s", got)
	}
	in = inputOf(&checkpoint.Preprocess{
		Resize: 256, Height: 256, Width: 256, Crop: 224, Channels: 3, Mean: []float32{1, 2, 3}, MeanShape: []int{3},
	})
	if !slices.Equal(in.Mean, []float32{1, 2, 3}) || in.MeanImage != "" {
		t.Errorf("%+v", in)
	}
}

// Files of other programs, without checksums, are listed too, and nothing is claimed of them.
func TestShowForeign(t *testing.T) {
	header := `{"__metadata__":{"format":"pt"},"features.0.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	path := filepath.Join(t.TempDir(), "foreign.safetensors")
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))),
		header+"\x00\x00\x80\x3f\x00\x00\x00\x00"...)
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := runWeightsShow(context.Background(), path, &terminal{out: &text, err: &text}); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "features.0.bias") ||
		!strings.Contains(got, "2 parameters; no checksums, it is another program's\n") ||
		!strings.Contains(got, "format: pt\n") {
		t.Errorf("shows\n%s", got)
	}
}
