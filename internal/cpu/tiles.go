//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"cmp"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// amx tells that the processor multiplies bf16 in tiles, sixteen multiplications in the time that AVX-512 takes for one
// of fp32, and that oneDNN uses it. It then wants channels last.
func amx() bool { return load() == nil && C.cpu_amx() != 0 }

// tileBytes bounds what of the rows tiles.c lays out at a time for each thread: a part of its second-level cache.
const tileBytes = 5 << 18

// tiled tells that the gradient of the weights is by our own code, with tiles: see tiles.c.
func (l *layer) tiled(c *compiler) bool {
	k, out := l.conv, l.out
	if !amx() && !c.dev.options.channelsLast {
		return false
	}
	if k == nil || !l.half() || !out.halfGrad || !l.last() || out.block != out.shape.C || out.shape.C/k.Groups%16 != 0 {
		return false
	}
	return k.Stride == 1 && l.shape.C/k.Groups%16 == 0 || l.folds()
}

// folds tells that pixels become channels for it, of which the first layer, the one that wants no gradient of its
// input, has too few to fill tiles. With a stride of s, s times s pixels do, and the kernel has as many taps as it
// touches of these; with a stride of 1, all taps of a line do, and the kernel becomes a column.
func (l *layer) folds() bool {
	return l.conv.Groups == 1 && l.first()
}

// blockedWeights describes the weight in blocks of 16 times 16 channels.
func (l *layer) blockedWeights() (md C.cpu_desc, err error) {
	tag := C.dnnl_format_tag_t(C.dnnl_OIhw16i16o)
	if l.conv.Groups > 1 {
		tag = C.dnnl_gOIhw16i16o
	}
	return md, tensor(&md, l.kernel, tag, false)
}

// tilesWants is the weight's layout.
func (l *layer) tilesWants() (C.cpu_desc, error) {
	if l.folds() {
		return l.logicalWeights()
	}
	return l.blockedWeights()
}

func (l *layer) backwardTiles(c *compiler, g *buffer) {
	k, out := l.conv, l.out.shape
	s := &tilesWeights{
		args: C.cpu_tiles{
			rows: C.int64_t(l.src[0]), groups: C.int64_t(k.Groups), in: C.int64_t(l.shape.C / k.Groups),
			out: C.int64_t(out.C / k.Groups), height: C.int64_t(l.shape.H), width: C.int64_t(l.shape.W),
			out_height: C.int64_t(out.H), out_width: C.int64_t(out.W),
			taps: C.int64_t(k.Kernel), columns: C.int64_t(k.Kernel), pad: C.int64_t(k.Pad), portable: flag(!amx()),
		},
		weights: l.weights.gradient, bias: l.biases.gradient, x: l.input(c), dy: g,
	}
	if !l.folds() {
		c.emit(s.setBlocking(c))
		return
	}
	f := l.fold()
	folded := device.Shape{C: int(f.folded), H: int(f.out_height), W: int(f.out_width)}
	input := &foldInput{args: f, x: s.x, y: c.buffer(device.PurposeWorkspace, size(true)*l.src[0]*folded.Len())}
	weights := &foldWeights{
		args: f, weights: s.weights, folded: c.buffer(device.PurposeWorkspace,
			size(false)*int(f.kernels*f.folded*f.taps*f.columns)),
	}
	s.args.in, s.args.height, s.args.width = f.folded, f.out_height, f.out_width
	s.args.taps, s.args.columns, s.args.pad = f.taps, f.columns, 0
	s.x, s.weights = input.y, weights.folded
	c.emit(input)
	c.emit(s.setBlocking(c))
	c.emit(weights)
}

func (l *layer) fold() C.cpu_fold {
	k, out := l.conv, l.out.shape
	taps := (k.Kernel + k.Stride - 1) / k.Stride
	wide, columns := k.Stride, taps
	if k.Stride == 1 {
		wide, columns = k.Kernel, 1
	}
	return C.cpu_fold{
		rows: C.int64_t(l.src[0]), channels: C.int64_t(l.shape.C), height: C.int64_t(l.shape.H),
		width: C.int64_t(l.shape.W), kernels: C.int64_t(out.C), kernel: C.int64_t(k.Kernel),
		stride: C.int64_t(k.Stride), pad: C.int64_t(k.Pad),
		wide: C.int64_t(wide), taps: C.int64_t(taps), columns: C.int64_t(columns),
		out_height: C.int64_t(out.H - 1 + taps), out_width: C.int64_t(out.W - 1 + columns),
		folded: C.int64_t(backend.RoundUp(int64(k.Stride*wide*l.shape.C), 16)),
	}
}

type tilesWeights struct {
	args                          C.cpu_tiles
	weights, bias, x, dy, scratch *buffer
}

func (s *tilesWeights) setBlocking(c *compiler) *tilesWeights {
	C.cpu_tiles_set_blocking(&s.args, C.int(c.dev.threads), C.int64_t(cmp.Or(c.dev.options.tileBytes, tileBytes)))
	s.scratch = c.buffer(device.PurposeWorkspace, int(s.args.scratch))
	return s
}

func (s *tilesWeights) run(*Net) error {
	C.cpu_tiles_weights(&s.args, s.weights.floats(), s.bias.floats(), s.x.data, s.dy.data, s.scratch.data)
	return nil
}

type foldInput struct {
	args C.cpu_fold
	y, x *buffer
}

func (s *foldInput) run(n *Net) error {
	C.cpu_fold_input(&s.args, s.y.data, s.x.data)
	n.copied(true)
	n.moves.BetweenOps += s.x.Bytes + s.y.Bytes
	return nil
}

type foldWeights struct {
	args            C.cpu_fold
	weights, folded *buffer
}

func (s *foldWeights) run(n *Net) error {
	C.cpu_fold_weights(&s.args, s.weights.floats(), s.folded.floats())
	n.copied(true)
	n.moves.PackedWeights += 2 * s.weights.Bytes
	return nil
}
