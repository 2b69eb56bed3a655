//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import "alexnet/internal/device"

// product is a fully connected layer of a net that predicts one picture at a time. There the weights are read from memory for two operations each,
// which a loop of our own does faster than oneDNN's matrix products.
type product struct{ *layer }

func (o *product) forward(c *compiler) error {
	o.block = 1
	c.settle(o.out, 1)
	o.out.relu, o.out.tanh = o.act == device.ReLU, o.act == device.Tanh
	plain, err := o.plain()
	if err != nil {
		return err
	}
	if err := o.layouts(c, plain); err != nil {
		return err
	}
	var wants C.cpu_desc
	if err := tensor(&wants, o.kernel, C.dnnl_ab, o.half()); err != nil {
		return err
	}
	k, err := c.params.pack(o.weights, &wants)
	if err != nil {
		return err
	}
	w := o.weights.weight
	if k != nil {
		c.emit(&refresh{k})
		w = k.data
	}
	x, y := o.join(c), c.write(o.out)
	c.emit(&productForward{w: w, x: x, y: y, bias: o.biases.weight, args: C.cpu_vector{
		inputs: C.int64_t(o.shape.C), outputs: C.int64_t(o.out.shape.C), half: flag(o.half()), half_y: flag(o.out.half), relu: flag(o.act == device.ReLU),
	}})
	if o.act == device.Tanh {
		c.emit(&activateForward{act: o.act, y: y, x: y, n: o.out.row(), half: o.out.half})
	}
	return nil
}

// backward: such a net has no gradients.
func (o *product) backward(*compiler) error { return nil }

type productForward struct {
	args          C.cpu_vector
	w, x, y, bias *buffer
}

func (s *productForward) run(*Net) error {
	C.cpu_product(&s.args, s.y.data, s.w.data, s.x.data, s.bias.floats())
	return nil
}
