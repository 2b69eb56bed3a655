//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"unsafe"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// endpoint is where a copy reads or writes: rows of a shape in a layout, inside of a buffer.
type endpoint struct {
	data  *buffer
	skip  int // numbers before the first row
	shape device.Shape
	view  C.cpu_view // as C wants it
}

// whole is a buffer that holds nothing else.
func whole(b *buffer, s device.Shape, block int, half bool) endpoint {
	row := (s.C + block - 1) / block * block * s.H * s.W
	return endpoint{data: b, shape: s, view: C.cpu_view{
		row: C.int64_t(row), channels: C.int64_t(s.C), pixels: C.int64_t(s.H * s.W), block: C.int64_t(block),
		pitch: C.int64_t(block), half: flag(half),
	}}
}

// first is where the first row begins.
func (e *endpoint) first() unsafe.Pointer { return e.at(0) }

// at is where row r begins.
func (e *endpoint) at(r int) unsafe.Pointer {
	return unsafe.Add(e.data.data, (e.skip+r*e.row())*size(e.half()))
}

func (e *endpoint) half() bool { return e.view.half != 0 }

func (e *endpoint) block() int { return int(e.view.block) }

// row is the numbers from one row to the next.
func (e *endpoint) row() int { return int(e.view.row) }

// size is that of a number: of bf16 half a float's.
func size(half bool) int {
	if half {
		return 2
	}
	return 4
}

// copyStep joins, splits or lays out anew.
type copyStep struct {
	dst, src endpoint
	rows     int
	reorder  bool // between different layouts
}

func (s *copyStep) run(n *Net) error {
	C.cpu_copy(s.dst.first(), &s.dst.view, s.src.first(), &s.src.view, C.int64_t(s.rows), 0)
	n.copied(s.reorder)
	n.moves.BetweenOps += bytesOf(&s.dst.view, s.rows) + bytesOf(&s.src.view, s.rows)
	return nil
}

type zero struct{ data *buffer }

func (s *zero) run(*Net) error {
	C.cpu_zero(s.data.data, C.int64_t(s.data.Bytes))
	return nil
}

// activate is an activation that stands alone.
type activate struct {
	act     device.Activation
	in, out *value
}

func (o *activate) forward(c *compiler) error {
	x := c.read(o.in)
	c.settle(o.out, o.in.block)
	o.out.relu, o.out.tanh = o.act == device.ReLU, o.act == device.Tanh
	c.emit(&activateForward{act: o.act, y: c.write(o.out), x: x, n: c.prog.Rows * o.out.row(), half: o.out.half})
	return nil
}

func (o *activate) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	dy := c.readGrad(o.out)
	c.emit(&activateBackward{
		act: o.act, dx: c.writeGrad(o.in), dy: dy, y: c.read(o.out), n: c.prog.Rows * o.out.row(), half: o.out.half,
	})
	return nil
}

type activateForward struct {
	act  device.Activation
	y, x *buffer
	n    int
	half bool
}

func (s *activateForward) run(*Net) error {
	n, half := C.int64_t(s.n), flag(s.half)
	switch s.act {
	case device.ReLU:
		C.cpu_relu(s.y.data, s.x.data, n, half)
	case device.Tanh:
		C.cpu_tanh(s.y.data, s.x.data, n, half)
	case device.Linear:
		C.cpu_scale(s.y.data, s.x.data, 1, n, half)
	}
	return nil
}

// activateBackward takes the gradient through the activation, from its output y. dx may be dy.
type activateBackward struct {
	act       device.Activation
	dx, dy, y *buffer
	n         int
	half      bool
}

func (s *activateBackward) run(*Net) error {
	n, half := C.int64_t(s.n), flag(s.half)
	switch s.act {
	case device.ReLU:
		C.cpu_relu_backward(s.dx.data, s.dy.data, s.y.data, 1, n, half)
	case device.Tanh:
		C.cpu_tanh_backward(s.dx.data, s.dy.data, s.y.data, n, half)
	case device.Linear:
		C.cpu_scale(s.dx.data, s.dy.data, 1, n, half)
	}
	return nil
}

// dropout compiles dropout, in place where nobody sees what it reads.
type dropout struct {
	spec    *device.Dropout
	in, out *value
	inPlace bool
	masks   bool // its backward applies the mask of the ReLU before it
}

func (o *dropout) forward(c *compiler) error {
	x := c.readLogical(o.in, o.in.half)
	c.settle(o.out, 1)
	o.masks = o.in.takesMask()
	// Tanh's gradient needs its own output; in training, where that became 0 the gradient is 0 as well.
	o.inPlace = o.in.private() && x == o.in.data && (c.prog.Train || !o.in.tanh)
	if o.inPlace {
		o.out.data = x
		if o.out.kept {
			c.always(x)
		}
	}
	c.emit(o.step(c, c.write(o.out), x))
	return nil
}

