package backend

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/device"
)

// specs are parameters that were declared, and no more.
type specs []device.ParamSpec

func (s specs) Specs() []device.ParamSpec                        { return s }
func (s specs) Fetch(device.Param, device.Part, []float32) error { return nil }
func (s specs) Store(device.Param, device.Part, []float32) error { return nil }
func (s specs) Close() error                                     { return nil }
func value(name string, units int) device.ValueInfo {
	return device.ValueInfo{Name: name, Shape: device.Shape{C: units, H: 1, W: 1}}
}

// small is a net of an input that is also sent away, an activation, and a loss over three classes.
func small() device.Program {
	return device.Program{
		Values: []device.ValueInfo{value("input", 3), value("relu", 3), value("prob", 3), value("stats", 3)},
		Input:  device.Input{Value: 0, Channels: 3, Height: 1, Width: 1},
		Ops: []device.Spec{
			&device.Send{Op: device.Op{Name: "send", In: []device.Value{0}, Out: device.None}},
			&device.Activate{Op: device.Op{Name: "relu", In: []device.Value{0}, Out: 1}},
			&device.SoftmaxLoss{Op: device.Op{Name: "loss", In: []device.Value{1}, Out: 2}, Stats: 3},
		},
		Params: specs{}, Rows: 2, Train: true, Keep: []device.Value{1},
	}
}

func TestUses(t *testing.T) {
	p := small()
	uses := Uses(&p)
	want := []Use{
		{Reader: p.Ops[1], Sends: 1, Input: true},
		{Reader: p.Ops[2], Kept: true, Wants: true},
		{Wants: true},
		{Wants: true},
	}
	if !slices.Equal(uses, want) {
		t.Errorf("uses %+v, want %+v", uses, want)
	}
	p.Train, p.InputGrad = false, true
	if !Uses(&p)[0].Wants {
		t.Error("with InputGrad the input wants no gradient")
	}
	p.InputGrad = false
	if Uses(&p)[1].Wants {
		t.Error("without gradients a value wants one")
	}
}

// begun is a guard whose net is allocated and in a pass of two rows.
func begun(t *testing.T, p device.Program) *Guard {
	t.Helper()
	g := NewGuard("dev", p)
	g.Allocated()
	if !g.Begin(device.NewBatch(2, make([]uint8, 6)), &device.Pass{Rows: 2}) {
		t.Fatal(g.Err())
	}
	return g
}

// The first failure stays, with device and op; a failed op still owes its peers, one that cannot run does not.
func TestGuard(t *testing.T) {
	g := begun(t, small())
	if !g.Op(0, false) || !g.Op(2, true) || !g.Update() || !g.Value("fetch", 1) ||
		!g.Tensor("fetch", 1, true, true, 6) {
		t.Fatalf("what is allowed is refused: %v", g.Err())
	}
	if err := g.Alloc(); err == nil {
		t.Error("allocated twice")
	}
	g.Fail("nothing", nil)
	g.Fail("relu", errors.New("broken"))
	g.Fail("loss", errors.New("broken too"))
	if err := g.Sync(); err == nil || err.Error() != "dev: relu: broken" {
		t.Errorf("the first failure is %v", err)
	}
	if g.Op(0, false) || g.Update() || g.Value("fetch", 1) {
		t.Error("after a failure calls may go on")
	}
	if !g.Ready("await") || !g.Owes(0, false) || !g.Owes(0, true) || g.Owes(3, false) || g.Owes(-1, false) {
		t.Error("after a failure batches can be awaited, and there are peers to be told by the ops that there are")
	}
	if err := g.Forget(); err == nil || g.Err() != nil || !g.Op(0, false) {
		t.Errorf("forgotten is %v, left is %v", err, g.Err())
	}
	if err := g.Close(); err != nil || g.Live() || g.Owes(0, false) || g.Close() == nil {
		t.Errorf("a closed net: %v", err)
	}
	if err := g.Sync(); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close Sync says %v", err)
	}
}

func TestGuardWithoutGradients(t *testing.T) {
	p := small()
	p.Train = false
	if g := begun(t, p); g.Owes(0, true) || g.Op(0, true) || g.Err() == nil {
		t.Error("backward of a program without gradients")
	}
	if g := begun(t, p); g.Update() || g.Err() == nil {
		t.Error("update of a program that does not train")
	}
}

func TestChecks(t *testing.T) {
	for _, shape := range [][]int{nil, {3, 0}, {-1, -1}} {
		if err := CheckSpecs([]device.ParamSpec{{Name: "fc.bias", Shape: shape}}); err == nil {
			t.Errorf("a parameter of shape %v is accepted", shape)
		}
	}
	own := []device.ParamSpec{{Name: "fc.weight", Shape: []int{2, 3}}}
	if err := errors.Join(CheckSpecs(own), CheckParam(own, 0, 6)); err != nil {
		t.Error(err)
	}
	for id, numbers := range map[device.Param]int{-1: 6, 1: 6, 0: 5} {
		if CheckParam(own, id, numbers) == nil {
			t.Errorf("%d numbers of parameter %d are accepted", numbers, id)
		}
	}
}
