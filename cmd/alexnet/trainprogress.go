package main

import (
	"fmt"
	"strings"

	"alexnet/internal/report"
	"alexnet/internal/train"
)

// trainProgress draws a training run: the bar of an epoch, and a line that stays for each.
type trainProgress struct {
	*progress
	ahead train.Start
	epoch epochSums
	pace  float64 // seconds a picture, smoothed over some ten steps; 0: no step yet
}

// epochSums are over the steps since the last epoch line; seconds are those of a picture.
type epochSums struct{ steps, loss, seconds, stalled float64 }

func newTrainProgress(t *terminal) *trainProgress { return &trainProgress{progress: newProgress(t)} }

// Start tells what lies ahead.
func (p *trainProgress) Start(s train.Start) {
	p.ahead = s
	text := fmt.Sprintf("%s, batches of %d: %s an epoch", counted(s.Pictures, "picture"), s.Batch, counted(int(s.StepsPerEpoch), "step"))
	if s.First > 0 {
		text += fmt.Sprintf("; going on after step %d", s.First)
	}
	p.note("%s", text)
}

// Step moves the bar.
func (p *trainProgress) Step(m report.Metrics) {
	e, seconds := &p.epoch, 1/or(m.ImagesPerSecond, 1) // of a picture
	e.steps, e.loss, e.seconds, e.stalled = e.steps+1, e.loss+or(m.Loss, 0), e.seconds+seconds, e.stalled+seconds*or(m.DataStall, 0)
	if p.pace == 0 {
		p.pace = seconds
	}
	p.pace += (seconds - p.pace) / 10
	first := uint64(m.Epoch-1) * p.ahead.StepsPerEpoch // step before the epoch's first
	p.update(status{
		label: fmt.Sprintf("epoch %d/%d", m.Epoch, p.ahead.Epochs),
		done:  int64(m.Step - first), all: int64(min(p.ahead.StepsPerEpoch, p.ahead.Steps-first)), left: int64(p.ahead.Steps - m.Step),
		rate: 1 / p.pace, loss: or(m.Loss, -1), stall: or(m.DataStall, -1),
	})
}

// Epoch leaves a line: means over the epoch's steps that were taken here, and the validation.
func (p *trainProgress) Epoch(m report.Metrics) {
	p.clear()
	n := p.ahead.StepsPerEpoch // a run that ends inside an epoch is validated there too
	parts := []string{fmt.Sprintf("epoch %d/%d", (m.Step+n-1)/n, p.ahead.Epochs), fmt.Sprintf("step %d", m.Step)}
	if e := p.epoch; e.steps > 0 {
		parts = append(parts, fmt.Sprintf("loss %.4f", e.loss/e.steps))
	}
	if m.ValLoss != nil {
		parts = append(parts, fmt.Sprintf("val loss %.4f", *m.ValLoss))
	}
	if m.ValTop1Error != nil && m.ValTop5Error != nil {
		parts = append(parts, fmt.Sprintf("val errors: top-1 %s, top-5 %s", percent(*m.ValTop1Error), percent(*m.ValTop5Error)))
	}
	if e := p.epoch; e.steps > 0 {
		parts = append(parts, speed(e.steps/e.seconds), fmt.Sprintf("stall %.0f%%", 100*e.stalled/e.seconds))
	}
	p.epoch = epochSums{}
	p.note("%s", strings.Join(parts, "  "))
}

// Note writes a line for people.
func (p *trainProgress) Note(line string) { p.note("%s", line) }

func or(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}
