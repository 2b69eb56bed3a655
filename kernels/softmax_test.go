package kernels

import (
	"fmt"
	"math"
	"testing"

	"alexnet/internal/device"
)

func TestSoftmax(t *testing.T) {
	for _, c := range []struct{ rows, classes int }{{7, 10}, {3, 1}, {4, 3}, {2, 1000}, {5, 257}} {
		for _, k := range kinds {
			in := device.Shape{C: c.classes, H: 1, W: 1}
			n := c.rows * c.classes
			labels := make([]int32, c.rows)
			for i := range labels {
				labels[i] = int32(7*i%(c.classes+1)) - 1
			}
			x := k.random(1, n)
			for i := range x {
				x[i] = k.round(math.Round(4 * x[i])) // ties, and losses from 0 to 20
			}
			what := fmt.Sprint(k.name, c)
			o := newOracle(t, c.rows, in, in, func(op device.Op) device.Spec { return &device.SoftmaxLoss{Op: op} },
				true, labels, device.Pass{Divisor: 6})
			p, stats, dx := f32(unwritten(n)), f32(unwritten(3*c.rows)), k.write(unwritten(n))
			now := pass(Pass{Rows: int64(c.rows), Divisor: 6})
			run(t, "softmax_"+k.name, int64(c.rows), k.write(x), i32(labels), p, stats, c.rows, c.classes, now)
			near(t, what+" p", p.f32(), o.forward(x, n), 2e-6, 0)
			near(t, what+" stats", stats.f32(), o.fetch(o.stats, false, 3*c.rows), 2e-6, 0)
			run(t, "softmax_backward_"+k.name, int64(c.rows), p, i32(labels), dx, c.rows, c.classes, now)
			near(t, what+" gradient", k.read(dx), o.backward(nil, n), k.relative, 1e-7) // p - 1 cancels
		}
	}
}

// TestSoftmaxCertain: where the label is nearly certain the loss keeps its digits.
func TestSoftmaxCertain(t *testing.T) {
	stats := f32(unwritten(6))
	x := f32([]float64{18, 0, 0, 30})
	run(t, "softmax_f32", 2, x, i32([]int{0, 0}), f32(unwritten(4)), stats, 2, 2, pass(Pass{Rows: 2}))
	near(t, "stats", stats.f32(), []float64{math.Log1p(math.Exp(-18)), 0, 0, 30 + math.Log1p(math.Exp(-30)), 1, 0},
		2e-6, 0)
}

// TestSoftmaxRows: what is in rows beyond those in use, here NaN and labels of no class, adds nothing.
func TestSoftmaxRows(t *testing.T) {
	const classes = 3
	x := append([]float64{1, 2, 3}, unwritten(2*classes)...)
	labels := i32([]int{1, 1 << 30, -1 << 30})
	stats, p, dx := f32(unwritten(9)), f32(unwritten(9)), f32(unwritten(9))
	now := pass(Pass{Rows: 1, Divisor: 1})
	run(t, "softmax_f32", 3, f32(x), labels, p, stats, 3, classes, now)
	near(t, "stats", stats.f32()[3:], make([]float64, 6), 0, 0)
	run(t, "softmax_backward_f32", 3, p, labels, dx, 3, classes, now)
	near(t, "gradient", dx.f32()[3:], make([]float64, 6), 0, 0)
	if sum := dx.f32()[0] + dx.f32()[1] + dx.f32()[2]; math.Abs(sum) > 1e-7 || dx.f32()[1] >= 0 {
		t.Errorf("the row in use has gradient %v", dx.f32()[:3])
	}
}

// TestSoftmaxNotFinite: logits that are not finite give a loss that is not, wherever they stand.
func TestSoftmaxNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		for at := range 3 {
			x := []float64{1, 2, 3}
			x[at] = bad
			stats := f32(unwritten(3))
			run(t, "softmax_f32", 1, f32(x), i32([]int{1}), f32(unwritten(3)), stats, 1, 3, pass(Pass{Rows: 1}))
			if loss := stats.f32()[0]; !math.IsNaN(loss) && !math.IsInf(loss, 0) {
				t.Errorf("logits %v: loss %g", x, loss)
			}
		}
	}
}
