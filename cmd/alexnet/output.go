package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/term"

	"alexnet/internal/text"
	"alexnet/internal/train"
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

// errorsOf writes the errors of an evaluation; top-5 says nothing where there are no more classes than that.
func errorsOf(s *train.Score, classes int) string {
	if classes <= fewClasses {
		return "top-1 " + text.Percent(s.Top1Error)
	}
	return fmt.Sprintf("top-1 %s, top-5 %s", text.Percent(s.Top1Error), text.Percent(s.Top5Error))
}

// done closes what was only read or is of no further use: that it fails to close changes nothing.
func done(c io.Closer) { _ = c.Close() }
