package reference

import (
	"fmt"
	"math"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// Central differences, (f(x+h) - f(x-h)) / 2h, in float64: with h = 1e-5 the error is about h^2 = 1e-10 from what is
// cut off and 1e-16/h = 1e-11 from rounding, relative to values of size 1. The gate leaves room for sums and for steep
// ops.
const (
	stepSize = 1e-5
	gate     = 1e-6
	// Nearer to a kink than this a step might cross it: inputs move by stepSize, what is computed of them by a few
	// times that.
	kink = 1e-3
)

// draws gives normal numbers, other ones for each call.
type draws struct{ *philox.Source }

func newDraws(seed uint64) draws { return draws{philox.NewSource(seed, philox.PurposeTest, 0, 1)} }

func (d draws) normals(n int) []float64 {
	var x []float64
	for len(x) < n {
		z := d.Normals()
		x = append(x, z[:]...)
	}
	return x[:n]
}

// derivative is a tensor that f depends on, and the gradient of f by it that the op computed.
type derivative struct {
	name    string
	x, grad []float64
}

// check compares gradients with differences of f, which must compute the op anew at each call.
func check(t *testing.T, f func() float64, ds ...derivative) {
	t.Helper()
	for _, d := range ds {
		var diff, norm float64
		for i, x := range d.x {
			d.x[i] = x + stepSize
			up := f()
			d.x[i] = x - stepSize
			down := f()
			d.x[i] = x
			want := (up - down) / (2 * stepSize)
			diff += (d.grad[i] - want) * (d.grad[i] - want)
			norm += want * want
		}
		if rel := math.Sqrt(diff / norm); !(rel <= gate) {
			t.Errorf("gradient of %s is off its differences by %.3g (norm %.3g)", d.name, rel, math.Sqrt(norm))
		}
	}
}

// dot is the scalar whose gradient by y is dy.
func dot(y, dy []float64) float64 {
	sum := 0.
	for i := range dy {
		sum += y[i] * dy[i]
	}
	return sum
}

func newScratch(worker, share int) *scratch[float64] {
	s := &scratch[float64]{}
	for range 2 {
		s.worker = append(s.worker, make([]float64, worker))
	}
	for range shares {
		s.share = append(s.share, make([]float64, share))
	}
	return s
}

// awayFromZero tells whether all of x keep their sign within a step.
func awayFromZero(x []float64) bool {
	for _, v := range x {
		if math.Abs(v) < kink {
			return false
		}
	}
	return true
}

// seeds calls try with one seed after the other until it finds inputs away from kinks.
func seeds(t *testing.T, try func(d draws) bool) {
	t.Helper()
	for seed := uint64(1); seed < 500; seed++ {
		if try(newDraws(seed)) {
			return
		}
	}
	t.Fatal("no inputs away from kinks")
}

func convGeometry(act device.Activation, kernels, kernel, stride, pad, groups int, up bool,
	in ...device.Shape,
) *conv[float64] {
	c := &conv[float64]{
		Conv: &device.Conv{Kernel: kernel, Stride: stride, Pad: pad, Groups: groups, RoundUp: up, Act: act}, in: in,
	}
	c.out = device.Shape{
		C: kernels,
		H: device.ConvSize(in[0].H, kernel, stride, pad, up),
		W: device.ConvSize(in[0].W, kernel, stride, pad, up),
	}
	return c
}

func TestConvGradient(t *testing.T) {
	s := func(c, h, w int) device.Shape { return device.Shape{C: c, H: h, W: w} }
	for name, c := range map[string]*conv[float64]{
		"linear":          convGeometry(device.Linear, 4, 3, 1, 1, 1, false, s(3, 5, 4)),
		"relu":            convGeometry(device.ReLU, 4, 3, 1, 1, 1, false, s(3, 5, 4)),
		"tanh, groups":    convGeometry(device.Tanh, 6, 3, 1, 0, 2, false, s(4, 5, 5)),
		"stride 4 up":     convGeometry(device.ReLU, 2, 11, 4, 0, 1, true, s(1, 13, 14)),
		"stride 2, pad":   convGeometry(device.ReLU, 2, 4, 2, 2, 1, true, s(2, 5, 6)),
		"several inputs":  convGeometry(device.ReLU, 3, 3, 1, 1, 1, false, s(2, 4, 4), s(3, 4, 4)),
		"one by one":      convGeometry(device.Tanh, 3, 1, 1, 0, 1, false, s(5, 3, 3)),
		"kernel over map": convGeometry(device.Linear, 2, 5, 1, 1, 1, false, s(2, 3, 3)),
	} {
		t.Run(name, func(t *testing.T) { seeds(t, func(d draws) bool { return tryConv(t, c, d) }) })
	}
}

func tryConv(t *testing.T, c *conv[float64], d draws) bool {
	const rows = 3
	var x, dx [][]float64
	for _, s := range c.in {
		x, dx = append(x, d.normals(rows*s.Len())), append(dx, make([]float64, rows*s.Len()))
	}
	w, b := d.normals(c.out.C*c.taps()), d.normals(c.out.C)
	y, dy := make([]float64, rows*c.out.Len()), d.normals(rows*c.out.Len())
	sc := newScratch(c.scratchSizes(true))
	f := func() float64 { c.forward(rows, x, w, b, y, sc); return dot(y, dy) }
	if act := c.Act; act == device.ReLU { // look ahead of it
		c.Act = device.Linear
		f()
		c.Act = act
		if !awayFromZero(y) {
			return false
		}
	}
	f()
	dw, db := make([]float64, len(w)), make([]float64, len(b))
	c.backward(rows, x, w, y, dy, dx, dw, db, sc)
	ds := []derivative{{"weight", w, dw}, {"bias", b, db}}
	for i := range x {
		ds = append(ds, derivative{fmt.Sprint("input ", i), x[i], dx[i]})
	}
	check(t, f, ds...)
	return true
}

func TestFCGradient(t *testing.T) {
	for _, act := range []device.Activation{device.Linear, device.ReLU, device.Tanh} {
		for _, in := range [][]int{{7}, {5, 4}} {
			f := &fc[float64]{FC: &device.FC{Act: act}, in: in, units: 6}
			t.Run(fmt.Sprint(act, in), func(t *testing.T) { seeds(t, func(d draws) bool { return tryFC(t, f, d) }) })
		}
	}
}

func tryFC(t *testing.T, f *fc[float64], d draws) bool {
	const rows = 4
	var x, dx [][]float64
	inputs := 0
	for _, n := range f.in {
		x, dx = append(x, d.normals(rows*n)), append(dx, make([]float64, rows*n))
		inputs += n
	}
	w, b := d.normals(f.units*inputs), d.normals(f.units)
	y, dy, dz := make([]float64, rows*f.units), d.normals(rows*f.units), make([]float64, rows*f.units)
	run := func() float64 { f.forward(rows, x, w, b, y); return dot(y, dy) }
	if act := f.Act; act == device.ReLU {
		f.Act = device.Linear
		run()
		f.Act = act
		if !awayFromZero(y) {
			return false
		}
	}
	run()
	dw, db := make([]float64, len(w)), make([]float64, len(b))
	f.backward(rows, x, w, y, dy, dx, dw, db, dz)
	ds := []derivative{{"weight", w, dw}, {"bias", b, db}}
	for i := range x {
		ds = append(ds, derivative{fmt.Sprint("input ", i), x[i], dx[i]})
	}
	check(t, run, ds...)
	return true
}

func TestActivateGradient(t *testing.T) {
	for _, act := range []device.Activation{device.Linear, device.ReLU, device.Tanh} {
		t.Run(act.String(), func(t *testing.T) {
			seeds(t, func(d draws) bool {
				x, dy := d.normals(40), d.normals(40)
				if !awayFromZero(x) {
					return false
				}
				y, dx := make([]float64, 40), make([]float64, 40)
				f := func() float64 { activate(act, x, y); return dot(y, dy) }
				f()
				activateBackward(act, y, dy, dx)
				check(t, f, derivative{"input", x, dx})
				return true
			})
		})
	}
}

func TestLRNGradient(t *testing.T) {
	const rows = 2
	for _, spec := range []device.LRN{
		{Size: 5, Alpha: 1, Beta: .75, K: 2, Groups: 1},
		{Size: 5, Alpha: 1e-4, Beta: .75, K: 2, Groups: 2},
		{Size: 3, Alpha: .5, Beta: .5, K: 1, Groups: 4},
		{Size: 1, Alpha: 2, Beta: 1.5, K: 1, Groups: 1},
		{Size: 9, Alpha: 1, Beta: .75, K: 1, Groups: 2},
	} {
		l := &lrn[float64]{LRN: &spec, shape: device.Shape{C: 8, H: 2, W: 3}}
		n, d := rows*l.shape.Len(), newDraws(1)
		x, dy := d.normals(n), d.normals(n)
		y, scale, dx := make([]float64, n), make([]float64, n), make([]float64, n)
		sc := newScratch(l.shape.Len(), 0)
		f := func() float64 { l.forward(rows, x, y, scale, sc); return dot(y, dy) }
		f()
		l.backward(rows, 2, x, y, scale, dy, dx)
		check(t, f, derivative{fmt.Sprintf("input of %+v", spec), x, dx})
	}
}

func TestPoolGradient(t *testing.T) {
	for _, kind := range []device.PoolKind{device.Max, device.Avg} {
		for _, spec := range []device.Pool{
			{Window: 3, Stride: 2},
			{Window: 3, Stride: 2, RoundUp: true},
			{Window: 2, Stride: 2},
			{Window: 3, Stride: 1, Pad: 1},
			{Window: 2, Stride: 3, Pad: 1, RoundUp: true},
		} {
			spec.Kind = kind
			p := &pool[float64]{Pool: &spec, in: device.Shape{C: 2, H: 5, W: 6}}
			p.out = device.Shape{
				C: 2,
				H: device.PoolSize(5, spec.Window, spec.Stride, spec.Pad, spec.RoundUp),
				W: device.PoolSize(6, spec.Window, spec.Stride, spec.Pad, spec.RoundUp),
			}
			name := fmt.Sprintf("%v %d/%d pad %d up %v", kind, spec.Window, spec.Stride, spec.Pad, spec.RoundUp)
			t.Run(name, func(t *testing.T) { tryPool(t, p, newDraws(1)) })
		}
	}
}

func tryPool(t *testing.T, p *pool[float64], d draws) {
	const rows = 2
	x, dy := make([]float64, rows*p.in.Len()), d.normals(rows*p.out.Len())
	for i := range x { // all different, by more than a step: 59 has no factor in common with the number of pixels
		x[i] = float64(i*59%len(x)) / 10
	}
	y, dx, best := make([]float64, rows*p.out.Len()), make([]float64, rows*p.in.Len()), make([]int32, rows*p.out.Len())
	f := func() float64 { p.forward(rows, 2, x, y, best); return dot(y, dy) }
	f()
	p.backward(rows, 2, best, dy, dx)
	check(t, f, derivative{"input", x, dx})
}

func TestDropoutGradient(t *testing.T) {
	const rows, units = 3, 20
	spec := &device.Dropout{Rate: .4, Stream: philox.Stream("drop6"), FirstUnit: 3}
	pass := device.Pass{Seed: 5, Step: 2, First: 7, Rows: rows}
	for _, train := range []bool{true, false} {
		d := newDraws(1)
		x, dy := d.normals(rows*units), d.normals(rows*units)
		y, dx := make([]float64, rows*units), make([]float64, rows*units)
		f := func() float64 { dropout(spec, train, pass, units, 2, x, y); return dot(y, dy) }
		f()
		dropout(spec, train, pass, units, 2, dy, dx)
		check(t, f, derivative{fmt.Sprintf("input, train %v", train), x, dx})
	}
}

func TestSoftmaxLossGradient(t *testing.T) {
	const rows, classes, divisor = 5, 7, 12
	d := newDraws(1)
	x, labels := d.normals(rows*classes), []int32{3, 0, -1, 6, 3}
	p, stats, dx := make([]float64, rows*classes), make([]float64, rows*3), make([]float64, rows*classes)
	loss := func() float64 { // the mean over the whole batch, of which other rows may lie elsewhere
		softmax(rows, classes, x, labels, p, stats)
		sum := 0.
		for r := range rows {
			sum += stats[3*r]
		}
		return sum / divisor
	}
	loss()
	softmaxBackward(rows, classes, p, labels, divisor, dx)
	check(t, loss, derivative{"logits", x, dx})
}
