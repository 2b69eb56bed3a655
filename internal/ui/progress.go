package ui

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"alexnet/internal/text"
)

// Status is what the progress line says.
type Status struct {
	Label     string  // "epoch 3/30"
	Done, All int64   // steps, or what Unit names; All is 0 where nobody knows
	Unit      string  // one of what is counted: "picture"; empty: the numbers say enough
	Left      int64   // until everything is done, later labels included
	Rate      float64 // pictures a second; 0: not known
	Loss      float64 // below 0: none
	Stall     float64 // share of the time spent waiting for data; below 0: none
}

// Progress shows on standard error what the program is at, as soon as that has taken two seconds: on a terminal as a
// line that is redrawn, with a bar where it is known how much there is to do; elsewhere as a plain line every thirty
// seconds. Where several are under way the one that began last is shown. Goroutines may share it.
type Progress struct {
	t     *Terminal
	mu    sync.Mutex // of what follows, which the line reads while it is drawn
	now   Status
	start time.Time // of the first update
	paced time.Time // of the first with something to count ..
	from  int64     // .. and what was left then
}

// NewProgress makes one that shows nothing before the first Update.
func NewProgress(t *Terminal) *Progress { return &Progress{t: t} }

// Phase shows what the program is at until Clear.
func (t *Terminal) Phase(what string) *Progress {
	p := NewProgress(t)
	p.Update(Status{Label: what, Loss: -1, Stall: -1})
	return p
}

// Update shows s.
func (p *Progress) Update(s Status) {
	p.mu.Lock()
	if p.start.IsZero() {
		p.start = time.Now()
	}
	if p.paced.IsZero() && s.All > 0 {
		p.paced, p.from = time.Now(), s.Left
	}
	p.now = s
	p.mu.Unlock()
	p.t.foot.update(p.t, p)
}

// Counter is a callback for work that only counts what it has done: it shows that under the label.
func (p *Progress) Counter(label string) func(done, total int) { return p.CounterOf("", label) }

// CounterOf is Counter with a word for one of what is counted.
func (p *Progress) CounterOf(unit, label string) func(done, total int) {
	return func(done, total int) {
		p.Update(Status{
			Label: label, Unit: unit, Done: int64(done), All: int64(total), Left: int64(total - done), Loss: -1,
			Stall: -1,
		})
	}
}

func (p *Progress) current() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// due is when p may show itself.
func (p *Progress) due() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start.Add(showAfter)
}

// Note writes a line above the progress line, over what the terminal may have echoed.
func (p *Progress) Note(format string, args ...any) {
	styled := ""
	if p.t.ErrWidth > 0 {
		styled = lineStart
	}
	p.t.say(styled, format, args...)
}

// Clear ends it, and takes the line away. The next Update begins where this one was.
func (p *Progress) Clear() { p.t.foot.end(p.t, p) }

// line is the plain form: everything.
func (p *Progress) line(s Status) string {
	between := "  "
	if s.Unit != "" || s.All == 0 {
		between = ": "
	}
	return s.Label + between + p.parts(s, 0)
}

// parts lists as much as fits into width characters (0: all), the most important first.
func (p *Progress) parts(s Status, width int) string {
	first := Part{Text: fmt.Sprintf("%d/%d", s.Done, s.All), Room: 2*len(strconv.FormatInt(s.All, 10)) + 1}
	switch {
	case s.All == 0:
		p.mu.Lock()
		first = Part{Text: text.Duration(time.Since(p.start).Truncate(time.Second)) + " so far"}
		p.mu.Unlock()
	case s.Unit != "":
		all := text.Count(int(s.All), s.Unit)
		first = Part{Text: text.Grouped(s.Done) + " of " + all, Room: len(text.Grouped(s.All)+" of ") + len(all)}
	}
	all := []Part{first}
	add := func(text string, room int) { all = append(all, Part{Text: text, Room: room, Rank: len(all)}) }
	if s.Rate > 0 {
		add(text.Speed(s.Rate), len("99,999 images/s"))
	}
	if s.Loss >= 0 {
		add("loss "+text.Loss(s.Loss), len("loss 9.9999"))
	}
	if eta, ok := p.eta(s); ok {
		add("ETA "+text.Clock(eta), len("ETA 99:59:59"))
	}
	if s.Stall >= 0 {
		add(fmt.Sprintf("stall %.0f%%", 100*s.Stall), len("stall 100%"))
	}
	return Fit(all, width)
}

// eta is the time to the end of everything, at the pace since the first update.
func (p *Progress) eta(s Status) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved := p.from - s.Left
	if moved <= 0 || s.Left <= 0 {
		return 0, false
	}
	return time.Duration(float64(time.Since(p.paced)) / float64(moved) * float64(s.Left)), true
}
