//go:build cuda

package gpu

import (
	"fmt"
	"slices"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
)

// conv is a convolution. Each of its inputs has one of its own, on its part of the weight; their results add up.
type conv struct {
	spec    *device.Conv
	in      []*value
	out     *value
	parts   []*convPart
	w, bias *param
}

// convPart is the convolution of one input.
type convPart struct {
	*cuda.Conv
	x        *value
	h, w     int                 // of the map that it reads: the input's, with a margin where the output is rounded up
	at       int                 // the first number of its part of the weight
	len      int                 // of that part
	widened  pointer             // the input with the margin, where it does not lie so
	algos    [3][]cuda.Algorithm // by direction; the first is in use, the others are for where it fails
	keys     [3]string           // what they are remembered by
	settings cuda.Convolution
}

// reach is the side of the map that a convolution reads: (n-1) stride + kernel - 2 pad, or all of it where it leaves
// some out.
func reach(s *device.Conv, side, out int) int { return max(side, (out-1)*s.Stride+s.Kernel-2*s.Pad) }

func (o *conv) forward(c *compiler) error {
	if err := o.describe(c); err != nil {
		return err
	}
	y := c.write(o.out)
	for n, i := range localFirst(o.in) {
		p := o.parts[i]
		x := o.input(c, p)
		if err := o.choose(c, p, cuda.Forward, i); err != nil {
			return err
		}
		c.emit(&convolve{p, cuda.Forward, x, o.weight(c, p), y, c.workspace, n > 0})
	}
	c.activate(y, o.out.typ, o.bias.weight, o.out, o.spec.Act)
	return nil
}

// describe settles the weight's order and asks cuDNN about every input.
func (o *conv) describe(c *compiler) error {
	s := o.spec
	want := layoutOf{}
	channels := 0 // before this input
	for _, x := range o.in {
		p := &convPart{x: x, h: reach(s, x.height, o.out.height), w: reach(s, x.width, o.out.width), at: want.len}
		p.settings = cuda.Convolution{
			Rows: c.prog.Rows, Channels: x.depth, Height: p.h, Width: p.w, Kernels: o.out.depth, Size: s.Kernel,
			Stride: s.Stride, Pad: s.Pad, Groups: s.Groups, OutHeight: o.out.height, OutWidth: o.out.width,
			Type: x.typ, Math: c.math(), Layout: x.layout,
		}
		if err := c.countable(x.depth*p.h*p.w, o.out.row()); err != nil {
			return err
		}
		var err error
		if p.Conv, err = cuda.NewConv(p.settings); err != nil {
			return err
		}
		o.parts, c.convs = append(o.parts, p), append(c.convs, p.Conv)
		p.len = o.out.shape.C * o.depth(x) * s.Kernel * s.Kernel
		want.blocks = append(want.blocks, o.block(x, want.len, channels))
		want.len += p.len
		channels += x.shape.C
	}
	if len(o.in) == 1 && o.in[0].layout == cuda.NCHW {
		want.blocks = nil
	}
	var err error
	if o.w, err = c.parameter(s.Weight, want); err != nil {
		return err
	}
	o.bias, err = c.parameter(s.Bias, layoutOf{len: o.out.shape.C})
	return err
}

// countable refuses batches whose values cuDNN does not count, telling "not supported" of its algorithms: it takes less
// than 2^31 numbers in a tensor.
func (c *compiler) countable(in, out int) error {
	row := max(in, out)
	if c.prog.Rows*row < 1<<31 {
		return nil
	}
	return &device.BatchError{
		Rows: c.prog.Rows, Largest: (1<<31 - 1) / row,
		Reason: fmt.Sprintf("has %d numbers in one tensor, of which cuDNN takes less than 2^31", c.prog.Rows*row),
	}
}

// math is what convolutions may do in the net's precision.
func (c *compiler) math() cuda.Math {
	return [...]cuda.Math{cuda.Full, cuda.TF32, cuda.Tensor}[c.prog.Precision]
}

