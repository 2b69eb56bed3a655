package train

import (
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/data/demo"
	"alexnet/internal/reference"
)

// The demo net learns the generated pictures: at most 10% of the held-out ones are misnamed after the page's own
// epochs. With the training labels alone shuffled, and the held-out ones true, the same net stays at chance, 90%, for
// as many epochs: what it learns is in the pictures, and nothing of the held-out part leaks in.
func TestDemoLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("trains the demo net twice, about a minute")
	}
	for _, c := range []struct {
		name     string
		shuffled bool
		low, up  float64 // of the top-1 error on 500 held-out pictures
	}{
		{"pictures", false, 0, .10},
		// Chance is .9 with a standard deviation of .013; four of them, and the net is not bound to guess evenly.
		{"shuffled labels", true, .84, .96},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := config.Load("demo", nil)
			if err != nil {
				t.Fatal(err)
			}
			source, err := demo.Open(demo.Options{Seed: 1, ShuffledLabels: c.shuffled})
			if err != nil {
				t.Fatal(err)
			}
			r := mustRun(t, Options{Config: cfg, Devices: reference.Open(1), Source: source})
			t.Logf("held-out top-1 error %.3f after %d epochs, loss %.3f", r.Last.Top1Error, r.Epochs, *r.Loss)
			if e := r.Last.Top1Error; e < c.low || e > c.up {
				t.Errorf("held-out top-1 error %.3f, want %.2f to %.2f", e, c.low, c.up)
			}
		})
	}
}
