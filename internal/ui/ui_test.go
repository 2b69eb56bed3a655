package ui

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTableFitsTheTerminal(t *testing.T) {
	tab := &Table{Columns: []Column{
		{Head: "layer"}, {Head: "parameters", Right: true}, {Head: "notes", Drop: 2}, {Head: "output", Drop: 1},
	}}
	tab.Add("conv1", "34,944", "both columns see the picture", "96x55x55")
	tab.Add("a_layer_with_quite_a_long_name", "7", "", "1x1x1")
	for _, test := range []struct {
		width int
		heads string
	}{
		{0, "layer parameters notes output"},
		{200, "layer parameters notes output"},
		{60, "layer parameters output"},
		{45, "layer parameters"},
		{20, "layer parameters"},
	} {
		var b bytes.Buffer
		tab.Write(&b, test.width)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("width %d: %d lines, want 3", test.width, len(lines))
		}
		if heads := strings.Join(strings.Fields(lines[0]), " "); heads != test.heads {
			t.Errorf("width %d: columns %q, want %q", test.width, heads, test.heads)
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); test.width > 0 && n > test.width {
				t.Errorf("width %d: line of %d characters: %q", test.width, n, line)
			}
		}
		if !strings.HasSuffix(strings.Split(lines[1], "  ")[0], "conv1") || !strings.Contains(b.String(), "34,944") {
			t.Errorf("width %d: cells lost:\n%s", test.width, b.String())
		}
	}
}

// fullWriter is a disk without room.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestResult(t *testing.T) {
	text := func(w *bytes.Buffer) { w.WriteString("42 <things>\n") }
	value := map[string]any{"things": 42, "name": "<a>"}
	var out bytes.Buffer
	if err := (&Terminal{Out: &out}).Result(value, text); err != nil || out.String() != "42 <things>\n" {
		t.Errorf("text: %q, %v", out.String(), err)
	}
	out.Reset()
	if err := (&Terminal{Out: &out, JSON: true}).Result(value, text); err != nil ||
		out.String() != "{\n  \"name\": \"<a>\",\n  \"things\": 42\n}\n" {
		t.Errorf("JSON: %q, %v", out.String(), err)
	}
	if err := (&Terminal{Out: fullWriter{}}).Result(value, text); err == nil ||
		!strings.Contains(err.Error(), "no space left") {
		t.Errorf("a result that could not be written: %v", err)
	}
}

func TestErrorsAreColouredOnTerminalsAlone(t *testing.T) {
	for _, test := range []struct {
		color bool
		want  string
	}{
		{false, "error: no such thing\nnext:  alexnet --help\n"},
		{true, "\x1b[1;31merror:\x1b[0m no such thing\n\x1b[1mnext: \x1b[0m alexnet --help\n"},
	} {
		var b bytes.Buffer
		(&Terminal{Err: &b, Color: test.color}).Fail("no such thing", "alexnet --help")
		if b.String() != test.want {
			t.Errorf("color %v: %q, want %q", test.color, b.String(), test.want)
		}
	}
}

