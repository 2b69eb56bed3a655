// Package step is what training, measuring and inference share: the training step and its statistics, and the little
// that leads up to it.
//
// A [Stepper] takes the very same steps for a run and for a bench, so that what is measured is what trains. It enqueues
// a step and looks at the results of the one before. Around it are who feeds it ([Feeder]), what came of a step
// ([Taken], [Score], [Tally]), the precision that devices can do ([Precision]), and what memory nets take ([MemoryOf]).
//
// It joins model, device and data, and reads configurations. It imports no backend, and nobody who takes or measures
// steps.
package step

import (
	"time"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
)

// Feeder fills one of a net's upload slots after the other: a data.Loader, or bench's synthetic pictures.
type Feeder interface {
	Next() (data.Info, error)
}

// Slots lets data write into a net's upload slots: data knows no device.
type Slots struct{ Net *model.Net }

// Count is how many there are.
func (s Slots) Count() int { return s.Net.Slots() }

// Rows are those of slot i, as soon as the devices have read what was in it.
func (s Slots) Rows(i int) data.Rows {
	b := s.Net.Slot(i)
	return data.Rows{Pixels: b.Pixels, Labels: b.Labels, Crop: b.Crop, Flip: b.Flip, Color: b.Color}
}

// Stepper takes training steps: those of a run and of a bench. After a step is enqueued it waits for the one before, so
// that the devices always have a step to work on while the host fills the next batch and writes metrics.
type Stepper struct {
	Net  *model.Net
	Feed Feeder
	Pass model.Pass // of the next step: Step, and what stays the same between two drains (Seed, Momentum, LR, Decay)
	Next uint64     // number of the next sample
	// Skipped is how many pictures the last call of Step passed over instead of taking a step: a whole batch, of which
	// none could be read. 0: it took one.
	Skipped int
	Passed  uint64 // batches passed over so far in the run

	stats   [2][]float32  // (rows, 3) of the step in flight and the one before
	flights [2]flight     // the same
	flight  *flight       // of these; nil: none
	landed  time.Time     // when the step before was over
	stall   float64       // seconds without a step for the devices since then
	waited  time.Duration // for batches that were passed over, since the last step
}

// flight is a step whose results are not yet there.
type flight struct {
	result Taken
	stats  []float32 // (rows, 3): loss, top-1 miss, top-5 miss
	ticket device.Ticket
}

// Taken is what became of a step.
type Taken struct {
	Step    uint64 // steps taken so far, this one included
	Epoch   int    // of its samples, from 1
	Rows    int    // pictures in the batch
	Good    int    // those among them that could be read
	Score   Score  // over the good ones
	Passed  uint64 // batches passed over before it, those before a resume included
	Seconds float64
	Stall   float64 // of these, the seconds in which the devices had nothing to do because pictures were missing
}

// New makes a stepper of a net that takes so many rows at once.
func New(net *model.Net, feed Feeder, rows int) *Stepper {
	return &Stepper{Net: net, Feed: feed, stats: [2][]float32{make([]float32, 3*rows), make([]float32, 3*rows)}}
}

// Step enqueues one step (the next batch, forward, backward, update) and returns the step before, which the next call
// overwrites, or nil where there is none in flight. The mean of loss and gradient is over the pictures that could be
// read. Where there are none no step is taken: it would only decay the weights. The samples move on, a step in flight
// stays there, and Skipped tells.
func (s *Stepper) Step() (*Taken, error) {
	if s.landed.IsZero() {
		s.landed = time.Now()
	}
	info, err := s.Feed.Next()
	if err != nil {
		return nil, err
	}
	s.Skipped = 0
	if info.Good == 0 {
		s.Skipped, s.Next = info.Rows, info.First+uint64(info.Rows)
		s.Passed++
		s.waited += info.Wait
		return nil, nil
	}
	s.Pass.First, s.Pass.Rows, s.Pass.Divisor = info.First, info.Rows, float32(info.Good)
	s.Net.Step(s.Net.Slot(info.Slot), s.Pass)
	stats := s.stats[s.Pass.Step%2][:3*info.Rows]
	before := s.flight
	s.flight = &s.flights[s.Pass.Step%2]
	*s.flight = flight{
		result: Taken{Step: s.Pass.Step + 1, Epoch: info.Epoch + 1, Rows: info.Rows, Good: info.Good, Passed: s.Passed},
		stats:  stats, ticket: s.Net.Stats(stats),
	}
	s.Pass.Step++
	s.Next = info.First + uint64(info.Rows)
	wait := s.waited + info.Wait
	s.waited = 0
	return s.land(before, wait)
}

// Drain waits for the step in flight and for all that is enqueued; it returns that step, or nil.
func (s *Stepper) Drain() (*Taken, error) {
	last := s.flight
	s.flight = nil
	t, err := s.land(last, 0)
	if err != nil {
		return nil, err
	}
	return t, s.Net.Sync()
}

// Rest forgets the clock: what comes between (validation, a checkpoint) belongs to no step.
func (s *Stepper) Rest() { s.landed, s.stall = time.Time{}, 0 }

// stillBusy is how long a wait for the devices must last to show that they were at work while the loop waited for
// pictures.
const stillBusy = time.Millisecond

// land waits for a step. The loop had just waited so long for the next step's pictures; that was a stall only if the
// devices were done by then.
func (s *Stepper) land(f *flight, waited time.Duration) (*Taken, error) {
	if f == nil {
		s.stall += waited.Seconds()
		return nil, nil
	}
	start := time.Now()
	if err := f.ticket.Wait(); err != nil {
		return nil, err
	}
	now := time.Now()
	if now.Sub(start) < stillBusy {
		s.stall += waited.Seconds()
	}
	f.result.Seconds, f.result.Stall = now.Sub(s.landed).Seconds(), s.stall
	s.landed, s.stall = now, 0
	var sum Tally
	sum.Add(f.stats, f.result.Good)
	f.result.Score = sum.Score()
	return &f.result, nil
}
