package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/nettest"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// computer computes a graph by what its file says.
type computer struct {
	*testing.T
	g      *Graph
	values map[string]nettest.Map
}

// compute is what a graph gives under a name, of x.
func compute(t *testing.T, g *Graph, x nettest.Map, output string) nettest.Map {
	t.Helper()
	if len(g.Inputs) != 1 {
		t.Fatalf("inputs %v", g.Inputs)
	}
	c := computer{t, g, map[string]nettest.Map{g.Inputs[0].Name: x}}
	for _, n := range g.Nodes {
		c.values[n.Outputs[0]] = c.node(n)
	}
	return c.values[output]
}

// value is what a name stands for.
func (c computer) value(name string) nettest.Map {
	c.Helper()
	if v, ok := c.values[name]; ok {
		return v
	}
	w, ok := c.g.Weight(name)
	if !ok {
		c.Fatalf("there is no %q", name)
	}
	v, err := w.Values()
	if err != nil {
		c.Fatal(err)
	}
	return nettest.Of(w.Shape, v)
}

func (c computer) window(n Node) nettest.Window {
	pair := func(list []int64, i, otherwise int) [2]int {
		if len(list) < i+2 {
			return [2]int{otherwise, otherwise}
		}
		return [2]int{int(list[i]), int(list[i+1])}
	}
	w := nettest.Window{
		Kernel: pair(n.Ints("kernel_shape"), 0, 3), Stride: pair(n.Ints("strides"), 0, 1),
		Before: pair(n.Ints("pads"), 0, 0), After: pair(n.Ints("pads"), 2, 0),
	}
	if n.Text("auto_pad", "NOTSET") == "SAME_UPPER" { // of the only one that has it: 3 by 3, in steps of 1
		w.Before, w.After = [2]int{1, 1}, [2]int{1, 1}
	}
	return w
}

func (c computer) node(n Node) nettest.Map {
	c.Helper()
	x := c.value(n.Inputs[0])
	switch n.Op {
	case "Conv":
		return nettest.Conv(x, c.value(n.Inputs[1]), c.value(n.Inputs[2]), c.window(n), int(n.Int("group", 1)))
	case "Relu":
		return nettest.ReLU(x)
	case "LRN":
		return nettest.LRN(x, int(n.Int("size", 0)), float64(n.Float("alpha", 1e-4)), float64(n.Float("beta", 0.75)),
			float64(n.Float("bias", 1)))
	case "MaxPool":
		return nettest.MaxPool(x, c.window(n), n.Int("ceil_mode", 0) == 1)
	case "Reshape", "Flatten":
		return nettest.Map{Shape: []int{x.Shape[0], len(x.Data) / x.Shape[0]}, Data: x.Data}
	case "Gemm":
		if n.Int("transB", 0) != 1 {
			c.Fatalf("Gemm %s without transB", n.Name)
		}
		return nettest.Linear(x, c.value(n.Inputs[1]), c.value(n.Inputs[2]))
	case "MatMul":
		w := c.value(n.Inputs[1]) // (in, out)
		turned := nettest.New(w.Shape[1], w.Shape[0])
		for i := range turned.Data {
			turned.Data[i] = w.Data[i%w.Shape[0]*w.Shape[1]+i/w.Shape[0]]
		}
		return nettest.Linear(x, turned, nettest.New(w.Shape[1]))
	case "Add":
		b, y := c.value(n.Inputs[1]), nettest.New(x.Shape...)
		for i := range y.Data {
			y.Data[i] = x.Data[i] + b.Data[i%len(b.Data)]
		}
		return y
	case "AveragePool":
		if w := c.window(n); w.Kernel == [2]int{1, 1} {
			return x
		}
	case "Dropout", "Cast", "Softmax", "Identity":
		return x
	}
	c.Fatalf("node %s: %s", n.Name, n.Op)
	return x
}

