package main

import (
	"fmt"
	"sync/atomic"

	"alexnet/internal/report"
	"alexnet/internal/step"
	"alexnet/internal/text"
	"alexnet/internal/train"
	"alexnet/internal/ui"
)

// trainProgress draws a training run: the bar of an epoch, and a line that stays for each.
type trainProgress struct {
	bar   *ui.Progress
	width int // of the terminal; 0: none
	ahead train.Start
	dir   string // of the run
	top5  bool   // there are more than five classes
	began atomic.Bool
	epoch epochSums
	pace  float64 // seconds a picture, smoothed over some ten steps; 0: no step yet
}

// epochSums are over the steps since the last epoch line; seconds are those of a picture.
type epochSums struct{ steps, seconds, stalled float64 }

func newTrainProgress(t *ui.Terminal, dir string, classes int) *trainProgress {
	return &trainProgress{bar: ui.NewProgress(t), width: t.ErrWidth, dir: dir, top5: classes > fewClasses}
}

// fewClasses are so few that the right one is always among the five most probable.
const fewClasses = 5

// errorsOf writes the errors of an evaluation; top-5 says nothing where there are no more classes than that.
func errorsOf(s *step.Score, classes int) string {
	if classes <= fewClasses {
		return "top-1 " + text.Percent(s.Top1Error)
	}
	return fmt.Sprintf("top-1 %s, top-5 %s", text.Percent(s.Top1Error), text.Percent(s.Top5Error))
}

// Start tells what lies ahead. The run folder is worth naming from now on: what failed before leaves none.
func (p *trainProgress) Start(s train.Start) {
	p.ahead = s
	p.bar.Note("run folder: %s", p.dir)
	line := fmt.Sprintf("%s, batches of %d: %s an epoch", text.Count(s.Pictures, "picture"), s.Batch,
		text.Count(int(s.StepsPerEpoch), "step"))
	if s.First > 0 {
		line += fmt.Sprintf("; going on after step %d", s.First)
	}
	p.bar.Note("%s", line)
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
	first := uint64(m.Epoch-1) * p.ahead.StepsPerEpoch // step before the epoch's first
	p.bar.Update(ui.Status{
		Label: fmt.Sprintf("epoch %d/%d", m.Epoch, p.ahead.Epochs),
		Done:  int64(m.Step - first), All: int64(min(p.ahead.StepsPerEpoch, p.ahead.Steps-first)),
		Left: int64(p.ahead.Steps - m.Step), Rate: 1 / p.pace,
		Loss: valueOr(m.Loss, -1), Stall: valueOr(m.DataStall, -1),
	})
}

// Epoch leaves a line: the mean loss over the epoch, the validation, and the speed of the steps taken here. What a
// terminal has no room for is left out, from the end.
func (p *trainProgress) Epoch(m report.Metrics) {
	p.bar.Clear()
	parts := []string{fmt.Sprintf("epoch %d/%d", m.Epoch, p.ahead.Epochs), fmt.Sprintf("step %d", m.Step)}
	if m.TrainLoss != nil {
		parts = append(parts, fmt.Sprintf("mean loss %.4f", *m.TrainLoss))
	}
	if m.ValLoss != nil {
		parts = append(parts, fmt.Sprintf("val loss %.4f", *m.ValLoss))
	}
	if m.ValTop1Error != nil && m.ValTop5Error != nil {
		parts = append(parts, "top-1 "+text.Percent(*m.ValTop1Error))
		if p.top5 {
			parts = append(parts, "top-5 "+text.Percent(*m.ValTop5Error))
		}
	}
	if e := p.epoch; e.steps > 0 {
		parts = append(parts, text.Speed(e.steps/e.seconds), fmt.Sprintf("stall %.0f%%", 100*e.stalled/e.seconds))
	}
	p.epoch = epochSums{}
	p.bar.Note("%s", text.JoinFitting(parts, p.width))
}

// noteStopping says what the first signal brings about: a checkpoint, where there is a step to keep.
func (p *trainProgress) noteStopping() {
	what := "stopping"
	if p.began.Load() {
		what = "stopping: writing a checkpoint"
	}
	p.bar.Note("%s; once more to quit at once", what)
}

// Note writes a line for people.
func (p *trainProgress) Note(n train.Note) { p.bar.Note("%s", wordNote(n)) }

func valueOr(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}
