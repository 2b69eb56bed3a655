//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"slices"

	"alexnet/internal/device"
)

// layer compiles a convolution or, where conv is nil, a fully connected layer: what oneDNN calls an inner product of
// (rows, inputs).
type layer struct {
	conv         *device.Conv
	weight, bias device.Param
	act          device.Activation
	in           []*value
	out          *value

	shape            device.Shape // of the input, several inputs' channels joined
	src, kernel, dst []int        // dimensions of input, weight, output
	block            int          // the input's layout as the op reads it
	joined           *buffer      // the input, where it is not a value as it stands
	weights, biases  *param
	desc             C.cpu_layer
	hint             C.dnnl_primitive_desc_t // of the forward primitive
}

func (l *layer) forward(c *compiler) error {
	if err := l.describe(); err != nil {
		return err
	}
	block, err := l.choose(c)
	if err != nil {
		return err
	}
	c.settle(l.out, block)
	l.out.relu, l.out.tanh = l.act == device.ReLU, l.act == device.Tanh
	wants, err := l.wants(c)
	if err != nil {
		return err
	}
	if err := l.layouts(c, wants); err != nil {
		return err
	}
	x, y := l.join(c), c.write(l.out)
	p, err := l.primitive(c, l.hint, C.dnnl_query_weights_md, C.DNNL_ARG_WEIGHTS, false)
	if err != nil {
		return err
	}
	p.arg(C.DNNL_ARG_SRC, l.desc.src, x)
	p.arg(C.DNNL_ARG_BIAS, l.desc.bias, l.biases.weight)
	p.arg(C.DNNL_ARG_DST, l.desc.dst, y)
	c.emit(p)
	return nil
}

// sizes sets the dimensions.
func (l *layer) sizes(rows int) {
	l.shape = l.in[0].shape
	for _, v := range l.in[1:] {
		l.shape.C += v.shape.C
	}
	out := l.out.shape
	l.src, l.dst = []int{rows, l.shape.C, l.shape.H, l.shape.W}, []int{rows, out.C, out.H, out.W}
	if l.conv == nil {
		n := 0
		for _, v := range l.in {
			n += v.shape.Len()
		}
		l.shape = device.Shape{C: n, H: 1, W: 1}
		l.src, l.kernel, l.dst = []int{rows, n}, []int{out.C, n}, []int{rows, out.C}
		return
	}
	k, g := l.conv.Kernel, l.conv.Groups
	l.kernel = []int{out.C, l.shape.C, k, k}
	if g > 1 {
		l.kernel = []int{g, out.C / g, l.shape.C / g, k, k}
	}
}

// describe tells oneDNN of the layer, with formats still open.
func (l *layer) describe() error {
	if l.conv == nil {
		l.desc.inputs, l.desc.units = C.int64_t(l.shape.C), C.int64_t(l.out.shape.C)
	} else {
		l.window()
	}
	l.desc.activation = [...]C.dnnl_alg_kind_t{C.dnnl_alg_kind_undef, C.dnnl_eltwise_relu, C.dnnl_eltwise_tanh}[l.act]
	if err := tensor(&l.desc.weights, l.kernel, C.dnnl_format_tag_any, l.half()); err != nil {
		return err
	}
	if err := tensor(&l.desc.diff_weights, l.kernel, C.dnnl_format_tag_any, false); err != nil {
		return err
	}
	return tensor(&l.desc.bias, []int{l.out.shape.C}, C.dnnl_a, false)
}

// window sets stride and padding. Rounded up, the last window sticks out at the right and bottom: more padding there.
func (l *layer) window() {
	k := l.conv
	l.desc.spatial = 1
	l.desc.stride, l.desc.pad = C.int64_t(k.Stride), C.int64_t(k.Pad)
	l.desc.pad_bottom, l.desc.pad_right = l.desc.pad, l.desc.pad
	if k.RoundUp {
		// 3 = 54*4 + 11 - 224 in the paper's conv1
		l.desc.pad_bottom = C.int64_t((l.out.shape.H-1)*k.Stride + k.Kernel - l.shape.H - k.Pad)
		l.desc.pad_right = C.int64_t((l.out.shape.W-1)*k.Stride + k.Kernel - l.shape.W - k.Pad)
	}
}