// step makes y of x: the same for values and gradients.
func (o *dropout) step(c *compiler, y, x *buffer) step {
	n := c.prog.Rows * o.in.shape.Len()
	if !c.prog.Train {
		return &scale{y: y, x: x, factor: 1 - o.spec.Rate, n: n, half: o.in.half}
	}
	return &drop{y: y, x: x, args: C.cpu_drop{
		rows: C.int64_t(c.prog.Rows), units: C.int64_t(o.in.shape.Len()), first_unit: C.int64_t(o.spec.FirstUnit),
		stream: C.uint32_t(o.spec.Stream), threshold: C.uint32_t(philox.Threshold(o.spec.Rate)), half: flag(o.in.half),
	}}
}

func (o *dropout) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	dy := c.readGrad(o.out)
	if o.in.private() && o.in.block == 1 && !o.out.kept {
		o.in.grad = dy
	}
	dx, done := c.writeLogicalGrad(o.in)
	if o.masks {
		// Behind a ReLU the output is positive exactly where the unit was active and not dropped.
		factor := float32(1)
		if !c.prog.Train {
			factor = 1 - o.spec.Rate
		}
		c.emit(&reluDropBackward{
			dx: dx, dy: dy, y: c.read(o.out), factor: factor, n: c.prog.Rows * o.in.shape.Len(), half: o.in.half,
		})
	} else {
		c.emit(o.step(c, dx, dy))
	}
	done()
	return nil
}

type scale struct {
	y, x   *buffer
	factor float32
	n      int
	half   bool
}

func (s *scale) run(*Net) error {
	C.cpu_scale(s.y.data, s.x.data, C.float(s.factor), C.int64_t(s.n), flag(s.half))
	return nil
}

type reluDropBackward struct {
	dx, dy, y *buffer
	factor    float32
	n         int
	half      bool
}

func (s *reluDropBackward) run(*Net) error {
	C.cpu_relu_backward(s.dx.data, s.dy.data, s.y.data, C.float(s.factor), C.int64_t(s.n), flag(s.half))
	return nil
}

type drop struct {
	y, x *buffer
	args C.cpu_drop
}

func (s *drop) run(n *Net) error {
	key := philox.Key(n.pass.Seed, philox.PurposeDropout)
	s.args.key = [2]C.uint32_t{C.uint32_t(key[0]), C.uint32_t(key[1])}
	s.args.step, s.args.sample = C.uint32_t(n.pass.Step), C.uint32_t(n.pass.First)
	C.cpu_dropout(&s.args, s.y.data, s.x.data)
	return nil
}

// loss compiles softmax and cross-entropy.
type loss struct{ in, out, stats *value }

func (o *loss) forward(c *compiler) error {
	x := c.readLogical(o.in, false)
	c.settle(o.out, 1)
	c.settle(o.stats, 1)
	p, stats := c.always(c.write(o.out)), c.always(c.write(o.stats))
	o.out.kept, o.stats.kept = true, true
	c.emit(&softmax{p: p, stats: stats, x: x, classes: o.in.shape.Len(), train: c.prog.Train})
	return nil
}

func (o *loss) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	dx, done := c.writeLogicalGrad(o.in)
	c.emit(&softmaxBackward{
		dx: dx, half: o.in.halfGrad, p: c.read(o.out), rows: c.prog.Rows, classes: o.in.shape.Len(),
	})
	done()
	return nil
}

type softmax struct {
	p, stats, x *buffer
	classes     int
	train       bool
}

func (s *softmax) run(n *Net) error {
	for _, l := range n.labels[:n.pass.Rows] {
		if int(l) >= s.classes {
			return fmt.Errorf("label %d of %d classes", l, s.classes)
		}
	}
	finite := C.cpu_softmax(s.p.floats(), s.stats.floats(), s.x.floats(), (*C.int32_t)(&n.labels[0]),
		C.int64_t(n.pass.Rows), C.int64_t(s.classes))
	n.finite = n.finite && finite != 0
	if !n.finite && !s.train {
		return &device.NonFiniteError{Device: n.dev.name, Step: n.pass.Step, Tensors: []string{"loss"}}
	}
	return nil
}

type softmaxBackward struct {
	dx, p         *buffer
	half          bool // dx
	rows, classes int
}

func (s *softmaxBackward) run(n *Net) error {
	C.cpu_softmax_backward(s.dx.data, flag(s.half), s.p.floats(), (*C.int32_t)(&n.labels[0]), C.float(n.pass.Divisor),
		C.int64_t(n.pass.Rows), C.int64_t(s.rows), C.int64_t(s.classes))
	return nil
}
