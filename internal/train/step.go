package train

import (
	"time"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
)

// feeder fills batches: a data.Loader, or bench's synthetic pictures.
type feeder interface {
	Next(dst data.Rows) (data.Info, error)
}

// stepper takes training steps: Run's and bench's. After a step is enqueued it waits for the one before, so that the
// devices always have a step to work on while the host fills the next batch and writes metrics.
type stepper struct {
	net  *model.Net
	feed feeder
	pass model.Pass // of the next step: Step, and what stays the same between two drains (Seed, Momentum, LR, Decay)
	next uint64     // number of the next sample

	stats   [2][]float32 // (rows, 3) of the step in flight and the one before
	flights [2]flight    // the same
	flight  *flight      // of these; nil: none
	landed  time.Time    // when the step before was over
	stall   float64      // seconds without a step for the devices since then
}

// flight is a step whose results are not yet there.
type flight struct {
	result taken
	stats  []float32 // (rows, 3): loss, top-1 miss, top-5 miss
	ticket device.Ticket
}

// taken is what became of a step.
type taken struct {
	Step    uint64 // steps taken so far, this one included
	Epoch   int    // of its samples, from 1
	Rows    int    // pictures in the batch
	Good    int    // those among them that could be read
	Score   Score  // over the good ones
	Seconds float64
	Stall   float64 // of these, the seconds in which the devices had nothing to do because pictures were missing
}

func newStepper(net *model.Net, feed feeder, rows int) *stepper {
	return &stepper{net: net, feed: feed, stats: [2][]float32{make([]float32, 3*rows), make([]float32, 3*rows)}}
}

// step enqueues one step (fill the batch, forward, backward, update) and returns the step before, which the next call
// overwrites, or nil where there is none in flight. The mean of loss and gradient is over the pictures that could be
// read.
func (s *stepper) step() (*taken, error) {
	if s.landed.IsZero() {
		s.landed = time.Now()
	}
	b := s.net.Stage()
	info, err := s.feed.Next(rowsOf(b))
	if err != nil {
		return nil, err
	}
	s.pass.First, s.pass.Rows, s.pass.Divisor = info.First, info.Rows, float32(max(info.Good, 1))
	s.net.Step(b, s.pass)
	stats := s.stats[s.pass.Step%2][:3*info.Rows]
	before := s.flight
	s.flight = &s.flights[s.pass.Step%2]
	*s.flight = flight{
		result: taken{Step: s.pass.Step + 1, Epoch: info.Epoch + 1, Rows: info.Rows, Good: info.Good},
		stats:  stats, ticket: s.net.Stats(stats),
	}
	s.pass.Step++
	s.next = info.First + uint64(info.Rows)
	return s.land(before, info.Wait)
}

// drain waits for the step in flight and for all that is enqueued; it returns that step, or nil.
func (s *stepper) drain() (*taken, error) {
	last := s.flight
	s.flight = nil
	t, err := s.land(last, 0)
	if err != nil {
		return nil, err
	}
	return t, s.net.Sync()
}

// rest forgets the clock: what comes between (validation, a checkpoint) belongs to no step.
func (s *stepper) rest() { s.landed, s.stall = time.Time{}, 0 }

// stillBusy is how long a wait for the devices must last to show that they were at work while the loop waited for
// pictures.
const stillBusy = time.Millisecond

// land waits for a step. The loop had just waited so long for the next step's pictures; that was a stall only if the
// devices were done by then.
func (s *stepper) land(f *flight, waited time.Duration) (*taken, error) {
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
	var sum tally
	sum.add(f.stats, f.result.Good)
	f.result.Score = sum.score()
	return &f.result, nil
}

// tally sums rows of a net's statistics.
type tally struct {
	images           int
	loss, top1, top5 float64
}

// add takes the statistics (rows, 3) of a batch with `good` labelled rows; the others hold zeros.
func (t *tally) add(stats []float32, good int) {
	t.images += good
	for i := 0; i+2 < len(stats); i += 3 {
		t.loss += float64(stats[i])
		t.top1 += float64(stats[i+1])
		t.top5 += float64(stats[i+2])
	}
}

// score gives the means; of no pictures at all, zeros.
func (t *tally) score() Score {
	n := float64(max(t.images, 1))
	return Score{Images: t.images, Top1Error: t.top1 / n, Top5Error: t.top5 / n, Loss: t.loss / n}
}

// rowsOf lets data write into a device's upload slot: data knows no device.
func rowsOf(b *device.Batch) data.Rows {
	return data.Rows{Pixels: b.Pixels, Labels: b.Labels, Crop: b.Crop, Flip: b.Flip, Color: b.Color}
}
