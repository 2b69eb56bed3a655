package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/report"
	"alexnet/internal/run"
)

// shownIn are the pictures and histograms in a run's event files: step, tag and content.
func shownIn(t *testing.T, d *run.Dir) (all []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(d.Path(), "events.out.tfevents.*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var before *report.Event
		note := func(end int64) {
			if before != nil && len(before.Shown) > 0 {
				const head = 8 + 4 + 9 // length, its checksum, the time
				all = append(all, fmt.Sprintf("%d %s %x", before.Step, before.Shown, b[before.At+head:end-4]))
			}
		}
		err = report.ReadEvents(bytes.NewReader(b), func(e report.Event) error {
			note(e.At)
			before = &e
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		note(int64(len(b)))
	}
	return all
}

// TestShown: a run shows each weight that learns, its gradient, and the kernels of conv1, at the end of its first epoch
// and at its own. One that was interrupted where an epoch ends, before it was validated, and was resumed there shows
// the same, bit for bit.
func TestShown(t *testing.T) {
	t.Parallel()
	begin := func(steps int) (Options, *log) {
		o, l := options(t, "train.epochs=9")
		o.Dir, o.Steps = folder(t), steps
		return o, l
	}
	whole, _ := begin(tinySteps + 2)
	mustRun(t, whole)
	want := shownIn(t, whole.Dir)
	for _, tag := range []string{
		"filters/conv1", "weights/conv1.weight", "gradients/conv1.weight", "weights/fc2.bias",
	} {
		for _, step := range []int{tinySteps, tinySteps + 2} {
			is := func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("%d [%s] ", step, tag)) }
			if i := slices.IndexFunc(want, is); i < 0 || slices.ContainsFunc(want[i+1:], is) {
				t.Errorf("%s of step %d is not there once", tag, step)
			}
		}
	}
	o, l := begin(0)
	ctx, cancel := context.WithCancel(context.Background())
	l.onStep = func(m report.Metrics) {
		if m.Step == tinySteps {
			cancel()
		}
	}
	_, err := Run(ctx, o)
	var stop *Interrupted
	if !errors.As(err, &stop) || stop.Step != tinySteps {
		t.Fatal(err)
	}
	again, _ := options(t, "train.epochs=9")
	again.Dir, again.Steps, again.Resume = o.Dir, tinySteps+2, load(t, stop.Checkpoint)
	mustRun(t, again)
	if got := shownIn(t, o.Dir); !slices.Equal(got, want) {
		t.Errorf("resumed: %d are shown, want %d, or others", len(got), len(want))
	}
}

// TestShownProlonged: what was shown only because the run ended there goes when it is prolonged, by steps or by epochs,
// past the end of an epoch or inside one: the longer run is the undisturbed one. What is shown in any case stays.
func TestShownProlonged(t *testing.T) {
	t.Parallel()
	const end = 2*tinySteps + 3
	whole, _ := options(t, "train.epochs=9")
	whole.Dir, whole.Steps = folder(t), end
	mustRun(t, whole)
	want := shownIn(t, whole.Dir)
	for _, c := range []struct{ epochs, steps int }{{9, tinySteps}, {9, tinySteps + 2}, {9, 2 * tinySteps}, {2, 0}} {
		o, _ := options(t, fmt.Sprintf("train.epochs=%d", c.epochs))
		o.Dir, o.Steps = folder(t), c.steps
		r := mustRun(t, o)
		again, _ := options(t, "train.epochs=9")
		again.Dir, again.Steps, again.Resume = o.Dir, end, load(t, r.LastPath)
		mustRun(t, again)
		if got := shownIn(t, o.Dir); !slices.Equal(got, want) {
			t.Errorf("%+v: %d are shown, want %d, or others", c, len(got), len(want))
		}
	}
}

// Of a frozen layer nothing is shown.
func TestShownOfFrozen(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "model.conv1.freeze=true")
	o.Dir, o.Steps = folder(t), 1
	mustRun(t, o)
	got := fmt.Sprint(shownIn(t, o.Dir))
	if strings.Contains(got, "conv1") || !strings.Contains(got, "gradients/fc2.weight") {
		t.Errorf("%.300s", got)
	}
}

// TestShownEpochs: long epochs are all shown, and short ones as often as their time and their lines allow.
func TestShownEpochs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		net             string
		pictures, batch int
		in              []int // how many of the first 10, 100 and 1000 epochs are shown
	}{
		{"alexnet", 1_281_167, 128, []int{10, 100, 1000}},
		{"alexnet", 108, 128, []int{1, 1, 10}}, // epochs of 2 s
		{"cifar10", 47_500, 100, []int{10, 100, 1000}},
		{"cifar10", 1000, 100, []int{7, 19, 109}}, // and of .4 s
		{"fig1", 100, 100, []int{2, 3, 12}},
	} {
		page, err := config.Load(c.net, nil)
		if err != nil {
			t.Fatal(err)
		}
		classes := 10
		if c.net == "alexnet" {
			classes = 1000
		}
		a, err := model.Of(page, classes)
		if err != nil {
			t.Fatal(err)
		}
		rate, steps := shownRate(a, c.pictures), uint64((c.pictures+c.batch-1)/c.batch)
		var got []int
		n := 0
		for epoch := 1; epoch <= 1000; epoch++ {
			if shownAt(epoch, rate, steps) {
				n++
			}
			if epoch == 1 && n != 1 {
				t.Errorf("%s: the first epoch is not shown", c.net)
			}
			if epoch == 10 || epoch == 100 || epoch == 1000 {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, c.in) {
			t.Errorf("%s on %d pictures: %v epochs are shown, want %v; rate %g", c.net, c.pictures, got, c.in, rate)
		}
	}
}

// What cannot be shown is told of and costs the run nothing else: no line of the metrics, and nothing later.
func TestShownOnAFullDisk(t *testing.T) {
	t.Parallel()
	o, l, disk := outageRun(t, syscall.ENOSPC, "tfevents", 0, tinySteps)
	l.onStep = func(m report.Metrics) {
		if m.Step == tinySteps { // its line is written
			disk.down.Store(true)
		}
	}
	mustRun(t, o)
	if !l.noted(fmt.Sprintf("histograms of step %d cannot be written", tinySteps)) {
		t.Errorf("notes %v", l.notes)
	}
	if _, _, recorded := notSaved(l.notes); recorded != 0 {
		t.Errorf("lines of metrics waited %d times", recorded)
	}
	for _, s := range shownIn(t, o.Dir) {
		if !strings.HasPrefix(s, fmt.Sprint(2*tinySteps, " ")) {
			t.Errorf("%.60s is there", s)
		}
	}
	if len(shownIn(t, o.Dir)) == 0 || len(timeless(t, o.Dir)) != 2*tinySteps+2 {
		t.Errorf("%d are shown, and %d lines", len(shownIn(t, o.Dir)), len(timeless(t, o.Dir)))
	}
}
