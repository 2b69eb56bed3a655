package reference

import (
	"testing"

	"alexnet/internal/device"
)

// TestChoices: a ReLU that switches and a maximum that moves change the fingerprint, other numbers do not. In float64 a
// value is read as it is.
func TestChoices(t *testing.T) {
	d := Open64()
	params, err := d.NewParams([]device.ParamSpec{{Name: "w", Shape: []int{1, 1, 1, 1}}, {Name: "b", Shape: []int{1}}})
	if err != nil {
		t.Fatal(err)
	}
	map2 := device.Shape{C: 1, H: 2, W: 2}
	p := device.Program{
		Values: []device.ValueInfo{
			{Name: "input", Shape: map2}, {Name: "conv", Shape: map2}, {
				Name: "pool", Shape: device.Shape{C: 1, H: 1, W: 1},
			},
		},
		Input: device.Input{Value: 0, Channels: 1, Height: 2, Width: 2},
		Ops: []device.Spec{
			&device.Conv{
				Op: device.Op{Name: "conv", In: []device.Value{0}, Out: 1}, Weight: 0, Bias: 1, Kernel: 1, Stride: 1,
				Groups: 1, Act: device.ReLU,
			},
			&device.Pool{Op: device.Op{Name: "pool", In: []device.Value{1}, Out: 2}, Window: 2, Stride: 2},
		},
		Params: params, Rows: 1, Train: true, Keep: []device.Value{1},
	}
	n, err := d.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Alloc(); err != nil {
		t.Fatal(err)
	}
	choices := func(weight, bias float32, pixels ...uint8) uint64 {
		t.Helper()
		for i, v := range []float32{weight, bias} {
			if err := params.Store(device.Param(i), device.Weight, []float32{v}); err != nil {
				t.Fatal(err)
			}
		}
		b := device.NewBatch(1, pixels)
		n.Begin(b, device.Pass{Rows: 1, Divisor: 1, LR: make([]float32, 2), Decay: make([]float32, 2)})
		n.Forward(0)
		n.Forward(1)
		if err := n.Sync(); err != nil {
			t.Fatal(err)
		}
		return n.(device.Precise).Choices()
	}
	base := choices(1, -2.5, 1, 2, 3, 9)
	if choices(1.25, -2.75, 1, 2, 3, 8) != base {
		t.Error("the same choices differ")
	}
	if choices(1, -1.5, 1, 2, 3, 9) == base {
		t.Error("a ReLU switched unseen")
	}
	if choices(1, -2.5, 1, 2, 9, 3) == base {
		t.Error("the maximum moved unseen")
	}
	choices(1.0/3, 0, 1, 2, 3, 7)
	y := make([]float64, 4)
	if err := n.(device.Precise).Fetch64(1, false, y); err != nil {
		t.Fatal(err)
	}
	if third := float64(float32(1.0 / 3)); y[3] != 7*third || float64(float32(y[3])) == y[3] {
		t.Errorf("%v, want %v, which float32 does not hold", y[3], 7*third)
	}
}
