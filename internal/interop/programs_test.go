package interop_test

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/interop"
	"alexnet/internal/nettest"
	"alexnet/internal/reference"
	"alexnet/internal/tensor"
)

// caffePage is the net of scripts/caffe_onnx.py as a page, in the order of bvlc_alexnet or of CaffeNet.
func caffePage(order string, size int) string {
	first, second := "lrn", "pool"
	if order == "caffenet" {
		first, second = second, first
	}
	layer := map[string]string{"pool": "size: 3, stride: 2", "lrn": "size: 5, alpha: 0.5, beta: 0.75, k: 1"}
	page := fmt.Sprintf("model:\n  input: {channels: 3, size: %d}\n  layers:\n", size)
	add := func(name, kind, keys string) {
		page += fmt.Sprintf("    - {name: %s, kind: %s, %s}\n", name, kind, keys)
	}
	add("conv1", "conv", "kernels: 6, size: 5, stride: 2, act: relu")
	add(first+"1", first, layer[first])
	add(second+"1", second, layer[second])
	add("conv2", "conv", "kernels: 12, size: 5, pad: 2, groups: 2, act: relu")
	add(first+"2", first, layer[first])
	add(second+"2", second, layer[second])
	add("conv3", "conv", "kernels: 12, size: 3, pad: 1, act: relu")
	add("conv4", "conv", "kernels: 12, size: 3, pad: 1, groups: 2, act: relu")
	add("conv5", "conv", "kernels: 8, size: 3, pad: 1, groups: 2, act: relu")
	add("pool5", "pool", layer["pool"])
	return page + `    - {name: fc6, kind: fc, units: 16, act: relu}
    - {name: drop6, kind: dropout, rate: 0.5}
    - {name: fc7, kind: fc, units: 16, act: relu}
    - {name: drop7, kind: dropout, rate: 0.5}
    - {name: fc8, kind: fc}
    - {name: prob, kind: softmax}
data: {resize: 0}
`
}

// program is a file that another program wrote, and the logits that it computes with it.
type program struct {
	path, page string
	size       int
	bgr        bool // the pictures' first channel is blue
	logits     [][]float64
}

// programs are all there are, in folders of those who read them.
func programs(t *testing.T) (all []program) {
	t.Helper()
	content, err := os.ReadFile("testdata/torchvision.yaml")
	if err != nil {
		t.Fatal(err)
	}
	torchPage := string(content)
	of := nettest.Expect(t, "../caffe/testdata/expected.json")
	for name, e := range of {
		all = append(all, program{
			"../caffe/testdata/" + name + ".caffemodel", caffePage(e.Order, e.Size), e.Size, true, e.Logits,
		})
	}
	v1 := of["alexnet-v1-old"]
	all = append(all, program{"testdata/kaffe.npy", caffePage(v1.Order, v1.Size), v1.Size, true, v1.Logits})
	for name, e := range nettest.Expect(t, "../onnx/testdata/expected.json") {
		p := program{"../onnx/testdata/" + name + ".onnx", torchPage, e.Size, false, e.Logits}
		switch name {
		case "zoo":
			p.page, p.bgr = caffePage("alexnet", 72), true // another size: the file's counts
		case "odds":
			continue // no AlexNet
		}
		all = append(all, p)
	}
	for name, e := range nettest.Expect(t, "testdata/expected.json") {
		all = append(all, program{"testdata/" + name, torchPage, e.Size, false, e.Logits})
	}
	slices.SortFunc(all, func(a, b program) int { return strings.Compare(a.path, b.path) })
	return all
}

// Every file gives, imported and computed here, what the program that wrote it computes: OpenCV, onnxruntime, PyTorch.
func TestPrograms(t *testing.T) {
	all := programs(t)
	if len(all) < 13 {
		t.Fatalf("only %d files", len(all))
	}
	for _, p := range all {
		t.Run(filepath.Base(p.path), func(t *testing.T) {
			t.Parallel()
			c := p.imported(t)
			pictures := writePictures(t, p.size, p.bgr)
			nettest.Near(t, p.path, logits(t, c, pictures), p.logits)
		})
	}
}

// imported is the file as a checkpoint, written and read again.
func (p *program) imported(t *testing.T) *checkpoint.Checkpoint {
	t.Helper()
	dir := t.TempDir()
	page := filepath.Join(dir, "page.yaml")
	if err := os.WriteFile(page, []byte(p.page), 0o666); err != nil {
		t.Fatal(err)
	}
	return importFile(t, p.path, interop.ImportOptions{
		Net: page, Mean: &interop.Mean{Path: "mean", Tensor: tensor.Of("mean", []int{3}, []float32{110, 110, 110})},
	})
}

func importFile(t *testing.T, path string, o interop.ImportOptions) *checkpoint.Checkpoint {
	t.Helper()
	s, err := interop.Open(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	i, err := interop.NewImport(t.Context(), files.OS, s, o)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own.safetensors")
	if _, err := i.Write(t.Context(), files.OS, own); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Load(files.OS, own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// writePictures writes those of nettest.Pictures, with 110 added, as pictures of 0..255.
func writePictures(t *testing.T, size int, bgr bool) (paths []string) {
	t.Helper()
	dir, all := t.TempDir(), nettest.Pictures(2, size)
	for n := range 2 {
		m := image.NewNRGBA(image.Rect(0, 0, size, size))
		for y := range size {
			for x := range size {
				at := func(channel int) uint8 { return uint8(all.Data[((n*3+channel)*size+y)*size+x] + 110) }
				c := color.NRGBA{at(0), at(1), at(2), 255}
				if bgr {
					c.R, c.B = c.B, c.R
				}
				m.SetNRGBA(x, y, c)
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.png", n))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, m); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// logits are what the reference computes for pictures.
func logits(t *testing.T, c *checkpoint.Checkpoint, pictures []string) nettest.Map {
	t.Helper()
	devices := devicetest.CloseLater(t, reference.Open(1))
	p, err := infer.NewPredictor(infer.PredictOptions{
		Checkpoint: c, Devices: devices, Files: files.OS, Batch: len(pictures), Layers: []string{"fc8"}, Strict: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var all []float32
	for f, err := range p.Features(t.Context(), pictures, "fc8") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Values...)
	}
	return nettest.Of([]int{len(pictures), len(all) / len(pictures)}, all)
}
