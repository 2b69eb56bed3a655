//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/gpu/cuda"
	"alexnet/kernels"
)

// step is a piece of work that an op enqueues.
type step interface{ run(n *Net) error }

// binder is a step that needs the places of buffers, which Alloc settles.
type binder interface{ bind(d *Device) }

// pointer is device memory whose address Alloc settles: a buffer, or a part of one.
type pointer interface{ ptr() cu.DevicePtr }

// kernel is a launch. Arguments may be places; nil is none.
type kernel struct {
	name   string
	items  int64
	args   []any
	launch *cuda.Launch
}

func (k *kernel) bind(d *Device) {
	args := make([]any, len(k.args))
	for i, a := range k.args {
		switch a := a.(type) {
		case pointer:
			args[i] = a.ptr()
		case nil:
			args[i] = 0
		default:
			args[i] = a
		}
	}
	def := kernels.Find(k.name)
	if len(args) != def.Count() {
		panic(fmt.Sprintf("gpu: %d arguments for %s(%s)", len(args), k.name, def.Args))
	}
	k.launch = cuda.NewLaunch(k.name, d.functs[k.name], def.Blocks(k.items), kernels.Threads, args...)
}

func (k *kernel) run(n *Net) error { return k.launch.Run(n.dev.main) }

// zero fills a buffer with zeros.
type zero struct{ data *buffer }

func (z *zero) run(n *Net) error {
	return cuda.Wrap("cuMemsetD8Async", cu.MemsetD8Async(z.data.ptr(), 0, z.data.Bytes, n.dev.main))
}

// operation is an op being compiled.
type operation interface {
	forward(c *compiler) error
	backward(c *compiler) error
}

// prepared is a compiled op.
type prepared struct{ forward, backward []step }

// compiler turns a program into steps.
type compiler struct {
	*Net
	buffers   []*buffer
	workspace *buffer // of cuDNN, shared by all of the net's convolutions
	time      int     // place in the walk: op i runs forward at i and backward at 2 len(ops) - 1 - i
	list      *[]step // where emit puts steps
	backward  bool    // there are gradients of the op being compiled
	half      bool    // values are bf16
}

// Compile makes a net of the program. Nothing is allocated.
func (d *Device) Compile(prog device.Program) (device.Net, error) {
	if d.closed {
		return nil, fmt.Errorf("%s: %w", d.name, backend.ErrDeviceClosed)
	}
	var n *Net
	err := d.do(func() (err error) { n, err = compile(d, prog); return err })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	d.waiting = append(d.waiting, n)
	return n, nil
}

func compile(d *Device, prog device.Program) (*Net, error) {
	params, ok := prog.Params.(*Params)
	own := ok && params.dev == d && !params.closed
	if err := backend.CheckProgram(d, &prog, own, own && params.settled); err != nil {
		return nil, err
	}
	if !params.settled && prog.Precision != device.FP32 {
		params.layout = cuda.NHWC // where tensor cores compute
	}
	c := newCompiler(&Net{
		dev: d, prog: prog, params: params, ops: make([]prepared, len(prog.Ops)), guard: backend.NewGuard(d.name, prog),
	})
	if err := c.walk(); err != nil {
		return nil, errors.Join(err, closeConvs(c.convs))
	}
	c.finish()
	return c.Net, nil
}

func newCompiler(n *Net) *compiler {
	c := &compiler{Net: n, half: n.prog.Precision == device.BF16}
	c.workspace = c.always(c.buffer(device.PurposeWorkspace, 0))
	typ := cuda.Float32
	if c.half {
		typ = cuda.BFloat16
	}
	for i, use := range backend.Uses(&n.prog) {
		info := n.prog.Values[i]
		s := info.Shape
		c.values = append(c.values, &value{
			name: info.Name, shape: s, depth: s.C, height: s.H, width: s.W, layout: n.params.layout, typ: typ,
			gradType: typ, kept: use.Kept, input: use.Input, sends: use.Sends, reader: use.Reader, wants: use.Wants,
		})
	}
	for _, spec := range n.prog.Ops {
		c.fp32(spec)
	}
	return c
}

// fp32 keeps from rounding what must not be rounded: the loss, its probabilities, and the logits where a matrix product
// gives them.
func (c *compiler) fp32(spec device.Spec) {
	switch s := spec.(type) {
	case *device.SoftmaxLoss:
		for _, id := range []device.Value{s.Out, s.Stats} {
			c.values[id].typ, c.values[id].gradType = cuda.Float32, cuda.Float32
		}
	case *device.FC:
		if _, loss := c.values[s.Out].reader.(*device.SoftmaxLoss); loss && s.Act == device.Linear {
			c.values[s.Out].typ = cuda.Float32
		}
	}
}

