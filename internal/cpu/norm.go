//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"

	"alexnet/internal/device"
)

// lrn compiles normalisation. Where pooling follows and nobody looks at what lies between, the two run together.
type lrn struct {
	spec    *device.LRN
	in, out *value
	relu    bool
	args    C.cpu_lrn
	pool    *pool // runs together with this one
}

func (o *lrn) forward(c *compiler) error {
	if n := o.in.shape.C/o.spec.Groups + o.spec.Size/2; n > C.cpu_lrn_limit {
		return fmt.Errorf("normalisation over %d channels is not available (at most %d)", n, C.cpu_lrn_limit)
	}
	if o.spec.Size/2 > C.cpu_lrn_reach {
		return fmt.Errorf("normalisation of size %d is not available (at most %d)", o.spec.Size, 2*C.cpu_lrn_reach+1)
	}
	x := c.read(o.in)
	c.settle(o.out, o.in.block)
	o.relu = o.in.takesMask()
	o.args = C.cpu_lrn{
		rows: C.int64_t(c.prog.Rows), channels: C.int64_t(o.in.shape.C), groups: C.int64_t(o.spec.Groups),
		pixels: C.int64_t(o.in.pixels()), block: C.int64_t(o.in.block), reach: C.int64_t(o.spec.Size / 2),
		alpha: C.float(o.spec.Alpha / float32(o.spec.Size)), beta: C.float(o.spec.Beta), k: C.float(o.spec.K),
		half_x: flag(o.in.half), half_y: flag(o.out.half),
	}
	if p, ok := o.out.reader.(*device.Pool); ok && o.out.private() && C.cpu_lrn_fuses(&o.args) != 0 {
		o.args.half_y = 0 // between, see below
		c.fused[p] = o
		return nil
	}
	c.emit(&lrnForward{args: o.args, y: c.write(o.out), x: x})
	return nil
}

func (o *lrn) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	if o.pool != nil {
		dy := c.readGrad(o.pool.out)
		c.emit(&lrnPoolBackward{
			lrn: o.args, pool: o.pool.args, relu: o.relu, dx: c.writeGrad(o.in), dy: dy, x: c.read(o.in),
			winner: o.pool.winner.use(c.time), between: o.between(c),
		})
		return nil
	}
	dy := c.readGrad(o.out)
	c.emit(&lrnBackward{args: o.args, relu: o.relu, dx: c.writeGrad(o.in), dy: dy, x: c.read(o.in)})
	return nil
}

// between is memory for one group of one row on each thread, in floats.
func (o *lrn) between(c *compiler) *buffer {
	return c.buffer(device.PurposeWorkspace, 4*c.dev.threads*o.in.shape.Len()/o.spec.Groups)
}

type lrnForward struct {
	args C.cpu_lrn
	y, x *buffer
}

func (s *lrnForward) run(*Net) error {
	C.cpu_lrn_forward(&s.args, s.y.data, s.x.data)
	return nil
}

type lrnBackward struct {
	args      C.cpu_lrn
	relu      bool
	dx, dy, x *buffer
}

func (s *lrnBackward) run(*Net) error {
	C.cpu_lrn_backward(&s.args, s.dx.data, s.dy.data, s.x.data, flag(s.relu))
	return nil
}

// pool compiles pooling.
type pool struct {
	spec    *device.Pool
	in, out *value
	args    C.cpu_pool
	winner  *buffer // one byte an output; nil: no gradient is asked for
	lrn     *lrn    // runs together with this one
}

func (o *pool) forward(c *compiler) error {
	if o.spec.Kind == device.Max && o.spec.Window > C.cpu_pool_limit {
		return fmt.Errorf("max pooling with window %d is not available (at most %d)", o.spec.Window, C.cpu_pool_limit)
	}
	o.lrn = c.fused[o.spec]
	var x *buffer
	if o.lrn != nil {
		o.lrn.pool, x = o, c.read(o.lrn.in)
	} else {
		x = c.read(o.in)
	}
	c.settle(o.out, o.in.block)
	o.args = C.cpu_pool{
		rows: C.int64_t(c.prog.Rows), channels: C.int64_t(o.in.channels()), block: C.int64_t(o.lanes()),
		last: flag(o.in.block == o.in.shape.C), height: C.int64_t(o.in.shape.H), width: C.int64_t(o.in.shape.W),
		out_height: C.int64_t(o.out.shape.H), out_width: C.int64_t(o.out.shape.W),
		window: C.int64_t(o.spec.Window), stride: C.int64_t(o.spec.Stride), pad: C.int64_t(o.spec.Pad),
		average: flag(o.spec.Kind == device.Avg), relu: flag(o.spec.Kind == device.Max && o.lrn == nil &&
			o.in.takesMask()), half_x: flag(o.in.half && o.lrn == nil), half_y: flag(o.out.half),
	}
	if c.backward {
		o.winner = c.buffer(device.PurposeWorkspace, c.prog.Rows*o.out.row())
	}
	y := c.write(o.out)
	if o.lrn != nil {
		c.emit(&lrnPoolForward{lrn: o.lrn.args, pool: o.args, y: y, x: x, winner: o.winner, between: o.lrn.between(c)})
		return nil
	}
	c.emit(&poolForward{args: o.args, y: y, x: x, winner: o.winner})
	return nil
}

// lanes is the number of channels that are pooled together.
func (o *pool) lanes() int {
	if o.lrn != nil {
		return int(C.cpu_lrn_fuses(&o.lrn.args))
	}
	if o.in.block == o.in.shape.C {
		for _, lanes := range []int{16, 8} {
			if o.in.shape.C%lanes == 0 {
				return lanes
			}
		}
		return 1
	}
	return o.in.block
}

func (o *pool) backward(c *compiler) error {
	if !o.in.wants || o.lrn != nil {
		return nil
	}
	dy := c.readGrad(o.out)
	c.emit(&poolBackward{args: o.args, dx: c.writeGrad(o.in), dy: dy, winner: o.winner.use(c.time)})
	return nil
}

type poolForward struct {
	args         C.cpu_pool
	y, x, winner *buffer
}

func (s *poolForward) run(*Net) error {
	C.cpu_pool_forward(&s.args, s.y.data, winners(s.winner), s.x.data)
	return nil
}

type poolBackward struct {
	args           C.cpu_pool
	dx, dy, winner *buffer
}

func (s *poolBackward) run(*Net) error {
	C.cpu_pool_backward(&s.args, s.dx.data, s.dy.data, (*C.uint8_t)(s.winner.data))
	return nil
}

type lrnPoolForward struct {
	lrn                   C.cpu_lrn
	pool                  C.cpu_pool
	y, x, winner, between *buffer
}

func (s *lrnPoolForward) run(*Net) error {
	C.cpu_lrn_pool_forward(&s.lrn, &s.pool, s.y.data, winners(s.winner), s.x.data, s.between.floats())
	return nil
}

type lrnPoolBackward struct {
	lrn                        C.cpu_lrn
	pool                       C.cpu_pool
	relu                       bool
	dx, dy, x, winner, between *buffer
}

func (s *lrnPoolBackward) run(*Net) error {
	C.cpu_lrn_pool_backward(&s.lrn, &s.pool, s.dx.data, s.dy.data, (*C.uint8_t)(s.winner.data),
		s.x.data, s.between.floats(), flag(s.relu))
	return nil
}

// winners may be nil, as the buffer may.
func winners(b *buffer) *C.uint8_t {
	if b == nil {
		return nil
	}
	return (*C.uint8_t)(b.data)
}

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
