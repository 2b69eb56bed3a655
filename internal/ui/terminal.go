// Package ui writes to the terminal: results, notes, warnings, errors, tables and progress bars, with all rules of
// output in one place. It is given what to say, of an error the words and the next step, and knows no command, no exit
// code and none of the program's errors. Of the program it imports only package text, which writes numbers and words.
package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/term"

	"alexnet/internal/text"
)

// Terminal holds every rule of output. Results go to Out, when they are complete or part by part (List): as text, or
// with JSON as one document. Everything else (notes, warnings, progress, errors) goes to Err. Widths are 0 where the
// stream is not a terminal; then nothing is shortened, nothing coloured and nothing redrawn.
//
// Names come from strangers. Whatever is written, a terminal or not, has what a terminal would obey written out
// (text.Escape), but for this package's own colours and bars; in JSON as JSON does it. A line that goes on with an end
// of line of its own is indented, so that none looks like a message.
type Terminal struct {
	Out, Err           io.Writer
	OutWidth, ErrWidth int  // in characters
	OutShown           bool // what goes to Out may come onto a screen, now: Out is a terminal, or leads on as a pipe
	Color              bool // of Err
	JSON               bool

	foot     foot                          // the line of progress
	stopping atomic.Bool                   // it was said that the program is
	quit     atomic.Pointer[func() string] // what to say when a second signal ends the process on the spot
}

// NewTerminal looks at the two streams. NO_COLOR (any value, see no-color.org) and TERM=dumb switch colour off;
// TERM=dumb also progress bars. A terminal that does not say how large it is, as docker run -t makes them for scripts,
// has none either: bars are drawn within its lines.
func NewTerminal(out, err *os.File) *Terminal {
	t := &Terminal{Out: out, Err: err, OutWidth: widthOf(out), ErrWidth: widthOf(err)}
	if os.Getenv("TERM") == "dumb" {
		t.ErrWidth = 0
	}
	info, e := out.Stat()
	t.OutShown = t.OutWidth > 0 || e == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0
	t.Color = t.ErrWidth > 0 && os.Getenv("NO_COLOR") == ""
	if _, lines, err := term.GetSize(int(err.Fd())); err != nil || lines == 0 {
		t.ErrWidth = 0
	}
	return t
}

// IsTerminal tells whether a file is one.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func widthOf(f *os.File) int {
	if !IsTerminal(f) {
		return 0
	}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80 // a terminal that does not tell
}

// Result writes what the command was asked for: v as one indented JSON document where JSON is set, else what write
// writes.
func (t *Terminal) Result(v any, write func(w *bytes.Buffer)) error {
	t.foot.clear()
	var b bytes.Buffer
	escape := text.Escape
	if t.JSON {
		escape = text.EscapeJSON
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return fmt.Errorf("writing the result as JSON: %w", err)
		}
	} else {
		write(&b)
	}
	if _, err := io.WriteString(t.Out, escape(b.String())); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// Note tells on standard error what the user may want to know. That it cannot be told is no reason to stop working.
func (t *Terminal) Note(format string, args ...any) {
	t.say("", format, args...)
}

// say writes a line that begins with what this package styles.
func (t *Terminal) say(styled, format string, args ...any) {
	t.foot.write(t, styled+t.message(visible(styled), format, args...)+"\n")
}

// message is a line of the program's, with whatever names are in it, which begins after so many characters.
func (t *Terminal) message(used int, format string, args ...any) string {
	lines := strings.ReplaceAll(text.Escape(fmt.Sprintf(format, args...)), "\n", "\n  ")
	return Wrap(lines, t.ErrWidth, used, 2)
}

// visible is how many characters a terminal shows of what this package styles.
func visible(styled string) int { return utf8.RuneCountInString(colours.ReplaceAllString(styled, "")) }

var colours = regexp.MustCompile("\r|\x1b\\[[0-9;]*[A-Za-z]")

// Warn tells what the user should look at.
func (t *Terminal) Warn(format string, args ...any) {
	t.say(t.paint(yellow, "warning:")+" ", format, args...)
}

// Fail prints an error, what and where, and below it the next command to try; next may be empty.
func (t *Terminal) Fail(words, next string) {
	t.foot.clear()
	t.say(t.paint(red, "error:")+" ", "%s", words)
	if next != "" {
		t.say(t.paint(bold, "next: ")+" ", "%s", next)
	}
}

// Stopping says how the program ends after a first signal; once, whoever is the first to say it.
func (t *Terminal) Stopping(how string) {
	if t.stopping.Swap(true) {
		return
	}
	styled := ""
	if t.ErrWidth > 0 {
		styled = lineStart
	}
	t.say(styled, "%s; once more to quit at once", how)
}

// StillAt is Stopping for work that does not end with a signal: it says what that is.
func (t *Terminal) StillAt() {
	how := "stopping"
	if at := t.foot.at(); at != "" {
		how += ", still " + at
	}
	t.Stopping(how)
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
	styled := ""
	if t.ErrWidth > 0 {
		styled = lineStart
	}
	_, _ = io.WriteString(t.Err, styled+t.message(0, "%s", words)+"\n") // whoever holds the foot may hang
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
