package devicetest

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"alexnet/internal/device"
)

// testMisuse: what breaks the contract is refused with a reason, not run.
func testMisuse(t *testing.T, open opener) {
	t.Run("programs", func(t *testing.T) { testPrograms(t, open) })
	t.Run("precision", func(t *testing.T) { testPrecision(t, open) })
	t.Run("parameters", func(t *testing.T) { testForeignParams(t, open) })
	t.Run("calls", func(t *testing.T) { testCalls(t, open) })
	t.Run("calls before Alloc", func(t *testing.T) { testUnallocated(t, open) })
	t.Run("calls after Close", func(t *testing.T) { testClosed(t, open) })
	t.Run("memory plan", func(t *testing.T) { testMemory(t, open) })
}

// testPrograms spoils a good program in one place each.
func testPrograms(t *testing.T, open opener) {
	conv := func(b *builder) *device.Conv { return b.Ops[0].(*device.Conv) }
	for name, spoil := range map[string]func(b *builder){
		"no rows":                     func(b *builder) { b.Rows = 0 },
		"no parameters":               func(b *builder) { b.Params = nil },
		"no input":                    func(b *builder) { b.Input.Value = device.None },
		"two-channel pictures":        func(b *builder) { b.Input.Channels = 2 },
		"pictures too small":          func(b *builder) { b.Input.Height = 4 },
		"mean of the wrong size":      func(b *builder) { b.Input.Mean = make([]float32, 5) },
		"scale of the wrong size":     func(b *builder) { b.Input.Scale = make([]float32, 2) },
		"empty value":                 func(b *builder) { b.value("empty", device.Shape{}) },
		"read before written":         func(b *builder) { b.Ops[0], b.Ops[1] = b.Ops[1], b.Ops[0] },
		"written twice":               func(b *builder) { b.Ops[1].Base().Out = conv(b).Out },
		"output out of range":         func(b *builder) { conv(b).Out = 99 },
		"input out of range":          func(b *builder) { conv(b).In = []device.Value{-3} },
		"no output":                   func(b *builder) { b.Ops[1].Base().Out = device.None },
		"kernel of another size":      func(b *builder) { conv(b).Kernel = 5 },
		"no stride":                   func(b *builder) { conv(b).Stride = 0 },
		"negative pad":                func(b *builder) { conv(b).Pad = -1 },
		"groups that do not divide":   func(b *builder) { conv(b).Groups = 2 },
		"weight for bias":             func(b *builder) { conv(b).Bias = conv(b).Weight },
		"parameter out of range":      func(b *builder) { conv(b).Weight = 17 },
		"rounded the other way":       func(b *builder) { conv(b).RoundUp = true },
		"even normalisation":          func(b *builder) { b.Ops[1].(*device.LRN).Size = 4 },
		"normalisation groups":        func(b *builder) { b.Ops[1].(*device.LRN).Groups = 5 },
		"pool window 0":               func(b *builder) { b.Ops[2].(*device.Pool).Window = 0 },
		"pool padded beyond reason":   func(b *builder) { b.Ops[2].(*device.Pool).Pad = 2 },
		"dropout of everything":       func(b *builder) { b.Ops[4].(*device.Dropout).Rate = 1 },
		"dropout rate NaN":            func(b *builder) { b.Ops[4].(*device.Dropout).Rate = float32(math.NaN()) },
		"units without weights":       func(b *builder) { b.Values[b.Ops[3].Base().Out].Shape.C++ },
		"int8 weights in training":    func(b *builder) { b.Ops[3].(*device.FC).Int8 = true },
		"statistics of another shape": func(b *builder) { b.Values[b.Ops[5].(*device.SoftmaxLoss).Stats].Shape.C = 2 },
		"softmax over a map": func(b *builder) {
			b.Ops = b.Ops[:2]
			b.softmax(b.Ops[1].Base().Out)
		},
		"int8 weights and the input's gradient": func(b *builder) {
			b.Train, b.InputGrad = false, true
			b.Ops[3].(*device.FC).Int8 = true
		},
		"two consumers": func(b *builder) { b.activate("again", device.ReLU, conv(b).Out) },
		"parameters used twice": func(b *builder) {
			b.Ops = b.Ops[:3]
			fc := b.fc("fc", 6, device.ReLU, b.Ops[2].Base().Out)
			twice := &device.FC{Op: b.same("twice", b.fc("square", 6, device.ReLU, fc)), Weight: 4, Bias: 5}
			twice.In = []device.Value{b.Ops[4].Base().Out}
			b.Ops = append(b.Ops, twice)
		},
		"send without link": func(b *builder) {
			b.add(&device.Send{Op: device.Op{Name: "send", In: []device.Value{b.Ops[4].Base().Out}, Out: device.None}})
		},
		"link of another shape": func(b *builder) {
			l := device.NewLink("odd", 0, 1, device.Shape{C: 1, H: 2, W: 3})
			b.add(&device.Send{
				Op: device.Op{Name: "send", In: []device.Value{conv(b).In[0]}, Out: device.None}, Link: l,
			})
		},
		"more frozen ops than there are":              func(b *builder) { b.Frozen = len(b.Ops) + 1 },
		"fewer frozen ops than none":                  func(b *builder) { b.Frozen = -1 },
		"frozen ops of a program that does not train": func(b *builder) { b.Train, b.Frozen = false, 2 },
		"frozen ops below the input's gradient":       func(b *builder) { b.InputGrad, b.Frozen = true, 2 },
		"send after the consumer":                     func(b *builder) { b.send(0, 1, conv(b).Out) },
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t, 1)[0]
			b := good()
			if name != "no parameters" {
				spoilAndDeclare(t, d, b, spoil)
			}
			refused(t, d, b)
		})
	}
	t.Run("none spoiled", func(t *testing.T) {
		d := open(t, 1)[0]
		b := good()
		spoilAndDeclare(t, d, b, func(*builder) {})
		n, err := d.Compile(b.Program)
		if err != nil {
			t.Fatal(err)
		}
		closeAll(t, n, b.Params)
	})
}

