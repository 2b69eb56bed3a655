package train

import (
	"strings"
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

// A dead start's advice for the demo net leads towards the rate of its page, .005, which learns, whichever side of it
// the run was on. At ten and at twenty times that rate the loss is flat, 2.33 and 2.35 where guessing has 2.30, as it
// is where steps are too short; at twenty times 99% of the hidden units are off, and the rate is why.
func TestDemoRates(t *testing.T) {
	if testing.Short() {
		t.Skip("trains the demo net for 200 steps, three times")
	}
	t.Parallel()
	for lr, want := range map[string]string{"0.0001": "0.001", "0.05": "0.005", "0.1": "0.005"} {
		cfg, err := config.Load("demo", []string{"train.lr=" + lr})
		if err != nil {
			t.Fatal(err)
		}
		source, err := demo.Open(demo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := mustRun(t, Options{Config: cfg, Devices: reference.Open(1), Source: source, Steps: 200})
		if len(r.Warnings) != 1 {
			t.Fatalf("at the rate %s: warnings %q", lr, r.Warnings)
		}
		dead, is := r.Warnings[0].(*DeadStart)
		if !is || !strings.HasPrefix(tries(dead)+" ", "train.lr="+want+" ") {
			t.Errorf("at the rate %s: %v; tries %s, want train.lr=%s first", lr, r.Warnings[0], tries(dead), want)
		} else {
			t.Logf("at the rate %s: %v; tries %s", lr, dead, tries(dead))
		}
	}
}
