//go:build linux || darwin

package train

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
	"alexnet/internal/report"
	"alexnet/internal/run"
)

// outage is a disk on which nothing can be written while it is down: no file opened for it, no byte.
type outage struct {
	files.FS
	cause error
	only  string // the names that it is about hold this
	op    string // the operation that fails; empty: all
	stale bool   // what was opened before stays away
	down  atomic.Bool
}

func (o *outage) fails(op, name string) error {
	if !o.down.Load() || !strings.Contains(name, o.only) || o.op != "" && op != o.op {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: o.cause}
}

func (o *outage) OpenFile(name string, flag int, perm fs.FileMode) (files.File, error) {
	if err := o.fails("open", name); err != nil {
		return nil, err
	}
	f, err := o.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &outageFile{File: f, of: o}, nil
}

type outageFile struct {
	files.File
	of   *outage
	gone bool
}

func (f *outageFile) fails(op string) error {
	err := f.of.fails(op, f.Name())
	f.gone = f.gone || err != nil && f.of.stale
	if f.gone {
		err = &fs.PathError{Op: op, Path: f.Name(), Err: f.of.cause}
	}
	return err
}

func (f *outageFile) Sync() error {
	if err := f.fails("sync"); err != nil {
		return err
	}
	return f.File.Sync()
}