// Every file gives the graph that onnxruntime reads from it: with the weights and attributes read here, the logits are
// the same. So they are after the graph was written and read again.
func TestAsRuntime(t *testing.T) {
	for name, want := range nettest.Expect(t, "testdata/expected.json") {
		m, err := Open(files.OS, filepath.Join("testdata", name+".onnx"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range m.Weights {
			if w.DType == "" {
				t.Errorf("%s: weight %s is of no type", name, w.Name)
			}
		}
		x := nettest.Pictures(2, want.Size)
		nettest.Near(t, name, compute(t, &m.Graph, x, want.Output), want.Logits)
		back := again(t, &m.Graph)
		nettest.Near(t, name+" again", compute(t, &back.Graph, x, want.Output), want.Logits)
		if back.Opset != m.Opset {
			t.Errorf("%s: opset %d became %d", name, m.Opset, back.Opset)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// again is a graph that was written and read.
func again(t *testing.T, g *Graph) *Model {
	t.Helper()
	var b bytes.Buffer
	g.Weights = slices.Clone(g.Weights)
	for i, w := range g.Weights {
		if _, can := tensor.Encoders[w.DType]; !can {
			g.Weights[i].DType = "F32"
		}
	}
	if err := Encode(&b, g); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b.Bytes(), []byte{1 << 3, writtenIR}) {
		t.Errorf("it begins with % x, not with the version of the format", b.Bytes()[:min(2, b.Len())])
	}
	m := &Model{file: wire.New("again", bytes.NewReader(b.Bytes()), int64(b.Len()))}
	if err := m.read(files.OS); err != nil {
		t.Fatal(err)
	}
	return m
}

// Whichever call fails, of opening or reading, also of the file beside, the error is told, and is not taken for damage.
func TestFailureAtEveryCall(t *testing.T) {
	filestest.EachCall(t, syscall.EIO, func(t *testing.T, fsys *filestest.FS) {
		m, err := Open(fsys, "testdata/torch-beside.onnx")
		if err == nil {
			for _, w := range m.Weights {
				_, e := w.Values()
				err = errors.Join(err, e)
			}
			err = errors.Join(err, m.Close())
		}
		var bad *tensor.BadFile
		if fault := fsys.Fault(); (fault != nil) != errors.Is(err, syscall.EIO) || errors.As(err, &bad) {
			t.Errorf("%v: %v", fault, err)
		}
	})
}

// failing fails after so many bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// A full disk is told, wherever it fills up, and so is a weight that cannot be read.
func TestEncodeFails(t *testing.T) {
	unread := tensor.Tensor{Name: "w", Shape: []int{2}, Fill: func([]float32) error { return syscall.EIO }}
	g := &Graph{Weights: []tensor.Tensor{tensor.Of("v", []int{1000}, make([]float32, 1000)), unread}}
	if err := Encode(&bytes.Buffer{}, g); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "weight w") {
		t.Error(err)
	}
	g.Weights = g.Weights[:1]
	var whole bytes.Buffer
	if err := Encode(&whole, g); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		if err := Encode(&failing{n}, g); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%d bytes of %d: %v", n, whole.Len(), err)
		}
	}
}

// What is written comes back.
func TestEncode(t *testing.T) {
	g := &Graph{
		Name: "net", Producer: "a", Version: "1",
		Inputs:  []Value{{Name: "x", DType: "F32", Shape: []int{-1, 3, 5, -1}}},
		Outputs: []Value{{Name: "y", DType: "F32", Shape: []int{-1, 2}}},
		Nodes: []Node{{
			Op: "Conv", Name: "conv1", Inputs: []string{"x", "w", ""}, Outputs: []string{"y"},
			Attrs: []Attr{
				{Name: "group", Kind: Int, Int: -2},
				{Name: "alpha", Kind: Float, Float: 0.25},
				{Name: "auto_pad", Kind: Text, Text: "VALID"},
				{Name: "pads", Kind: Ints, Ints: []int64{0, 0, 3, 3}},
				{Name: "scales", Kind: Floats, Floats: []float32{1, 2}},
			},
		}},
		Weights: []tensor.Tensor{
			tensor.Of("w", []int{2, 1, 2}, []float32{1, 2, 3, -4}), tensor.Of("half", []int{2}, []float32{0.5, 65504}),
			tensor.Of("one", nil, []float32{7}),
		},
		Ints: map[string][]int64{"shape": {-1, 48, 5, 5}, "a": {1}},
		Meta: map[string]string{"classes": "one\ntwo", "b": "c"},
	}
	g.Weights[1].DType = "F16"
	m := again(t, g)
	if m.Opset != 13 || m.Name != "net" || m.Producer != "a" || m.Version != "1" {
		t.Errorf("%+v", m)
	}
	text := func(g *Graph) string {
		return fmt.Sprintf("%q %v %v %v", fmt.Sprint(g.Nodes), g.Inputs, g.Outputs, g.Ints)
	}
	if got, want := text(&m.Graph), text(g); got != want || !maps.Equal(m.Meta, g.Meta) {
		t.Errorf("%s, %v, want %s", got, m.Meta, want)
	}
	for i, w := range m.Weights {
		got, err := w.Values()
		want, _ := g.Weights[i].Values()
		if err != nil || !slices.Equal(got, want) || !slices.Equal(w.Shape, g.Weights[i].Shape) {
			t.Errorf("%s: %v, %v", w.Name, got, err)
		}
	}
}

// What cannot be written or read back is refused.
func TestEncodeRefuses(t *testing.T) {
	one := tensor.Of("w", []int{1}, []float32{1e30})
	half, wide, huge := one, one, one
	half.DType, wide.DType, huge.Shape = "F16", "F64", []int{1 << 16, 1 << 15}
	for says, g := range map[string]*Graph{
		"used twice":               {Weights: []tensor.Tensor{one, one}},
		`name "w" is empty, or`:    {Weights: []tensor.Tensor{one}, Ints: map[string][]int64{"w": nil}},
		"cannot be written as F64": {Weights: []tensor.Tensor{wide}},
		"is not a number that F16": {Weights: []tensor.Tensor{half}},
		"more than the 2 GB":       {Weights: []tensor.Tensor{huge}},
		"y: cannot be of I64":      {Outputs: []Value{{Name: "y", DType: "I64"}}},
		"attribute a has no kind":  {Nodes: []Node{{Name: "n", Attrs: []Attr{{Name: "a"}}}}},
	} {
		if err := Encode(&bytes.Buffer{}, g); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want it to say %q", err, says)
		}
	}
}
