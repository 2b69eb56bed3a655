package train

import (
	"errors"
	"syscall"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/files"
	"alexnet/internal/report"
	"alexnet/internal/text"
)

// What a run does while its files cannot be written. A full disk, a quota, a share that answers ESTALE or EIO, one that
// is read-only all of a sudden: all of these pass, while the net is in memory and costs days to come by. So the run
// goes on, says what it could not write, and tries again.

// passing tells whether an error of writing may be another at the next try: it is the system's, or that of something
// that got into the file's place. What is wrong with a device or with the numbers does not pass, nor does a limit on
// the size of files: it holds as long as the process, and whoever set it is to know at once.
func passing(err error) bool {
	if errors.Is(err, syscall.EFBIG) {
		return false
	}
	return errors.As(err, new(syscall.Errno)) || errors.As(err, new(*files.InTheWay)) || errors.Is(err, files.ErrLocked)
}

// written tells whether the file is there for all that.
func written(err error) bool {
	var failed *atomicfile.Failed
	return errors.As(err, &failed) && failed.Now == atomicfile.Written
}

// twice tries once more, at once, what nothing will try later: a share that failed for a moment must not cost the only
// copy of a net.
func twice(save func() error) error {
	err := save()
	if err != nil && passing(err) && !written(err) {
		err = save()
	}
	return err
}

// tryLast is saveLast where another checkpoint will follow.
func (t *trainer) tryLast() error {
	err := t.saveLast()
	t.owed, t.lastTried = err != nil, t.now()
	if err == nil || !passing(err) {
		return err
	}
	t.warn(NotSaved{Step: t.steps.Pass.Step, Written: written(err), Before: t.lastBefore(), Err: err})
	return nil
}

// lastBefore is the step of the checkpoint that is there; 0: there is none.
func (t *trainer) lastBefore() uint64 {
	if t.lastPath == "" {
		return 0
	}
	return t.lastAt
}

// tryBest writes the best net so far, or holds it where it is not time for a checkpoint.
func (t *trainer) tryBest(best *checkpoint.Best, epoch int) error {
	t.best = best
	c := t.checkpoint(epoch)
	if t.early() && t.roomToHold {
		return t.hold(c)
	}
	t.held, t.copies = nil, nil // it is not the best any more
	return t.putBest(c)
}

// putBest writes the best net so far. Where it cannot, the best one remains that which is in the file, so that a later
// one has to be better than that.
func (t *trainer) putBest(c *checkpoint.Checkpoint) error {
	before := t.bestWritten
	err := twice(func() error { return t.saveBest(c) })
	if err == nil || written(err) {
		t.bestWritten = c.Best
	}
	if err == nil || !passing(err) {
		return err
	}
	n := NotSaved{Step: c.Best.Step, Best: true, Written: written(err), Err: err}
	if !n.Written {
		t.best = before
	}
	if before != nil {
		n.Before = before.Step
	}
	t.warn(n)
	return nil
}

// unsaved is the error of a run that ends without its last checkpoint.
func (t *trainer) unsaved(err error, interrupted bool) error {
	if !passing(err) {
		return err
	}
	return &Unsaved{
		Step: t.steps.Pass.Step, Interrupted: interrupted, Written: written(err), Before: t.lastBefore(), Err: err,
	}
}

// backlog are the lines of metrics that wait.
type backlog struct {
	waiting   []report.Metrics
	outage    bool   // it was told that lines wait
	unwritten error  // why one could not be written, the last time that one could not; nil: all could
	dropped   int    // lines that were given up
	recorded  uint64 // the step of the last line that was written
	unsynced  uint64 // the step up to which it was last told that lines may not be durable
	// reopen gives the metrics anew, with the lines up to step.
	reopen func(step uint64) (*report.Writer, error)
}

// mostWaiting is how many lines of metrics wait at most, some 20 MB; then the oldest are given up.
const mostWaiting = 1 << 16

// append writes a line of the metrics, after those that wait.
func (r *reported) append(m report.Metrics) error {
	if r.metrics == nil {
		return nil
	}
	if len(r.waiting) == mostWaiting {
		r.waiting = append(r.waiting[:0], r.waiting[1:]...)
		r.dropped++
	}
	r.waiting = append(r.waiting, m)
	return r.flush()
}

// flush writes the lines that wait, as far as it can. That some have to wait is told once, and so is that they were
// written.
func (r *reported) flush() error {
	for done, m := range r.waiting {
		err := r.write(m)
		if err == nil {
			continue
		}
		r.waiting = append(r.waiting[:0], r.waiting[done:]...)
		if !passing(err) {
			return err
		}
		if !r.outage {
			r.warn(NotRecorded{Step: m.Step, Err: err})
		}
		r.outage, r.unwritten = true, err
		return nil
	}
	if r.outage {
		missing := "no line is missing"
		if r.dropped > 0 {
			missing = text.Count(r.dropped, "line") + " could not be kept so long"
		}
		r.progress.Note(remark("the metrics are written again; %s", missing))
		r.outage = false
	}
	r.waiting = r.waiting[:0]
	return nil
}

// appendShown writes what is to be looked at. It does not wait where lines do, and where it cannot be written it is
// lost: only the lines are numbers that nobody has again.
func (r *reported) appendShown(step uint64, images []report.Image, histograms []report.Histogram) error {
	if len(r.waiting) > 0 {
		return nil
	}
	err := r.metrics.Show(step, images, histograms)
	if err == nil || !passing(err) {
		return err
	}
	r.progress.Note(remark("warning: the pictures and histograms of step %d cannot be written: %v; the run goes on "+
		"without them", step, err))
	return nil
}

// write appends one line. A file of a share that was away may be stale for good while its name leads to it again.
func (r *reported) write(m report.Metrics) error {
	err := r.metrics.Append(m)
	if errors.Is(err, syscall.ESTALE) {
		if again, e := r.reopen(r.recorded); e == nil {
			_ = r.metrics.Close() // it has no more to give
			r.metrics = again
			err = again.Append(m)
		}
	}
	if err == nil {
		r.recorded = m.Step
	}
	return err
}

// syncMetrics makes durable what was written of the metrics, before the checkpoint of a step, and tells which of their
// files somebody had removed. Where it cannot it says so: the checkpoint is worth more, and a run that goes on from one
// does without the lines.
func (r *reported) syncMetrics(step uint64) (restored []string, err error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	restored, err = r.metrics.Sync()
	return restored, r.notDurable(step, err)
}

// notDurable tells of an error of making lines up to step durable, once for each step, where it may pass; others it
// gives back.
func (r *reported) notDurable(step uint64, err error) error {
	if err == nil || !passing(err) {
		return err
	}
	if !r.outage && r.unsynced != step {
		r.warn(NotRecorded{Step: step, Written: true, Err: err})
	}
	r.unsynced = step
	return nil
}

// allRecorded is an error where lines of the metrics are missing at the end.
func (r *reported) allRecorded() error {
	if n := r.dropped + len(r.waiting); n > 0 {
		return &Unrecorded{Lines: n, Err: r.unwritten}
	}
	return nil
}

// tellWeak tells what the file system of the run folder turned out not to be able to do.
func (t *trainer) tellWeak() {
	if t.o.Dir == nil {
		return
	}
	for _, w := range t.o.Dir.Weaknesses() {
		t.warn(Weak{w})
	}
}
