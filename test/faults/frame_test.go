package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// carriedOut runs a table and returns the last line, what was said before it, and the verdict.
func carriedOut(t *testing.T, o options, table []row) (last, said string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return carriedOutIn(ctx, t, o, table)
}

func carriedOutIn(ctx context.Context, t *testing.T, o options, table []row) (string, string, error) {
	t.Helper()
	if o.alexnet == "" {
		o.alexnet = os.Args[0]
	}
	if o.jobs == 0 {
		o.jobs = 2
	}
	c, err := newCampaign(o, table)
	if err != nil {
		t.Fatal(err)
	}
	var last, said strings.Builder
	c.last, c.says = &last, &said
	if err := c.run(ctx); err != nil {
		return "", said.String(), err
	}
	err = c.verdict()
	return last.String(), said.String(), err
}

func everything(build string) options { return options{build: build, seed: 7, number: -1} }

func opens(do caseFunc) func(context.Context, *setup) (caseFunc, error) {
	return func(context.Context, *setup) (caseFunc, error) { return do, nil }
}

func fails(err error) func(context.Context, *setup) (caseFunc, error) {
	return func(context.Context, *setup) (caseFunc, error) { return nil, err }
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %q", part, text)
		}
	}
}

// TestVerdicts has a row lose in every way that there is, and wants each told, counted and kept.
func TestVerdicts(t *testing.T) {
	build := t.TempDir()
	cleared := filepath.Join(build, "cleared")
	table := []row{
		{name: "sound", short: 5, open: opens(func(_ context.Context, c *testCase) error {
			c.counts(10)
			return c.note("cleared", nil)
		})},
		{name: "losing", short: 4, deadline: 50 * time.Millisecond, open: func(_ context.Context, s *setup) (
			caseFunc, error,
		) {
			s.onClose(func() error { return os.WriteFile(cleared, nil, 0o666) })
			return func(ctx context.Context, c *testCase) error {
				switch c.number {
				case 0:
					return skip("needs a %s", "moon")
				case 1:
					if err := c.note("evidence", []byte("x")); err != nil {
						return err
					}
					return errors.New("a tensor differs")
				case 2:
					panic("index out of range")
				}
				<-ctx.Done()
				return ctx.Err()
			}, nil
		}},
		{name: "closed", short: 3, open: fails(errors.New("no disk"))},
		{name: "elsewhere", short: 3, open: fails(skip("not root"))},
	}
	last, said, err := carriedOut(t, everything(build), table)
	if err == nil || err.Error() != "4 lost" {
		t.Errorf("verdict: %v", err)
	}
	wantIn(t, last, "sound 50/50", "losing 0/3 (1 skipped: needs a moon)", "closed 0/1",
		"elsewhere 0/0 (3 skipped: not root)", "seed 7, commit ")
	if strings.Count(last, "\n") != 1 {
		t.Errorf("not one line: %q", last)
	}
	wantIn(t, said, "lost: losing case 1: a tensor differs", "go run ./test/faults -row losing -case 1 -seed 7",
		"lost: losing case 2: panic: index out of range", "lost: losing case 3: not done after 50ms",
		"skipped: losing case 0: needs a moon\n  again: go run ./test/faults -row losing -case 0 -seed 7",
		"skipped: elsewhere: not root\n  again: go run ./test/faults -row elsewhere -seed 7",
		"lost: closed: no disk", "again: go run ./test/faults -row closed -seed 7")
	if kept, _ := filepath.Glob(filepath.Join(build, "losing-*", "case-1", "evidence")); len(kept) != 1 {
		t.Errorf("the evidence is not kept: %v", kept)
	}
	for _, pattern := range []string{"sound-*", "elsewhere-*", "losing-*/case-0"} {
		if left, _ := filepath.Glob(filepath.Join(build, pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if _, err := os.Stat(cleared); err != nil {
		t.Error("what the row shared was not put away")
	}
}

// TestOneCase wants a case alone to be the very case of the campaign.
func TestOneCase(t *testing.T) {
	build := t.TempDir()
	var mu sync.Mutex
	drawn := map[int]uint64{}
	table := []row{{name: "draws", short: 6, open: opens(func(_ context.Context, c *testCase) error {
		mu.Lock()
		defer mu.Unlock()
		drawn[c.number] = c.rand.Uint64()
		return nil
	})}}
	if _, _, err := carriedOut(t, everything(build), table); err != nil {
		t.Fatal(err)
	}
	all := drawn
	drawn = map[int]uint64{}
	o := everything(build)
	o.only, o.number = "draws", 4
	last, _, err := carriedOut(t, o, table)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 6 || all[3] == all[4] || len(drawn) != 1 || drawn[4] != all[4] {
		t.Errorf("alone: %v, among others: %v", drawn, all)
	}
	wantIn(t, last, "draws 1/1;")
}

// TestResume cuts a long campaign off and wants the next to do the other cases, once each, and to know of the loss.
func TestResume(t *testing.T) {
	build := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var did []int
	cutAt := 5
	table := []row{{name: "found", long: 1, atOnce: 1, open: func(_ context.Context, s *setup) (caseFunc, error) {
		s.cases = 12
		return func(_ context.Context, c *testCase) error {
			if did = append(did, c.number); len(did) == cutAt {
				cancel()
			}
			if c.number == 2 {
				return errors.New("torn")
			}
			return nil
		}, nil
	}}}
	o := everything(build)
	o.long, o.jobs = true, 1
	if _, _, err := carriedOutIn(ctx, t, o, table); err == nil || !strings.Contains(err.Error(), "goes on from here") {
		t.Fatalf("cut off: %v", err)
	}
	// The case at which it was cut off has no verdict; half a line is what a kill leaves.
	files, _ := filepath.Glob(filepath.Join(build, "*.jsonl"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	f, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"row":"found","ca`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	last, said, err := carriedOut(t, o, table)
	if err == nil || err.Error() != "1 lost" {
		t.Errorf("verdict: %v", err)
	}
	wantIn(t, last, "found 11/12;")
	wantIn(t, said, "4 cases are done already", "-row found -case 2 -seed 7")
	if want := []int{0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(did, want) {
		t.Errorf("did %v, want %v", did, want)
	}
	did = nil
	if last, _, _ := carriedOut(t, o, table); len(did) > 0 || !strings.Contains(last, "found 11/12;") {
		t.Errorf("finished, and did %v: %s", did, last)
	}
	o.seed = 8
	if _, _, err := carriedOut(t, o, table); err == nil || len(did) != 12 {
		t.Errorf("another seed: %v, did %v", err, did)
	}
}

// TestLimit wants a campaign that is out of time to say so, and no row to be left out for another.
func TestLimit(t *testing.T) {
	slow := opens(func(context.Context, *testCase) error { time.Sleep(20 * time.Millisecond); return nil })
	o := everything(t.TempDir())
	o.limit = 100 * time.Millisecond
	table := []row{{name: "first", short: 100, open: slow}, {name: "second", short: 100, open: slow}}
	last, _, err := carriedOut(t, o, table)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, last, "first ", "second ", "skipped: not reached")
	for _, never := range []string{"first 0/", "second 0/"} {
		if strings.Contains(last, never) {
			t.Errorf("%q", last)
		}
	}
}

// TestAtOnce wants cases beside each other, and a row's own limit held.
func TestAtOnce(t *testing.T) {
	var mu sync.Mutex
	running, most := map[string]int{}, map[string]int{}
	counted := func(name string) func(context.Context, *setup) (caseFunc, error) {
		return opens(func(context.Context, *testCase) error {
			mu.Lock()
			running[name]++
			most[name] = max(most[name], running[name])
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			running[name]--
			mu.Unlock()
			return nil
		})
	}
	o := everything(t.TempDir())
	o.jobs = 4
	_, _, err := carriedOut(t, o, []row{
		{name: "one", short: 20, atOnce: 1, open: counted("one")},
		{name: "many", short: 20, open: counted("many")},
	})
	if err != nil || most["one"] != 1 || most["many"] < 2 {
		t.Errorf("at once: %v (%v)", most, err)
	}
}

// TestWriteTable wants the page's other words left as they are, and a page without marks refused.
func TestWriteTable(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	before, after := "# Reliability\n\n", "\n\nThe end.\n"
	o := everything(t.TempDir())
	o.alexnet, o.jobs = os.Args[0], 1
	cut := func(_ context.Context, c *testCase) error {
		if c.number == 1 {
			return skip("no saw")
		}
		return nil
	}
	c, err := newCampaign(o, []row{{name: "cuts", fault: "a | b", how: "by hand", short: 2, open: opens(cut)}})
	if err != nil {
		t.Fatal(err)
	}
	c.last, c.says = &strings.Builder{}, &strings.Builder{}
	if err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second writes over the first
		if err := os.WriteFile(page, []byte(before+beginMark+"\nold\n"+endMark+after), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := writeTable(page, c); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, string(text), "\n| cuts | a \\| b | by hand | 1 | 1 | 1: no saw |\n"+endMark, "seed 7, short form")
	if !strings.HasPrefix(string(text), before+beginMark) || !strings.HasSuffix(string(text), endMark+after) ||
		strings.Contains(string(text), "old") {
		t.Errorf("the page became %q", text)
	}
	if err := os.WriteFile(page, []byte(before), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := writeTable(page, c); err == nil {
		t.Error("a page without marks was written")
	}
}

// TestRows holds the table to what the frame needs.
func TestRows(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rows() {
		if r.name == "" || strings.ContainsAny(r.name, " ,/") || names[r.name] {
			t.Errorf("a row called %q", r.name)
		}
		names[r.name] = true
		if r.fault == "" || r.how == "" || r.short < 1 || r.long < r.short && r.long != 1 || r.open == nil {
			t.Errorf("%s lacks something, or is longer in its short form", r.name)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"kills"},
		{"-case", "3"},
		{"-row", "a,b", "-case", "1"},
		{"-row", "kills", "-write", "page.md"},
		{"-jobs", "0"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is understood", args)
		}
	}
	if err := run(t.Context(), []string{"-row", "no-such-row", "-build", t.TempDir()}); err == nil ||
		!strings.Contains(err.Error(), "no row") {
		t.Errorf("no-such-row: %v", err)
	}
}