// choose lets oneDNN choose layouts of input and output; where its choice is none of ours, both are in logical order.
func (l *layer) choose(c *compiler) (out int, err error) {
	d := c.dev
	if l.conv == nil {
		return 1, l.product(d)
	}
	tries := []C.dnnl_format_tag_t{C.dnnl_format_tag_any, C.dnnl_abcd}
	if d.options.channelsLast {
		tries[0] = C.dnnl_acdb
	}
	for _, tag := range tries {
		if err := tensor(&l.desc.src, l.src, tag, l.half()); err != nil {
			return 0, err
		}
		if err := tensor(&l.desc.dst, l.dst, tag, l.out.half); err != nil {
			return 0, err
		}
		if err := status(C.cpu_forward(d.engine, &l.desc, &l.hint)); err != nil {
			return 0, err
		}
		C.cpu_wants(l.hint, C.dnnl_query_src_md, &l.desc.src)
		C.cpu_wants(l.hint, C.dnnl_query_dst_md, &l.desc.dst)
		_, l.block = layoutOf(&l.desc.src, l.src, l.half())
		if tag, out = layoutOf(&l.desc.dst, l.dst, l.out.half); out != 0 && l.joinable() {
			return out, tensor(&l.desc.diff_dst, l.dst, tag, l.out.halfGrad)
		}
		l.forget()
	}
	return 0, fmt.Errorf("oneDNN offers no layout for it")
}

// product describes a fully connected layer, in logical order.
func (l *layer) product(d *Device) error {
	l.block = 1
	for _, t := range []struct {
		md   *C.cpu_desc
		dims []int
		half bool
	}{{&l.desc.src, l.src, l.half()}, {&l.desc.dst, l.dst, l.out.half}, {&l.desc.diff_dst, l.dst, l.out.halfGrad}} {
		if err := tensor(t.md, t.dims, C.dnnl_ab, t.half); err != nil {
			return err
		}
	}
	return status(C.cpu_forward(d.engine, &l.desc, &l.hint))
}

// half tells that input and weights are of bf16. All inputs are of one kind: only the loss reads floats in a net of
// bf16.
func (l *layer) half() bool { return l.in[0].half }

// joinable tells that the inputs' channels fill whole blocks each, or that the pixels' channels are side by side.
func (l *layer) joinable() bool {
	if l.block == 0 {
		return false
	}
	if l.last() {
		return true
	}
	for _, v := range l.in {
		if len(l.in) > 1 && v.shape.C%l.block != 0 {
			return false
		}
	}
	return true
}

// last tells that the op reads all of a pixel's channels side by side.
func (l *layer) last() bool { return l.block == l.shape.C }

// blockOf is the layout of an input that needs no other for the op, but for what lies between its pixels where several
// are joined.
func (l *layer) blockOf(v *value) int {
	if l.last() {
		return v.shape.C
	}
	return l.block
}

// wants is the weight's layout: a training program's as its gradient is written.
func (l *layer) wants(c *compiler) (wants C.cpu_desc, err error) {
	if c.prog.Train {
		if l.tiled(c) {
			return l.tilesWants()
		}
		var pd C.dnnl_primitive_desc_t
		if err := status(C.cpu_backward_weights(c.dev.engine, &l.desc, l.hint, &pd)); err != nil {
			return wants, err
		}
		C.cpu_wants(pd, C.dnnl_query_diff_weights_md, &wants)
		C.cpu_forget(pd)
		return wants, nil
	}
	if l.half() { // the op reads a packed copy in any case, for the weights themselves are floats
		return l.logicalWeights()
	}
	C.cpu_wants(l.hint, C.dnnl_query_weights_md, &wants)
	return wants, nil
}

