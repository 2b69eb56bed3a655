package ui

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"alexnet/internal/text"
)

// Status is what the progress line tells.
type Status struct {
	Label     string  // "epoch 3/30"
	Done, All int64   // steps, or pictures
	Left      int64   // until everything is done, later labels included
	Rate      float64 // pictures a second; 0: not known
	Loss      float64 // below 0: none
	Stall     float64 // share of the time spent waiting for data; below 0: none
}

// Progress draws a Status on standard error: on a terminal as a bar that is redrawn, elsewhere as a plain line every
// few seconds. One goroutine calls Update; others may write notes meanwhile.
type Progress struct {
	t     *Terminal
	every time.Duration // between plain lines
	mu    sync.Mutex    // of now, start and from, which the bar reads while it is drawn
	now   Status
	start time.Time // of the first update
	from  int64     // left at start
	last  time.Time // of the last plain line

	draw sync.Mutex // of the bar
	bars *mpb.Progress
	bar  *mpb.Bar
}

// NewProgress draws on t. Until Clear, what else is to be written there goes through its Note.
func NewProgress(t *Terminal) *Progress { return &Progress{t: t, every: 10 * time.Second} }

// Update shows s.
func (p *Progress) Update(s Status) {
	p.mu.Lock()
	if p.start.IsZero() {
		p.start, p.last, p.from = time.Now(), time.Now(), s.Left
	}
	fresh := p.now.Label != s.Label
	p.now = s
	p.mu.Unlock()
	if p.t.ErrWidth == 0 {
		if time.Since(p.last) >= p.every {
			p.last = time.Now()
			p.t.Note("%s", p.line(s))
		}
		return
	}
	p.draw.Lock()
	defer p.draw.Unlock()
	if fresh || p.bar == nil {
		p.remove()
		p.bars = mpb.New(mpb.WithOutput(p.t.Err))
		p.bar = p.bars.New(s.All, mpb.BarStyle().Lbound("").Filler("━").Tip("━").Padding("─").Rbound(""),
			mpb.BarWidth(30),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return "\r" + p.current().Label })),
			mpb.AppendDecorators(decor.Any(func(st decor.Statistics) string {
				return p.parts(p.current(), max(1, st.AvailableWidth-12))
			})))
	}
	p.bar.SetTotal(s.All, false)
	p.bar.SetCurrent(min(s.Done, s.All-1)) // mpb ends a bar that is full; Clear does that here
}

// Counter is a callback for work that only counts what it has done: it shows that under the label.
func (p *Progress) Counter(label string) func(done, total int) {
	return func(done, total int) {
		p.Update(Status{
			Label: label, Done: int64(done), All: int64(total), Left: int64(total - done), Loss: -1, Stall: -1,
		})
	}
}

func (p *Progress) current() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Note writes a line above the bar, over what the terminal may have echoed.
func (p *Progress) Note(format string, args ...any) {
	p.draw.Lock()
	defer p.draw.Unlock()
	w := p.t.Err
	if p.t.ErrWidth > 0 {
		format = lineStart + format
	}
	if p.bars != nil {
		w = p.bars
	}
	_, _ = fmt.Fprintf(w, format+"\n", args...) // as Terminal.Note
}

// Clear takes the bar away, so that other text can be written.
func (p *Progress) Clear() {
	p.draw.Lock()
	defer p.draw.Unlock()
	p.remove()
}

func (p *Progress) remove() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
	p.bar, p.bars = nil, nil
}

// line is the plain form: everything.
func (p *Progress) line(s Status) string { return s.Label + "  " + p.parts(s, 0) }

// parts lists as much as fits into width characters (0: all), the most important first.
func (p *Progress) parts(s Status, width int) string {
	all := []string{fmt.Sprintf("%d/%d", s.Done, s.All)}
	if s.Rate > 0 {
		all = append(all, text.Speed(s.Rate))
	}
	if s.Loss >= 0 {
		all = append(all, fmt.Sprintf("loss %.4f", s.Loss))
	}
	if eta, ok := p.eta(s); ok {
		all = append(all, "ETA "+text.Clock(eta))
	}
	if s.Stall >= 0 {
		all = append(all, fmt.Sprintf("stall %.0f%%", 100*s.Stall))
	}
	return text.JoinFitting(all, width)
}

// eta is the time to the end of everything, at the pace since the first update.
func (p *Progress) eta(s Status) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved := p.from - s.Left
	if moved <= 0 || s.Left <= 0 {
		return 0, false
	}
	return time.Duration(float64(time.Since(p.start)) / float64(moved) * float64(s.Left)), true
}
