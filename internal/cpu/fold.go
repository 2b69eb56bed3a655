//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"strings"

	"alexnet/internal/device"
)

// amx tells that oneDNN multiplies bf16 in tiles, sixteen multiplications in the time that AVX-512 takes for one of fp32. It then wants channels last.
func amx() bool { return strings.Contains(ISA(), "amx") }

// fold is how the gradient of a first layer's weights is computed where there are tiles to fill, of which few channels leave most empty: pixels become
// channels. With a stride of s, s times s pixels do, and the kernel has as many taps as it touches of these; without one, all taps of a line do, and the
// kernel becomes a column. The paper's conv1, 128 pictures: 22 ms instead of 97.
type fold struct {
	*layer
	args C.cpu_fold
}

// folds tells whether the layer does so.
func (l *layer) folds() bool {
	k := l.conv
	return k != nil && l.half() && (amx() || lastAlways) && len(l.in) == 1 && l.last() && l.shape.C <= 4 && k.Kernel > 1 && k.Groups == 1 && !l.wanted()
}

func (l *layer) fold() *fold {
	k, out := l.conv, l.out.shape
	taps := (k.Kernel + k.Stride - 1) / k.Stride
	wide, columns := k.Stride, taps
	if k.Stride == 1 {
		wide, columns = k.Kernel, 1
	}
	return &fold{l, C.cpu_fold{
		rows: C.int64_t(l.src[0]), channels: C.int64_t(l.shape.C), height: C.int64_t(l.shape.H), width: C.int64_t(l.shape.W),
		kernels: C.int64_t(out.C), kernel: C.int64_t(k.Kernel), stride: C.int64_t(k.Stride), pad: C.int64_t(k.Pad),
		wide: C.int64_t(wide), taps: C.int64_t(taps), columns: C.int64_t(columns),
		out_height: C.int64_t(out.H - 1 + taps), out_width: C.int64_t(out.W - 1 + columns),
	}}
}

// backwardWeights folds the input, lets oneDNN compute, and fetches the kernel's taps from where they lie then.
func (f *fold) backwardWeights(c *compiler, g *buffer) error {
	a := &f.args
	channels := int(a.stride * a.wide * a.channels)
	shape := device.Shape{C: channels, H: int(a.out_height), W: int(a.out_width)}
	kernel := []int{int(a.kernels), channels, int(a.taps), int(a.columns)}
	desc := f.desc
	desc.stride, desc.pad, desc.pad_bottom, desc.pad_right = 1, 0, 0, 0
	if err := tensor(&desc.src, []int{f.src[0], shape.C, shape.H, shape.W}, C.dnnl_acdb, true); err != nil {
		return err
	}
	if err := tensor(&desc.weights, kernel, C.dnnl_format_tag_any, true); err != nil {
		return err
	}
	if err := tensor(&desc.diff_weights, kernel, C.dnnl_OIhw16i16o, false); err != nil {
		return err
	}
	var hint, pd C.dnnl_primitive_desc_t
	if err := status(C.cpu_forward(c.dev.engine, &desc, &hint)); err != nil {
		return err
	}
	defer C.cpu_forget(hint)
	if err := status(C.cpu_backward_weights(c.dev.engine, &desc, hint, &pd)); err != nil {
		return err
	}
	defer C.cpu_forget(pd)
	p, err := c.primitive(pd)
	if err != nil {
		return err
	}
	x := c.buffer(device.PurposeWorkspace, size(true)*f.src[0]*shape.Len())
	folded := c.buffer(device.PurposeWorkspace, int(C.cpu_bytes(&desc.diff_weights)))
	p.arg(C.DNNL_ARG_SRC, desc.src, x)
	p.arg(C.DNNL_ARG_DIFF_DST, desc.diff_dst, g)
	p.arg(C.DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights, folded)
	p.arg(C.DNNL_ARG_DIFF_BIAS, desc.bias, f.biases.gradient)
	c.emit(&foldInput{args: f.args, y: x, x: f.input(c)})
	c.emit(p)
	c.emit(&foldWeights{args: f.args, weights: f.weights.gradient, folded: folded})
	return nil
}

type foldInput struct {
	args C.cpu_fold
	y, x *buffer
}

func (s *foldInput) run(n *Net) error {
	C.cpu_fold_input(&s.args, s.y.data, s.x.data)
	n.copied(true)
	n.moves.BetweenOps += s.x.bytes + s.y.bytes
	return nil
}

type foldWeights struct {
	args            C.cpu_fold
	weights, folded *buffer
}

func (s *foldWeights) run(n *Net) error {
	C.cpu_fold_weights(&s.args, s.weights.floats(), s.folded.floats())
	n.copied(true)
	n.moves.PackedWeights += 2 * s.weights.bytes
	return nil
}