// good is a program with nothing wrong.
func good() *builder {
	b := newProgram(3, 8, 8, 2)
	b.Train = true
	x := b.lrn("lrn1", 3, 1, b.conv("conv1", 6, device.Conv{Kernel: 3, Stride: 2}, b.Input.Value)) // 6x3x3
	x = b.pool("pool1", device.Pool{Window: 3, Stride: 2}, x)
	b.softmax(b.dropout("drop", .5, 0, b.fc("fc", 6, device.ReLU, x)))
	return b
}

// spoilAndDeclare spoils the program; parameters are declared after, since some ways of spoiling add to them.
func spoilAndDeclare(t *testing.T, d device.Device, b *builder, spoil func(b *builder)) {
	t.Helper()
	spoil(b)
	p, err := d.NewParams(b.specs)
	if err != nil {
		t.Fatal(err)
	}
	b.Params = p
}

func refused(t *testing.T, d device.Device, b *builder) {
	t.Helper()
	n, err := d.Compile(b.Program)
	if err == nil {
		t.Error("Compile accepts it")
		closeAll(t, n, nil)
	}
	if b.Params != nil {
		closeAll(t, nil, b.Params)
	}
}

func closeAll(t *testing.T, n device.Net, p device.Params) {
	t.Helper()
	if n != nil {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	if p != nil {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// testPrecision: a precision is offered, or refused by its name.
func testPrecision(t *testing.T, open opener) {
	for _, p := range []device.Precision{device.TF32, device.BF16} {
		d := open(t, 1)[0]
		b := good()
		b.Precision = p
		spoilAndDeclare(t, d, b, func(*builder) {})
		n, err := d.Compile(b.Program)
		if err != nil && (!strings.Contains(err.Error(), p.String()) || !strings.Contains(err.Error(), d.Name())) {
			t.Errorf("refusal of %v: %q names not both the precision and the device %s", p, err, d.Name())
		}
		closeAll(t, n, b.Params)
	}
}

// testForeignParams: parameters of another device, and a second or late training net, are refused.
func testForeignParams(t *testing.T, open opener) {
	devs := open(t, 2)
	b := good()
	spoilAndDeclare(t, devs[0], b, func(*builder) {})
	if _, err := devs[1].Compile(b.Program); err == nil {
		t.Error("parameters of another device are accepted")
	}
	n, err := devs[0].Compile(b.Program)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := devs[0].Compile(b.Program); err == nil {
		t.Error("a second training net on the same parameters is accepted")
	}
	closeAll(t, n, b.Params)

	b = good()
	b.Train = false
	spoilAndDeclare(t, devs[0], b, func(*builder) {})
	if n, err = devs[0].Compile(b.Program); err != nil {
		t.Fatal(err)
	}
	b.Train = true
	if _, err := devs[0].Compile(b.Program); err == nil {
		t.Error("a training net after an inference net is accepted")
	}
	closeAll(t, n, b.Params)
}

// misuse is a call that the contract forbids, on a net of the program good or one made of it.
type misuse struct {
	name string
	call func(n device.Net, b *builder)
}

// testCalls: calls that the contract forbids fail at the next wait.
func testCalls(t *testing.T, open opener) {
	rates := make([]float32, 4)
	begin := func(n device.Net, b *builder) {
		n.Begin(newBatch(&b.Program), device.Pass{Rows: 2, Divisor: 2, LR: rates, Decay: rates})
	}
	for _, c := range []misuse{
		{"rows beyond the program's", func(n device.Net, b *builder) {
			n.Begin(newBatch(&b.Program), device.Pass{Rows: 3, Divisor: 3, LR: rates, Decay: rates})
		}},
		{"no rows", func(n device.Net, b *builder) {
			n.Begin(newBatch(&b.Program), device.Pass{Divisor: 3, LR: rates, Decay: rates})
		}},
		{"no batch", func(n device.Net, _ *builder) {
			n.Begin(nil, device.Pass{Rows: 2, Divisor: 2, LR: rates, Decay: rates})
		}},
		{"a batch of smaller pictures", func(n device.Net, b *builder) {
			batch := newBatch(&b.Program)
			batch.Pixels = batch.Pixels[1:]
			n.Begin(batch, device.Pass{Rows: 2, Divisor: 2, LR: rates, Decay: rates})
		}},
		{"a batch of fewer rows", func(n device.Net, b *builder) {
			batch := newBatch(&b.Program)
			batch.Flip = batch.Flip[:1]
			n.Begin(batch, device.Pass{Rows: 2, Divisor: 2, LR: rates, Decay: rates})
		}},
		{"a label beyond the classes", func(n device.Net, b *builder) {
			batch := newBatch(&b.Program)
			batch.Labels[1] = 6
			n.Begin(batch, device.Pass{Rows: 2, Divisor: 2, LR: rates, Decay: rates})
		}},
		{"forward before Begin", func(n device.Net, _ *builder) { n.Forward(0) }},
		{"backward before Begin", func(n device.Net, b *builder) { n.Backward(len(b.Ops) - 1) }},
		{"update before Begin", func(n device.Net, _ *builder) { n.Update() }},
		{"fetch before Begin", func(n device.Net, b *builder) { n.Fetch(b.Input.Value, false, nil) }},
		{"store before Begin", func(n device.Net, b *builder) { n.Store(b.Input.Value, false, nil) }},
		{"forward of op -1", func(n device.Net, b *builder) { begin(n, b); n.Forward(-1) }},
		{"forward of an op too many", func(n device.Net, b *builder) { begin(n, b); n.Forward(len(b.Ops)) }},
		{"backward of an op too many", func(n device.Net, b *builder) { begin(n, b); n.Backward(len(b.Ops)) }},
		{"fetch of value -1", func(n device.Net, b *builder) { begin(n, b); n.Fetch(device.None, false, nil) }},
		{"store of a value too many", func(n device.Net, b *builder) {
			begin(n, b)
			n.Store(device.Value(len(b.Values)), false, nil)
		}},
		{"fetch of too few numbers", func(n device.Net, b *builder) {
			begin(n, b)
			n.Fetch(b.Input.Value, false, make([]float32, 3))
		}},
		{"fetch of too many numbers", func(n device.Net, b *builder) {
			begin(n, b)
			n.Fetch(b.Input.Value, false, make([]float32, 2*b.shape(b.Input.Value).Len()+1))
		}},
		{"store of a value not kept", func(n device.Net, b *builder) {
			begin(n, b)
			v := b.Ops[0].Base().Out
			n.Store(v, false, make([]float32, 2*b.shape(v).Len()))
		}},
		{"gradient of a picture without InputGrad", func(n device.Net, b *builder) {
			begin(n, b)
			n.Fetch(b.Input.Value, true, make([]float32, 2*b.shape(b.Input.Value).Len()))
		}},
	} {
		t.Run(c.name, func(t *testing.T) { testCall(t, open, true, c) })
	}
	for _, c := range []misuse{
		{"backward without gradients", func(n device.Net, b *builder) { begin(n, b); n.Backward(len(b.Ops) - 1) }},
		{"update of a program that does not train", func(n device.Net, b *builder) { begin(n, b); n.Update() }},
	} {
		t.Run(c.name, func(t *testing.T) { testCall(t, open, false, c) })
	}
	t.Run("numbers of a parameter", func(t *testing.T) {
		r := newRig(t, 1, []*builder{good()}, open(t, 1))
		if err := r.params[0].Fetch(0, device.Weight, make([]float32, 3)); err == nil {
			t.Error("a fetch of too few numbers succeeds")
		}
		if err := r.params[0].Store(9, device.Weight, make([]float32, 3)); err == nil {
			t.Error("a store to a parameter that does not exist succeeds")
		}
		r.close()
	})
}

// testCall makes the call on a net, which must report it.
func testCall(t *testing.T, open opener, train bool, c misuse) {
	devs := open(t, 1)
	b := good()
	b.Train = train
	r := newRig(t, 1, []*builder{b}, devs)
	soon(t, func() {
		c.call(r.nets[0], b)
		_ = failure(t, r.nets[0], devs[0].Name())
	})
	r.close()
}

// soon fails the test where f does not return: what is forbidden must not wait for ever.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the call does not return")
	}
}

// lateCalls are all calls on a net but Alloc and Close.
var lateCalls = []misuse{
	{"forward", func(n device.Net, _ *builder) { n.Forward(0) }},
	{"backward", func(n device.Net, b *builder) { n.Backward(len(b.Ops) - 1) }},
	{"update", func(n device.Net, _ *builder) { n.Update() }},
	{"await", func(n device.Net, b *builder) { n.Await(newBatch(&b.Program)) }},
	{"begin", func(n device.Net, b *builder) {
		rates := make([]float32, len(b.specs))
		n.Begin(newBatch(&b.Program), device.Pass{Rows: 2, Divisor: 2, LR: rates, Decay: rates})
	}},
	{"fetch", func(n device.Net, b *builder) {
		_ = n.Fetch(b.Input.Value, false, make([]float32, 2*b.shape(b.Input.Value).Len())).Wait()
	}},
	{"store", func(n device.Net, b *builder) {
		n.Store(b.Input.Value, false, make([]float32, 2*b.shape(b.Input.Value).Len()))
	}},
}

// testUnallocated: before Alloc nothing can be called, and it is said why.
func testUnallocated(t *testing.T, open opener) {
	for _, c := range lateCalls {
		t.Run(c.name, func(t *testing.T) {
			devs := open(t, 1)
			b := good()
			spoilAndDeclare(t, devs[0], b, func(*builder) {})
			nets := compile(t, devs, []*device.Program{&b.Program})
			soon(t, func() {
				c.call(nets[0], b)
				if err := failure(t, nets[0], devs[0].Name()); !strings.Contains(err.Error(), "not allocated") {
					t.Errorf("failure %v does not say that the net is not allocated", err)
				}
			})
			closeAll(t, nets[0], b.Params)
		})
	}
}

// testClosed: after Close, of the net or of its device, nothing waits, and all is refused.
func testClosed(t *testing.T, open opener) {
	for _, ended := range []bool{false, true} {
		for _, c := range lateCalls {
			t.Run(fmt.Sprintf("%s, device closed %v", c.name, ended), func(t *testing.T) {
				devs := open(t, 1)
				b := good()
				r := newRig(t, 1, []*builder{b}, devs)
				n, p := r.nets[0], r.params[0]
				r.close()
				if ended {
					r.must(devs[0].Close())
				}
				soon(t, func() { testClosedNet(t, c, n, b, devs[0].Name()); testClosedParams(t, p) })
			})
		}
	}
	t.Run("device", func(t *testing.T) {
		d := open(t, 1)[0]
		b := good()
		spoilAndDeclare(t, d, b, func(*builder) {})
		closeAll(t, nil, b.Params)
		soon(t, func() {
			for range 2 {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			if _, err := d.NewParams(b.specs); err == nil {
				t.Error("a closed device takes parameters")
			}
			if _, err := d.Compile(b.Program); err == nil {
				t.Error("a closed device compiles")
			}
		})
	})
}

func testClosedNet(t *testing.T, c misuse, n device.Net, b *builder, name string) {
	c.call(n, b)
	if err := failure(t, n, name); !strings.Contains(err.Error(), "closed") {
		t.Errorf("failure %v does not say that something is closed", err)
	}
	if n.Alloc() == nil {
		t.Error("a closed net is allocated")
	}
	if n.Close() == nil {
		t.Error("a net is closed twice")
	}
}

func testClosedParams(t *testing.T, p device.Params) {
	if p.Fetch(0, device.Weight, make([]float32, 6*3*3*3)) == nil {
		t.Error("a fetch from closed parameters succeeds")
	}
	if p.Store(0, device.Weight, make([]float32, 6*3*3*3)) == nil {
		t.Error("a store to closed parameters succeeds")
	}
	if p.Close() == nil {
		t.Error("parameters are closed twice")
	}
}

// testMemory: the plan names each purpose once, and counts parameters where they are taken.
func testMemory(t *testing.T, open opener) {
	devs := open(t, 1)
	b := good()
	spoilAndDeclare(t, devs[0], b, func(*builder) {})
	train, err := devs[0].Compile(b.Program)
	if err != nil {
		t.Fatal(err)
	}
	other := b.Program
	other.Train = false
	infer, err := devs[0].Compile(other)
	if err != nil {
		t.Fatal(err)
	}
	elements := 0
	for _, s := range b.specs {
		elements += s.Len()
	}
	bytes := map[string]int64{}
	for _, item := range train.Memory() {
		if _, twice := bytes[item.Purpose]; twice {
			t.Errorf("%s stands twice in the plan", item.Purpose)
		}
		bytes[item.Purpose] = item.Bytes
	}
	for _, purpose := range []string{device.PurposeWeights, device.PurposeMomentum, device.PurposeGradients} {
		if bytes[purpose] < 4*int64(elements) { // private layouts may be padded
			t.Errorf("%d bytes of %s for %d numbers", bytes[purpose], purpose, elements)
		}
	}
	for _, purpose := range []string{device.PurposeActivations, device.PurposeBackward, device.PurposeStaging} {
		if bytes[purpose] <= 0 {
			t.Errorf("no %s in the plan of a training net", purpose)
		}
	}
	for _, item := range infer.Memory() {
		switch item.Purpose {
		case device.PurposeWeights, device.PurposeMomentum, device.PurposeGradients, device.PurposeBackward:
			if item.Bytes != 0 {
				t.Errorf("the inference net plans %d bytes of %s", item.Bytes, item.Purpose)
			}
		}
	}
	closeAll(t, infer, nil)
	closeAll(t, train, b.Params)
}
