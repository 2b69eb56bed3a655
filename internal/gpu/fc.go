//go:build cuda

package gpu

import (
	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
)

// fc is a fully connected layer: y = x w' + b, x being the inputs side by side. A row of the weight holds each input's
// numbers as they lie in it.
type fc struct {
	spec    *device.FC
	in      []*value
	out     *value
	w, bias *param
	inputs  int // numbers in a row of all inputs
}

func (o *fc) forward(c *compiler) error {
	if err := o.describe(c); err != nil {
		return err
	}
	y := c.write(o.out)
	sums, sumType := pointer(y), o.out.typ
	if o.out.typ == cuda.BFloat16 { // rounded once, after bias and activation
		sums, sumType = c.buffer(device.PurposeWorkspace, 4*int64(c.elements(o.out))), cuda.Float32
	}
	for n, i := range localFirst(o.in) {
		x := o.in[i]
		c.emit(&gemm{
			m: c.prog.Rows, n: o.out.shape.C, k: x.row(), add: n > 0, tf32: c.prog.Precision == device.TF32,
			a: matrix{c.read(x), x.typ, x.row(), false}, b: o.weight(c, i, true), c: matrix{
				sums, sumType, o.out.shape.C, false,
			},
		})
	}
	c.activate(sums, sumType, o.bias.weight, o.out, o.spec.Act)
	return nil
}

func (o *fc) describe(c *compiler) (err error) {
	if o.spec.Int8 {
		return &device.Int8Error{Devices: "GPUs"}
	}
	units := o.out.shape.C
	for _, x := range o.in {
		o.inputs += x.row()
	}
	want := layoutOf{len: units * o.inputs}
	same := true
	for i, x := range o.in {
		b := x.rows(units)
		b.private, b.logical, b.privates[0], b.logicals[0] = o.column(i), o.column(i), o.inputs, o.inputs
		want.blocks = append(want.blocks, b)
		same = same && b.privates == b.logicals
	}
	if same {
		want.blocks = nil
	}
	if o.w, err = c.parameter(o.spec.Weight, want); err != nil {
		return err
	}
	o.bias, err = c.parameter(o.spec.Bias, layoutOf{len: units})
	return err
}

// weight is the part of the weight (units, inputs) that belongs to input i.
func (o *fc) weight(c *compiler, i int, trans bool) matrix {
	t := cuda.Float32
	if c.half {
		t = cuda.BFloat16
	}
	return matrix{part{c.weight(o.w), t.Size() * int64(o.column(i))}, t, o.inputs, trans}
}

// column is where the numbers of input i begin in a row of the weight.
func (o *fc) column(i int) int {
	at := 0
	for _, x := range o.in[:i] {
		at += x.row()
	}
	return at
}

func (o *fc) backward(c *compiler) error {
	dz, units := c.ahead(o.out, o.spec.Act, o.bias), o.out.shape.C
	tf32 := c.prog.Precision == device.TF32
	for _, i := range remoteFirst(o.in) {
		x := o.in[i]
		if !x.wants {
			continue
		}
		c.emit(&gemm{
			m: c.prog.Rows, n: x.row(), k: units, tf32: tf32,
			a: matrix{dz, o.out.gradType, units, false}, b: o.weight(c, i, false), c: matrix{
				c.writeGrad(x), x.gradType, x.row(), false,
			},
		})
		c.wrote(x)
	}
	if !c.prog.Train {
		return nil
	}
	for i, x := range o.in {
		c.emit(&gemm{
			m: units, n: x.row(), k: c.prog.Rows, tf32: tf32,
			a: matrix{dz, o.out.gradType, units, true}, b: matrix{c.read(x), x.typ, x.row(), false},
			c: matrix{part{o.w.gradient, 4 * int64(o.column(i))}, cuda.Float32, o.inputs, false},
		})
	}
	return nil
}

// matrix is one in row-major order.
type matrix struct {
	data   pointer
	typ    cuda.Type
	stride int
	trans  bool
}

func (m matrix) bound() cuda.Matrix {
	return cuda.Matrix{Data: m.data.ptr(), Type: m.typ, Stride: m.stride, Trans: m.trans}
}

// gemm is c = a b, or adds that.
type gemm struct {
	m, n, k int
	add     bool // to what is there
	tf32    bool
	a, b, c matrix
}

func (s *gemm) run(n *Net) error {
	return n.dev.blas.Gemm(s.m, s.n, s.k, s.a.bound(), s.b.bound(), s.add, s.c.bound(), s.tf32)
}
