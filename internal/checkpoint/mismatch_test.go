package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/tensor"
)

// TestIdleMomentum: momentum of a parameter that does not learn may be in the file, as older versions wrote it, and is
// left alone; momentum of something that is no parameter, or of another shape, is not.
func TestIdleMomentum(t *testing.T) {
	c, n := example(1), net{}
	params, learns := n.slots("", c.Params), n.slots("v ", c.Momentum[2:])
	if err := errors.Join(c.FitsMomentum(learns), c.Restore(params, learns)); err != nil {
		t.Fatal(err)
	}
	bias := []float32{-15, -16, -17}
	if n["v conv1.weight"] != nil || n["v conv1.bias"] != nil || !slices.Equal(n["v fc8.bias"], bias) {
		t.Errorf("stored %v", n)
	}
	for name, odd := range map[string]tensor.Tensor{
		"of no parameter":  {Name: "conv9.weight", Shape: []int{2, 3, 1, 1}},
		"of another shape": {Name: "conv1.weight", Shape: []int{2, 3, 1, 2}},
	} {
		c := example(1)
		c.Momentum[0] = odd
		var m *Mismatch
		if err := c.FitsMomentum(learns); !errors.As(err, &m) || m.Tensor != "optim."+odd.Name || m.Net != nil {
			t.Errorf("momentum %s: %v", name, err)
		}
	}
	var m *Mismatch
	if err := c.FitsMomentum(append(learns, Slot{Name: "fc9.bias", Shape: []int{7}})); !errors.As(err, &m) ||
		m.Tensor != "optim.fc9.bias" || m.File != nil {
		t.Errorf("without a momentum that the net wants: %v", err)
	}
}

// TestWithout: the rest lacks the layer's parameters and momentum, and the whole still has them.
func TestWithout(t *testing.T) {
	c := example(1)
	rest := c.Without("conv1")
	names := func(ts []tensor.Tensor) (all []string) {
		for _, x := range ts {
			all = append(all, x.Name)
		}
		return all
	}
	want := []string{"fc8.weight", "fc8.bias"}
	if !slices.Equal(names(rest.Params), want) || !slices.Equal(names(rest.Momentum), want) {
		t.Errorf("without conv1: %v, momentum %v", names(rest.Params), names(rest.Momentum))
	}
	if !slices.Equal(names(c.Params), names(example(1).Params)) || len(c.Momentum) != 4 {
		t.Errorf("the whole is left with %v", names(c.Params))
	}
}

// TestLongMismatch: of 41 tensors that differ 40 are listed.
func TestLongMismatch(t *testing.T) {
	for _, k := range []struct {
		differ int
		last   string
	}{{40, "l39.weight  2     3"}, {41, "and 1 more"}} {
		c, slots := &Checkpoint{Path: "w"}, []Slot{}
		for i := range k.differ {
			name := fmt.Sprintf("l%02d.weight", i)
			c.Params = append(c.Params, tensor.Tensor{Name: name, Shape: []int{2}})
			slots = append(slots, Slot{Name: name, Shape: []int{3}})
		}
		lines := strings.Split(c.Fits(slots).Error(), "\n")
		if last := lines[len(lines)-1]; last != k.last || strings.Contains(strings.Join(lines, "\n"), "l40") {
			t.Errorf("%d differ: %d lines, the last is %q", k.differ, len(lines), last)
		}
	}
}