// weight is the part of the weight that belongs to an input.
func (o *conv) weight(c *compiler, p *convPart) pointer {
	return part{c.weight(o.w), p.x.typ.Size() * int64(p.at)}
}

// input is what a part reads: its input, copied into a map with a margin of zeros where that is wanted and not there.
func (o *conv) input(c *compiler, p *convPart) pointer {
	x := c.read(p.x)
	if p.h == p.x.height && p.w == p.x.width {
		return x
	}
	wide := c.buffer(device.PurposeActivations, p.x.typ.Size()*int64(c.prog.Rows)*int64(p.x.depth*p.h*p.w))
	p.widened = wide
	c.emit(&zero{wide})
	c.copyMap(x, p.x, p.x.height, p.x.width, wide, p.h, p.w, p.x.typ)
	return wide
}

// copyMap copies maps of a value between rows of one size and of another.
func (c *compiler) copyMap(src pointer, v *value, h, w int, dst pointer, th, tw int, t cuda.Type) {
	n, d := c.prog.Rows, v.depth
	mh, mw := min(h, th), min(w, tw)
	name := "copy" + suffix(t)
	if v.layout == cuda.NHWC {
		c.launch(name, int64(n*d*mh*mw), src, dst, n, mh, mw, d, d*h*w, w*d, d, 1, d*th*tw, tw*d, d, 1)
		return
	}
	c.launch(name, int64(n*d*mh*mw), src, dst, n, d, mh, mw, d*h*w, h*w, w, 1, d*th*tw, th*tw, tw, 1)
}

func (o *conv) backward(c *compiler) error {
	dz := c.ahead(o.out, o.spec.Act, o.bias)
	for _, i := range remoteFirst(o.in) {
		if p := o.parts[i]; p.x.wants {
			if err := o.dataGradient(c, p, i, dz); err != nil {
				return err
			}
		}
	}
	if !c.prog.Train {
		return nil
	}
	for i, p := range o.parts {
		if err := o.weightGradient(c, p, i, dz); err != nil {
			return err
		}
	}
	return nil
}

func (o *conv) dataGradient(c *compiler, p *convPart, i int, dz *buffer) error {
	if err := o.choose(c, p, cuda.Data, i); err != nil {
		return err
	}
	dx := c.writeGrad(p.x)
	if p.h == p.x.height && p.w == p.x.width {
		c.emit(&convolve{p, cuda.Data, o.weight(c, p), dz, dx, c.workspace, false})
	} else {
		wide := c.buffer(device.PurposeBackward, p.x.gradType.Size()*int64(c.prog.Rows)*int64(p.x.depth*p.h*p.w))
		c.emit(&convolve{p, cuda.Data, o.weight(c, p), dz, wide, c.workspace, false})
		c.copyMap(wide, p.x, p.h, p.w, dx, p.x.height, p.x.width, p.x.gradType)
	}
	c.wrote(p.x)
	return nil
}

// weightGradient writes fp32 gradients in their place, and bf16 ones by way of a copy.
func (o *conv) weightGradient(c *compiler, p *convPart, i int, dz *buffer) error {
	if err := o.choose(c, p, cuda.Filter, i); err != nil {
		return err
	}
	x := pointer(c.read(p.x))
	if p.widened != nil {
		x = p.widened.(*buffer).use(c.time)
	}
	dw := pointer(part{o.w.gradient, 4 * int64(p.at)})
	if !c.half {
		c.emit(&convolve{p, cuda.Filter, x, dz, dw, c.workspace, false})
		return nil
	}
	rounded := c.buffer(device.PurposeWorkspace, 2*int64(p.len))
	c.emit(&convolve{p, cuda.Filter, x, dz, rounded, c.workspace, false})
	c.launch("convert_bf16_f32", int64(p.len), rounded, dw, p.len)
	return nil
}