// logicalWeights describes the weight in logical order.
func (l *layer) logicalWeights() (md C.cpu_desc, err error) {
	tag := map[int]C.dnnl_format_tag_t{2: C.dnnl_ab, 4: C.dnnl_abcd, 5: C.dnnl_abcde}[len(l.kernel)]
	return md, tensor(&md, l.kernel, tag, false)
}

// layouts settles those of the parameters.
func (l *layer) layouts(c *compiler, wants C.cpu_desc) error {
	logical, err := l.logicalWeights()
	if err != nil {
		return err
	}
	var flat C.cpu_desc
	if err := tensor(&flat, l.dst[1:2], C.dnnl_a, false); err != nil {
		return err
	}
	l.weights, l.biases = c.params.params[l.weight], c.params.params[l.bias]
	c.params.settle(l.weights, logical, wants)
	c.params.settle(l.biases, flat, flat)
	if c.prog.Train && c.backward {
		c.params.train(l.weights)
		c.params.train(l.biases)
		c.own = append(c.own, l.weight, l.bias)
	}
	return nil
}

// primitive makes the primitive that pd describes, with scratchpad and weights: their gradient, or the weight itself,
// packed where need be.
func (l *layer) primitive(c *compiler, pd C.dnnl_primitive_desc_t, query C.dnnl_query_t, id C.int,
	gradient bool,
) (*primitive, error) {
	var weights, scratch C.cpu_desc
	C.cpu_wants(pd, query, &weights)
	C.cpu_wants(pd, C.dnnl_query_scratchpad_md, &scratch)
	p, err := c.prims.create(pd)
	if err != nil {
		return nil, err
	}
	if bytes := int64(C.cpu_bytes(&scratch)); bytes > 0 {
		c.scratch.Bytes = max(c.scratch.Bytes, bytes)
		p.arg(C.DNNL_ARG_SCRATCHPAD, scratch, c.scratch)
	}
	data := l.weights.weight
	if gradient {
		data = l.weights.gradient
	} else if k, err := c.params.pack(l.weights, &weights); err != nil {
		return nil, err
	} else if k != nil {
		c.emit(&refresh{k})
		data = k.data
	}
	p.arg(id, weights, data)
	return p, nil
}

func (l *layer) forget() {
	if l.hint != nil {
		C.cpu_forget(l.hint)
		l.hint = nil
	}
}

// join gives the input as the op reads it: the value itself, or a copy of all inputs' channels behind each other.
func (l *layer) join(c *compiler) *buffer {
	for _, v := range l.in {
		c.settle(v, l.blockOf(v))
	}
	if l.asItStands() {
		return c.read(l.in[0])
	}
	l.joined = c.buffer(device.PurposeActivations, size(l.half())*c.prog.Rows*l.row())
	l.parts(l.joined, func(v *value, joined endpoint) {
		c.emit(&copyStep{
			dst: joined, src: whole(c.read(v), v.shape, v.block, v.half), rows: c.prog.Rows,
			reorder: v.block != l.blockOf(v),
		})
	})
	return l.joined
}

// asItStands tells that the op reads the value itself. A fully connected layer reads the channels of a map one by one.
func (l *layer) asItStands() bool {
	v := l.in[0]
	return len(l.in) == 1 && (v.block == l.block || v.pixels() == 1 && v.channels() == v.shape.C && v.row() == l.row())
}

func (l *layer) row() int {
	return (l.shape.C + l.block - 1) / l.block * l.block * l.shape.H * l.shape.W
}

// parts calls f with each input and its place in the tensor that joins all.
func (l *layer) parts(all *buffer, f func(v *value, joined endpoint)) {
	at := 0
	for _, v := range l.in {
		joined := whole(all, v.shape, l.blockOf(v), l.half())
		joined.view.row, joined.skip = C.int64_t(l.row()), at
		if l.last() {
			joined.view.pitch = C.int64_t(l.block)
			at += v.shape.C
		} else {
			at += v.shape.Len()
		}
		f(v, joined)
	}
}

