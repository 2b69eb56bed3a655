//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"unsafe"

	"alexnet/internal/device"
)

// winograd is a convolution by our own code, which for the paper's shapes and many rows takes a third to two thirds of
// oneDNN's time: see winograd.c. Layouts are fixed: values in blocks of 16 channels and weights in blocks of 16x16, but
// both in logical order where a stride of 4 makes 16 phases of each colour.
type winograd struct {
	*layer
	args C.cpu_winograd
}

// suitsWinograd tells that the convolution is one for it: 3x3 or 5x5 taps without stride, or 9x9 to 12x12 with a stride
// of 4, which is one of 3x3 taps on a map of 16 times the channels. There the gradient of the input is not provided
// for.
func (l *layer) suitsWinograd(c *compiler) bool {
	k, out := l.conv, l.out
	if C.cpu_winograd_runs() == 0 || out.half != l.half() || out.halfGrad != l.half() {
		return false
	}
	// tiles multiply sixteen times in the time of one of Winograd's multiplications
	asked := c.dev.options
	if asked.channelsLast || l.half() && amx() && !asked.winograd {
		return false
	}
	if l.phases() {
		return out.shape.C%16 == 0 && l.first() && l.winogradPays(c)
	}
	l.block = 16
	return k.Stride == 1 && (k.Kernel == 3 || k.Kernel == 5) && l.shape.C/k.Groups%16 == 0 &&
		out.shape.C/k.Groups%16 == 0 && l.joinable() && l.winogradPays(c)
}

// What transforms cost, in multiply-adds that would take as long; measured on two cores of a Zen 4 with the paper's net
// in batches of 1 to 128, and with fig1, cifar10 and demo in batches of 128.
const (
	pointCost = 20   // a value at a point, there or back
	packCost  = 4096 // a weight, transformed in each pass of a step
	// a weight, transformed once and for all: 49 floats are read instead of the 9 that stay in the cache
	readCost = 480
)

// winogradPays compares one forward pass with the direct algorithm, which of bf16 makes two multiplications in the time
// of one.
func (l *layer) winogradPays(c *compiler) bool {
	k, out := l.conv, l.out.shape
	in, kernels, taps := l.shape.C/k.Groups, out.C/k.Groups, k.Kernel
	direct := l.src[0] * out.H * out.W * k.Groups * in * kernels * taps * taps
	if l.half() {
		direct /= 2
	}
	if l.phases() {
		in, taps = 16*in, 3
	}
	edge := 8 - taps // of a tile
	tiles := l.src[0] * ((out.H + edge - 1) / edge) * ((out.W + edge - 1) / edge)
	weights := k.Groups * in * kernels
	cost := 49 * tiles * (weights + pointCost*k.Groups*(in+kernels))
	if c.prog.Train {
		cost += packCost * weights
	} else {
		cost += readCost * weights
	}
	return cost < direct || c.dev.options.winograd
}

func (l *layer) phases() bool {
	return l.conv.Stride == 4 && 9 <= l.conv.Kernel && l.conv.Kernel <= 12 && l.conv.Groups == 1
}

func (o *winograd) forward(c *compiler) error {
	o.block = 16
	if o.phases() {
		o.block = 1
	}
	c.settle(o.out, 16)
	o.out.relu, o.out.tanh = o.act == device.ReLU, o.act == device.Tanh
	wants, err := o.wants()
	if err != nil {
		return err
	}
	if err := o.layouts(c, wants); err != nil {
		return err
	}
	o.describe(c.dev.threads)
	x, y := o.join(c), c.write(o.out)
	points, err := o.points(c, false)
	if err != nil {
		return err
	}
	c.emit(&winogradConvolve{
		args: o.args, y: y, x: x, points: points, bias: o.biases.weight, scratch: o.scratch(c, o.args.convolve_floats),
	})
	if o.act == device.Tanh {
		c.emit(&activateForward{act: o.act, y: y, x: y, n: c.prog.Rows * o.out.row(), half: o.out.half})
	}
	return nil
}

// wants is the weight's layout.
func (o *winograd) wants() (md C.cpu_desc, err error) {
	if o.phases() {
		return o.logicalWeights()
	}
	return o.blockedWeights()
}

