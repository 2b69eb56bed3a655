package bench

import (
	"context"
	"math"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/reference"
)

// TestLayers: the rows of a two-column net on two devices, in order, and what is counted for each.
func TestLayers(t *testing.T) {
	cfg, err := config.Load("demo", []string{"train.batch=2"})
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	r, err := Run(context.Background(), Options{
		Config: cfg, Devices: reference.Open(2), Mode: Train, Steps: 2, Warmup: 1, Layers: true,
		Progress: func(_, total int) {
			if steps++; total != 6 {
				t.Errorf("%d steps in all, want 6", total)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"input upload", "conv1 conv", "lrn1 lrn", "pool1 pool", "pool1 exchange", "conv2 conv", "pool2 pool",
		"conv3 conv", "pool3 pool", "pool3 exchange", "fc4 fc", "drop4 dropout", "fc4 exchange", "fc5 fc",
		"prob softmax", "update update",
	}
	if len(r.Layers) != len(want) || steps != 6 {
		t.Fatalf("%d rows, want %d; %d steps", len(r.Layers), len(want), steps)
	}
	sum := 0.
	macs := map[string]float64{
		"conv1": 16 * 75 * 784, "conv2": 32 * 144 * 196, "conv3": 64 * 144 * 49, "fc4": 128 * 576, "fc5": 10 * 128,
	}
	for i, l := range r.Layers {
		if l.Name+" "+l.Kind != want[i] {
			t.Errorf("row %d is %s %s, want %s", i, l.Name, l.Kind, want[i])
		}
		sum += l.Share
		count := macs[l.Name]
		if l.Kind != "conv" && l.Kind != "fc" {
			count = 0
		}
		backward := 2.
		if l.Name == "conv1" { // the picture needs no gradient
			backward = 1
		}
		flop := 2 * 2 * count // of two pictures
		wantNear(t, l.Name+" forward", l.GFLOPSForward*l.ForwardMS*1e6, flop)
		wantNear(t, l.Name+" backward", l.GFLOPSBackward*l.BackwardMS*1e6, backward*flop)
		if l.ForwardMS <= 0 || (l.BackwardMS > 0) == (l.Kind == "upload" || l.Kind == "update") {
			t.Errorf("%+v", l)
		}
	}
	wantNear(t, "shares", sum, 1)
	if r.LayersStepMS <= 0 || r.MillisecondsPerStep <= 0 {
		t.Errorf("%+v", r)
	}
}

func wantNear(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*math.Abs(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
