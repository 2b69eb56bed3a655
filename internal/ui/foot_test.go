package ui

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// shown is what came to standard error since the last call, without what only moves the cursor. The clock is the
// test's own.
func shown(b *bytes.Buffer) string {
	synctest.Wait()
	defer b.Reset()
	return strings.ReplaceAll(escapes.ReplaceAllString(b.String(), ""), "\r", "")
}

// TestPhaseOnTerminal: what takes less than two seconds shows nothing at all; what takes longer is a line that is
// redrawn while nobody calls, above which notes go, and which leaves nothing behind.
func TestPhaseOnTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		term := &Terminal{Err: &b, Out: &bytes.Buffer{}, ErrWidth: 80}
		for range 100 {
			p := term.Phase("listing the pictures")
			time.Sleep(1990 * time.Millisecond)
			p.Clear()
		}
		if got := shown(&b); got != "" {
			t.Errorf("phases of less than 2 s: %q", got)
		}
		p := term.Phase("listing the pictures")
		time.Sleep(2400 * time.Millisecond)
		if got := shown(&b); !strings.Contains(got, "listing the pictures: 2s so far") {
			t.Errorf("after 2.4 s: %q", got)
		}
		time.Sleep(10 * time.Second)
		if got := shown(&b); !strings.Contains(got, "listing the pictures: 12s so far") {
			t.Errorf("after 12.4 s: %q", got)
		}
		term.Note("a note")
		time.Sleep(time.Second)
		if got := shown(&b); !strings.Contains(got, "a note\nlisting") || strings.Count(got, "note") != 1 {
			t.Errorf("a note: %q", got)
		}
		p.Clear()
		shown(&b)
		time.Sleep(time.Minute)
		if got := shown(&b); got != "" {
			t.Errorf("after its end: %q", got)
		}
		term.Note("bye")
		if got := shown(&b); got != "bye\n" {
			t.Errorf("a note after its end: %q", got)
		}
	})
}

// TestPhaseInABar: a phase takes the bar's place once it has taken two seconds, and the bar comes back; a result or an
// error clears both.
func TestPhaseInABar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		term := &Terminal{Err: &b, Out: &bytes.Buffer{}, ErrWidth: 80}
		bar := NewProgress(term)
		step := func(n int64) {
			bar.Update(Status{Label: "epoch 1/2", Done: n, All: 10, Left: 20 - n, Loss: 1, Stall: 0})
		}
		step(1)
		time.Sleep(1900 * time.Millisecond)
		step(2)
		if got := shown(&b); got != "" {
			t.Errorf("a bar at once: %q", got)
		}
		time.Sleep(time.Second)
		if got := shown(&b); !strings.Contains(got, "epoch 1/2") || !strings.Contains(got, "2/10   loss 1.0000  ETA") {
			t.Errorf("the bar: %q", got)
		}
		save := term.Phase("writing a checkpoint")
		time.Sleep(time.Second)
		if got := shown(&b); strings.Contains(got, "writing") {
			t.Errorf("a phase of 1 s: %q", got)
		}
		save.Clear()
		save = term.Phase("writing a checkpoint")
		time.Sleep(5 * time.Second)
		if got := shown(&b); !strings.Contains(got, "writing a checkpoint: 4s so far") {
			t.Errorf("a phase of 5 s: %q", got)
		}
		save.Clear()
		shown(&b)
		time.Sleep(time.Second) // nobody calls Update
		if got := shown(&b); !strings.Contains(got, "epoch 1/2") || strings.Contains(got, "writing") {
			t.Errorf("after the phase: %q", got)
		}
		if err := term.Result(1, func(*bytes.Buffer) {}); err != nil {
			t.Fatal(err)
		}
		shown(&b)
		time.Sleep(time.Minute)
		term.Fail("broken", "")
		if got := shown(&b); got != "error: broken\n" {
			t.Errorf("after the result: %q", got)
		}
	})
}

// TestPlainLines: where nothing can be redrawn there is a line every thirty seconds at most, whatever is under way and
// however often it calls; a phase of less than two seconds is never in it.
func TestPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		term := &Terminal{Err: &b, Out: &bytes.Buffer{}}
		bar := NewProgress(term)
		count := bar.CounterOf("picture", "mean image")
		lines := 0
		for n := range 3000 { // 5 minutes
			count(n, 45000)
			if n%10 == 0 {
				p := term.Phase("short")
				time.Sleep(50 * time.Millisecond)
				p.Clear()
			} else {
				time.Sleep(100 * time.Millisecond)
			}
		}
		for line := range strings.Lines(shown(&b)) {
			lines++
			if !strings.HasPrefix(line, "mean image: ") || !strings.Contains(line, " of 45,000 pictures  ETA ") {
				t.Errorf("line %q", line)
			}
		}
		if lines != 9 {
			t.Errorf("%d lines in 285 s", lines)
		}
		bar.Clear()
		// A stalled source: nobody calls.
		p := term.Phase("listing the pictures")
		time.Sleep(20 * time.Second)
		p.Clear()
		p = term.Phase("opening the devices")
		time.Sleep(35 * time.Second)
		p.Clear()
		want := "listing the pictures: 15s so far\nopening the devices: 25s so far\n"
		if got := shown(&b); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
