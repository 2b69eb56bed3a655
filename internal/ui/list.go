package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"alexnet/internal/text"
)

// List writes a result that consists of many: as text each as soon as it is there; with JSON as the elements of one
// array, each as soon as the next is there. However the work ends, it is whole lines, and a whole document.
type List struct {
	t    *Terminal
	n    int
	last string // with JSON: the newest element, whose line goes on as it is the last of all or not
}

// List begins one. Nothing is written before the first element.
func (t *Terminal) List() *List { return &List{t: t} }

// Len is how many elements were added.
func (l *List) Len() int { return l.n }

// Add writes an element: v with JSON, else what write writes, which may be nothing.
func (l *List) Add(v any, write func(w *bytes.Buffer)) error {
	var b bytes.Buffer
	if l.n++; !l.t.JSON {
		write(&b)
		return l.write(text.Escape(b.String()))
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the result as JSON: %w", err)
	}
	before := "[\n"
	if l.n > 1 {
		before = l.last + ",\n"
	}
	l.last = "  " + text.EscapeJSON(strings.TrimSuffix(b.String(), "\n"))
	return l.write(before)
}

// End completes the document and gives err back, why the work ended early, or else its own. Where err came before the
// first element there is no document.
func (l *List) End(err error) error {
	if !l.t.JSON || err != nil && l.n == 0 {
		return err
	}
	rest := l.last + "\n]\n"
	if l.n == 0 {
		rest = "[]\n"
	}
	if failed := l.write(rest); err == nil {
		err = failed
	}
	return err
}

func (l *List) write(s string) error {
	if s == "" {
		return nil
	}
	if _, err := io.WriteString(l.t.Out, s); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}
