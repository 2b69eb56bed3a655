package ui

import (
	"io"
	"slices"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"alexnet/internal/text"
)

const (
	// showAfter is how long something takes before it shows itself: what is over sooner would only flicker.
	showAfter = 2 * time.Second
	// lineEvery is the time between plain lines: a log of a day's run gets less than 3,000 of them.
	lineEvery = 30 * time.Second
)

// foot is what stands below everything else on standard error: one line of the Progress that began last, of all that
// are under way. Where nothing can be redrawn it is a plain line now and then.
type foot struct {
	mu    sync.Mutex
	under []*Progress // way, in the order in which they began
	timer *time.Timer // of the next look; nil: none was needed so far
	quiet time.Time   // since when nothing was told of any progress
	of    *Progress   // that the bar is of
	label string      // of the bar, and whether it has an end
	ends  bool
	bars  *mpb.Progress
	bar   *mpb.Bar
}

// write puts a line above what is drawn.
func (f *foot) write(t *Terminal, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(t, line)
}

func (f *foot) put(t *Terminal, line string) {
	w := t.Err
	if f.bars != nil {
		w = f.bars
	}
	_, _ = io.WriteString(w, line) // that it cannot be told is no reason to stop working
}

// at is what the program is at, or nothing.
func (f *foot) at() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.under) == 0 {
		return ""
	}
	return f.under[len(f.under)-1].current().Label
}

// update shows p's status, now or as soon as it is due.
func (f *foot) update(t *Terminal, p *Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.under, p) {
		f.under = append(f.under, p)
		if f.quiet.IsZero() {
			f.quiet = time.Now()
		}
		f.look(t)
		return
	}
	if f.of == p || t.ErrWidth > 0 && f.under[len(f.under)-1] == p && !time.Now().Before(p.due()) {
		f.draw(t, p)
	}
}

// look shows what is due, and sees to it that somebody looks again when the next thing is.
func (f *foot) look(t *Terminal) {
	if len(f.under) == 0 {
		return
	}
	top := f.under[len(f.under)-1]
	due := top.due()
	if t.ErrWidth == 0 {
		if next := f.quiet.Add(lineEvery); next.After(due) {
			due = next
		}
	}
	if now := time.Now(); !now.Before(due) {
		if t.ErrWidth > 0 {
			f.draw(t, top)
			return // it draws itself from now on
		}
		f.put(t, t.message(0, "%s", top.line(top.current()))+"\n")
		f.quiet, due = now, now.Add(lineEvery)
	}
	if f.timer == nil {
		f.timer = time.AfterFunc(time.Until(due), func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.look(t)
		})
		return
	}
	f.timer.Reset(time.Until(due))
}

// draw makes the bar p's.
func (f *foot) draw(t *Terminal, p *Progress) {
	s := p.current()
	if f.of == p && f.label == s.Label && f.ends == (s.All > 0) {
		f.move(s)
		return
	}
	f.remove()
	f.of, f.label, f.ends = p, s.Label, s.All > 0
	f.bars = mpb.New(mpb.WithOutput(t.Err), mpb.WithAutoRefresh())
	style := mpb.NopStyle()
	if f.ends {
		style = mpb.BarStyle().Lbound("").Filler("━").Tip("━").Padding("─").Rbound("")
	}
	f.bar = f.bars.New(s.All, style, mpb.BarWidth(barWidth),
		mpb.PrependDecorators(decor.Any(func(st decor.Statistics) string {
			s := p.current()
			if s.All == 0 {
				return "\r" + text.Shorten(p.line(s), st.AvailableWidth)
			}
			return "\r" + text.Shorten(s.Label, max(1, st.AvailableWidth/2))
		})),
		mpb.AppendDecorators(decor.Any(func(st decor.Statistics) string {
			s := p.current()
			if s.All == 0 {
				return ""
			}
			return p.parts(s, max(1, st.AvailableWidth-leastBar))
		})))
	f.move(s)
}

// How many characters a bar has, and how many it keeps for itself where there is little room.
const (
	barWidth = 30
	leastBar = 12
)

func (f *foot) move(s Status) {
	if s.All > 0 {
		f.bar.SetTotal(s.All, false)
		f.bar.SetCurrent(min(s.Done, s.All-1)) // mpb ends a bar that is full; remove does that here
	}
}

// end takes p away; what is still under way shows itself again.
func (f *foot) end(t *Terminal, p *Progress) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.under = slices.DeleteFunc(f.under, func(o *Progress) bool { return o == p })
	if f.of == p {
		f.remove()
	}
	if f.bar == nil {
		f.look(t)
	}
}

// clear takes away all there is: the program has come to its result.
func (f *foot) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.under = nil
	f.remove()
}

func (f *foot) remove() {
	if f.bar == nil {
		return
	}
	f.bar.Abort(true)
	f.bars.Wait()
	f.bar, f.bars, f.of = nil, nil, nil
}
