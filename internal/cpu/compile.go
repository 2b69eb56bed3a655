//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// value is a tensor of the program. Its gradient, where there is one, has the same layout.
type value struct {
	name   string
	shape  device.Shape
	block  int // channels side by side: 1 (NCHW), 8, 16 or all (NHWC, channels last); 0: not settled yet
	data   *buffer
	grad   *buffer
	sends  int
	reader device.Spec // its consumer besides Sends
	kept   bool
	input  bool
	relu   bool // it comes from a ReLU ..
	masked bool // .. whose mask its consumer applies to the gradient
	tanh   bool
	wants  bool // it needs a gradient
	summed bool // its gradient was written
	// Numbers of bf16, in it and in its gradient. The loss reads floats where the layer before can write them.
	half, halfGrad bool
}

// channels counts those of a whole number of blocks.
func (v *value) channels() int { return (v.shape.C + v.block - 1) / v.block * v.block }

func (v *value) pixels() int { return v.shape.H * v.shape.W }

// row is the numbers of one row, as laid out.
func (v *value) row() int { return v.channels() * v.pixels() }

// bytes is what the value takes.
func (v *value) bytes(rows int) int64 { return int64(size(v.half) * rows * v.row()) }

// private tells that nobody but the consumer sees the value, so that its tensors may be overwritten or never exist.
func (v *value) private() bool { return !v.kept && !v.input && v.sends == 0 && v.reader != nil }

// compiler turns a program into steps.
type compiler struct {
	*Net
	buffers  []*buffer
	scratch  *buffer              // oneDNN's, shared by all of the net's primitives
	time     int                  // place in the walk: op i runs forward at i and backward at 2 len(ops) - 1 - i
	list     *[]step              // where emit puts steps
	backward bool                 // there are gradients of the op being compiled
	fused    map[device.Spec]*lrn // poolings that run together with the normalisation before them
	later    []func()             // to be done when all layouts are settled
}

// operation is an op being compiled.
type operation interface {
	forward(c *compiler) error
	backward(c *compiler) error
}

// prepared is a compiled op.
type prepared struct{ forward, backward []step }

// Compile makes a net of the program. Nothing is allocated for tensors.
func (d *Device) Compile(prog device.Program) (device.Net, error) {
	var n *Net
	if err := d.attempt(func() (err error) { n, err = compile(d, prog); return err }); err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return n, nil
}

func compile(d *Device, prog device.Program) (*Net, error) {
	params, ok := prog.Params.(*Params)
	own := ok && params.dev == d && !params.closed
	if err := backend.CheckProgram(d, &prog, own, own && params.used); err != nil {
		return nil, err
	}
	if err := countable(&prog); err != nil {
		return nil, err
	}
	c := newCompiler(&Net{
		dev: d, prog: prog, params: params, ops: make([]prepared, len(prog.Ops)), guard: backend.NewGuard(d.name, prog),
	})
	if err := c.walk(); err != nil {
		c.prims.destroy()
		return nil, err
	}
	c.finish()
	return c.Net, nil
}

// countable refuses batches with more numbers in one tensor than oneDNN counts: it divides by what is left of them in
// 32 bits, and that may be 0.
func countable(p *device.Program) error {
	row := 0
	for _, v := range p.Values {
		row = max(row, v.Shape.Len())
	}
	if p.Rows*row < 1<<31 {
		return nil
	}
	return &device.BatchError{
		Rows: p.Rows, Largest: (1<<31 - 1) / row,
		Reason: fmt.Sprintf("has %d numbers in one tensor, of which oneDNN takes less than 2^31", p.Rows*row),
	}
}

func newCompiler(n *Net) *compiler {
	c := &compiler{Net: n, fused: map[device.Spec]*lrn{}}
	c.scratch = c.always(c.buffer(device.PurposeWorkspace, 0))
	half := n.prog.Precision == device.BF16
	for i, use := range backend.Uses(&n.prog) {
		info := n.prog.Values[i]
		c.values = append(c.values, &value{
			name: info.Name, shape: info.Shape, kept: use.Kept, input: use.Input, sends: use.Sends, reader: use.Reader,
			wants: use.Wants, half: half, halfGrad: half,
		})
	}
	for _, spec := range n.prog.Ops {
		c.widen(spec)
	}
	return c
}

// widen makes floats of what must not be rounded: the loss, its probabilities, and the logits where a layer gives them
// as it computed them.
func (c *compiler) widen(spec device.Spec) {
	linear := false
	switch s := spec.(type) {
	case *device.SoftmaxLoss:
		for _, id := range []device.Value{s.Out, s.Stats} {
			c.values[id].half, c.values[id].halfGrad = false, false
		}
		return
	case *device.Conv:
		linear = s.Act == device.Linear
	case *device.FC:
		linear = s.Act == device.Linear
	}
	out := spec.Base().Out
	if linear && out != device.None {
		if _, loss := c.values[out].reader.(*device.SoftmaxLoss); loss {
			c.values[out].half = false
		}
	}
}