func (l *layer) backward(c *compiler) error {
	g := l.undoActivation(c)
	if c.prog.Train {
		if err := l.backwardWeights(c, g); err != nil {
			return err
		}
	}
	if l.wanted() {
		return l.backwardData(c, g)
	}
	return nil
}

// wanted tells that an input needs a gradient.
func (l *layer) wanted() bool {
	return slices.ContainsFunc(l.in, func(v *value) bool { return v.wants })
}

// first tells that the layer reads the picture, of which nobody wants the gradient.
func (l *layer) first() bool {
	return !slices.ContainsFunc(l.in, func(v *value) bool { return v.wants || !v.input })
}

// undoActivation gives the gradient before the activation: in place, unless somebody wants to see the one behind it.
func (l *layer) undoActivation(c *compiler) *buffer {
	g := c.readGrad(l.out)
	if l.act == device.Linear || l.out.masked {
		return g
	}
	dx := g
	if l.out.kept {
		dx = c.buffer(device.PurposeBackward, int(g.Bytes))
	}
	c.emit(&activateBackward{
		act: l.act, dx: dx, dy: g, y: c.read(l.out), n: c.prog.Rows * l.out.row(), half: l.out.half,
	})
	return dx
}

func (l *layer) backwardWeights(c *compiler, g *buffer) error {
	if l.tiled(c) {
		l.backwardTiles(c, g)
		return nil
	}
	var pd C.dnnl_primitive_desc_t
	if err := status(C.cpu_backward_weights(c.dev.engine, &l.desc, l.hint, &pd)); err != nil {
		return err
	}
	defer C.cpu_forget(pd)
	p, err := l.primitive(c, pd, C.dnnl_query_diff_weights_md, C.DNNL_ARG_DIFF_WEIGHTS, true)
	if err != nil {
		return err
	}
	p.arg(C.DNNL_ARG_SRC, l.desc.src, l.input(c))
	p.arg(C.DNNL_ARG_DIFF_DST, l.desc.diff_dst, g)
	p.arg(C.DNNL_ARG_DIFF_BIAS, l.desc.bias, l.biases.gradient)
	c.emit(p)
	return nil
}

// input is what join gave, read once more.
func (l *layer) input(c *compiler) *buffer {
	if l.joined != nil {
		return l.joined.use(c.time)
	}
	return c.read(l.in[0])
}

func (l *layer) backwardData(c *compiler, g *buffer) error {
	var pd C.dnnl_primitive_desc_t
	if err := status(C.cpu_backward_data(c.dev.engine, &l.desc, l.hint, &pd)); err != nil {
		return err
	}
	defer C.cpu_forget(pd)
	p, err := l.primitive(c, pd, C.dnnl_query_weights_md, C.DNNL_ARG_WEIGHTS, false)
	if err != nil {
		return err
	}
	dx, part := l.inputGrad(c)
	p.arg(C.DNNL_ARG_DIFF_DST, l.desc.diff_dst, g)
	p.arg(C.DNNL_ARG_DIFF_SRC, l.desc.src, dx)
	c.emit(p)
	part()
	return nil
}

// inputGrad is memory for the gradient of what join gave, and a function that emits what brings it home.
func (l *layer) inputGrad(c *compiler) (dx *buffer, part func()) {
	if l.asItStands() {
		return c.writeGrad(l.in[0]), func() {}
	}
	dx = c.buffer(device.PurposeBackward, size(l.half())*c.prog.Rows*l.row())
	return dx, func() {
		l.parts(dx, func(v *value, part endpoint) {
			if v.wants {
				c.emit(&copyStep{
					dst: whole(c.writeGrad(v), v.shape, v.block, v.halfGrad), src: part, rows: c.prog.Rows,
					reorder: v.block != l.blockOf(v),
				})
			}
		})
	}
}
