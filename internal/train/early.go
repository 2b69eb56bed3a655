package train

import (
	"slices"
	"time"

	"alexnet/internal/checkpoint"
)

// Checkpoints of short epochs. Where the page does not say how often there is one, those of epochs of seconds would be
// most of what the run does: the paper's net has .7 GB of them, however few the pictures. So none is written at an
// epoch's end while the last is young. It is made up for as soon as that is no longer so, within an epoch too: what a
// kill costs is an epoch's steps at most, or those of lastYoung and one more. The best net waits in memory meanwhile,
// and is written before the next last checkpoint: that one knows of no best that is not there.

// lastYoung is how long after it was written, or found, a checkpoint is young.
const lastYoung = time.Minute

// early tells that it is not time yet for a checkpoint at an epoch's end: one is there that is young, or could not be
// written a moment ago.
func (t *trainer) early() bool {
	return t.o.Dir != nil && t.cfg.Train.CheckpointSteps == nil && !t.lastTried.IsZero() &&
		t.now().Sub(t.lastTried) < lastYoung
}

// due tells that a checkpoint is to be written after the step just taken. One that is owed comes after the validation
// where an epoch ends.
func (t *trainer) due() bool {
	if n := t.cfg.Train.CheckpointSteps; n != nil {
		return *n > 0 && t.steps.Pass.Step%uint64(*n) == 0
	}
	return t.owed && !t.early() && !t.epochEnds()
}

// hold keeps the best net in memory until it is written. c's tensors are those of the devices, which train on.
func (t *trainer) hold(c *checkpoint.Checkpoint) error {
	copies := t.copies
	if copies == nil {
		copies = make([][]float32, len(c.Params))
		for i := range copies {
			copies[i] = make([]float32, c.Params[i].Len())
		}
	}
	t.held, t.copies = nil, nil // of an error, neither is whole
	c.Params = slices.Clone(c.Params)
	for i := range c.Params {
		p := &c.Params[i]
		if err := p.Fill(copies[i]); err != nil {
			return err
		}
		p.Fill = func(dst []float32) error {
			copy(dst, copies[i])
			return nil
		}
	}
	t.held, t.copies = c, copies
	return nil
}

// writeHeld writes the best net that is held, if one is.
func (t *trainer) writeHeld() error {
	c := t.held
	if c == nil {
		return nil
	}
	t.held, t.copies = nil, nil
	return t.putBest(c)
}
