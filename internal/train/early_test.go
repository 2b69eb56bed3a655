package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/run"
	"alexnet/internal/step"
)

// hasty are the options of a run whose page does not say how often there is a checkpoint, whose steps take so long by
// its own clock, and of which look is told after each step.
func hasty(t testing.TB, a time.Duration, look func(tr *trainer), sets ...string) (Options, *log) {
	t.Helper()
	o, l := options(t, sets...)
	o.Config.Train.CheckpointSteps = nil
	clock := time.Unix(1, 0)
	o.now = func() time.Time { return clock }
	o.afterStep = func(tr *trainer) {
		clock = clock.Add(a)
		if look != nil {
			look(tr)
		}
	}
	return o, l
}

// standingIn are the steps of a run's checkpoints, 0 where there is none. The last one must know the best one.
func standingIn(t *testing.T, d *run.Dir) (last, best uint64) {
	t.Helper()
	if _, err := os.Stat(d.Checkpoint(run.Last)); err == nil {
		c := load(t, d.Checkpoint(run.Last))
		if last = c.Step; c.Best != nil {
			best = c.Best.Step
		}
	}
	if _, err := os.Stat(d.Checkpoint(run.Best)); err == nil {
		if b := load(t, d.Checkpoint(run.Best)); b.Step != best || b.Best.Step != best {
			t.Errorf("the best checkpoint is of step %d, the last one knows that of step %d", b.Step, best)
		}
	} else if best > 0 {
		t.Errorf("the best checkpoint, of step %d, is not there", best)
	}
	return last, best
}

// TestEarly: with epochs of 40 s there is a checkpoint at the end of the first, and then as soon as the last one is a
// minute old and an epoch has ended, in the middle of the next or at its end; one at the end of the run. With longer
// epochs there is one at the end of each. All files end as those of a run with a checkpoint at each epoch's end.
func TestEarly(t *testing.T) {
	t.Parallel()
	sets := []string{"train.epochs=5"}
	o, _ := options(t, sets...)
	o.Dir = folder(t)
	r := mustRun(t, o)
	want, wantBest, lines := state(t, r.LastPath), state(t, r.BestPath), timeless(t, o.Dir)
	for _, c := range []struct {
		step time.Duration
		last []uint64 // the checkpoint that stands as each step ends
	}{
		{10 * time.Second, []uint64{0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 10, 10, 10, 10, 10, 10, 16, 16, 16, 16}},
		{15 * time.Second, []uint64{0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16}},
		{time.Second, []uint64{0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}},
		{time.Hour, []uint64{0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16}},
	} {
		t.Run(c.step.String(), func(t *testing.T) {
			t.Parallel()
			var dir *run.Dir
			var stood []uint64
			o, _ := hasty(t, c.step, func(*trainer) {
				last, _ := standingIn(t, dir)
				stood = append(stood, last)
			}, sets...)
			dir = folder(t)
			o.Dir = dir
			r := mustRun(t, o)
			if !slices.Equal(stood, c.last) {
				t.Errorf("the last checkpoints were of steps\n%v, want\n%v", stood, c.last)
			}
			same(t, "the last checkpoint", state(t, r.LastPath), want)
			same(t, "the best checkpoint", state(t, r.BestPath), wantBest)
			sameLines(t, timeless(t, o.Dir), lines)
		})
	}
}

// TestEarlyNotAsked: a page that says how often is followed, at whatever pace; so is one that says at each epoch's end.
func TestEarlyNotAsked(t *testing.T) {
	t.Parallel()
	for steps, want := range map[int][]uint64{0: {0, 0, 0, 0, 4, 4, 4, 4}, 3: {0, 0, 0, 3, 4, 4, 6, 6}} {
		var dir *run.Dir
		var stood []uint64
		o, _ := hasty(t, 0, func(*trainer) {
			last, _ := standingIn(t, dir)
			stood = append(stood, last)
		}, "train.epochs=2")
		o.Config.Train.CheckpointSteps = &steps
		dir = folder(t)
		o.Dir = dir
		mustRun(t, o)
		if !slices.Equal(stood, want) {
			t.Errorf("%d: the last checkpoints were of steps %v, want %v", steps, stood, want)
		}
	}
}

// TestEarlyInterrupted: however young the checkpoint, one is written where the run is interrupted, with the best net.
func TestEarlyInterrupted(t *testing.T) {
	t.Parallel()
	want, lines := undisturbed(t, 3*tinySteps, "train.epochs=9")
	for cut := 1; cut < 3*tinySteps; cut++ {
		ctx, cancel := context.WithCancel(t.Context())
		o, _ := hasty(t, time.Second, func(tr *trainer) {
			if tr.steps.Pass.Step == uint64(cut) {
				cancel()
			}
		}, "train.epochs=9")
		o.Dir, o.Steps = folder(t), 3*tinySteps
		var stop *Interrupted
		if _, err := Run(ctx, o); !errors.As(err, &stop) || stop.Step != uint64(cut) {
			t.Fatal(err)
		}
		if last, best := standingIn(t, o.Dir); last != uint64(cut) || cut > tinySteps && best == 0 {
			t.Errorf("interrupted after step %d: checkpoints of steps %d and %d", cut, last, best)
		}
		again, _ := hasty(t, time.Second, nil, "train.epochs=9")
		again.Dir, again.Steps, again.Resume = o.Dir, o.Steps, load(t, stop.Checkpoint)
		r := mustRun(t, again)
		same(t, fmt.Sprint("cut off after step ", cut), state(t, r.LastPath), want)
		sameLines(t, timeless(t, o.Dir), lines)
		cancel()
	}
}

