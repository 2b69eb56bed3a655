//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"

	"alexnet/internal/device"
)

// layer compiles a convolution or, where conv is nil, a fully connected layer: what oneDNN calls an inner product of (rows, inputs).
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
	apart            int                     // groups of channels that are run one by one, each by a primitive as desc says; 1: all at once
	whole            *C.cpu_desc             // the weight's layout, of all groups together; nil: as the primitives have it
}

func (l *layer) forward(c *compiler) error {
	l.weights, l.biases = c.params.params[l.weight], c.params.params[l.bias]
	if err := l.describe(c.prog.Rows); err != nil {
		return err
	}
	block, err := l.choose(c)
	if err != nil {
		return err
	}
	c.settle(l.out, block)
	l.out.relu, l.out.tanh = l.act == device.ReLU, l.act == device.Tanh
	if err := l.layouts(c); err != nil {
		return err
	}
	x, y := l.join(c), c.write(l.out)
	for i := range l.apart {
		p, err := l.primitive(c, l.hint, C.dnnl_query_weights_md, C.DNNL_ARG_WEIGHTS, false, i)
		if err != nil {
			return err
		}
		p.arg(C.DNNL_ARG_SRC, l.desc.src, l.takeGroup(c, x, l.shape, i))
		p.argAt(C.DNNL_ARG_BIAS, l.desc.bias, l.biases.weight, i)
		l.giveGroup(c, p, C.DNNL_ARG_DST, l.desc.dst, y, l.out.shape, i)
	}
	return nil
}

// group is where channel group i of a tensor lies.
func (l *layer) group(all *buffer, s device.Shape, i int) endpoint {
	row := whole(all, s, l.block, l.half()).view.row
	s.C /= l.apart
	e := whole(all, s, l.block, l.half())
	e.view.row, e.skip = row, i*s.Len()
	return e
}

// takeGroup gives channel group i of a tensor by itself: a copy, unless there is only one.
func (l *layer) takeGroup(c *compiler, all *buffer, s device.Shape, i int) *buffer {
	if l.apart == 1 {
		return all
	}
	from := l.group(all, s, i)
	b := c.buffer(device.PurposeWorkspace, 4*c.prog.Rows*from.shape.Len())
	c.emit(&copyStep{dst: whole(b, from.shape, l.block, false), src: from, rows: c.prog.Rows})
	return b
}

// giveGroup emits a primitive whose result is channel group i of a tensor.
func (l *layer) giveGroup(c *compiler, p *primitive, id C.int, layout C.cpu_desc, all *buffer, s device.Shape, i int) {
	if l.apart == 1 {
		p.arg(id, layout, all)
		c.emit(p)
		return
	}
	to := l.group(all, s, i)
	b := c.buffer(device.PurposeWorkspace, 4*c.prog.Rows*to.shape.Len())
	p.arg(id, layout, b)
	c.emit(p)
	c.emit(&copyStep{dst: to, src: whole(b, to.shape, l.block, false), rows: c.prog.Rows})
}

// describe sets dimensions, with formats still open.
func (l *layer) describe(rows int) error {
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
		l.desc.inputs, l.desc.units = C.int64_t(n), C.int64_t(out.C)
		l.src, l.kernel, l.dst = []int{rows, n}, []int{out.C, n}, []int{rows, out.C}
	} else {
		k, g := l.conv.Kernel, l.conv.Groups
		l.kernel = []int{out.C, l.shape.C, k, k}
		if g > 1 {
			l.kernel = []int{g, out.C / g, l.shape.C / g, k, k}
		}
		l.window()
	}
	l.desc.activation = [...]C.dnnl_alg_kind_t{C.dnnl_alg_kind_undef, C.dnnl_eltwise_relu, C.dnnl_eltwise_tanh}[l.act]
	if err := tensor(&l.desc.weights, l.kernel, C.dnnl_format_tag_any, l.half()); err != nil {
		return err
	}
	if err := tensor(&l.desc.diff_weights, l.kernel, C.dnnl_format_tag_any, false); err != nil {
		return err
	}
	return tensor(&l.desc.bias, []int{out.C}, C.dnnl_a, false)
}

// window sets stride and padding. Rounded up, the last window sticks out at the right and bottom: more padding there.
func (l *layer) window() {
	k := l.conv
	l.desc.spatial, l.desc.algorithm = 1, C.dnnl_convolution_direct
	l.desc.stride, l.desc.pad = C.int64_t(k.Stride), C.int64_t(k.Pad)
	l.desc.pad_bottom, l.desc.pad_right = l.desc.pad, l.desc.pad
	if k.RoundUp {
		l.desc.pad_bottom = C.int64_t((l.out.shape.H-1)*k.Stride + k.Kernel - l.shape.H - k.Pad) // 3 = 54*4 + 11 - 224 in the paper's conv1
		l.desc.pad_right = C.int64_t((l.out.shape.W-1)*k.Stride + k.Kernel - l.shape.W - k.Pad)
	}
}

