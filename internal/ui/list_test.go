package ui

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// TestList: with JSON the document is the one that Result writes of all, ended early or not; as text each element is
// there at once.
func TestList(t *testing.T) {
	values := []map[string]string{{"name": "<a>"}, {"name": "b\u009b\u202e", "more": "1\n2"}, {}}
	stopped := errors.New("stopped")
	for n := range len(values) + 1 {
		for _, early := range []error{nil, stopped} {
			var whole, parts bytes.Buffer
			if err := (&Terminal{Out: &whole, JSON: true}).Result(values[:n], nil); err != nil {
				t.Fatal(err)
			}
			l := (&Terminal{Out: &parts, JSON: true}).List()
			for _, v := range values[:n] {
				if err := l.Add(v, nil); err != nil {
					t.Fatal(err)
				}
			}
			want := whole.String()
			if early != nil && n == 0 {
				want = ""
			}
			if err := l.End(early); !errors.Is(err, early) || parts.String() != want || l.Len() != n {
				t.Errorf("%d elements: %q, %v; want %q, %v", n, parts.String(), err, want, early)
			}
		}
	}
	var out bytes.Buffer
	l := (&Terminal{Out: &out}).List()
	for _, line := range []string{"first\x1b[2J\n", "", "second\n"} {
		if err := l.Add(nil, func(w *bytes.Buffer) { w.WriteString(line) }); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); !strings.HasSuffix(got, strings.ReplaceAll(line, "\x1b", `\x1b`)) {
			t.Errorf("after %q: %q", line, got)
		}
	}
	if err := l.End(nil); err != nil || out.String() != `first\x1b[2J`+"\nsecond\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	for _, asJSON := range []bool{false, true} {
		l = (&Terminal{Out: fullWriter{}, JSON: asJSON}).List()
		err := l.Add(1, func(w *bytes.Buffer) { w.WriteString("x") })
		if err == nil || !strings.Contains(err.Error(), "writing the result: no space left") {
			t.Errorf("what could not be written: %v", err)
		}
		if end := l.End(err); !errors.Is(end, err) {
			t.Errorf("its end: %v", end)
		}
	}
}
