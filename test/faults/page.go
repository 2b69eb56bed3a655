package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"alexnet/internal/machine"
)

// The marks between which the table stands in the page.
const (
	beginMark = "<!-- faults: begin (written by go run ./test/faults -write) -->"
	endMark   = "<!-- faults: end -->"
)

// tally is what became of a row.
type tally struct {
	tried, survived, lost int
	missing               int // cases that nobody tried
	reasons               []string
}

func (r *opened) tally(only int) tally {
	var t tally
	n := r.cases
	if only >= 0 {
		n = 1
	}
	for _, done := range r.results {
		switch {
		case done.Skipped != "":
			if done.Case != wholeRow {
				t.missing++
				n--
			} else {
				t.missing, n = r.cases, 0
			}
			if !slices.Contains(t.reasons, done.Skipped) {
				t.reasons = append(t.reasons, done.Skipped)
			}
		case done.Lost != "":
			t.tried += max(done.Tried, 1)
			t.lost++
			n--
			if done.Case == wholeRow {
				n = 0
			}
		default:
			t.tried += done.Tried
			t.survived += done.Tried
			n--
		}
	}
	slices.Sort(t.reasons)
	if n > 0 {
		t.missing += n
		t.reasons = append(t.reasons, "not reached")
	}
	return t
}

// verdict prints the one line and fails if anything was lost.
func (c *campaign) verdict() error {
	if c.number < 0 {
		if err := c.saveTimes(); err != nil {
			return err
		}
	}
	var parts, again []string
	lost := 0
	for _, r := range c.rows {
		t := r.tally(c.number)
		part := fmt.Sprintf("%s %d/%d", r.name, t.survived, t.tried)
		if t.missing > 0 {
			part += fmt.Sprintf(" (%d skipped: %s)", t.missing, strings.Join(t.reasons, "; "))
		}
		parts = append(parts, part)
		lost += t.lost
		for _, number := range r.sorted() {
			if done := r.results[number]; done.Lost != "" {
				again = append(again, c.again(done))
			}
		}
	}
	if len(again) > 0 {
		c.say("lost cases alone:\n  %s\n", strings.Join(again, "\n  "))
	}
	_, err := fmt.Fprintf(c.last, "faults survived/tried: %s; seed %d, commit %s, %v\n", strings.Join(parts, ", "),
		c.seed, c.commit, round(c.now().Sub(c.started)))
	if lost > 0 {
		return fmt.Errorf("%d lost", lost)
	}
	return err
}

func (r *opened) sorted() (numbers []int) {
	for n := range r.results {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}

// writeTable puts the table between the page's marks.
func writeTable(page string, c *campaign) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err := replace(old, c.table())
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, text, 0o666)
}

func replace(page []byte, table string) ([]byte, error) {
	before, rest, found := bytes.Cut(page, []byte(beginMark))
	_, after, ended := bytes.Cut(rest, []byte(endMark))
	if !found || !ended {
		return nil, errors.New("no marks to write between: " + beginMark + " and " + endMark)
	}
	return slices.Concat(before, []byte(beginMark+"\n"+table+endMark), after), nil
}

// table is the result in Markdown.
func (c *campaign) table() string {
	var b strings.Builder
	form := "short"
	if c.long {
		form = "long"
	}
	facts := machine.Look()
	fmt.Fprintf(&b, "Commit %s, seed %d, %s form; %s, %d processors, %s.\n\n", c.commit, c.seed, form, facts.CPU,
		runtime.NumCPU(), runtime.GOOS)
	b.WriteString("| row | fault | how | tried | survived | skipped |\n|---|---|---|---:|---:|---|\n")
	for _, r := range c.rows {
		t := r.tally(-1)
		why := ""
		if t.missing > 0 {
			why = fmt.Sprintf("%d: %s", t.missing, strings.Join(t.reasons, "; "))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %s |\n", r.name, cell(r.fault), cell(r.how), t.tried, t.survived,
			cell(why))
	}
	return b.String()
}

func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}
