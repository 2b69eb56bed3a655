package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/reference"
	"alexnet/internal/report"
	"alexnet/internal/run"
)

// TestExchangeOfAResumedRun: what an epoch's line says of the traffic between devices is the mean of all the epoch's
// steps, the smaller last batch included, wherever in it the run was interrupted, and where it had ended before. The
// time is that of all steps too.
func TestExchangeOfAResumedRun(t *testing.T) {
	t.Parallel()
	const steps = 2*tinySteps + 2
	sets := []string{"train.epochs=9", "train.schedule.kind=constant"}
	two := func() Options {
		o, _ := options(t, sets...)
		o.Devices = reference.Open(2)
		return o
	}
	o := two()
	o.Dir, o.Steps = folder(t), steps
	mustRun(t, o)
	want := exchangeOf(t, o.Dir)
	if len(want) != 3 || *want[0].ExchangeBytes != *want[1].ExchangeBytes ||
		*want[0].ExchangeBytes == *want[2].ExchangeBytes { // the third epoch has whole batches only
		t.Fatalf("undisturbed: %v", want)
	}
	for cut := 1; cut < steps; cut++ {
		for _, ended := range []bool{false, true} {
			first, l := two(), &log{}
			ctx, cancel := context.WithCancel(context.Background())
			first.Dir, first.Progress = folder(t), l
			if ended {
				first.Steps = cut
			} else {
				l.onStep = func(m report.Metrics) {
					if m.Step == uint64(cut) {
						cancel()
					}
				}
			}
			_, err := Run(ctx, first)
			if cancel(); err != nil && !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			again := two()
			again.Dir, again.Steps, again.Resume = first.Dir, steps, load(t, first.Dir.Checkpoint(run.Last))
			at := again.Resume.Step // the file is closed and replaced
			mustRun(t, again)
			got := exchangeOf(t, first.Dir)
			if ended && cut%tinySteps != 0 { // the line of the earlier end
				got = slices.Delete(got, cut/tinySteps, cut/tinySteps+1)
			}
			if len(got) != len(want) {
				t.Fatalf("cut at step %d: %d epochs, want %d", cut, len(got), len(want))
			}
			for i := range want {
				// that of an epoch of which no step was taken since the resume knows no time
				timed := got[i].ExchangeSeconds != nil && *got[i].ExchangeSeconds > 0
				if *got[i].ExchangeBytes != *want[i].ExchangeBytes || !timed && at != want[i].Step {
					t.Errorf("cut at %d, ended %v: epoch %d sent %g bytes a step (timed: %v), want %g", cut, ended, i+1,
						*got[i].ExchangeBytes, timed, *want[i].ExchangeBytes)
				}
			}
		}
	}
}

// exchangeOf are the lines of a run that tell of traffic.
func exchangeOf(t *testing.T, d *run.Dir) []report.Metrics {
	t.Helper()
	return slices.DeleteFunc(metricsOf(t, d), func(m report.Metrics) bool { return m.ExchangeBytes == nil })
}

// TestRemovedWhileItRuns: whatever somebody removes of a run's folder, the folder too, the run goes on, says so, and at
// its end everything is there that an undisturbed run leaves, apart from a best net that no later one replaced. Where
// only that is lost, the result does not name it.
func TestRemovedWhileItRuns(t *testing.T) {
	t.Parallel()
	clean, _ := options(t, "train.epochs=3", "train.checkpoint_steps=2")
	clean.Dir = folder(t)
	mustRun(t, clean)
	lines, want := timeless(t, clean.Dir), filesIn(t, clean.Dir.Path())
	for what, remove := range map[string]func(d *run.Dir) error{
		"metrics.jsonl": func(d *run.Dir) error { return os.Remove(d.Metrics()) },
		"events": func(d *run.Dir) error {
			names, err := filepath.Glob(filepath.Join(d.Path(), "events*"))
			if err != nil || len(names) != 1 {
				return fmt.Errorf("events %v: %w", names, err)
			}
			return os.Remove(names[0])
		},
		"config.yaml": func(d *run.Dir) error { return os.Remove(d.Config()) },
		"lock":        func(d *run.Dir) error { return os.Remove(filepath.Join(d.Path(), "lock")) },
		"checkpoints": func(d *run.Dir) error { return os.RemoveAll(filepath.Dir(d.Checkpoint(run.Last))) },
		"run":         func(d *run.Dir) error { return os.RemoveAll(d.Path()) },
	} {
		o, l := options(t, "train.epochs=3", "train.checkpoint_steps=2")
		o.Dir = folder(t)
		o.afterStep = func(tr *trainer) {
			if tr.steps.Pass.Step == 2*tinySteps+1 {
				tr.awaitCurves() // they would write into a folder that is being removed
				if err := remove(o.Dir); err != nil {
					t.Error(err)
				}
			}
		}
		r := mustRun(t, o)
		sameLines(t, timeless(t, o.Dir), lines)
		if !l.noted("made again: ") || !l.noted(what) || len(r.Warnings) == 0 {
			t.Errorf("%s removed: notes %q", what, l.notes)
		}
		got := filesIn(t, o.Dir.Path())
		if r.BestPath == "" {
			got["best.safetensors"] = true
			if !l.noted("best.safetensors was removed while the run went on, and cannot") {
				t.Errorf("%s removed: notes %q", what, l.notes)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s removed: the run left %v, want %v", what, got, want)
		}
		for _, path := range []string{r.LastPath, r.BestPath, r.CurvesPath} {
			if _, err := os.Stat(path); path != "" && err != nil {
				t.Errorf("%s removed: the result names what is not there: %v", what, err)
			}
		}
	}
}

// namesIn are the names of the files below a folder; of event files, which are named by the time, what they are.
func filesIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _, _ := strings.Cut(e.Name(), ".tfevents.")
			all[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAnotherRunInItsPlace: a run whose folder is another run's by now writes nothing there, and ends.
func TestAnotherRunInItsPlace(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "train.checkpoint_steps=2")
	o.Dir = folder(t)
	var other map[string]bool
	o.afterStep = func(tr *trainer) {
		if tr.steps.Pass.Step != 3 {
			return
		}
		if err := os.RemoveAll(o.Dir.Path()); err != nil {
			t.Error(err)
		}
		next, err := run.Create(o.Dir.FS(), o.Dir.Path())
		if err == nil {
			err = errors.Join(os.WriteFile(next.Checkpoint(run.Last), []byte("another's"), 0o666), next.Close())
		}
		if err != nil {
			t.Error(err)
		}
		other = filesIn(t, o.Dir.Path())
	}
	if _, err := Run(t.Context(), o); !errors.As(err, new(*run.ReplacedError)) {
		t.Errorf("error %v", err)
	}
	if got := filesIn(t, o.Dir.Path()); !reflect.DeepEqual(got, other) {
		t.Errorf("the other run's folder holds %v, was %v", got, other)
	}
}

// TestLostLines: a run that goes on without the metrics of its earlier steps says which are gone.
func TestLostLines(t *testing.T) {
	t.Parallel()
	o, _ := options(t)
	o.Dir, o.Steps = folder(t), 3
	r := mustRun(t, o)
	if err := os.Remove(o.Dir.Metrics()); err != nil {
		t.Fatal(err)
	}
	again, l := options(t)
	again.Dir, again.Steps, again.Resume = o.Dir, tinySteps, load(t, r.LastPath)
	if r := mustRun(t, again); !l.noted("metrics.jsonl has no lines of steps 1 to 3") || len(r.Warnings) != 1 {
		t.Errorf("notes %q", l.notes)
	}
}
