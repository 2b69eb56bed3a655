package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/reference"
)

// numbers is a type of values: how tests write, read and round it, and by how much a result that is rounded once may be
// off.
type numbers struct {
	name     string
	write    func([]float64) *buf
	read     func(*buf) []float64
	round    func(float64) float64
	relative float64
}

// kinds are both. fp32: a handful of roundings and the error of exp, tanh and roots, a few units in the last place
// (1.2e-7) each. bf16: half a unit in the last place, 2^-8.
var kinds = []numbers{
	{"f32", f32, (*buf).f32, func(x float64) float64 { return float64(float32(x)) }, 2e-6},
	{"bf16", bf16, (*buf).bf16, func(x float64) float64 { return widen(half(x)) }, 0x1.01p-8},
}

// random gives n numbers of the kind, normal, the same for the same seed.
func (k numbers) random(seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float64, n)
	for i := range x {
		x[i] = k.round(r.NormFloat64())
	}
	return x
}

// layouts order the numbers of (rows, C, plane) in memory.
var layouts = []string{"nchw", "nhwc"}

// lay takes x (rows, C, plane) into a layout.
func lay(layout string, x []float64, c, plane int) []float64 {
	if layout == "nchw" {
		return x
	}
	y := make([]float64, 0, len(x))
	for r := 0; r < len(x); r += c * plane {
		for p := range plane {
			for ch := range c {
				y = append(y, x[r+ch*plane+p])
			}
		}
	}
	return y
}

// unlay takes it back.
func unlay(layout string, x []float64, c, plane int) []float64 {
	if layout == "nchw" {
		return x
	}
	return lay(layout, x, plane, c)
}

// near compares element by element: relative to the element, and least where it is nearly 0 by cancellation.
func near(t *testing.T, what string, got, want []float64, relative, least float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g == w || g != g && w != w || math.Abs(g-w) <= relative*math.Abs(w)+least {
			continue
		}
		t.Fatalf("%s: element %d of %d is %g, want %g", what, i, len(want), g, w)
	}
}

// unwritten is what outputs hold before the call: what a kernel leaves out stays NaN and fails the comparison.
func unwritten(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = math.NaN()
	}
	return x
}

// pass is Pass in memory.
func pass(p Pass) *buf {
	b, _ := binary.Append(nil, binary.LittleEndian, p) // of fixed size: never fails
	return &buf{data: b}
}

// oracle is a net on the float64 reference whose last op is the one in question: in and out are what it reads and
// gives.
type oracle struct {
	t       *testing.T
	net     device.Net
	params  device.Params
	op      int
	in, out device.Value
	stats   device.Value // of a SoftmaxLoss
	rows    int
}

// newOracle builds it: a convolution of 1x1 makes a value of the wanted shape, into which tests then write what they
// like.
func newOracle(t *testing.T, rows int, in, out device.Shape, op func(device.Op) device.Spec, train bool, labels []int32,
	pass device.Pass,
) *oracle {
	t.Helper()
	dev := reference.Open64()
	o := &oracle{t: t, op: 1, in: 1, out: 2, stats: 3, rows: rows}
	specs := []device.ParamSpec{{Name: "weight", Shape: []int{in.C, 1, 1, 1}}, {Name: "bias", Shape: []int{in.C}}}
	p := device.Program{
		Values: []device.ValueInfo{
			{Name: "input", Shape: device.Shape{C: 1, H: in.H, W: in.W}}, {Name: "in", Shape: in}, {
				Name: "out", Shape: out,
			},
		},
		Input: device.Input{Channels: 1, Height: in.H, Width: in.W},
		Ops: []device.Spec{
			&device.Conv{
				Op: device.Op{Name: "feed", In: []device.Value{0}, Out: 1}, Weight: 0, Bias: 1, Kernel: 1, Stride: 1,
				Groups: 1,
			},
			op(device.Op{Name: "op", In: []device.Value{1}, Out: 2}),
		},
		Rows: rows, Train: train, InputGrad: true, Keep: []device.Value{1, 2},
	}
	if loss, ok := p.Ops[1].(*device.SoftmaxLoss); ok {
		loss.Stats = o.stats
		p.Values = append(p.Values, device.ValueInfo{Name: "stats", Shape: device.Shape{C: 3, H: 1, W: 1}})
	}
	var err error
	if o.params, err = dev.NewParams(specs); err != nil {
		t.Fatal(err)
	}
	p.Params = o.params
	if o.net, err = dev.Compile(p); err != nil {
		t.Fatal(err)
	}
	if err = o.net.Alloc(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.net.Close(); o.params.Close(); dev.Close() })
	batch := device.NewBatch(p.Rows, make([]uint8, p.Rows*p.Input.PictureBytes()))
	copy(batch.Labels, labels)
	if pass.Rows = rows; pass.LR == nil {
		pass.LR, pass.Decay = make([]float32, len(specs)), make([]float32, len(specs))
	}
	o.net.Begin(batch, pass)
	return o
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func (o *oracle) fetch(v device.Value, grad bool, n int) []float64 {
	o.t.Helper()
	x := make([]float64, n)
	if err := o.net.(device.Precise).Fetch64(v, grad, x); err != nil {
		o.t.Fatal(err)
	}
	return x
}

// forward gives out (n numbers) of in.
func (o *oracle) forward(in []float64, n int) []float64 {
	o.t.Helper()
	o.net.Store(o.in, false, narrow(in))
	o.net.Forward(o.op)
	return o.fetch(o.out, false, n)
}

// backward gives in's gradient (n numbers) of out's, after forward.
func (o *oracle) backward(grad []float64, n int) []float64 {
	o.t.Helper()
	if grad != nil { // a loss has none
		o.net.Store(o.out, true, narrow(grad))
	}
	o.net.Backward(o.op)
	return o.fetch(o.in, true, n)
}
