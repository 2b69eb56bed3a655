package main

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"alexnet/internal/report"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// trainProgress draws a training run: the bar of an epoch, and a line that stays for each.
type trainProgress struct {
	phases
	bar   *ui.Progress
	width int // of the terminal; 0: none
	ahead train.Start
	dir   string // of the run
	top5  bool   // there are more than five classes
	began atomic.Bool
	epoch epochSums
	// stalled: it was said what a stall is
	stalled bool
	pace    float64 // seconds a picture, smoothed over some ten steps; 0: no step yet
}

// epochSums are over the steps since the last epoch line; seconds are those of a picture.
type epochSums struct{ steps, seconds, stalled float64 }

func newTrainProgress(t *ui.Terminal, dir string, classes int) *trainProgress {
	return &trainProgress{
		phases: phases{t: t}, bar: ui.NewProgress(t), width: t.ErrWidth, dir: dir, top5: classes > step.TopK,
	}
}

// errorsOf writes the errors of an evaluation; top-5 says nothing where there are no more classes than that.
func errorsOf(s *step.Score, classes int) string {
	if classes <= step.TopK {
		return "top-1 " + text.Percent(s.Top1Error)
	}
	return fmt.Sprintf("top-1 %s, top-5 %s", text.Percent(s.Top1Error), text.Percent(s.Top5Error))
}

// Start tells what lies ahead. The run folder is worth naming from now on: what failed before leaves none.
func (p *trainProgress) Start(s train.Start) {
	p.ahead = s
	p.bar.Note("run folder: %s", text.Name(p.dir))
	line := fmt.Sprintf("%s, batches of %d: %s an epoch", text.Count(s.Pictures, "picture"), s.Batch,
		text.Count(int(s.StepsPerEpoch), "step"))
	if s.First > 0 {
		line += fmt.Sprintf("; going on after step %d of %d", s.First, s.Steps)
	}
	p.bar.Note("%s", line)
	p.show(report.Metrics{Step: s.First, SkippedBatches: s.Skipped, Epoch: p.epochAfter(s.First + s.Skipped)})
}

// epochAfter is the epoch of the batch that comes after so many, the last one where none does.
func (p *trainProgress) epochAfter(batches uint64) int {
	return min(int(batches/max(p.ahead.StepsPerEpoch, 1))+1, p.ahead.Epochs)
}

// Step moves the bar.
func (p *trainProgress) Step(m report.Metrics) {
	p.began.Store(true)
	e, seconds := &p.epoch, 1/valueOr(m.ImagesPerSecond, 1) // of a picture
	e.steps, e.seconds, e.stalled = e.steps+1, e.seconds+seconds, e.stalled+seconds*valueOr(m.DataStall, 0)
	if p.pace == 0 {
		p.pace = seconds
	}
	p.pace += (seconds - p.pace) / 10
	p.show(m)
}

// show puts the bar where m is.
func (p *trainProgress) show(m report.Metrics) {
	done, left, all := p.place(m)
	s := ui.Status{
		Label: fmt.Sprintf("epoch %d/%d", m.Epoch, p.ahead.Epochs),
		Done:  done, All: all, Left: left, Loss: valueOr(m.Loss, -1), Stall: valueOr(m.DataStall, -1),
	}
	if p.pace > 0 {
		s.Rate = 1 / p.pace
	}
	p.bar.Update(s)
}

// place is where a step is in its epoch, and how many are left, in batches: those that were passed over count as done.
func (p *trainProgress) place(m report.Metrics) (done, left, all int64) {
	a := &p.ahead
	per, batch := int64(a.StepsPerEpoch), int64(m.Step+m.SkippedBatches)
	done = batch - int64(m.Epoch-1)*per
	left = min(int64(a.Steps)-int64(m.Step), int64(a.Epochs)*per-batch)
	return done, left, min(per, done+left)
}

// Epoch leaves a line: the mean loss over the epoch, the validation, and the speed of the steps taken here.
func (p *trainProgress) Epoch(m report.Metrics) {
	p.bar.Clear()
	p.bar.Note("%s", ui.Fit(p.epochParts(m), p.width))
	if e := p.epoch; !p.stalled && e.steps > 0 && e.stalled >= muchStall*e.seconds {
		p.stalled = true
		p.bar.Note("stall %.0f%%: the share of the time in which the device waited for pictures",
			100*e.stalled/e.seconds)
	}
	p.epoch = epochSums{}
	next := report.Metrics{Step: m.Step, SkippedBatches: m.SkippedBatches, Epoch: m.Epoch + 1}
	if _, left, _ := p.place(next); left > 0 {
		p.show(next)
	}
}

// muchStall is a share that is worth a word, once in a run.
const muchStall = 0.1

// epochParts are those of an epoch's line. Where a terminal has no room for all, the error that the run is judged by
// stays longest, then the losses.
func (p *trainProgress) epochParts(m report.Metrics) []ui.Part {
	const (
		first = iota
		error1
		meanLoss
		valLoss
		error5
		steps
		speed
		stall
	)
	epochs, last := strconv.Itoa(p.ahead.Epochs), strconv.FormatUint(p.ahead.Steps, 10)
	parts := []ui.Part{
		{Text: fmt.Sprintf("epoch %d/%s", m.Epoch, epochs), Room: len("epoch /") + 2*len(epochs), Rank: first},
		{Text: fmt.Sprintf("step %d", m.Step), Room: len("step ") + len(last), Rank: steps},
	}
	add := func(rank int, text, longest string) {
		parts = append(parts, ui.Part{Text: text, Room: len(longest), Rank: rank})
	}
	if m.TrainLoss != nil {
		add(meanLoss, "mean loss "+text.Loss(*m.TrainLoss), "mean loss 9.9999")
	}
	if m.ValLoss != nil {
		add(valLoss, "val loss "+text.Loss(*m.ValLoss), "val loss 9.9999")
	}
	if m.ValTop1Error != nil && m.ValTop5Error != nil {
		add(error1, "top-1 "+text.Percent(*m.ValTop1Error), "top-1 100.0%")
		if p.top5 {
			add(error5, "top-5 "+text.Percent(*m.ValTop5Error), "top-5 100.0%")
		}
	}
	if e := p.epoch; e.steps > 0 {
		add(speed, text.Speed(e.steps/e.seconds), "99,999 images/s")
		add(stall, fmt.Sprintf("stall %.0f%%", 100*e.stalled/e.seconds), "stall 100%")
	}
	return parts
}

// phases show what a run is at besides steps.
type phases struct {
	t     *ui.Terminal
	phase *ui.Progress // nil: none is under way
	what  string       // that is
}

// Phase shows what the run is at now.
func (p *phases) Phase(now train.Phase) {
	if p.phase != nil && p.what != now.What {
		p.phase.Clear()
		p.phase = nil
	}
	if now.What == "" {
		return
	}
	if p.phase == nil {
		p.phase, p.what = ui.NewProgress(p.t), now.What
	}
	p.phase.CounterOf(now.Of, now.What)(now.Done, now.All)
}

// noteStopping says what the first signal brings about: a checkpoint, where there is a step to keep.
func (p *trainProgress) noteStopping() {
	what := "stopping"
	if p.began.Load() {
		what = "stopping: writing a checkpoint"
	}
	p.t.Stopping(what)
}

// Note writes a line for people.
func (p *trainProgress) Note(n train.Note) { p.bar.Note("%s", wordNote(n)) }

func valueOr(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}
