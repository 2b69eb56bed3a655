//go:build cuda

package gpu

import (
	"math"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
)

// block is a part of a tensor as it lies in two orders: numbers of four dimensions, outermost first, with the place of
// the first and the strides in each.
type block struct {
	dims               [4]int
	private, logical   int // of the first number
	privates, logicals [4]int
}

// eachNumber calls f for every number.
func (b *block) eachNumber(f func(private, logical int)) {
	for i := range b.dims[0] {
		for j := range b.dims[1] {
			for k := range b.dims[2] {
				p := b.private + i*b.privates[0] + j*b.privates[1] + k*b.privates[2]
				l := b.logical + i*b.logicals[0] + j*b.logicals[1] + k*b.logicals[2]
				for range b.dims[3] {
					f(p, l)
					p, l = p+b.privates[3], l+b.logicals[3]
				}
			}
		}
	}
}

// value is a tensor of the program. Its gradient, where there is one, lies alike.
type value struct {
	name  string
	shape device.Shape
	// as it lies: the input may have a margin of zeros at the right and bottom, and channels of zeros
	depth, height, width int
	layout               cuda.Layout
	typ, gradType        cuda.Type
	data, grad           *buffer
	port                 *port // of a value that came from another device
	awaited              bool  // the computing stream has waited for it
	signalled            bool  // its gradient was announced to the device that it came from
	sends                int
	reader               device.Spec // its consumer besides Sends
	kept, input          bool
	wants                bool // it needs a gradient
	summed               bool // its gradient was written
}

// row is the numbers of one row, as laid out.
func (v *value) row() int { return v.depth * v.height * v.width }

// plane is the pixels of a map, as laid out.
func (v *value) plane() int { return v.height * v.width }

// private tells that nobody but the consumer sees the value.
func (v *value) private() bool { return !v.kept && !v.input && v.sends == 0 && v.port == nil }

// rows are so many rows of the value: as it lies on the device, and in logical order.
func (v *value) rows(n int) block {
	s := v.shape
	b := block{
		dims: [4]int{n, s.C, s.H, s.W}, privates: [4]int{v.row(), v.plane(), v.width, 1},
		logicals: [4]int{s.Len(), s.H * s.W, s.W, 1},
	}
	if v.layout == cuda.NHWC {
		b.privates = [4]int{v.row(), 1, v.width * v.depth, v.depth}
	}
	return b
}

// outer and inner are the dimensions around the channels, for kernels to which a tensor is (outer, channels, inner).
func (v *value) outer(rows int) int {
	if v.layout == cuda.NHWC {
		return rows * v.plane()
	}
	return rows
}

func (v *value) inner() int {
	if v.layout == cuda.NHWC {
		return 1
	}
	return v.plane()
}

// suffix is how kernels of a type are called.
func suffix(t cuda.Type) string { return [...]string{"_f32", "_bf16"}[t] }

// order is how kernels of a layout are called.
func order(l cuda.Layout) string { return [...]string{"_nchw", "_nhwc"}[l] }

// widen is the fp32 number that a bf16 one stands for.
func widen(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// narrow rounds to the nearest bf16, ties to even; NaN stays NaN.
func narrow(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