func TestProgressParts(t *testing.T) {
	p := NewProgress(&Terminal{Err: io.Discard})
	s := Status{Label: "epoch 1/3", Done: 10, All: 40, Left: 110, Rate: 812.4, Loss: 1.25, Stall: .02}
	p.now, p.paced, p.from = s, time.Now().Add(-10*time.Second), 120
	if got, want := p.line(s), "epoch 1/3  10/40  812 images/s  loss 1.2500  ETA 01:50  stall 2%"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	for width, want := range map[int]string{
		1: "10/40", 21: "10/40  loss 1.2500", 22: "10/40  812 images/s", 35: "10/40  812 images/s     loss 1.2500",
	} {
		if got := p.parts(s, width); got != want {
			t.Errorf("%d characters: %q, want %q", width, got, want)
		}
	}
	bare := Status{Label: "reading", Done: 3, All: 9, Left: 6, Loss: -1, Stall: -1}
	if got := p.parts(bare, 12); got != "3/9" {
		t.Errorf("without loss, rate and Stall: %q", got)
	}
	mean := Status{Label: "mean image", Done: 12000, All: 45000, Unit: "picture", Loss: -1, Stall: -1}
	if got, want := p.line(mean), "mean image: 12,000 of 45,000 pictures"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

func TestCounter(t *testing.T) {
	p := NewProgress(&Terminal{Err: io.Discard})
	count := p.Counter("reading")
	count(0, 9)
	count(3, 9)
	got, want := p.line(p.current()), "reading  3/9"
	if !strings.HasPrefix(got, want) || strings.Contains(got, "loss") {
		t.Errorf("line %q, want %q and no loss", got, want)
	}
	if eta, ok := p.eta(p.current()); !ok || eta < 0 {
		t.Errorf("no time is left for 6 of 9: %v", eta)
	}
}

// TestLastWords: they say what AtQuit gave until that is taken back, and begin in a terminal's first column.
func TestLastWords(t *testing.T) {
	var b bytes.Buffer
	term := &Terminal{Err: &b}
	term.AtQuit(func() string { return "last checkpoint: step 7" })
	term.LastWords()
	term.AtQuit(nil)
	term.LastWords()
	term.ErrWidth = 80
	term.LastWords()
	const want = "quit at once; last checkpoint: step 7\nquit at once\n" + lineStart + "quit at once\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestStopping: it is said once, and of work that does not stop what it is.
func TestStopping(t *testing.T) {
	for want, say := range map[string]func(*Terminal){
		"stopping; once more to quit at once\n": (*Terminal).StillAt,
		"stopping: writing; once more to quit at once\n": func(t *Terminal) {
			t.Stopping("stopping: writing")
		},
		"stopping, still opening the weights; once more to quit at once\n": func(t *Terminal) {
			defer t.Phase("opening the weights").Clear()
			t.StillAt()
		},
	} {
		var b bytes.Buffer
		term := &Terminal{Err: &b}
		say(term)
		if term.StillAt(); b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

// TestNamesAreWrittenOut: of what is told nothing is obeyed, and no end of line in a name begins a message; colours and
// the start of a line stay. Tables are as wide as what they show.
func TestNamesAreWrittenOut(t *testing.T) {
	const name = "a\x1b[2J\nerror: forged\u009b\xff"
	const shown = `a\x1b[2J` + "\n  error: forged" + `\u009b\xff`
	var b bytes.Buffer
	term := &Terminal{Err: &b, Out: &b, Color: true, ErrWidth: 80}
	for _, c := range []struct {
		do   func()
		want string
	}{
		{func() { term.Note("of %s", name) }, "of " + shown + "\n"},
		{func() { term.Warn("of %s", name) }, "\x1b[1;33mwarning:\x1b[0m of " + shown + "\n"},
		{
			func() { term.Fail(name, name) },
			"\x1b[1;31merror:\x1b[0m " + shown + "\n\x1b[1mnext: \x1b[0m " + shown + "\n",
		},
		{func() { NewProgress(term).Note("of %s", name) }, lineStart + "of " + shown + "\n"},
		{
			func() {
				tab := &Table{Columns: []Column{{}, {Right: true}}}
				tab.Add(name, "1")
				tab.Add("b", "12")
				if err := term.Result(nil, func(w *bytes.Buffer) { tab.Write(w, 0) }); err != nil {
					t.Error(err)
				}
			},
			`a\x1b[2J\nerror: forged\u009b\xff   1` + "\n" + `b` + strings.Repeat(" ", 34) + "12\n",
		},
		{
			func() {
				term.JSON = true
				if err := term.Result("\x1b\u009b\u202e\x7f", nil); err != nil {
					t.Error(err)
				}
			},
			`"\u001b\u009b\u202e\u007f"` + "\n",
		},
	} {
		b.Reset()
		if c.do(); b.String() != c.want {
			t.Errorf("%q, want %q", b.String(), c.want)
		}
	}
}
