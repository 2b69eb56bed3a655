package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
	"alexnet/internal/run"
	"alexnet/internal/step/steptest"
)

// shapes writes the pictures of steptest.Pictures into a folder, of which those with these numbers are cut.
func shapes(t *testing.T, bad ...int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := demo.Write(t.Context(), files.OS, dir, demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	set := steptest.OpenFolder(t, dir).Train
	for _, i := range bad {
		cut(t, filepath.Join(dir, set.Name(i)))
	}
	return dir
}

func cut(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 40); err != nil {
		t.Fatal(err)
	}
}

// order is which pictures are at which places of an epoch, counted from 0.
func order(t *testing.T, pictures int, seed uint64, epoch int) (at []int) {
	t.Helper()
	c := data.Contents{Classes: make([]string, pictures)}
	for i := range pictures {
		c.Train = append(c.Train, data.Record{Name: fmt.Sprint(i), Label: int32(i), Number: 0})
	}
	raw, err := os.ReadFile(filepath.Join("..", "data", "picture", "testdata", "one.png"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := data.NewLoader(t.Context(), data.New(c, data.Memory{raw}, 0, 0).Train, data.LoaderOptions{
		Batch: pictures, Seed: seed, Train: true, Augment: config.Augment{Crop: config.CenterCrop},
		Recipe: recipe.Recipe{Resize: 1, Height: 1, Width: 1, Channels: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Seek(uint64(epoch * pictures))
	info, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range info.Batch.Labels[:pictures] {
		at = append(at, int(label))
	}
	return at
}

// TestBatchWithoutPictures: a whole batch that cannot be read is passed over: no step, no line, and the run ends after
// as many epochs as ever. Interrupted anywhere around it and resumed, it is the undisturbed one; on two devices too.
func TestBatchWithoutPictures(t *testing.T) {
	t.Parallel()
	const batch, epochs = 16, 2
	dir := shapes(t, order(t, tinyTrain, 1, 0)[batch:2*batch]...) // the second of the first epoch
	sets := []string{"train.epochs=2", "data.bad_share=1"}
	fresh := func(devices int) (Options, *log) {
		o, l := options(t, sets...)
		o.Source = steptest.OpenFolder(t, dir)
		if devices > 1 {
			o.Devices = reference.Open(devices)
		}
		return o, l
	}
	for _, devices := range []int{1, 2} {
		o, l := fresh(devices)
		o.Dir = folder(t)
		r := mustRun(t, o)
		const steps = epochs*tinySteps - 1
		if r.Steps != steps || r.PlannedSteps != steps || r.Epochs != epochs || len(l.epochs) != epochs {
			t.Errorf("%d steps of %d, %d epochs", r.Steps, r.PlannedSteps, r.Epochs)
		}
		for i, m := range l.steps {
			if want := uint64(min(i, 1)); m.Step != uint64(i+1) || m.SkippedBatches != want || m.Loss == nil {
				t.Errorf("line %d: %+v", i, m)
			}
		}
		if len(l.steps) != steps || !l.noted("none of the 16 pictures of a batch in epoch 1 can be read") ||
			len(r.Warnings) != 1 {
			t.Errorf("%d lines, warnings %v", len(l.steps), r.Warnings)
		}
		if c := load(t, r.LastPath); c.Sample != epochs*tinyTrain {
			t.Errorf("at sample %d", c.Sample)
		}
		want, lines := state(t, r.LastPath), timeless(t, o.Dir)

		cuts := []int{0, 1, 4} // before the batch, after it, in the next epoch
		if devices > 1 {
			cuts = cuts[:2]
		}
		for _, at := range cuts {
			o, l := fresh(devices)
			o.Dir = folder(t)
			ctx, stop := context.WithCancel(t.Context())
			o.afterStep = func(tr *trainer) {
				if tr.steps.Pass.Step == uint64(at+1) {
					stop()
				}
			}
			var ended *Interrupted
			if _, err := Run(ctx, o); !errors.As(err, &ended) || ended.Step != uint64(at+1) {
				t.Fatalf("interrupted: %v", err)
			}
			again, _ := fresh(devices)
			again.Dir, again.Resume = o.Dir, load(t, ended.Checkpoint)
			r := mustRun(t, again)
			if r.Steps != steps || r.PlannedSteps != steps || len(l.steps) != at+1 {
				t.Errorf("resumed after step %d: %d steps of %d", at+1, r.Steps, r.PlannedSteps)
			}
			same(t, fmt.Sprint("resumed after step ", at+1), state(t, r.LastPath), want)
			sameLines(t, timeless(t, o.Dir), lines)
		}

		o, _ = fresh(devices)
		o.Dir, o.Steps = folder(t), 3
		if r := mustRun(t, o); r.Steps != 3 || r.Epochs != 1 {
			t.Errorf("asked for 3 steps: %d, %d epochs", r.Steps, r.Epochs)
		}
	}
}

// begun is a run of two steps on the shapes, and what it becomes when nothing disturbs it.
func begun(t *testing.T, dir string, sets ...string) (d *run.Dir, want string) {
	t.Helper()
	for _, steps := range []int{2 * tinySteps, 2} {
		o, _ := options(t, sets...)
		o.Source, o.Dir = steptest.OpenFolder(t, dir), folder(t)
		if steps == 2 {
			// interrupted, so that it goes on as the undisturbed one does
			ctx, stop := context.WithCancel(t.Context())
			o.afterStep = func(tr *trainer) {
				if tr.steps.Pass.Step == 2 {
					stop()
				}
			}
			if _, err := Run(ctx, o); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			return o.Dir, want
		}
		o.Steps = steps
		want = state(t, mustRun(t, o).LastPath)
	}
	panic("not reached")
}

// brittle opens the shapes through a file system that can fail.
func brittle(t *testing.T, dir string) (*data.Source, *filestest.FS) {
	t.Helper()
	disk := filestest.New(files.OS)
	s, err := data.Open(t.Context(), disk, data.At(dir), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, disk
}

// noting is a Progress that does something at each note.
type noting struct {
	*log
	do func(Note)
}

func (n noting) Note(x Note) {
	n.log.Note(x)
	n.do(x)
}

// TestDataGoneAndBack: a run whose data goes away for a while, whatever the system calls that, waits, says so, and is
// the undisturbed run.
func TestDataGoneAndBack(t *testing.T) {
	t.Parallel()
	dir := shapes(t)
	d, want := begun(t, dir)
	for _, number := range []syscall.Errno{
		syscall.ESTALE, syscall.EMFILE, syscall.ENOENT, // package data tries more
	} {
		t.Run(number.Error(), func(t *testing.T) {
			t.Parallel()
			again := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(again, os.DirFS(d.Path())); err != nil {
				t.Fatal(err)
			}
			copied, err := run.Open(files.OS, again)
			if err != nil {
				t.Fatal(err)
			}
			defer copied.Close()
			o, l := options(t)
			var disk *filestest.FS
			o.Source, disk = brittle(t, dir)
			o.Progress = noting{l, func(n Note) {
				if x, is := n.(data.Outage); is && !x.Over {
					disk.Mend()
				}
			}}
			var looks atomic.Int32
			disk.Break(number, func(c filestest.Call) bool {
				return c.Op == "stat" && looks.Add(1) > 40 // in the middle of the epoch, its folders too
			})
			o.Dir, o.Resume, o.Steps = copied, load(t, copied.Checkpoint(run.Last)), 2*tinySteps
			r, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "after an outage", state(t, r.LastPath), want)
			if r.Bad != 0 || !l.noted("trying again for up to 5m") || !l.noted("can be read again after") {
				t.Errorf("%d bad pictures, notes %v", r.Bad, l.notes)
			}
		})
	}
}

// TestDataGone: data that stays away ends the run: the error says what was missing, for how long and when, the last
// checkpoint stays as it is, and the run goes on from there to what it would have been.
func TestDataGone(t *testing.T) {
	t.Parallel()
	dir := shapes(t)
	d, want := begun(t, dir)
	last := d.Checkpoint(run.Last)
	before, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	unmount := func(t *testing.T) func() {
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		after uint64 // so many steps
		says  string
	}{
		"at once": {0, "after step 2: data " + dir}, "in the validation": {4, "after step 4: data " + dir},
	} {
		o, _ := options(t, "data.retry=300ms")
		o.Source = steptest.OpenFolder(t, dir)
		var back func()
		if c.after == 0 {
			back = unmount(t)
		}
		o.afterStep = func(tr *trainer) {
			if tr.steps.Pass.Step == c.after {
				back = unmount(t)
			}
		}
		o.Dir, o.Resume, o.Steps = d, load(t, last), 2*tinySteps
		_, err := Run(t.Context(), o)
		back()
		var gone *DataGone
		var fault *data.SourceFault
		if !errors.As(err, &gone) || !errors.As(err, &fault) || fault.Tried != 300*time.Millisecond ||
			gone.Checkpoint != last {
			t.Fatalf("%s: error %v", name, err)
		}
		for _, part := range []string{c.says, "something else is in its place", "tried for 300ms", "is kept: " + last} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v, want %q in it", name, err, part)
			}
		}
		after, err := os.ReadFile(last)
		if err != nil || !slices.Equal(before, after) {
			t.Errorf("%s: the checkpoint is not what it was (%v)", name, err)
		}
	}
	o, _ := options(t)
	o.Source, o.Dir, o.Resume, o.Steps = steptest.OpenFolder(t, dir), d, load(t, last), 2*tinySteps
	same(t, "resumed", state(t, mustRun(t, o).LastPath), want)
}

// TestDataGoneBefore: data that is gone before the first step ends the run with its failure, and blames no picture.
func TestDataGoneBefore(t *testing.T) {
	t.Parallel()
	o, l := options(t, "data.retry=0")
	var disk *filestest.FS
	o.Source, disk = brittle(t, shapes(t))
	disk.Fail("readat", 20, syscall.EIO)
	_, err := Run(t.Context(), o)
	if !errors.As(err, new(*data.SourceFault)) || len(l.steps) > 0 || len(o.Source.Train.Bad()) > 0 {
		t.Errorf("error %v, %d steps, bad %v", err, len(l.steps), o.Source.Train.Bad())
	}
}

// TestInterruptedWhileReading: a run whose pictures hang in a system call hears its signal at once.
func TestInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	dir := shapes(t)
	d, _ := begun(t, dir)
	for _, resumed := range []bool{true, false} {
		o, _ := options(t)
		var disk *filestest.FS
		o.Source, disk = brittle(t, dir)
		if resumed {
			o.Dir, o.Resume = d, load(t, d.Checkpoint(run.Last))
		}
		ctx, stop := context.WithCancel(t.Context())
		var reads atomic.Int32
		release := disk.Hang(func(c filestest.Call) bool {
			if c.Op != "readat" || reads.Add(1) < 30 {
				return false
			}
			time.AfterFunc(20*time.Millisecond, stop)
			return true
		})
		defer release()
		ended := make(chan error, 1)
		go func() {
			_, err := Run(ctx, o)
			ended <- err
		}()
		<-ctx.Done()
		select {
		case err := <-ended:
			if !errors.Is(err, ErrInterrupted) {
				t.Errorf("error %v", err)
			}
		case <-time.After(30 * time.Second): // it takes milliseconds, where nobody else computes
			t.Error("the signal was not heard")
			release()
			t.Logf("late: %v", <-ended)
		}
	}
}

// TestTooManyBad: more bad pictures than data.bad_share ends a run: before it begins, or in the epoch that meets them,
// at the same step whether it was resumed in between or not, and leaves the checkpoint as it was.
func TestTooManyBad(t *testing.T) {
	t.Parallel()
	at := order(t, tinyTrain, 1, 0)
	bad := slices.Concat(at[3:16], at[16:20], at[32:45], at[50:55]) // 13, 4, 13 and 5 of the four batches
	dir := shapes(t, bad...)
	o, l := options(t)
	o.Source = steptest.OpenFolder(t, dir)
	var many *TooManyBad
	if _, err := Run(t.Context(), o); !errors.As(err, &many) || many.Epoch != 0 || many.Bad != 21 ||
		!strings.Contains(err.Error(), "21 of 60 training pictures cannot be read so far, more than data.bad_share "+
			"(0.01) allows: train/") || len(l.steps) > 0 || many.Data.String() != dir {
		t.Errorf("before the first step: %v", err)
	}
	for share, ends := range map[string]bool{"0.58": true, "0.59": false, "1": false} { // 35 of 60 are .583
		o, _ := options(t, "train.epochs=1", "data.bad_share="+share)
		o.Source = steptest.OpenFolder(t, dir)
		if _, err := Run(t.Context(), o); errors.As(err, &many) != ends || !ends && err != nil {
			t.Errorf("share %s: %v", share, err)
		}
	}

	for _, cutAfter := range []uint64{1, 2} {
		o, _ := options(t, "data.bad_share=1")
		o.Source, o.Dir = steptest.OpenFolder(t, dir), folder(t)
		ctx, stop := context.WithCancel(t.Context())
		o.afterStep = func(tr *trainer) {
			if tr.steps.Pass.Step == cutAfter {
				stop()
			}
		}
		if _, err := Run(ctx, o); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		last := o.Dir.Checkpoint(run.Last)
		before := state(t, last)
		again, l := options(t, "data.bad_share=0.4") // more than 24
		again.Source, again.Dir, again.Resume = steptest.OpenFolder(t, dir), o.Dir, load(t, last)
		_, err := Run(t.Context(), again)
		if !errors.As(err, &many) || many.Epoch != 1 || many.Bad != 30 || many.Checkpoint != last ||
			!strings.Contains(err.Error(), "epoch 1: 30 of 60") || len(many.Names) < 4 {
			t.Errorf("resumed after step %d: %v", cutAfter, err)
		}
		if len(l.steps) > 3 {
			t.Errorf("%d steps after that", len(l.steps))
		}
		same(t, "the checkpoint", state(t, last), before)
	}
}

// TestFewBadPicturesAreNotTooMany: up to 20 bad pictures end nothing, however small the share; nor do those of another
// epoch count.
func TestFewBadPicturesAreNotTooMany(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "train.epochs=3", "data.bad_share=0")
	o.Source = steptest.OpenFolder(t, shapes(t, order(t, tinyTrain, 1, 0)[:20]...))
	if r := mustRun(t, o); r.Bad != 20 || r.Epochs != 3 {
		t.Errorf("%d bad pictures, %d epochs", r.Bad, r.Epochs)
	}
}

// TestNothingLeftToTrainOn: an epoch without any picture ends a run that was begun when there were some.
func TestNothingLeftToTrainOn(t *testing.T) {
	t.Parallel()
	dir := shapes(t)
	d, _ := begun(t, dir)
	before := state(t, d.Checkpoint(run.Last))
	for _, name := range namesIn(steptest.OpenFolder(t, dir).Train) {
		cut(t, filepath.Join(dir, name))
	}
	o, _ := options(t, "data.bad_share=1")
	o.Source, o.Dir, o.Resume = steptest.OpenFolder(t, dir), d, load(t, d.Checkpoint(run.Last))
	o.Config.Train.Epochs = 1000
	_, err := Run(t.Context(), o)
	if !errors.Is(err, data.ErrNoData) || !strings.Contains(err.Error(), "none of 60 training pictures could be read") {
		t.Errorf("error %v", err)
	}
	c := load(t, d.Checkpoint(run.Last))
	weights := state(t, d.Checkpoint(run.Last))
	if c.Step != 2 {
		t.Errorf("%d steps were taken", c.Step)
	}
	same(t, "weights and momentum", tensorsOnly(weights), tensorsOnly(before))
}

func namesIn(set *data.Set) (names []string) {
	for i := range set.Len() {
		names = append(names, set.Name(i))
	}
	return names
}