// Write leaves half of what it was given.
func (f *outageFile) Write(p []byte) (int, error) {
	if err := f.fails("write"); err != nil && f.gone {
		return 0, err
	} else if err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

// outageRun are the options of a run of two epochs that saves every second step, on a disk that is down between two
// steps, the last thing before which is step from, and the first after which is to.
func outageRun(t *testing.T, cause error, only string, from, to uint64) (Options, *log, *outage) {
	t.Helper()
	disk := &outage{FS: files.OS, cause: cause, only: only}
	dir, err := run.Create(disk, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		disk.down.Store(false)
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	o, l := options(t, "train.epochs=9", "train.checkpoint_steps=2")
	o.Dir, o.Steps = dir, 2*tinySteps
	o.afterStep = func(tr *trainer) {
		switch tr.steps.Pass.Step {
		case from:
			disk.down.Store(true)
		case to:
			disk.down.Store(false)
		}
	}
	return o, l, disk
}

// notSaved are the steps of which a run told that it could not save them, those of the best apart.
func notSaved(notes []Note) (last, best []uint64, recorded int) {
	for _, n := range notes {
		switch n := n.(type) {
		case NotSaved:
			if n.Best {
				best = append(best, n.Step)
			} else {
				last = append(last, n.Step)
			}
		case NotRecorded:
			recorded++
		}
	}
	return last, best, recorded
}

// A disk that cannot be written to for a while costs a run nothing: it says so, and ends as the undisturbed one.
func TestOutage(t *testing.T) {
	t.Parallel()
	want, lines := undisturbed(t, 2*tinySteps, "train.epochs=9", "train.checkpoint_steps=2")
	for _, cause := range []error{
		syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.ESTALE, syscall.ETIMEDOUT, syscall.EROFS,
	} {
		t.Run(cause.Error(), func(t *testing.T) {
			t.Parallel()
			o, l, _ := outageRun(t, cause, "", 5, 7)
			r := mustRun(t, o)
			same(t, "after the outage", state(t, r.LastPath), want)
			sameLines(t, timeless(t, o.Dir), lines)
			last, best, recorded := notSaved(l.notes)
			if len(last) != 1 || last[0] != 6 || len(best) != 0 || recorded != 1 {
				t.Errorf("told of the steps %v, of the best %v, of metrics %d times", last, best, recorded)
			}
			if !l.noted("no checkpoint of step 6: ") || !l.noted("; the one of step 4 stands") ||
				!l.noted("the metrics are written again; no line is missing") {
				t.Errorf("notes: %v", l.notes)
			}
			if last, _, recorded := notSaved(r.Warnings); len(last) != 1 || recorded != 1 {
				t.Errorf("warnings: %v", r.Warnings)
			}
		})
	}
}

// A file that is stale for good is opened again, and holds what the undisturbed one does.
func TestOutageLeavesStaleFiles(t *testing.T) {
	t.Parallel()
	want, lines := undisturbed(t, 2*tinySteps, "train.epochs=9", "train.checkpoint_steps=2")
	o, l, disk := outageRun(t, syscall.ESTALE, "", 5, 7)
	disk.stale = true
	r := mustRun(t, o)
	same(t, "after the outage", state(t, r.LastPath), want)
	sameLines(t, timeless(t, o.Dir), lines)
	if !l.noted("the metrics are written again; no line is missing") {
		t.Errorf("notes: %v", l.notes)
	}
}

// onDisk are the options of three steps, with a checkpoint after two, on a disk that can be made to fail.
func onDisk(t *testing.T) (Options, *log, *filestest.FS) {
	t.Helper()
	disk := filestest.New(files.OS)
	dir, err := run.Create(disk, filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() }) // its disk may have been made to fail
	o, l := options(t, "train.epochs=9", "train.checkpoint_steps=2")
	o.Dir, o.Steps = dir, 3
	return o, l, disk
}

// Metrics that cannot be synced are in no checkpoint's way.
func TestMetricsNotSynced(t *testing.T) {
	t.Parallel()
	o, l, disk := onDisk(t)
	o.afterStep = func(tr *trainer) {
		if tr.steps.Pass.Step == 2 {
			disk.Fail("sync", 0, syscall.EIO)
		}
		if c := tr.lastAt; tr.steps.Pass.Step == 3 && c != 2 {
			t.Errorf("the checkpoint is of step %d", c)
		}
	}
	mustRun(t, o)
	if !l.noted("warning: the metrics up to step 2 may be lost in a power failure: ") {
		t.Errorf("notes: %v", l.notes)
	}
}

// Metrics that can never be synced end no run, not even when they are closed, and are told of once a checkpoint.
func TestMetricsNeverSynced(t *testing.T) {
	t.Parallel()
	o, l, disk := outageRun(t, syscall.EIO, "metrics.jsonl", 1, 0)
	disk.op = "sync"
	r := mustRun(t, o)
	var steps []uint64
	for _, n := range l.notes {
		if n, is := n.(NotRecorded); is && n.Written {
			steps = append(steps, n.Step)
		}
	}
	if want := []uint64{2, 4, 6, 8}; !slices.Equal(steps, want) || len(r.Warnings) != len(want) {
		t.Errorf("told at steps %d, want %d; warnings: %v", steps, want, r.Warnings)
	}
}

// A best net that could not be written is not the best: the file says which is.
func TestOutageAtBest(t *testing.T) {
	t.Parallel()
	o, l, _ := outageRun(t, syscall.ENOSPC, "best", 3, 7)
	r := mustRun(t, o)
	if _, best, _ := notSaved(l.notes); len(best) != 1 || best[0] != 4 {
		t.Errorf("told of %v", best)
	}
	if c := load(t, r.BestPath); c.Best == nil || c.Best.Step != 8 || c.Step != 8 || *bestScore(c.Best) != *r.Best {
		t.Errorf("the best net is of %+v, the run says %+v", c.Best, r.Best)
	}
}

// A run that ends without its last checkpoint fails, at its end and when it is interrupted.
func TestOutageAtEnd(t *testing.T) {
	t.Parallel()
	for _, interrupted := range []bool{false, true} {
		o, l, disk := outageRun(t, syscall.EDQUOT, "", 7, 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l.onStep = func(m report.Metrics) {
			if interrupted && m.Step == 7 {
				cancel()
			}
		}
		_, err := Run(ctx, o)
		var unsaved *Unsaved
		if !errors.As(err, &unsaved) || !errors.Is(err, syscall.EDQUOT) || unsaved.Before != 6 ||
			unsaved.Interrupted != interrupted || errors.Is(err, ErrInterrupted) {
			t.Errorf("interrupted %t: error %v", interrupted, err)
		}
		if c := load(t, o.Dir.Checkpoint(run.Last)); c.Step != 6 {
			t.Errorf("the checkpoint is of step %d", c.Step)
		}
		disk.down.Store(false)
		again, _ := options(t, "train.epochs=9", "train.checkpoint_steps=2")
		again.Dir, again.Steps, again.Resume = o.Dir, o.Steps, load(t, o.Dir.Checkpoint(run.Last))
		want, lines := undisturbed(t, o.Steps, "train.epochs=9", "train.checkpoint_steps=2")
		same(t, "resumed", state(t, mustRun(t, again).LastPath), want)
		sameLines(t, timeless(t, o.Dir), lines)
	}
}

// A run whose metrics lack lines at its end fails, though it is saved.
func TestOutageOfMetrics(t *testing.T) {
	t.Parallel()
	o, l, _ := outageRun(t, syscall.ENOSPC, "metrics", 5, 0)
	_, err := Run(t.Context(), o)
	var missing *Unrecorded
	// of steps 6 to 8, and the epoch's
	if !errors.As(err, &missing) || missing.Lines != 4 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if c := load(t, o.Dir.Checkpoint(run.Last)); c.Step != 8 {
		t.Errorf("the checkpoint is of step %d", c.Step)
	}
	if b, err := os.ReadFile(o.Dir.Metrics()); err != nil || !strings.HasSuffix(string(b), "}\n") {
		t.Errorf("the metrics end in the middle of a line (%v)", err)
	}
	if last, _, recorded := notSaved(l.notes); len(last) != 0 || recorded != 1 {
		t.Errorf("told of the steps %v, of metrics %d times", last, recorded)
	}
}

// A limit on the size of files does not pass while the process lives: the run ends at once.
func TestLimitEnds(t *testing.T) {
	t.Parallel()
	o, l, _ := outageRun(t, syscall.EFBIG, "last", 5, 0)
	_, err := Run(t.Context(), o)
	if !errors.Is(err, syscall.EFBIG) || errors.As(err, new(*Unsaved)) || len(l.steps) != 6 {
		t.Errorf("after %d steps: error %v", len(l.steps), err)
	}
}

// What the file system cannot do is told once, and is in the way of nothing.
func TestWeakFileSystems(t *testing.T) {
	t.Parallel()
	for op, causes := range map[string][]error{
		"lock":    {syscall.ENOLCK, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL},
		"syncdir": {syscall.EACCES, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL},
	} {
		for _, cause := range causes {
			disk := filestest.New(files.OS)
			disk.Fail(op, 0, cause)
			path := filepath.Join(t.TempDir(), "run")
			dir, err := run.Create(disk, path)
			if err != nil {
				t.Fatal(err)
			}
			o, _ := options(t)
			o.Dir, o.Steps = dir, 2
			r := mustRun(t, o)
			var weak []Weak
			for _, n := range r.Warnings {
				if w, is := n.(Weak); is {
					weak = append(weak, w)
				}
			}
			if len(weak) != 1 || weak[0].Lock != (op == "lock") || !errors.Is(weak[0].Err, cause) {
				t.Errorf("%s, %v: warnings %v", op, cause, r.Warnings)
			}
			if err := dir.Close(); err != nil {
				t.Error(err)
			}
			left, err := filepath.Glob(filepath.Join(path, "lock"))
			if more, _ := filepath.Glob(filepath.Join(path, "*/.*")); err != nil || len(left)+len(more) > 0 {
				t.Errorf("%s, %v: left behind: %v %v (%v)", op, cause, left, more, err)
			}
		}
	}
}

// A folder that the disk fails to sync makes the save a failed one, although the file is there.
func TestFolderSyncFails(t *testing.T) {
	t.Parallel()
	o, l, disk := onDisk(t)
	o.afterStep = func(tr *trainer) {
		if tr.steps.Pass.Step == 2 {
			disk.Fail("syncdir", 0, syscall.EIO)
		}
	}
	mustRun(t, o)
	if !l.noted("warning: the checkpoint of step 2: ") || !l.noted("is written, but may be lost in a power failure: ") {
		t.Errorf("notes: %v", l.notes)
	}
	if c := load(t, o.Dir.Checkpoint(run.Last)); c.Step != 3 {
		t.Errorf("the checkpoint is of step %d", c.Step)
	}
}

// The lines that wait are bounded; what was given up is told.
func TestWaitingLines(t *testing.T) {
	disk := &outage{FS: files.OS, cause: syscall.ENOSPC}
	w, err := report.NewWriter(disk, t.TempDir(), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	l := &log{}
	r := reported{progress: l, metrics: w}
	disk.down.Store(true)
	const more = 3
	for i := range uint64(mostWaiting + more) {
		if err := r.append(report.Metrics{Step: i + 1, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.waiting) != mostWaiting || r.waiting[0].Step != more+1 {
		t.Errorf("%d lines wait, from step %d on", len(r.waiting), r.waiting[0].Step)
	}
	disk.down.Store(false)
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	var missing *Unrecorded
	if err := r.allRecorded(); !errors.As(err, &missing) || missing.Lines != more || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if !l.noted("written again; 3 lines could not be kept so long") {
		t.Errorf("notes %v", l.notes)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