// describe sets what C needs to know.
func (o *winograd) describe(threads int) {
	k, out := o.conv, o.out.shape
	o.args = C.cpu_winograd{
		rows: C.int64_t(o.src[0]), groups: C.int64_t(k.Groups), in: C.int64_t(o.shape.C / k.Groups),
		out: C.int64_t(out.C / k.Groups), height: C.int64_t(o.shape.H), width: C.int64_t(o.shape.W),
		out_height: C.int64_t(out.H), out_width: C.int64_t(out.W),
		taps: C.int64_t(k.Kernel), pad: C.int64_t(k.Pad), half: flag(o.half()), relu: flag(o.act == device.ReLU),
	}
	if o.phases() {
		o.args.phases, o.args.kernel, o.args.shift = 1, o.args.taps, o.args.pad
		o.args.in, o.args.taps, o.args.pad = 16*o.args.in, 3, 0
	}
	C.cpu_winograd_set_blocking(&o.args, C.int(threads))
}

// points gives the weights at Winograd's points: a training net makes them anew in each step, others when the weights
// changed.
func (o *winograd) points(c *compiler, turned bool) (*buffer, error) {
	s := &winogradPoints{args: o.args, points: o.scratch(c, o.args.points), weights: o.weights.weight, turned: turned}
	if c.prog.Train { // the first program on these parameters: their layout is the one that it wants
		c.emit(s)
		return s.points, nil
	}
	wants, err := o.wants()
	if err != nil {
		return nil, err
	}
	k, err := c.params.pack(o.weights, &wants)
	if err != nil {
		return nil, err
	}
	if k != nil {
		c.emit(&refresh{k})
		s.weights = k.data
	}
	s.points.Purpose = device.PurposePacked
	c.always(s.points)
	c.emit(&refresh{&packed{param: o.weights, data: s.points, fill: s}})
	return s.points, nil
}

// scratch is memory for this op alone.
func (o *winograd) scratch(c *compiler, floats C.int64_t) *buffer {
	return c.buffer(device.PurposeWorkspace, 4*int(floats))
}

func (o *winograd) backward(c *compiler) error {
	g := o.undoActivation(c)
	if c.prog.Train {
		c.emit(&winogradWeights{
			args: o.args, weights: o.weights.gradient, bias: o.biases.gradient, x: o.input(c), dy: g,
			scratch: o.scratch(c, o.args.weights_floats),
		})
	}
	if o.wanted() {
		return o.backwardData(c, g)
	}
	return nil
}

// backwardData is a convolution of the gradient, with the weights turned by 180 degrees.
func (o *winograd) backwardData(c *compiler, g *buffer) error {
	a := o.args
	a.in, a.out, a.height, a.width, a.out_height, a.out_width = a.out, a.in, a.out_height, a.out_width, a.height,
		a.width
	a.pad, a.relu = a.taps-1-a.pad, 0
	C.cpu_winograd_set_blocking(&a, C.int(c.dev.threads))
	points, err := o.points(c, true)
	if err != nil {
		return err
	}
	s := &winogradConvolve{args: a, x: g, points: points, scratch: o.scratch(c, a.convolve_floats)}
	if o.asItStands() && o.in[0].takesMask() {
		s.mask = c.read(o.in[0])
	}
	dx, part := o.inputGrad(c)
	s.y = dx
	c.emit(s)
	part()
	return nil
}

type winogradPoints struct {
	args            C.cpu_winograd
	points, weights *buffer
	turned          bool
}

func (s *winogradPoints) run(n *Net) error {
	C.cpu_winograd_points(&s.args, s.points.floats(), s.weights.floats(), flag(s.turned))
	n.copied(true)
	n.moves.PackedWeights += s.weights.Bytes + s.points.Bytes
	return nil
}

// winogradConvolve: bias and mask may be nil.
type winogradConvolve struct {
	args                              C.cpu_winograd
	y, x, points, bias, mask, scratch *buffer
}

func (s *winogradConvolve) run(*Net) error {
	var bias *C.float
	if s.bias != nil {
		bias = s.bias.floats()
	}
	var mask unsafe.Pointer
	if s.mask != nil {
		mask = s.mask.data
	}
	C.cpu_winograd_convolve(&s.args, s.y.data, s.x.data, s.points.floats(), bias, mask, s.scratch.floats())
	return nil
}

type winogradWeights struct {
	args                          C.cpu_winograd
	weights, bias, x, dy, scratch *buffer
}

func (s *winogradWeights) run(*Net) error {
	C.cpu_winograd_weights(&s.args, s.weights.floats(), s.bias.floats(), s.x.data, s.dy.data, s.scratch.floats())
	return nil
}
