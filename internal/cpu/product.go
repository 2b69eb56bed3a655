//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import "alexnet/internal/device"

// product is a fully connected layer of a net that predicts one picture at a time, or one with int8 weights. In the
// first the weights are read from memory for two operations each, which a loop of our own does faster than oneDNN's
// matrix products; of int8 weights by floats oneDNN has none.
type product struct {
	*layer
	int8 bool
}

func (o *product) forward(c *compiler) error {
	o.block = 1
	c.settle(o.out, 1)
	o.out.relu, o.out.tanh = o.act == device.ReLU, o.act == device.Tanh
	logical, err := o.logicalWeights()
	if err != nil {
		return err
	}
	if err := o.layouts(c, logical); err != nil {
		return err
	}
	w, scale, err := o.weight(c)
	if err != nil {
		return err
	}
	x, y := o.join(c), c.write(o.out)
	c.emit(&productForward{w: w, scale: scale, x: x, y: y, bias: o.biases.weight, args: C.cpu_vector{
		rows: C.int64_t(c.prog.Rows), inputs: C.int64_t(o.shape.C), outputs: C.int64_t(o.out.shape.C),
		half: flag(o.half()), half_y: flag(o.out.half), relu: flag(o.act == device.ReLU),
	}})
	if o.act == device.Tanh {
		c.emit(&activateForward{act: o.act, y: y, x: y, n: c.prog.Rows * o.out.row(), half: o.out.half})
	}
	return nil
}

// weight is what the op reads: the weight in logical order, packed where need be, or int8 numbers and their scales.
func (o *product) weight(c *compiler) (w, scale *buffer, err error) {
	if o.int8 {
		k, scale, err := c.params.packInt8(o.weights, o.kernel)
		if err != nil {
			return nil, nil, err
		}
		c.emit(&refresh{k})
		return k.data, scale, nil
	}
	var wants C.cpu_desc
	if err := tensor(&wants, o.kernel, C.dnnl_ab, o.half()); err != nil {
		return nil, nil, err
	}
	k, err := c.params.pack(o.weights, &wants)
	if err != nil || k == nil {
		return o.weights.weight, nil, err
	}
	c.emit(&refresh{k})
	return k.data, nil, nil
}

// backward: such a net has no gradients.
func (o *product) backward(*compiler) error { return nil }

type productForward struct {
	args          C.cpu_vector
	w, x, y, bias *buffer
	scale         *buffer // of int8 weights, else nil
}

func (s *productForward) run(*Net) error {
	if s.scale != nil {
		C.cpu_product_bytes(&s.args, s.y.data, (*C.int8_t)(s.w.data), s.scale.floats(), s.x.data, s.bias.floats())
		return nil
	}
	C.cpu_product(&s.args, s.y.data, s.w.data, s.x.data, s.bias.floats())
	return nil
}
