package devicetest

import (
	_ "embed" // the golden file
	"strconv"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/golden"
	"alexnet/internal/philox"
)

//go:embed testdata/ops.safetensors
var opsFile []byte

// goldenCase is one op of scripts/golden.py's CASES.
type goldenCase struct {
	Name, Op, Stream             string // Stream begins the names of the case's random streams
	Rows                         int
	Input                        [3]int
	Draw                         string  // coarse: with zeros and ties; else uniform
	Times                        float32 // the input's scale; 0: 1
	Act                          string
	Kernels, Kernel, Stride, Pad int
	Groups, Units, Size, Window  int
	Up                           bool
	Alpha, Beta, K               float32
	Kind                         string
	Rate                         float32
	Layer, Seed                  string // of dropout's masks, as are the next three
	Step, First                  uint64
	Unit                         int
	Infer                        bool
	Labels                       []int32
	Divisor                      float32
}

// RunGolden holds one device of a backend to PyTorch, op by op: values within 1e-5, gradients within 1e-4.
func RunGolden(t *testing.T, open func(t *testing.T, n int) []device.Device) {
	f := golden.Open(t, opsFile)
	t.Log(f)
	var cases []goldenCase
	f.Meta(t, "cases", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { c.run(t, f, open(t, 1)[0]) })
	}
}

// run stores the case's input behind a convolution that feeds it (an op's input then lies in the layout in which it
// does in a net, and may have any number of channels), runs the op, stores the gradient of its output and runs it back.
func (c goldenCase) run(t *testing.T, f *golden.File, dev device.Device) {
	b, feed, out := c.program()
	params, err := dev.NewParams(b.specs)
	must(t, err)
	b.Params = params
	net, err := dev.Compile(b.Program)
	must(t, err)
	must(t, net.Alloc())
	defer func() { must(t, net.Close()); must(t, params.Close()) }()
	c.storeParams(t, f, params)

	batch := newBatch(&b.Program)
	copy(batch.Labels, c.Labels)
	net.Begin(batch, c.pass(t, len(b.specs)))
	net.Forward(0)
	net.Store(feed, false, c.draw(f))
	net.Forward(1)
	f.Check(t, c.Name+"/y", c.fetch(t, net, &b.Program, out, false), golden.Forward)
	if c.Op == "softmax" {
		stats := b.Ops[1].(*device.SoftmaxLoss).Stats
		f.Check(t, c.Name+"/stats", c.fetch(t, net, &b.Program, stats, false), golden.Forward)
	}
	if c.Infer {
		return
	}
	if c.Op != "softmax" {
		net.Store(out, true, f.Uniform(c.Stream+".dy", c.Rows*b.shape(out).Len(), 1))
	}
	net.Backward(1)
	f.Check(t, c.Name+"/dx", c.fetch(t, net, &b.Program, feed, true), golden.Gradient)
	c.checkParams(t, f, params)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is a 1x1 convolution that makes a value of the input's shape, and the op.
func (c goldenCase) program() (b *builder, feed, out device.Value) {
	b = newProgram(1, c.Input[1], c.Input[2], c.Rows)
	b.Train = !c.Infer
	feed = b.conv("feed", c.Input[0], device.Conv{Kernel: 1}, b.Input.Value)
	act := map[string]device.Activation{
		"": device.Linear, "linear": device.Linear, "relu": device.ReLU, "tanh": device.Tanh,
	}[c.Act]
	switch c.Op {
	case "conv":
		out = b.conv("op", c.Kernels, device.Conv{
			Kernel: c.Kernel, Stride: c.Stride, Pad: c.Pad, Groups: c.Groups, RoundUp: c.Up, Act: act,
		}, feed)
	case "fc":
		out = b.fc("op", c.Units, act, feed)
	case "activate":
		out = b.activate("op", act, feed)
	case "lrn":
		out = b.add(&device.LRN{
			Op: b.same("op", feed), Size: c.Size, Alpha: c.Alpha, Beta: c.Beta, K: c.K, Groups: c.Groups,
		})
	case "pool":
		kind := map[string]device.PoolKind{"max": device.Max, "avg": device.Avg}[c.Kind]
		out = b.pool("op", device.Pool{Kind: kind, Window: c.Window, Stride: c.Stride, Pad: c.Pad, RoundUp: c.Up}, feed)
	case "dropout":
		out = b.add(&device.Dropout{
			Op: b.same("op", feed), Rate: c.Rate, Stream: philox.Stream(c.Layer), FirstUnit: c.Unit,
		})
	case "softmax":
		out = b.softmax(feed)
	}
	b.Keep = []device.Value{feed, out}
	return b, feed, out
}

func (c goldenCase) pass(t *testing.T, params int) device.Pass {
	p := device.Pass{Step: c.Step, First: c.First, Rows: c.Rows, Divisor: max(c.Divisor, 1)}
	if c.Seed != "" {
		var err error
		p.Seed, err = strconv.ParseUint(c.Seed, 10, 64)
		must(t, err)
	}
	p.LR, p.Decay = make([]float32, params), make([]float32, params)
	return p
}

func (c goldenCase) draw(f *golden.File) []float32 {
	n := c.Rows * c.Input[0] * c.Input[1] * c.Input[2]
	if c.Draw == "coarse" {
		return f.Coarse(c.Stream+".x", n)
	}
	if c.Times == 0 {
		c.Times = 1
	}
	return f.Uniform(c.Stream+".x", n, c.Times)
}

// opParams are those of the op; feed has the first two.
var opParams = map[string]device.Param{"w": 2, "b": 3}

func (c goldenCase) storeParams(t *testing.T, f *golden.File, params device.Params) {
	specs := params.Specs()
	for p := range specs[:2] {
		must(t, params.Store(device.Param(p), device.Weight, make([]float32, specs[p].Len())))
	}
	for name, p := range opParams {
		if int(p) < len(specs) {
			must(t, params.Store(p, device.Weight, f.Uniform(c.Stream+"."+name, specs[p].Len(), 1)))
		}
	}
}

func (c goldenCase) checkParams(t *testing.T, f *golden.File, params device.Params) {
	specs := params.Specs()
	for name, p := range opParams {
		if int(p) < len(specs) {
			g := make([]float32, specs[p].Len())
			must(t, params.Fetch(p, device.Gradient, g))
			f.Check(t, c.Name+"/d"+name, g, golden.Gradient)
		}
	}
}

func (c goldenCase) fetch(t *testing.T, net device.Net, p *device.Program, v device.Value, grad bool) []float32 {
	t.Helper()
	x := make([]float32, c.Rows*p.Values[v].Shape.Len())
	must(t, net.Fetch(v, grad, x).Wait())
	return x
}