// TestEarlyKilled kills a run in each call that gives a checkpoint its name, and just after it: what is there goes on
// to what a run without skipped checkpoints comes to, best net and lines included.
func TestEarlyKilled(t *testing.T) {
	t.Parallel()
	sets := []string{"train.epochs=4"}
	whole, _ := options(t, sets...)
	whole.Dir = folder(t)
	r := mustRun(t, whole)
	want, wantBest, lines := state(t, r.LastPath), state(t, r.BestPath), timeless(t, whole.Dir)
	try := func(at int, after bool) (killed bool) {
		disk := filestest.New(files.OS)
		dir, err := run.Create(disk, filepath.Join(t.TempDir(), "run"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dir.Close() }) // of a dead process
		o, _ := hasty(t, 10*time.Second, nil, sets...)
		o.Dir = dir
		named := 0
		disk.Break(filestest.ErrKilled, func(c filestest.Call) bool {
			if killed {
				return true
			}
			if c.Op == "rename" && strings.Contains(c.Name, "safetensors") {
				named++
				killed = named == at
			}
			return killed && !after
		})
		if _, err := Run(t.Context(), o); (err != nil) != killed {
			t.Fatalf("killed at checkpoint %d: %v", at, err)
		}
		if !killed {
			return false
		}
		left := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(left, os.DirFS(dir.Path())); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(left, "checkpoints", filepath.Base(dir.Checkpoint(run.Last)))); err != nil {
			return true // before the first one
		}
		again, _ := hasty(t, 10*time.Second, nil, sets...)
		if again.Dir, err = run.Open(files.OS, left); err != nil {
			t.Fatal(err)
		}
		defer again.Dir.Close()
		again.Resume = load(t, again.Dir.Checkpoint(run.Last))
		what := fmt.Sprintf("killed at checkpoint %d, named: %v: ", at, after)
		last, best := again.Resume, load(t, again.Dir.Checkpoint(run.Best))
		if best.Step != last.Best.Step && best.Step <= last.Step {
			t.Errorf("%sthe last one, of step %d, knows a best one of step %d; it is of step %d", what, last.Step,
				last.Best.Step, best.Step)
		}
		r := mustRun(t, again)
		same(t, what+"last", state(t, r.LastPath), want)
		same(t, what+"best", state(t, r.BestPath), wantBest)
		sameLines(t, timeless(t, again.Dir), lines)
		return true
	}
	n := 1
	for try(n, false) && try(n, true) {
		n++
	}
	if n != 7 { // at the steps 4, 10 and 16 a best one and a last one
		t.Errorf("%d checkpoints were written", n-1)
	}
}

// TestEarlyOutage: a checkpoint that could not be written is tried again a minute later, not at each step; a best net
// that could not be written is not the best.
func TestEarlyOutage(t *testing.T) {
	t.Parallel()
	disk := filestest.New(files.OS)
	dir, err := run.Create(disk, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	o, l := hasty(t, 10*time.Second, func(tr *trainer) {
		switch tr.steps.Pass.Step {
		case 9: // before the one of step 10
			disk.Break(syscall.ENOSPC, func(c filestest.Call) bool {
				return c.Op == "openfile" && strings.Contains(c.Name, "safetensors")
			})
		case 15:
			disk.Mend()
		}
	}, "train.epochs=5")
	o.Dir = dir
	mustRun(t, o)
	if last, best, _ := notSaved(l.notes); !slices.Equal(last, []uint64{10}) || !slices.Equal(best, []uint64{8}) {
		t.Errorf("told of the steps %v, of the best %v: %v", last, best, l.notes)
	}
	standingIn(t, dir)
}

// TestEarlyNoRoom: where a limit leaves no memory for the best net, it is written at once.
func TestEarlyNoRoom(t *testing.T) {
	t.Parallel()
	var dir *run.Dir
	o, _ := hasty(t, time.Second, func(tr *trainer) {
		tr.roomToHold = false
		if tr.steps.Pass.Step == 2*tinySteps+1 {
			last, best := load(t, dir.Checkpoint(run.Last)), load(t, dir.Checkpoint(run.Best))
			if last.Step != tinySteps || best.Step != 2*tinySteps || tr.held != nil {
				t.Errorf("checkpoints of steps %d and %d", last.Step, best.Step)
			}
		}
	}, "train.epochs=3")
	dir = folder(t)
	o.Dir = dir
	mustRun(t, o)
}

// TestEarlyFailed: the best net is not lost with a run that fails.
func TestEarlyFailed(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	o, _ := hasty(t, time.Second, func(tr *trainer) {
		if tr.steps.Pass.Step == 3*tinySteps-1 {
			tr.steps.Feed = brokenFeed{tr.steps.Feed, broken}
		}
	}, "train.epochs=9")
	o.Dir = folder(t)
	if _, err := Run(t.Context(), o); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if last := load(t, o.Dir.Checkpoint(run.Last)); last.Step != tinySteps {
		t.Errorf("the last checkpoint is of step %d", last.Step)
	}
	whole, _ := options(t, "train.epochs=9")
	whole.Dir, whole.Steps = folder(t), 3*tinySteps-1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	whole.afterStep = func(tr *trainer) {
		if tr.steps.Pass.Step == 3*tinySteps-1 {
			cancel()
		}
	}
	if _, err := Run(ctx, whole); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if b := load(t, whole.Dir.Checkpoint(run.Best)); b.Step == tinySteps {
		t.Error("nothing was held")
	}
	same(t, "the best", tensorsOnly(state(t, o.Dir.Checkpoint(run.Best))),
		tensorsOnly(state(t, whole.Dir.Checkpoint(run.Best))))
}

type brokenFeed struct {
	step.Feeder
	err error
}

func (f brokenFeed) Next() (data.Info, error) { return data.Info{}, f.err }
