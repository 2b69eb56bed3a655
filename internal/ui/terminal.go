// Package ui writes to the terminal: results, notes, warnings, errors, tables and progress bars, with all rules of
// output in one place. It is given what to say, of an error the words and the next step, and knows no command, no exit
// code and none of the program's errors. Of the program it imports only package text, which writes numbers and words.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/term"
)

// Terminal holds every rule of output. Results go to Out, once, when they are complete: as text, or with JSON as one
// document. Everything else (notes, warnings, progress, errors) goes to Err. Widths are 0 where the stream is not a
// terminal; then nothing is shortened, nothing coloured and nothing redrawn.
type Terminal struct {
	Out, Err           io.Writer
	OutWidth, ErrWidth int  // in characters
	Color              bool // of Err
	JSON               bool

	quit atomic.Pointer[func() string] // what to say when a second signal ends the process on the spot
}

// NewTerminal looks at the two streams. NO_COLOR (any value, see no-color.org) and TERM=dumb switch colour off;
// TERM=dumb also progress bars.
func NewTerminal(out, err *os.File) *Terminal {
	t := &Terminal{Out: out, Err: err, OutWidth: widthOf(out), ErrWidth: widthOf(err)}
	if os.Getenv("TERM") == "dumb" {
		t.ErrWidth = 0
	}
	t.Color = t.ErrWidth > 0 && os.Getenv("NO_COLOR") == ""
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

// Result writes what the command was asked for: v as one indented JSON document where JSON is set, else what text
// writes.
func (t *Terminal) Result(v any, text func(w *bytes.Buffer)) error {
	var b bytes.Buffer
	if t.JSON {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("writing the result as JSON: %w", err)
		}
	} else {
		text(&b)
	}
	if _, err := t.Out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// Note tells on standard error what the user may want to know. That it cannot be told is no reason to stop working.
func (t *Terminal) Note(format string, args ...any) {
	_, _ = fmt.Fprintf(t.Err, format+"\n", args...)
}

// Warn tells what the user should look at.
func (t *Terminal) Warn(format string, args ...any) {
	t.Note("%s %s", t.paint(yellow, "warning:"), fmt.Sprintf(format, args...))
}

// Fail prints an error, what and where, and below it the next command to try; next may be empty.
func (t *Terminal) Fail(message, next string) {
	t.Note("%s %s", t.paint(red, "error:"), message)
	if next != "" {
		t.Note("%s %s", t.paint(bold, "next: "), next)
	}
}

// AtQuit gives what LastWords says besides; nil takes it back.
func (t *Terminal) AtQuit(words func() string) {
	if words == nil {
		t.quit.Store(nil)
		return
	}
	t.quit.Store(&words)
}

// LastWords is the line before the process ends on the spot; whatever progress bar is there gives way to it.
func (t *Terminal) LastWords() {
	words := "quit at once"
	if more := t.quit.Load(); more != nil {
		words += "; " + (*more)()
	}
	if t.ErrWidth > 0 {
		words = lineStart + words
	}
	t.Note("%s", words)
}

// lineStart takes the cursor of a terminal to the first column and empties the line: whoever types Ctrl-C leaves ^C
// there.
const lineStart = "\r\x1b[K"

const (
	bold   = "1"
	red    = "1;31"
	yellow = "1;33"
)

func (t *Terminal) paint(color, s string) string {
	if !t.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}
