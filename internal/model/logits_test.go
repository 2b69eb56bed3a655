package model

import (
	"math"
	"slices"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/reference"
)

// logitNet is a net without training that keeps values, has their gradients, and has seen a batch.
func logitNet(t *testing.T, a *Arch, devs []device.Device, keep ...string) *trainee {
	t.Helper()
	o := staged(a, testRows, false)
	o.Keep, o.InputGrad = keep, true
	m := open(t, a, devs)
	n := compile(t, m, o)
	if err := m.Init(11); err != nil {
		t.Fatal(err)
	}
	use := &trainee{Net: n, model: m}
	use.forward(1)
	return use
}

// oneHot is a gradient of the logits: class 3 of row 2.
func oneHot(a *Arch) []float32 {
	d := make([]float32, testRows*a.Classes)
	d[2*a.Classes+3] = 1
	return d
}

// The gradients of a logit, by the input and by a layer's maps, are what differences in float64 say; of other rows than
// the logit's they are 0.
func TestLogitGradients(t *testing.T) {
	a := twoColumnNet(t)
	n := logitNet(t, a, []device.Device{reference.Open64()}, "conv3")
	if err := n.BackwardLogits(oneHot(a)); err != nil {
		t.Fatal(err)
	}
	choices, precise := n.Choices(), n.nets[0].(device.Precise)
	logits := make([]float64, testRows*a.Classes)
	for _, c := range []struct {
		value, reader string  // reader is the op that reads it
		step          float32 // of a difference: inputs are 0..255
	}{{"input", "conv1", .05}, {"conv3", "pool3", 1e-3}} {
		at, grad := n.read(t, c.value, false), n.read(t, c.value, true)
		from := slices.Index(specsOf(&n.plan.Programs[0]), c.reader) // on one device, steps are ops
		logit := func(x []float32) (float64, bool) {
			if err := n.Store(c.value, false, x); err != nil {
				t.Fatal(err)
			}
			for i := from; i < len(n.plan.Order); i++ {
				n.ForwardStep(i)
			}
			if err := precise.Fetch64(n.plan.named[a.Logits()].values[0], false, logits); err != nil {
				t.Fatal(err)
			}
			return logits[2*a.Classes+3], n.Choices() == choices
		}
		shape, err := n.Shape(c.value)
		if err != nil {
			t.Fatal(err)
		}
		var off, norm float64
		checked, row := 0, shape.Len()
		for i := 2 * row; i < 3*row; i += 3 {
			x := slices.Clone(at)
			x[i] += c.step
			up, same := logit(x)
			high := x[i]
			x[i] = at[i] - c.step
			down, sameDown := logit(x)
			if !same || !sameDown { // the step crossed a kink
				continue
			}
			want := (up - down) / (float64(high) - float64(x[i]))
			off, norm, checked = off+(float64(grad[i])-want)*(float64(grad[i])-want), norm+want*want, checked+1
		}
		logit(at)
		if d := math.Sqrt(off / norm); !(d <= 1e-5) || checked < row/6 {
			t.Errorf("%s: gradients off differences by %.2g, in %d places of %d", c.value, d, checked, row)
		}
		if slices.ContainsFunc(slices.Delete(grad, 2*row, 3*row), func(g float32) bool { return g != 0 }) {
			t.Errorf("%s: pictures have a gradient whose logits have none", c.value)
		}
	}
}

// On two devices they are those of one, on every backend.
func TestLogitGradientsOnTwoDevices(t *testing.T) {
	a := twoColumnNet(t)
	for name, backend := range backends() {
		one, two := logitNet(t, a, backend(t, 1), "conv2"), logitNet(t, a, backend(t, 2), "conv2")
		for _, n := range []*trainee{one, two} {
			if err := n.BackwardLogits(oneHot(a)); err != nil {
				t.Fatal(err)
			}
		}
		for _, value := range []string{"input", "conv2"} {
			g := one.read(t, value, true)
			if d := relative(g, two.read(t, value, true)); !(d <= 1e-5) || sumAbs(g) == 0 {
				t.Errorf("%s, %s: apart by %.2g, sum %.2g", name, value, d, sumAbs(g))
			}
		}
	}
}

func sumAbs(x []float32) (sum float64) {
	for _, v := range x {
		sum += math.Abs(float64(v))
	}
	return sum
}

func TestLogitsRefused(t *testing.T) {
	a := twoColumnNet(t)
	n := logitNet(t, a, references(1))
	if err := n.BackwardLogits(make([]float32, 3)); err == nil {
		t.Error("a gradient of 3 numbers passes for one of all logits")
	}
	plain := compile(t, n.model, staged(a, 1, false))
	plain.Forward(plain.Stage(), Pass{Rows: 1, Divisor: 1})
	if err := plain.BackwardLogits(make([]float32, a.Classes)); err == nil {
		t.Error("a net without gradients goes backward")
	}
}