// choose lets oneDNN choose layouts of input and output; where its choice is none of ours, both are in logical order.
func (l *layer) choose(c *compiler) (out int, err error) {
	d := c.dev
	l.apart = 1
	if l.conv == nil {
		return 1, l.product(d)
	}
	if found, err := l.winograd(c); found || err != nil {
		return l.block, err
	}
	for _, block := range []int{0, 1} {
		if err := blocked(&l.desc.src, l.src, block, l.half()); err != nil {
			return 0, err
		}
		if err := blocked(&l.desc.dst, l.dst, block, l.out.half); err != nil {
			return 0, err
		}
		if err := status(C.cpu_forward(d.engine, &l.desc, &l.hint)); err != nil {
			return 0, err
		}
		C.cpu_wants(l.hint, C.dnnl_query_src_md, &l.desc.src)
		C.cpu_wants(l.hint, C.dnnl_query_dst_md, &l.desc.dst)
		l.block, out = blockOf(&l.desc.src, l.src, l.half()), blockOf(&l.desc.dst, l.dst, l.out.half)
		if out != 0 && l.joinable() {
			return out, blocked(&l.desc.diff_dst, l.dst, out, l.out.halfGrad)
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

// half tells that input and weights are of bf16. All inputs are of one kind: only the loss reads floats in a net of bf16.
func (l *layer) half() bool { return l.in[0].half }

// joinable tells that the inputs' channels fill whole blocks each.
func (l *layer) joinable() bool {
	if l.block == 0 {
		return false
	}
	for _, v := range l.in {
		if len(l.in) > 1 && v.shape.C%l.block != 0 {
			return false
		}
	}
	return true
}

// layouts settles those of the parameters: a training program's as its gradient is written.
func (l *layer) layouts(c *compiler) error {
	var plain, wants C.cpu_desc
	tag := map[int]C.dnnl_format_tag_t{2: C.dnnl_ab, 4: C.dnnl_abcd, 5: C.dnnl_abcde}[len(l.kernel)]
	if err := tensor(&plain, l.kernel, tag, false); err != nil {
		return err
	}
	wants = plain
	if l.whole != nil {
		wants = *l.whole
	} else if !l.half() { // else the op reads a packed copy in any case, for the weights themselves are floats
		C.cpu_wants(l.hint, C.dnnl_query_weights_md, &wants)
	}
	if c.prog.Train && l.whole == nil {
		var pd C.dnnl_primitive_desc_t
		if err := status(C.cpu_backward_weights(c.dev.engine, &l.desc, l.hint, &pd)); err != nil {
			return err
		}
		C.cpu_wants(pd, C.dnnl_query_diff_weights_md, &wants)
		C.cpu_forget(pd)
	}
	c.params.settle(l.weights, plain, wants)
	if err := tensor(&plain, l.dst[1:2], C.dnnl_a, false); err != nil {
		return err
	}
	c.params.settle(l.biases, plain, plain)
	if c.prog.Train {
		c.params.train(l.weights)
		c.params.train(l.biases)
		c.own = append(c.own, l.weight, l.bias)
	}
	return nil
}

// primitive makes the primitive that pd describes, with scratchpad and the weights of group i: a gradient, or the weight itself, packed where
// need be.
func (l *layer) primitive(c *compiler, pd C.dnnl_primitive_desc_t, query C.dnnl_query_t, id C.int, gradient bool, i int) (*primitive, error) {
	var weights, scratch C.cpu_desc
	C.cpu_wants(pd, query, &weights)
	C.cpu_wants(pd, C.dnnl_query_scratchpad_md, &scratch)
	p, err := c.prims.create(pd)
	if err != nil {
		return nil, err
	}
	if bytes := int64(C.cpu_bytes(&scratch)); bytes > 0 {
		c.scratch.bytes = max(c.scratch.bytes, bytes)
		p.arg(C.DNNL_ARG_SCRATCHPAD, scratch, c.scratch)
	}
	layout := &weights
	if l.whole != nil {
		layout = l.whole
	}
	data := l.weights.weight
	if gradient {
		data = l.weights.gradient
	} else if k, err := c.params.pack(l.weights, layout); err != nil {
		return nil, err
	} else if k != nil {
		c.emit(&refresh{k})
		data = k.data
	}
	p.argAt(id, weights, data, i)
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
		c.settle(v, l.block)
	}
	if l.asItStands() {
		return c.read(l.in[0])
	}
	l.joined = c.buffer(device.PurposeActivations, size(l.half())*c.prog.Rows*l.row())
	l.parts(l.joined, func(v *value, joined endpoint) {
		c.emit(&copyStep{dst: joined, src: whole(c.read(v), v.shape, v.block, v.half), rows: c.prog.Rows, reorder: v.block != l.block})
	})
	return l.joined
}

// asItStands tells that the op reads the value itself. A fully connected layer reads the channels of a map one by one.
func (l *layer) asItStands() bool {
	v := l.in[0]
	return len(l.in) == 1 && (v.block == l.block || v.pixels() == 1 && v.channels() == v.shape.C)
}

func (l *layer) row() int {
	return (l.shape.C + l.block - 1) / l.block * l.block * l.shape.H * l.shape.W
}

// parts calls f with each input and its place in the tensor that joins all.
func (l *layer) parts(all *buffer, f func(v *value, joined endpoint)) {
	at := 0
	for _, v := range l.in {
		joined := whole(all, v.shape, l.block, l.half())
		joined.view.row, joined.skip = C.int64_t(l.row()), at
		at += v.shape.Len()
		f(v, joined)
	}
}

func (l *layer) backward(c *compiler) error {
	g := l.masked(c)
	if c.prog.Train {
		if err := l.backwardWeights(c, g); err != nil {
			return err
		}
	}
	for _, v := range l.in {
		if v.wants {
			return l.backwardData(c, g)
		}
	}
	return nil
}

// masked is the gradient before the activation: in place, unless somebody wants to see the one behind it.
func (l *layer) masked(c *compiler) *buffer {
	g := c.readGrad(l.out)
	if l.act == device.Linear || l.out.masked {
		return g
	}
	dx := g
	if l.out.kept {
		dx = c.buffer(device.PurposeBackward, int(g.bytes))
	}
	c.emit(&activateBackward{act: l.act, dx: dx, dy: g, y: c.read(l.out), n: c.prog.Rows * l.out.row(), half: l.out.half})
	return dx
}

func (l *layer) backwardWeights(c *compiler, g *buffer) error {
	var pd C.dnnl_primitive_desc_t
	if err := status(C.cpu_backward_weights(c.dev.engine, &l.desc, l.hint, &pd)); err != nil {
		return err
	}
	defer C.cpu_forget(pd)
	x := l.joined
	if x == nil {
		x = c.read(l.in[0])
	}
	for i := range l.apart {
		p, err := l.primitive(c, pd, C.dnnl_query_diff_weights_md, C.DNNL_ARG_DIFF_WEIGHTS, true, i)
		if err != nil {
			return err
		}
		p.arg(C.DNNL_ARG_SRC, l.desc.src, l.takeGroup(c, x.use(c.time), l.shape, i))
		p.arg(C.DNNL_ARG_DIFF_DST, l.desc.diff_dst, l.takeGroup(c, g, l.out.shape, i))
		p.argAt(C.DNNL_ARG_DIFF_BIAS, l.desc.bias, l.biases.gradient, i)
		c.emit(p)
	}
	return nil
}

func (l *layer) backwardData(c *compiler, g *buffer) error {
	var pd C.dnnl_primitive_desc_t
	if err := status(C.cpu_backward_data(c.dev.engine, &l.desc, l.hint, &pd)); err != nil {
		return err
	}
	defer C.cpu_forget(pd)
	dx := (*buffer)(nil)
	if l.asItStands() {
		dx = c.writeGrad(l.in[0])
	} else {
		dx = c.buffer(device.PurposeBackward, size(l.half())*c.prog.Rows*l.row())
	}
	for i := range l.apart {
		p, err := l.primitive(c, pd, C.dnnl_query_weights_md, C.DNNL_ARG_WEIGHTS, false, i)
		if err != nil {
			return err
		}
		p.arg(C.DNNL_ARG_DIFF_DST, l.desc.diff_dst, l.takeGroup(c, g, l.out.shape, i))
		l.giveGroup(c, p, C.DNNL_ARG_DIFF_SRC, l.desc.src, dx, l.shape, i)
	}
	if l.asItStands() {
		return nil
	}
	l.parts(dx, func(v *value, part endpoint) {
		if v.wants {
			c.emit(&copyStep{dst: whole(c.writeGrad(v), v.shape, v.block, v.halfGrad), src: part, rows: c.prog.Rows, reorder: v.block != l.block})
		}
	})
	return nil
}