// block is where the numbers of an input's part of the weight lie: from number at on, (kernels, channels, size, size)
// or with the channels last, of a weight whose channels from first on belong to the input.
func (o *conv) block(x *value, at, first int) block {
	size, own := o.spec.Kernel, x.shape.C/o.spec.Groups
	all := 0
	for _, v := range o.in {
		all += v.shape.C / o.spec.Groups
	}
	taps, depth := size*size, o.depth(x)
	b := block{
		dims: [4]int{o.out.shape.C, own, size, size}, private: at, logical: first * taps,
		privates: [4]int{depth * taps, taps, size, 1}, logicals: [4]int{all * taps, taps, size, 1},
	}
	if x.layout == cuda.NHWC {
		b.privates = [4]int{depth * taps, 1, size * depth, depth}
	}
	return b
}

// depth is the channels that a kernel has for an input, as laid out.
func (o *conv) depth(x *value) int { return x.depth / o.spec.Groups }

// choose settles the algorithm of a direction. Training nets remember it.
func (o *conv) choose(c *compiler, p *convPart, dir cuda.Direction, input int) error {
	d := c.dev
	key := fmt.Sprintf("%d %s/%d %v", d.place, o.spec.Name, input, dir)
	want := cuda.Want{Workspace: d.budget(), Deterministic: d.options.Deterministic, Number: -1}
	if n, ok := d.options.Algorithms[key]; ok && c.prog.Train {
		want.Number = n
	}
	fit, err := p.Choose(d.dnn, dir, want)
	if err != nil && p.x.layout == cuda.NHWC {
		return &device.PrecisionError{
			Precision: c.prog.Precision, Reason: fmt.Sprintf("%v, with values in NHWC, %d groups", err, o.spec.Groups),
		}
	}
	if err != nil {
		return err
	}
	p.algos[dir], p.keys[dir] = fit, key
	c.workspace.Bytes = max(c.workspace.Bytes, fit[0].Workspace)
	return p.use(c.Net, dir)
}

// use settles the first of the algorithms of a direction.
func (p *convPart) use(n *Net, dir cuda.Direction) error {
	if n.prog.Train {
		n.dev.chosen[p.keys[dir]] = p.algos[dir][0].Number
	}
	return p.Use(dir, p.algos[dir][0])
}

// budget is the workspace that a convolution may take: a sixteenth of the GPU's memory, at most a GiB.
func (d *Device) budget() int64 { return min(d.info.Memory/16, 1<<30) }

// convolve is one call of cuDNN: x and w give y forward, w and dy give dx, x and dy give dw.
type convolve struct {
	part *convPart
	dir  cuda.Direction
	a, b pointer
	to   pointer
	work *buffer
	add  bool // to what is there
}

func (s *convolve) run(n *Net) error {
	a, b, to, algo := s.a.ptr(), s.b.ptr(), s.to.ptr(), s.part.algos[s.dir][0]
	work := cu.DevicePtr(0)
	if algo.Workspace > 0 {
		work = s.work.ptr()
	}
	switch s.dir {
	case cuda.Forward:
		return s.part.Forward(n.dev.dnn, algo, a, b, work, s.add, to)
	case cuda.Data:
		return s.part.Data(n.dev.dnn, algo, a, b, work, to)
	}
	return s.part.Filter(n.dev.dnn, algo, a, b, work, to)
}

// try runs the convolution once, on memory of zeros. cuDNN's heuristics name algorithms that then fail on some GPUs
// (pytorch/pytorch#31336): the next one takes the place of such a one, if what there is of workspace is enough for it.
func (s *convolve) try(n *Net, op string) error {
	p := s.part
	err := s.run(n)
	for first := err; err != nil; err = s.run(n) {
		failed := p.algos[s.dir][0].Number
		p.algos[s.dir] = slices.DeleteFunc(p.algos[s.dir][1:], func(a cuda.Algorithm) bool {
			return a.Workspace > s.work.Bytes
		})
		if len(p.algos[s.dir]) == 0 {
			return first
		}
		if err := p.use(n, s.dir); err != nil {
			return err
		}
		n.dev.note(fmt.Sprintf("%s: %s: cuDNN's algorithm %d for its %v fails, number %d is tried: %v", n.dev.name, op,
			failed, s.dir, p.algos[s.dir][0].Number, err))
	}
	return nil
}
