package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"alexnet/internal/text"
)

// status is what the progress line tells.
type status struct {
	label     string // "epoch 3/30"
	done, all int64  // steps, or pictures
	left      int64  // until everything is done, later labels included
	rate      float64
	loss      float64 // below 0: none
	stall     float64 // share of the time spent waiting for data; below 0: none
}

// progress draws status on standard error: on a terminal as a bar that is redrawn, elsewhere as a plain line every few
// seconds. One goroutine calls update; others may write notes meanwhile.
type progress struct {
	t     *terminal
	every time.Duration // between plain lines
	mu    sync.Mutex    // of now, start and from, which the bar reads while it is drawn
	now   status
	start time.Time // of the first update
	from  int64     // left at start
	last  time.Time // of the last plain line

	draw sync.Mutex // of the bar
	bars *mpb.Progress
	bar  *mpb.Bar
}

func newProgress(t *terminal) *progress { return &progress{t: t, every: 10 * time.Second} }

// update shows s.
func (p *progress) update(s status) {
	p.mu.Lock()
	if p.start.IsZero() {
		p.start, p.last, p.from = time.Now(), time.Now(), s.left
	}
	fresh := p.now.label != s.label
	p.now = s
	p.mu.Unlock()
	if p.t.errWidth == 0 {
		if time.Since(p.last) >= p.every {
			p.last = time.Now()
			p.t.note("%s", p.line(s))
		}
		return
	}
	p.draw.Lock()
	defer p.draw.Unlock()
	if fresh || p.bar == nil {
		p.remove()
		p.bars = mpb.New(mpb.WithOutput(p.t.err))
		p.bar = p.bars.New(s.all, mpb.BarStyle().Lbound("").Filler("━").Tip("━").Padding("─").Rbound(""),
			mpb.BarWidth(30),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return "\r" + p.current().label })),
			mpb.AppendDecorators(decor.Any(func(st decor.Statistics) string {
				return p.parts(p.current(), max(1, st.AvailableWidth-12))
			})))
	}
	p.bar.SetTotal(s.all, false)
	p.bar.SetCurrent(min(s.done, s.all-1)) // mpb ends a bar that is full; clear does that here
}

func (p *progress) current() status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// note writes a line above the bar, over what the terminal may have echoed.
func (p *progress) note(format string, args ...any) {
	p.draw.Lock()
	defer p.draw.Unlock()
	w := p.t.err
	if p.t.errWidth > 0 {
		format = lineStart + format
	}
	if p.bars != nil {
		w = p.bars
	}
	_, _ = fmt.Fprintf(w, format+"\n", args...) // as terminal.note
}

// clear takes the bar away, so that other text can be written.
func (p *progress) clear() {
	p.draw.Lock()
	defer p.draw.Unlock()
	p.remove()
}

func (p *progress) remove() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
	p.bar, p.bars = nil, nil
}

// line is the plain form: everything.
func (p *progress) line(s status) string { return s.label + "  " + p.parts(s, 0) }

// parts lists as much as fits into width characters (0: all), the most important first.
func (p *progress) parts(s status, width int) string {
	all := []string{fmt.Sprintf("%d/%d", s.done, s.all)}
	if s.rate > 0 {
		all = append(all, text.Speed(s.rate))
	}
	if s.loss >= 0 {
		all = append(all, fmt.Sprintf("loss %.4f", s.loss))
	}
	if eta, ok := p.eta(s); ok {
		all = append(all, "ETA "+text.Clock(eta))
	}
	if s.stall >= 0 {
		all = append(all, fmt.Sprintf("stall %.0f%%", 100*s.stall))
	}
	return text.JoinFitting(all, width)
}

// eta is the time to the end of everything, at the pace since the first update.
func (p *progress) eta(s status) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved := p.from - s.left
	if moved <= 0 || s.left <= 0 {
		return 0, false
	}
	return time.Duration(float64(time.Since(p.start)) / float64(moved) * float64(s.left)), true
}
