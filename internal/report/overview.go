package report

import (
	"io"
	"math"
	"sort"
)

// Overview is a run's metrics for a page: however many lines there are, it takes a few MB.
type Overview struct {
	Steps  Bins // of the lines of steps
	Epochs Bins // of those of epochs' ends

	// Step and Epoch are those of the last line.
	Step  uint64
	Epoch int
	// Seconds is how long the steps took, as their images per second tell, without validation and what else lies
	// between them. Of these the program waited Stalled for pictures, and copied between devices for Exchanged,
	// which other devices' computing may hide.
	Seconds, Stalled, Exchanged float64
	ExchangedBytes              float64 // between devices, both ways, in all epochs that ended
	ExchangeWay                 string  // as in Metrics

	rows float64 // pictures a step
	end  uint64  // the step that the last epoch ended with
}

// NewOverview is that of a run whose steps take so many pictures each.
func NewOverview(rows int) *Overview { return &Overview{rows: float64(rows)} }

// Read adds the lines of a metrics.jsonl. A last line that was not finished is left out. Where a line in the middle is
// damaged, the error says which: those before it were added.
func (o *Overview) Read(r io.Reader) error {
	return Scan(r, o.Add)
}

// Scan gives the lines of a metrics.jsonl, one after the other. A last line that was not finished is left out. Where a
// line in the middle is damaged, the error says which: those before it were given.
func Scan(r io.Reader, each func(*Metrics)) error {
	_, err := scan(r, math.MaxUint64, func(l line) { each(&l.m) })
	return err
}

// Add adds a line, in the order of metrics.jsonl.
func (o *Overview) Add(m *Metrics) {
	o.Step, o.Epoch = m.Step, m.Epoch
	if m.LR != nil {
		if m.ImagesPerSecond != nil && *m.ImagesPerSecond > 0 {
			took := o.rows / *m.ImagesPerSecond
			o.Seconds += took
			if m.DataStall != nil {
				o.Stalled += took * *m.DataStall
			}
		}
		o.Steps.add(m, o.Seconds)
		return
	}
	steps := float64(m.Step - min(o.end, m.Step))
	o.end = m.Step
	if m.ExchangeBytes != nil {
		o.ExchangedBytes += steps * *m.ExchangeBytes
		o.ExchangeWay = m.ExchangeWay
	}
	if m.ExchangeSeconds != nil {
		o.Exchanged += steps * *m.ExchangeSeconds
	}
	o.Epochs.add(m, o.Seconds)
}

// MostBins is how many bins Bins have at most: about as many as a screen has columns.
const MostBins = 2000

// Quantity is a number that lines may have.
type Quantity int

// Quantities of a line, in its units. The first five are those of steps.
const (
	Loss Quantity = iota
	Top1Error
	LearningRate
	ImagesPerSecond
	DataStall
	ValLoss
	ValTop1Error
	ValTop5Error
	quantities
)

// of is the quantity of a line; nil: it has none.
func (q Quantity) of(m *Metrics) *float64 {
	return [quantities]*float64{
		m.Loss, m.Top1Error, m.LR, m.ImagesPerSecond, m.DataStall, m.ValLoss, m.ValTop1Error, m.ValTop5Error,
	}[q]
}

// Bins are lines put together, as many successive ones into each bin, at most MostBins. When there are more, each two
// bins become one. The zero value is that of no lines.
type Bins struct {
	all  []bin
	each int // lines of a bin; 0 as long as there is none
}

// bin is some lines; sums and extremes of each quantity are over those that have it.
type bin struct {
	lines                int
	step, epoch, seconds float64 // sums
	of                   [quantities]struct {
		n             int
		sum, min, max float64
	}
}

