package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"alexnet/internal/step"
)

// terminal holds every rule of output. Results go to out, once, when they are complete: as text, or with --json as one
// document. Everything else (notes, warnings, progress, errors) goes to err. Widths are 0 where the stream is not a
// terminal; then nothing is shortened, nothing coloured and nothing redrawn.
type terminal struct {
	out, err           io.Writer
	outWidth, errWidth int
	color              bool // of err
	json               bool
	quit               atomic.Pointer[func() string] // what to say when a second signal ends the process on the spot
}

// newTerminal looks at the two streams. NO_COLOR (any value, see no-color.org) and TERM=dumb switch colour off;
// TERM=dumb also progress bars.
func newTerminal(out, err *os.File) *terminal {
	t := &terminal{out: out, err: err, outWidth: widthOf(out), errWidth: widthOf(err)}
	if os.Getenv("TERM") == "dumb" {
		t.errWidth = 0
	}
	t.color = t.errWidth > 0 && os.Getenv("NO_COLOR") == ""
	return t
}

func widthOf(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80 // a terminal that does not tell
}

// result writes what the command was asked for: v as one indented JSON document with --json, else what text writes.
func (t *terminal) result(v any, text func(w *bytes.Buffer)) error {
	var b bytes.Buffer
	if t.json {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("writing the result as JSON: %w", err)
		}
	} else {
		text(&b)
	}
	if _, err := t.out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// note tells on standard error what the user may want to know. That it cannot be told is no reason to stop working.
func (t *terminal) note(format string, args ...any) {
	_, _ = fmt.Fprintf(t.err, format+"\n", args...)
}

// warn tells what the user should look at.
func (t *terminal) warn(format string, args ...any) {
	t.note("%s %s", t.paint(yellow, "warning:"), fmt.Sprintf(format, args...))
}

// fail prints an error: what and where, then the next command to try.
func (t *terminal) fail(err error) {
	next := nextStep(err)
	text := err.Error()
	if next != "" {
		text = strings.Replace(text, "; "+next, "", 1) // some messages end with their advice: it is said once
	}
	t.note("%s %s", t.paint(red, "error:"), text)
	if next != "" {
		t.note("%s %s", t.paint(bold, "next: "), next)
	}
}

// lastWords is the line before the process ends on the spot; whatever progress bar is there gives way to it.
func (t *terminal) lastWords() {
	text := "quit at once"
	if more := t.quit.Load(); more != nil {
		text += "; " + (*more)()
	}
	if t.errWidth > 0 {
		text = lineStart + text
	}
	t.note("%s", text)
}

// lineStart takes the cursor of a terminal to the first column and empties the line: whoever types Ctrl-C leaves ^C
// there.
const lineStart = "\r\x1b[K"

const (
	bold   = "1"
	red    = "1;31"
	yellow = "1;33"
)

func (t *terminal) paint(color, s string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// grouped writes 60965224 as 60,965,224.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clock writes a duration as 1:02:03 or 02:03.
func clock(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// speed writes images a second: 9.57, 45.7, 12,345.
func speed(f float64) string {
	switch {
	case f >= 100:
		return grouped(int64(math.Round(f))) + " images/s"
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64) + " images/s"
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + " images/s"
}

// percent writes a fraction: 12.5%.
func percent(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + "%" }

// errorsOf writes the errors of an evaluation; top-5 says nothing where there are no more classes than that.
func errorsOf(s *step.Score, classes int) string {
	if classes <= fewClasses {
		return "top-1 " + percent(s.Top1Error)
	}
	return fmt.Sprintf("top-1 %s, top-5 %s", percent(s.Top1Error), percent(s.Top5Error))
}

// classes is "1 class", "2 classes".
func classes(n int) string {
	if n == 1 {
		return "1 class"
	}
	return strconv.Itoa(n) + " classes"
}

// counted is "1 picture", "2 pictures".
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(int64(n)) + " " + one + "s"
}

// done closes what was only read or is of no further use: that it fails to close changes nothing.
func done(c io.Closer) { _ = c.Close() }
