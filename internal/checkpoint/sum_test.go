package checkpoint

import (
	"context"
	"errors"
	"testing"

	"alexnet/internal/tensor"
)

// TestSum: nets that make the same of every picture have one sum, wherever they lie and whatever else is known of them;
// whatever changes the net changes it.
func TestSum(t *testing.T) {
	sum := func(c *Checkpoint) string {
		t.Helper()
		s, err := c.Sum(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := sum(example(1))
	if len(want) != 64 {
		t.Errorf("a sum of %d letters", len(want))
	}
	for name, change := range map[string]func(*Checkpoint){
		"nothing":      func(*Checkpoint) {},
		"the momentum": func(c *Checkpoint) { c.Momentum = nil },
		"the rest": func(c *Checkpoint) {
			c.Step, c.Sample, c.Epoch, c.Data, c.Best, c.Device = 1, 1, 1, Data{}, nil, "cpu"
		},
	} {
		c := example(1)
		change(c)
		if got := sum(loaded(t, saved(t, c))); got != want {
			t.Errorf("%s changed: another sum", name)
		}
	}
	for name, change := range map[string]func(*Checkpoint){
		"a weight":       func(c *Checkpoint) { c.Params[3] = tensor.Of("fc8.bias", []int{3}, []float32{15, 16, 18}) },
		"a shape":        func(c *Checkpoint) { c.Params[2].Shape = []int{2, 3} },
		"the mean":       func(c *Checkpoint) { c.Recipe.Mean[11]++ },
		"no mean":        func(c *Checkpoint) { c.Recipe.Mean, c.Recipe.MeanShape = nil, nil },
		"the recipe":     func(c *Checkpoint) { c.Recipe.Crop = 2 },
		"the page":       func(c *Checkpoint) { c.Config = append(c.Config, ' ') },
		"dropout's form": func(c *Checkpoint) { c.Dropout = "inverted" },
	} {
		c := example(1)
		change(c)
		if sum(c) == want {
			t.Errorf("%s changed: the same sum", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := example(1).Sum(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of ctx: %v", err)
	}
}