// walk compiles the ops forward, then back.
func (c *compiler) walk() error {
	ops := make([]operation, len(c.prog.Ops))
	for i, spec := range c.prog.Ops {
		ops[i] = c.operation(spec)
	}
	c.planInput()
	for i, op := range ops {
		c.time, c.list, c.backward = i, &c.ops[i].forward, backend.Backward(&c.prog, i)
		if err := op.forward(c); err != nil {
			return fmt.Errorf("%s: %w", c.prog.Ops[i].Base().Name, err)
		}
	}
	for i, op := range slices.Backward(ops) {
		if c.backward = backend.Backward(&c.prog, i); !c.backward {
			break
		}
		c.time, c.list = backend.Walk(len(ops)).Backward(i), &c.ops[i].backward
		if err := op.backward(c); err != nil {
			return fmt.Errorf("gradient of %s: %w", c.prog.Ops[i].Base().Name, err)
		}
	}
	if c.prog.Train {
		c.update()
	}
	return nil
}

func (c *compiler) operation(spec device.Spec) operation {
	op := spec.Base()
	var in []*value
	for _, id := range op.In {
		in = append(in, c.values[id])
	}
	var out *value
	if op.Out != device.None {
		out = c.values[op.Out]
	}
	switch s := spec.(type) {
	case *device.Conv:
		return &conv{spec: s, in: in, out: out}
	case *device.FC:
		return &fc{spec: s, in: in, out: out}
	case *device.Activate:
		return &activate{act: s.Act, in: in[0], out: out}
	case *device.LRN:
		return &lrn{spec: s, in: in[0], out: out}
	case *device.Pool:
		return &pool{spec: s, in: in[0], out: out}
	case *device.Dropout:
		return &dropout{spec: s, in: in[0], out: out}
	case *device.SoftmaxLoss:
		return &loss{in: in[0], out: out, stats: c.values[s.Stats]}
	case *device.Send:
		return &send{link: s.Link, in: in[0]}
	case *device.Recv:
		return &recv{link: s.Link, out: out}
	}
	panic(fmt.Sprintf("gpu: op of type %T", spec)) // Spec is sealed: package device has no other
}

// emit appends a step to the op being compiled.
func (c *compiler) emit(s step) { *c.list = append(*c.list, s) }

// launch appends a kernel.
func (c *compiler) launch(name string, items int64, args ...any) {
	c.emit(&kernel{name: name, items: items, args: args})
}

// buffer plans memory that is in use now.
func (c *compiler) buffer(purpose string, bytes int64) *buffer {
	b := &buffer{Buffer: backend.Buffer{Purpose: purpose, Bytes: bytes, Life: backend.At(c.time)}}
	c.buffers = append(c.buffers, b)
	return b
}

// always keeps a buffer out of reuse.
func (c *compiler) always(b *buffer) *buffer {
	b.Life = backend.Walk(len(c.prog.Ops)).Always()
	return b
}

// write plans a value's memory and tells that it is written now. What others see, or copy while this device goes on,
// keeps its own.
func (c *compiler) write(v *value) *buffer {
	if v.data == nil {
		v.data = c.buffer(device.PurposeActivations, v.typ.Size()*int64(c.prog.Rows)*int64(v.row()))
		if !v.private() {
			c.always(v.data)
		}
	}
	return v.data.use(c.time)
}

// read tells that a value is read now; what comes from another device is waited for.
func (c *compiler) read(v *value) *buffer {
	if v.port != nil && !v.awaited {
		v.awaited = true
		c.emit(&await{v.port})
	}
	return v.data.use(c.time)
}

// writeGrad plans a gradient's memory and tells that it is written now.
func (c *compiler) writeGrad(v *value) *buffer {
	v.summed = true
	return c.gradient(v).use(c.time)
}

func (c *compiler) gradient(v *value) *buffer {
	if v.grad == nil {
		v.grad = c.buffer(device.PurposeBackward, v.gradType.Size()*int64(c.prog.Rows)*int64(v.row()))
		if v.kept || v.port != nil {
			c.always(v.grad)
		}
	}
	return v.grad
}

// wrote tells that a gradient is there: if another device gave the value, it may fetch that.
func (c *compiler) wrote(v *value) {
	if v.port != nil && !v.signalled {
		v.signalled = true
		c.emit(&signal{v.port})
	}
}

// readGrad tells that a gradient is read now. One that nobody wrote is zero, or what the caller stores if it is kept.
func (c *compiler) readGrad(v *value) *buffer {
	b := c.gradient(v).use(c.time)
	if !v.summed && !v.kept {
		c.emit(&zero{b})
	}
	return b
}

// elements are the numbers of all rows of a value.
func (c *compiler) elements(v *value) int { return c.prog.Rows * v.row() }

// finish plans the memory of all buffers.
func (c *compiler) finish() {
	c.arenas = arenas(c.buffers)
	for _, a := range append(c.params.planned(&c.prog), c.arenas...) {
		c.plan = c.plan.Add(device.MemoryItem{Purpose: a.Purpose, Bytes: a.Bytes})
	}
	if !c.dev.blasPlanned {
		c.dev.blasPlanned = true
		c.plan = c.plan.Add(device.MemoryItem{Purpose: device.PurposeWorkspace, Bytes: c.dev.blasBytes()})
	}
	c.plan = c.plan.Add(device.MemoryItem{Purpose: device.PurposePinned, Bytes: c.planPinned()})
}
