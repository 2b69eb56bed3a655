package caffe

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/nettest"
	"alexnet/internal/tensor"
)

// compute computes a net by what its file says, up to a layer.
func compute(t *testing.T, n *Net, x nettest.Map, to string) nettest.Map {
	t.Helper()
	for _, l := range n.Layers {
		var blobs []nettest.Map
		for _, b := range l.Blobs {
			v, err := b.Values()
			if err != nil {
				t.Fatal(err)
			}
			blobs = append(blobs, nettest.Of(b.Shape, v))
		}
		switch l.Type {
		case "Convolution":
			p := l.Convolution
			w := nettest.Window{Kernel: p.Kernel, Stride: p.Stride, Before: p.Pad, After: p.Pad}
			x = nettest.Conv(x, blobs[0], blobs[1], w, p.Group)
		case "InnerProduct":
			x = nettest.Linear(x, blobs[0], blobs[1])
		case "Pooling":
			p := l.Pooling
			x = nettest.MaxPool(x, nettest.Window{Kernel: p.Kernel, Stride: p.Stride}, true)
		case "LRN":
			x = nettest.LRN(x, l.LRN.Size, float64(l.LRN.Alpha), float64(l.LRN.Beta), float64(l.LRN.K))
		case "ReLU":
			x = nettest.ReLU(x)
		case "Data", "Dropout", "Softmax":
		default:
			t.Fatalf("layer %s of type %q", l.Name, l.Type)
		}
		if l.Name == to {
			return x
		}
	}
	t.Fatalf("no layer %s", to)
	return x
}

// Every file gives the net that OpenCV reads from it: with the weights and parameters read here, the logits are the
// same.
func TestAsOpenCV(t *testing.T) {
	for name, want := range nettest.Expect(t, "testdata/expected.json") {
		n, err := Open(files.OS, filepath.Join("testdata", name+".caffemodel"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		nettest.Near(t, name, compute(t, n, nettest.Pictures(2, want.Size), "fc8"), want.Logits)
		if n.V1 != want.V1 {
			t.Errorf("%s: V1 %v", name, n.V1)
		}
		sums := 0
		for _, l := range n.Layers {
			for _, b := range l.Blobs {
				v, err := b.Values()
				if err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for _, x := range v {
					sum += float64(x)
				}
				if w, ok := want.Sums[b.Name]; !ok || math.Abs(sum-w) > 1e-9 {
					t.Errorf("%s: the sum of %s is %g, not %g", name, b.Name, sum, w)
				}
				sums++
			}
		}
		if sums != len(want.Sums) {
			t.Errorf("%s: %d blobs, not %d", name, sums, len(want.Sums))
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What tells nets apart is there: the order, the parameters, and shapes without leading ones.
func TestLayers(t *testing.T) {
	n, err := Open(files.OS, "testdata/alexnet-v1-old.caffemodel")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var types []string
	shapes := map[string][]int{}
	layers := map[string]Layer{}
	for _, l := range n.Layers {
		types = append(types, l.Type)
		layers[l.Name] = l
		for _, b := range l.Blobs {
			shapes[b.Name] = b.Shape
		}
	}
	want := []string{
		"Data", "Convolution", "ReLU", "LRN", "Pooling", "Convolution", "ReLU", "LRN", "Pooling", "Convolution", "ReLU",
		"Convolution", "ReLU", "Convolution", "ReLU", "Pooling", "InnerProduct", "ReLU", "Dropout",
		"InnerProduct", "ReLU", "Dropout", "InnerProduct", "Softmax",
	}
	if n.Name != "AlexNet" || !slices.Equal(types, want) {
		t.Errorf("%s: %v", n.Name, types)
	}
	for name, want := range map[string][]int{
		"conv1.weight": {6, 3, 5, 5}, "conv1.bias": {6}, "conv2.weight": {12, 3, 5, 5}, "fc6.weight": {16, 72},
		"fc8.bias": {10},
	} {
		if !slices.Equal(shapes[name], want) {
			t.Errorf("%s is %v, not %v", name, shapes[name], want)
		}
	}
	conv := layers["conv2"].Convolution
	same := func(n int) [2]int { return [2]int{n, n} }
	if conv == nil || *conv != (Convolution{2, same(5), same(1), same(2), same(1)}) {
		t.Errorf("conv2: %+v", conv)
	}
	if lrn := layers["norm1"].LRN; lrn == nil || *lrn != (LRN{5, 0.5, 0.75, 1, false}) {
		t.Errorf("norm1: %+v", lrn)
	}
	pool := layers["pool1"].Pooling
	if pool == nil || *pool != (Pooling{"max", same(3), same(2), same(0), false}) {
		t.Errorf("pool1: %+v", pool)
	}
	if d := layers["data"].Transform; d == nil || d.Crop != 65 || d.Scale != 1 {
		t.Errorf("data: %+v", d)
	}
	if p := layers["fc6"].InnerProduct; p == nil || p.Transpose {
		t.Errorf("fc6: %+v", p)
	}
}

// The end of a file is cut off at many places: it is refused, or, where a layer ends there, the layers before are read.
func TestCut(t *testing.T) {
	b, err := os.ReadFile("testdata/alexnet-v1-old.caffemodel")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b); n += 97 {
		var bad *tensor.BadFile
		got, err := open(b[:n])
		if err == nil && len(got.Layers) >= len(whole.Layers) || err != nil && !errors.As(err, &bad) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Whichever call fails, of opening or reading, the error is told, and is not taken for damage.
func TestFailureAtEveryCall(t *testing.T) {
	filestest.EachCall(t, syscall.EIO, func(t *testing.T, fsys *filestest.FS) {
		n, err := Open(fsys, "testdata/alexnet-v2.caffemodel")
		if err == nil {
			for _, l := range n.Layers {
				for _, b := range l.Blobs {
					_, e := b.Values()
					err = errors.Join(err, e)
				}
			}
			err = errors.Join(err, n.Close())
		}
		var bad *tensor.BadFile
		if fault := fsys.Fault(); (fault != nil) != errors.Is(err, syscall.EIO) || errors.As(err, &bad) {
			t.Errorf("%v: %v", fault, err)
		}
	})
}

func TestMean(t *testing.T) {
	for name, want := range map[string][]int{"mean": {3, 8, 8}, "colour": {3}} {
		m, err := OpenMean(files.OS, filepath.Join("testdata", name+".binaryproto"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.Values()
		if err != nil || !slices.Equal(m.Shape, want) {
			t.Errorf("%s: %v, %v", name, m.Shape, err)
		}
		if name == "colour" && !slices.Equal(v, []float32{104, 117, 123}) || name == "mean" && v[191] != 95.5 {
			t.Errorf("%s: %v", name, v)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
