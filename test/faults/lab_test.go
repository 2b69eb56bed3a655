package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDifferences wants a bit, a missing and an additional tensor to be seen.
func TestDifferences(t *testing.T) {
	want := map[string][]float32{"conv1.weight": {1, 2}, "optim.conv1.weight": {0, 0}}
	zero := float32(0)
	for _, test := range []struct {
		got  map[string][]float32
		want string
	}{
		{map[string][]float32{"conv1.weight": {1, 2}, "optim.conv1.weight": {0, 0}}, ""},
		{map[string][]float32{"conv1.weight": {1, 2.0000002}, "optim.conv1.weight": {0, 0}}, "conv1.weight"},
		{map[string][]float32{"conv1.weight": {1, 2}, "optim.conv1.weight": {0, -zero}}, "optim.conv1.weight"},
		{map[string][]float32{"conv1.weight": {1, 2}}, "optim.conv1.weight"},
		{map[string][]float32{"conv1.weight": {1, 2}, "optim.conv1.weight": {0, 0}, "x": {1}}, "x"},
		{map[string][]float32{"conv1.weight": {1, 2, 3}, "optim.conv1.weight": {0, 0}}, "conv1.weight"},
	} {
		if got := strings.Join(differences(want, test.got), " "); got != test.want {
			t.Errorf("%v: %q differ, want %q", test.got, got, test.want)
		}
	}
}

func TestCompareLines(t *testing.T) {
	whole := []string{`{"step":1}`, `{"step":2}`}
	for _, test := range []struct {
		got  []string
		want string
	}{
		{whole, ""},
		{whole[:1], "line 2 of metrics.jsonl is none"},
		{[]string{whole[0], whole[0], whole[1]}, "line 2 of"},
		{append(whole[:2:2], `{"step":3}`), "line 3 of"},
	} {
		err := compareLines("line %d of metrics.jsonl", whole, test.got)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.got, err, test.want)
		}
	}
}

// TestPoints wants a point that stands twice to be seen, and one that a session's start takes back not.
func TestPoints(t *testing.T) {
	event := func(fields ...byte) []byte {
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(fields)))
		return append(append(append(b, 0, 0, 0, 0), fields...), 0, 0, 0, 0)
	}
	loss := func(step byte) []byte { // step, a summary with one value: its tag, 1.0
		return event(0x10, step, 0x2a, 13, 0x0a, 11, 0x0a, 4, 'l', 'o', 's', 's', 0x15, 0, 0, 0x80, 0x3f)
	}
	start := event(0x10, 2, 0x3a, 2, 0x08, 1) // of step 2
	for _, test := range []struct {
		files []string
		want  string
	}{
		{[]string{string(loss(1)) + string(loss(2))}, "loss 1 3f800000, loss 2 3f800000"},
		{
			[]string{string(loss(1)) + string(loss(2)), string(loss(2))},
			"loss 1 3f800000, loss 2 3f800000, loss 2 3f800000",
		},
		{
			[]string{string(loss(1)) + string(loss(2)), string(start) + string(loss(2))},
			"loss 1 3f800000, loss 2 3f800000",
		},
		{[]string{string(loss(1)[:20])}, "torn"},
		{nil, ""},
	} {
		run := t.TempDir()
		for i, text := range test.files {
			name := filepath.Join(run, fmt.Sprint("events.out.tfevents.", i))
			if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		points, err := pointsOf(run)
		got := strings.Join(points, ", ")
		if errors.Is(err, errTorn) {
			got = "torn"
		}
		if got != test.want {
			t.Errorf("%q: %s (%v), want %s", test.files, got, err, test.want)
		}
	}
}

// TestOnlyWithPictures wants a step without a loss, and a picture that was given up, to be seen.
func TestOnlyWithPictures(t *testing.T) {
	run := t.TempDir()
	for text, bad := range map[string]bool{
		`{"step":1,"lr":0.1,"loss":2}` + "\n" + `{"step":1,"val_loss":2}` + "\n": false,
		`{"step":1,"lr":0.1}` + "\n":                           true,
		`{"step":1,"lr":0.1,"loss":2,"bad_pictures":1}` + "\n": true,
	} {
		if err := os.WriteFile(metricsOf(run), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := onlyWithPictures(run); (err != nil) != bad {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestWritesSeen wants each temporary file counted once, and one of the same name as another.
func TestWritesSeen(t *testing.T) {
	run := t.TempDir()
	if err := os.Mkdir(filepath.Join(run, "checkpoints"), 0o777); err != nil {
		t.Fatal(err)
	}
	seen := writesSeen(run)
	want := 0
	check := func() {
		t.Helper()
		for range 2 {
			if n := seen(); n != want {
				t.Fatalf("%d writes, want %d", n, want)
			}
		}
	}
	check()
	for _, name := range append(temporaries(run), temporaries(run)...) {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		want++
		check()
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		check()
	}
}

// TestProcess drives a shell: exit codes as a shell counts them, and the end of what does not end.
func TestProcess(t *testing.T) {
	shell := &lab{alexnet: "/bin/sh"}
	start := func(line string) *process {
		t.Helper()
		p, err := shell.start(t.Context(), t.TempDir(), nil, "-c", line)
		if err != nil {
			t.Skip(err)
		}
		return p
	}
	if p := start("echo said >&2; exit 12"); p.wait() != 12 || !strings.Contains(p.failed("x").Error(), "code 12") ||
		!strings.Contains(p.failed("x").Error(), "said") {
		t.Error(p.failed("an exit code"))
	}
	if p := start("kill -TERM $$"); p.wait() != 128+15 {
		t.Error(p.failed("a signal"))
	}
	p := start("exec sleep 60")
	if p.within(10*time.Millisecond) || !p.running() {
		t.Error("it has ended")
	}
	if err := p.signal(9); err != nil || p.wait() != 128+9 {
		t.Error(p.failed("%v", err))
	}
	if err := p.signal(9); err != nil {
		t.Errorf("a signal to what has ended: %v", err)
	}
	if err := shell.must(t.Context(), t.TempDir(), "-c", "exit 3"); err == nil {
		t.Error("exit code 3 passes")
	}
	l := &lab{missing: map[string]string{"cpu": "no oneDNN"}}
	var s *skipped
	if _, err := l.device(1); !errors.As(err, &s) {
		t.Errorf("a device that is missing: %v", err)
	}
}