func (b *Bins) add(m *Metrics, seconds float64) {
	b.each = max(b.each, 1)
	if n := len(b.all); n == 0 || b.all[n-1].lines == b.each {
		if n == MostBins {
			for i := range n / 2 {
				b.all[i] = b.all[2*i]
				b.all[i].join(&b.all[2*i+1])
			}
			b.all, b.each = b.all[:n/2], 2*b.each
		}
		b.all = append(b.all, bin{})
	}
	one := bin{lines: 1, step: float64(m.Step), epoch: float64(m.Epoch), seconds: seconds}
	for q := range quantities {
		if v := q.of(m); v != nil {
			of := &one.of[q]
			of.n, of.sum, of.min, of.max = 1, *v, *v, *v
		}
	}
	b.all[len(b.all)-1].join(&one)
}

// join adds the lines of another bin.
func (b *bin) join(c *bin) {
	b.lines += c.lines
	b.step, b.epoch, b.seconds = b.step+c.step, b.epoch+c.epoch, b.seconds+c.seconds
	for q := range quantities {
		x, y := &b.of[q], &c.of[q]
		switch {
		case x.n == 0:
			*x = *y
		case y.n > 0:
			x.n, x.sum, x.min, x.max = x.n+y.n, x.sum+y.sum, min(x.min, y.min), max(x.max, y.max)
		}
	}
}

// Each is how many lines a bin is of, but for the last, which may have fewer; 0 without lines.
func (b *Bins) Each() int { return b.each }

// Len is how many bins there are.
func (b *Bins) Len() int { return len(b.all) }

// Curve is a quantity over the bins that have it.
type Curve struct {
	Step           []float64 // mean of the bin's
	Seconds        []float64 // of training up to there
	Min, Mean, Max []float64
}

// Curve is that of a quantity.
func (b *Bins) Curve(q Quantity) Curve { return b.CurveFrom(q, 0) }

// CurveFrom is the part of a curve from a bin on.
func (b *Bins) CurveFrom(q Quantity, from int) Curve {
	var c Curve
	for i := from; i < len(b.all); i++ {
		one := &b.all[i]
		of := &one.of[q]
		if of.n == 0 {
			continue
		}
		lines := float64(one.lines)
		c.Step, c.Seconds = append(c.Step, one.step/lines), append(c.Seconds, one.seconds/lines)
		c.Min, c.Max = append(c.Min, of.min), append(c.Max, of.max)
		c.Mean = append(c.Mean, min(max(of.sum/float64(of.n), of.min), of.max)) // whatever rounding makes of the sum
	}
	return c
}

// Ended is the step that the last epoch so far ended with, 0 where none has.
func (o *Overview) Ended() uint64 { return o.end }

// At is where a bin lies: the mean step of its lines, as in a Curve.
func (b *Bins) At(i int) float64 { return b.all[i].step / float64(b.all[i].lines) }

// After is the first bin that lies after a step; where none does, how many there are.
func (b *Bins) After(step float64) int {
	return sort.Search(len(b.all), func(i int) bool { return b.At(i) > step })
}

// EpochsAt are the epochs done after some steps, with fractions; nil where no epoch has ended yet. Between ends they
// go on evenly, after the last end as before it on the whole.
func (o *Overview) EpochsAt(steps []float64) []float64 {
	ends := o.Epochs.all
	if len(ends) == 0 {
		return nil
	}
	at := func(i int) (step, epoch float64) {
		if i < 0 {
			return 0, 0
		}
		return ends[i].step / float64(ends[i].lines), ends[i].epoch / float64(ends[i].lines)
	}
	last, done := at(len(ends) - 1)
	if last <= 0 {
		return nil
	}
	epochs := make([]float64, len(steps))
	for k, s := range steps {
		if s >= last {
			epochs[k] = done + (s-last)*done/last
			continue
		}
		i := sort.Search(len(ends), func(i int) bool { step, _ := at(i); return step > s })
		x0, y0 := at(i - 1)
		x1, y1 := at(i)
		epochs[k] = y0 + (s-x0)*(y1-y0)/(x1-x0)
	}
	return epochs
}