// walk compiles the ops forward, then back.
func (c *compiler) walk() error {
	c.planInput()
	ops := make([]operation, len(c.prog.Ops))
	for i, spec := range c.prog.Ops {
		c.time, c.list, c.backward = i, &c.ops[i].forward, backend.Backward(&c.prog, i)
		ops[i] = c.operation(spec)
		if l, ok := ops[i].(*layer); ok {
			defer l.forget()
		}
		if err := ops[i].forward(c); err != nil {
			return fmt.Errorf("%s: %w", spec.Base().Name, err)
		}
	}
	for i := len(ops) - 1; i >= 0; i-- {
		if c.backward = backend.Backward(&c.prog, i); !c.backward {
			break
		}
		c.time, c.list = backend.Walk(len(ops)).Backward(i), &c.ops[i].backward
		if err := ops[i].backward(c); err != nil {
			return fmt.Errorf("gradient of %s: %w", c.prog.Ops[i].Base().Name, err)
		}
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
	if op.Out != device.None && int(op.Out) < len(c.values) {
		out = c.values[op.Out]
	}
	switch s := spec.(type) {
	case *device.Conv:
		l := &layer{conv: s, weight: s.Weight, bias: s.Bias, act: s.Act, in: in, out: out}
		l.sizes(c.prog.Rows)
		if l.suitsWinograd(c) {
			return &winograd{layer: l}
		}
		return l
	case *device.FC:
		l := &layer{weight: s.Weight, bias: s.Bias, act: s.Act, in: in, out: out}
		l.sizes(c.prog.Rows)
		if s.Int8 || c.prog.Rows == 1 && !backend.Gradients(&c.prog) {
			return &product{l, s.Int8}
		}
		return l
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
	return unknown{spec}
}

type unknown struct{ spec device.Spec }

func (u unknown) forward(*compiler) error {
	return fmt.Errorf("%T is not available", u.spec)
}
func (u unknown) backward(*compiler) error { return nil }

// emit appends a step to the op being compiled.
func (c *compiler) emit(s step) { *c.list = append(*c.list, s) }

// buffer plans memory that is in use now.
func (c *compiler) buffer(purpose string, bytes int) *buffer {
	b := &buffer{Buffer: backend.Buffer{Purpose: purpose, Bytes: int64(bytes), Life: backend.At(c.time)}}
	c.buffers = append(c.buffers, b)
	return b
}

// always keeps a buffer out of reuse.
func (c *compiler) always(b *buffer) *buffer {
	b.Life = backend.Walk(len(c.prog.Ops)).Always()
	return b
}

// settle fixes a value's layout if that is still open. Input is made in logical order or with channels last.
func (c *compiler) settle(v *value, block int) {
	if v.block != 0 {
		return
	}
	if v.input && block != v.shape.C {
		block = 1
	}
	v.block = block
	if v.data != nil {
		v.data.Bytes = v.bytes(c.prog.Rows)
	}
}

// write plans the value's memory and tells that it is written now.
func (c *compiler) write(v *value) *buffer {
	if v.data == nil {
		v.data = c.buffer(device.PurposeActivations, 0)
		if v.block != 0 {
			v.data.Bytes = v.bytes(c.prog.Rows)
		}
		if v.kept || v.input {
			c.always(v.data)
		}
	}
	return v.data.use(c.time)
}

// read tells that the value is read now.
func (c *compiler) read(v *value) *buffer {
	c.settle(v, 1)
	return v.data.use(c.time)
}

// writeGrad plans the gradient's memory and tells that it is written now.
func (c *compiler) writeGrad(v *value) *buffer {
	v.summed = true
	return c.gradient(v).use(c.time)
}

func (c *compiler) gradient(v *value) *buffer {
	if v.grad == nil {
		v.grad = c.buffer(device.PurposeBackward, size(v.halfGrad)*c.prog.Rows*v.row())
		if v.kept {
			c.always(v.grad)
		}
	}
	return v.grad
}

// readGrad tells that the gradient is read now. A gradient that nobody wrote is zero, or what the caller stores if it
// is kept.
func (c *compiler) readGrad(v *value) *buffer {
	c.settle(v, 1)
	b := c.gradient(v).use(c.time)
	if !v.summed && !v.kept {
		c.emit(&zero{data: b})
	}
	return b
}

// takesMask tells that the consumer being compiled applies the mask of the ReLU that the value comes from.
func (v *value) takesMask() bool {
	v.masked = v.relu && v.private()
	return v.masked
}

// logical tells that the value's layout is the logical order.
func (v *value) logical() bool { return v.block == 1 || v.pixels() == 1 && v.channels() == v.shape.C }

// readLogical is read of the value in logical order, of bf16 or of floats, copied if need be.
func (c *compiler) readLogical(v *value, half bool) *buffer {
	data := c.read(v)
	if v.logical() && v.half == half {
		return data
	}
	b := c.buffer(device.PurposeActivations, size(half)*c.prog.Rows*v.shape.Len())
	c.emit(c.relayout(whole(b, v.shape, 1, half), whole(data, v.shape, v.block, v.half)))
	return b
}

// writeLogicalGrad gives memory for v's gradient in logical order, and a function that emits what brings it into
// place.
func (c *compiler) writeLogicalGrad(v *value) (b *buffer, done func()) {
	if v.logical() {
		return c.writeGrad(v), func() {}
	}
	b = c.buffer(device.PurposeBackward, size(v.halfGrad)*c.prog.Rows*v.shape.Len())
	return b, func() {
		c.emit(c.relayout(whole(c.writeGrad(v), v.shape, v.block, v.halfGrad), whole(b, v.shape, 1, v.halfGrad)))
	}
}

func (c *compiler) relayout(dst, src endpoint) *copyStep {
	return &copyStep{dst: dst, src: src, rows: c.prog.Rows, reorder: dst.block() != src.block()}
}

// finish plans the memory of all buffers.
func (c *compiler) finish() {
	for _, f := range c.later {
		f()
	}
	c.arenas = arenas(c.buffers)
	for _, a := range append(c.params.planned(&c.prog), c.arenas...) {
		c.plan = append(c.plan, device.MemoryItem{Purpose: a.Purpose, Bytes: a.Bytes})
	}
	c.addStaging()
}
