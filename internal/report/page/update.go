package page

import (
	"bytes"
	"encoding/json"
	"fmt"

	"alexnet/internal/report"
)

// Mark is how much of a run a page has been told. The zero Mark is nothing.
type Mark struct {
	Each, Bins int // of the steps: lines a bin, and bins
	Ends       int // of epochs: the step of the last, and so whether there was another
}

// MarkOf is that of a page that has been told all.
func MarkOf(o *report.Overview) Mark {
	return Mark{Each: o.Steps.Each(), Bins: o.Steps.Len(), Ends: int(o.Ended())}
}

// String is what ParseMark reads.
func (m Mark) String() string { return fmt.Sprintf("%d-%d-%d", m.Each, m.Bins, m.Ends) }

// ParseMark reads what a browser brings back; what no String wrote is the zero Mark.
func ParseMark(s string) (m Mark) {
	if _, err := fmt.Sscanf(s, "%d-%d-%d", &m.Each, &m.Bins, &m.Ends); err != nil || m.String() != s {
		return Mark{}
	}
	return m
}

// from is the first bin of steps that an update after m has; 0: everything is told again, as where bins were joined.
// The last bin that was told may have grown since; where an epoch has ended, the steps after the end before it lie
// elsewhere in epochs.
func (m Mark) from(o *report.Overview) int {
	now := MarkOf(o)
	if m.Bins < 1 || m.Each != now.Each || m.Bins > now.Bins || m.Ends > now.Ends || o.Epochs.Each() > 1 {
		return 0
	}
	from := m.Bins - 1
	if m.Ends != now.Ends {
		from = min(from, o.Steps.After(float64(m.Ends)))
	}
	return max(from, 0)
}

// update is what page.js takes.
type update struct {
	Runs   string    `json:"runs"` // HTML of the table of runs
	Time   string    `json:"time"` // and of the time split
	Curves runCurves `json:"curves"`
}

// Update is what a page of a run that was told so much is to be told now: JSON of one line.
func Update(r *Run, after Mark) ([]byte, error) {
	c := content{Facts: factNames([]Run{*r})}
	s, err := show(&Run{Name: r.Name, Facts: r.Facts, Overview: r.Overview}, c.Facts)
	if err != nil {
		return nil, err
	}
	s.ID = "run1"
	c.Runs = []shownRun{*s}
	u := update{Curves: curvesOf(r, after)}
	for _, part := range []struct {
		name string
		of   any
		to   *string
	}{{"runs", &c, &u.Runs}, {"time", s, &u.Time}} {
		var b bytes.Buffer
		if err := layout.ExecuteTemplate(&b, part.name, part.of); err != nil {
			return nil, err
		}
		*part.to = b.String()
	}
	return json.Marshal(&u)
}
