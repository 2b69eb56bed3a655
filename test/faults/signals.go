package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// signalled sends runs the signals that they meet, at every moment of their life.
var signalled = row{
	name: "signals", short: 39, long: 200,
	fault: "SIGINT, SIGTERM, SIGHUP once and twice and ignored, STOP and CONT, Ctrl-C, a closed terminal, closed " +
		"pipes, SIGPIPE",
	how: "at the start, in the statistics, in training, in the validation, while a checkpoint is written, at the " +
		"end; survived: the exit code is 128 and the signal's number (or 0 if the run was done), at most 10 s " +
		"after the first signal and 2 s after the second; no step that was told is lost after the first; resumed, " +
		"all is as in the undisturbed run",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		l, err := openLab(ctx, s, 32) // a validation of 20 batches
		if err != nil {
			return nil, err
		}
		return l.signalled, nil
	},
}

// What a process may take to its end after a signal.
const (
	afterFirst  = 10 * time.Second
	afterSecond = 2 * time.Second
)

// disturbance is one way to send signals. It returns once the process has ended.
type disturbance struct {
	name string
	do   func(l *lab, ctx context.Context, t *target) error
}

var disturbances = []disturbance{
	{"SIGINT", once(syscall.SIGINT)},
	{"SIGTERM", once(syscall.SIGTERM)},
	{"SIGHUP", once(syscall.SIGHUP)},
	{"SIGINT twice", twice(syscall.SIGINT, syscall.SIGINT)},
	{"SIGTERM twice", twice(syscall.SIGTERM, syscall.SIGTERM)},
	{"SIGHUP, then SIGTERM", twice(syscall.SIGHUP, syscall.SIGTERM)},
	{"STOP and CONT", (*lab).stopped},
	{"STOP, SIGTERM, CONT", (*lab).stoppedAndEnded},
	{"closed terminal", (*lab).terminalClosed},
	{"Ctrl-C", (*lab).typed},
	{"closed pipes", (*lab).pipesClosed},
	{"SIGPIPE", (*lab).pipeSignals},
	{"ignored SIGINT and SIGHUP", (*lab).ignoring},
}

// target is a run to send signals to.
type target struct {
	rand              *rand.Rand
	dir, run, device  string
	number            int
	when              string // the moment, for the error
	moment            func(p *process) bool
	toldBefore, ended int // the step of the last line of metrics before the signal; the exit code
}

func (l *lab) signalled(ctx context.Context, c *testCase) error {
	device, err := l.device(c.number)
	if err != nil {
		return err
	}
	dir, err := c.folder()
	if err != nil {
		return err
	}
	kind := disturbances[c.number%len(disturbances)]
	t := &target{rand: c.rand, dir: dir, run: filepath.Join(dir, "run"), device: device, number: c.number}
	t.choose()
	err = kind.do(l, ctx, t)
	var s *skipped
	if errors.As(err, &s) {
		return err
	}
	if err == nil && t.ended == 0 {
		err = l.compare(t.run, device)
	} else if err == nil {
		err = l.finish(ctx, dir, t.run, device)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind.name, t.when, err)
	}
	return nil
}

// choose draws the moment.
func (t *target) choose() {
	lag := time.Duration(t.rand.IntN(4000)) * time.Microsecond
	after := func(what func() bool) func(*process) bool {
		return func(p *process) bool { return p.until(what) && !p.within(lag) }
	}
	step := 1 + t.rand.IntN(lastStep-1)
	epoch := (1 + t.rand.IntN(lastStep/stepsPerEpoch)) * stepsPerEpoch
	write := t.rand.IntN(5)
	moments := []struct {
		when   string
		moment func(p *process) bool
	}{
		{"at the start", func(p *process) bool { return !p.within(time.Duration(t.rand.IntN(30)) * time.Millisecond) }},
		{"in the statistics", after(func() bool { return isThere(t.run) })},
		{fmt.Sprint("in training, at step ", step), after(func() bool { return t.told() >= step })},
		{fmt.Sprint("in the validation after step ", epoch), after(func() bool { return t.told() >= epoch })},
		{fmt.Sprint("in the writing of checkpoint ", write+1), nil},
		{"at the end", after(func() bool { return t.told() >= lastStep })},
	}
	m := moments[t.rand.IntN(len(moments))]
	t.when, t.moment = m.when, m.moment
	if t.moment == nil {
		seen := writesSeen(t.run)
		t.moment = func(p *process) bool { return p.until(func() bool { return seen() > write }) }
	}
}

// told is the step of the last whole line of metrics, 0 for none.
func (t *target) told() int {
	text, _ := os.ReadFile(metricsOf(t.run)) // not there yet: none
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if len(text) == 0 {
		return 0
	}
	last := text[bytes.LastIndexByte(text[:len(text)-1], '\n')+1:]
	var step int
	_, _ = fmt.Sscanf(string(last), `{"step":%d`, &step)
	return step
}

func (l *lab) begin(ctx context.Context, t *target, with func(*exec.Cmd)) (*process, error) {
	return l.start(ctx, t.dir, with, l.train(t.run, t.device)...)
}

// endsBy wants the process to be over in time, by this signal or because it was done, and nothing that it had told to
// be lost.
func (t *target) endsBy(p *process, s syscall.Signal, in time.Duration, keeps bool) error {
	if p.running() && !p.within(in) {
		return p.failed("deaf for %v", in)
	}
	if t.ended = p.wait(); t.ended != 0 && t.ended != 128+int(s) {
		return p.failed("want exit code %d or 0", 128+int(s))
	}
	if t.ended == 0 || !keeps {
		return nil
	}
	said := interruptedAfter.FindSubmatch(p.stderr.bytes())
	if t.toldBefore == 0 && said == nil {
		return nil
	}
	_, step, err := tensorsOf(checkpointOf(t.run))
	switch {
	case err != nil:
		return errors.Join(p.failed("no sound checkpoint"), err)
	case int(step) < t.toldBefore:
		return p.failed("step %d was told, the checkpoint is of step %d", t.toldBefore, step)
	case said == nil || string(said[1]) != strconv.Itoa(int(step)):
		return p.failed("the checkpoint is of step %d, which is not what was said", step)
	}
	return nil
}

var interruptedAfter = regexp.MustCompile(`interrupted after step (\d+)`)

func once(s syscall.Signal) func(*lab, context.Context, *target) error {
	return func(l *lab, ctx context.Context, t *target) error {
		p, err := l.begin(ctx, t, nil)
		if err != nil {
			return err
		}
		if t.moment(p) {
			t.toldBefore = t.told()
		}
		if err := p.signal(s); err != nil {
			return err
		}
		return t.endsBy(p, s, afterFirst, true)
	}
}

// twice sends a second signal before the first can have had its way.
func twice(first, second syscall.Signal) func(*lab, context.Context, *target) error {
	return func(l *lab, ctx context.Context, t *target) error {
		p, err := l.begin(ctx, t, nil)
		if err != nil {
			return err
		}
		t.moment(p)
		if err := p.signal(first); err != nil {
			return err
		}
		p.within(time.Duration(t.rand.IntN(3000)) * time.Microsecond)
		if err := p.signal(second); err != nil {
			return err
		}
		if first == second && !p.within(afterSecond) {
			// Two of one kind are one while the first is pending: whoever types it once more must be heard.
			if err := p.signal(second); err != nil {
				return err
			}
		}
		if !p.within(afterSecond) {
			return p.failed("deaf to the second signal for %v", afterSecond)
		}
		by := first
		if p.wait() == 128+int(second) {
			by = second
		}
		return t.endsBy(p, by, afterSecond, false)
	}
}

// stopped sends STOP, and CONT a while later: the run must go on as if nothing had been.
func (l *lab) stopped(ctx context.Context, t *target) error {
	p, err := l.begin(ctx, t, nil)
	if err != nil {
		return err
	}
	t.moment(p)
	if err := t.pause(p); err != nil {
		return err
	}
	if t.ended = p.wait(); t.ended != 0 {
		return p.failed("want exit code 0")
	}
	return nil
}

func (t *target) pause(p *process, meanwhile ...syscall.Signal) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.within(time.Duration(50+t.rand.IntN(300)) * time.Millisecond)
	for _, s := range append(meanwhile, syscall.SIGCONT) {
		if err := p.signal(s); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) stoppedAndEnded(ctx context.Context, t *target) error {
	p, err := l.begin(ctx, t, nil)
	if err != nil {
		return err
	}
	if t.moment(p) {
		t.toldBefore = t.told()
	}
	if err := t.pause(p, syscall.SIGTERM); err != nil {
		return err
	}
	return t.endsBy(p, syscall.SIGTERM, afterFirst, true)
}

// pipesClosed gives the program pipes that nobody reads any more from some moment on: standard output, standard error
// or both. Whose result could not be written ends with 1, with the run complete.
func (l *lab) pipesClosed(ctx context.Context, t *target) error {
	which := t.rand.IntN(3)
	var readers, writers []*os.File
	pipe := func() (*os.File, error) {
		r, w, err := os.Pipe()
		if err == nil {
			readers, writers = append(readers, r), append(writers, w)
		}
		return w, err
	}
	out, err := pipe()
	if err != nil {
		return err
	}
	notes, err := pipe()
	if err != nil {
		return err
	}
	p, err := l.begin(ctx, t, func(c *exec.Cmd) {
		if which != 0 {
			c.Stdout = out
		}
		if which != 1 {
			c.Stderr = notes
		}
	})
	for _, w := range writers {
		_ = w.Close() // the process has its own
	}
	if err != nil {
		return err
	}
	for _, r := range readers {
		go io.Copy(io.Discard, r) //nolint:errcheck // until it is closed
	}
	t.moment(p)
	for _, r := range readers {
		_ = r.Close()
	}
	code := p.wait()
	if want := map[bool]int{true: 1, false: 0}[which != 0]; code != 0 && code != want {
		return p.failed("want exit code 0 or %d", want)
	}
	return nil // t.ended stays 0: the run must be complete
}

// pipeSignals sends the signal itself.
func (l *lab) pipeSignals(ctx context.Context, t *target) error {
	p, err := l.begin(ctx, t, nil)
	if err != nil {
		return err
	}
	p.until(func() bool { return t.told() > 0 }) // from then on it is ignored
	for t.moment(p); p.running(); p.within(time.Millisecond) {
		if err := p.signal(syscall.SIGPIPE); err != nil {
			return err
		}
	}
	if t.ended = p.wait(); t.ended != 0 {
		return p.failed("want exit code 0")
	}
	return nil
}

// ignoring begins the run as a script does in the background, and nohup: with SIGINT and SIGHUP ignored.
func (l *lab) ignoring(ctx context.Context, t *target) error {
	p, err := l.begin(ctx, t, func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `trap "" INT HUP; exec "$@"`, "sh", c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	})
	if err != nil {
		return err
	}
	p.until(func() bool { return isThere(t.run) }) // the shell is gone
	for t.moment(p); p.running(); p.within(10 * time.Millisecond) {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
			if err := p.signal(s); err != nil {
				return err
			}
		}
	}
	if t.ended = p.wait(); t.ended != 0 {
		return p.failed("want exit code 0")
	}
	return nil
}

// terminalClosed begins the run as the first process of a terminal and closes the terminal.
func (l *lab) terminalClosed(ctx context.Context, t *target) error {
	p, master, err := l.onTerminal(ctx, t)
	if err != nil {
		return err
	}
	if t.moment(p) {
		t.toldBefore = t.told()
	}
	if err := master.Close(); err != nil {
		return err
	}
	return t.endsBy(p, syscall.SIGHUP, afterFirst, false) // what it says nobody sees
}

// typed types Ctrl-C on the terminal, once, or twice where the first takes its time.
func (l *lab) typed(ctx context.Context, t *target) error {
	p, master, err := l.onTerminal(ctx, t)
	if err != nil {
		return err
	}
	defer master.Close()           //nolint:errcheck // after the process
	go io.Copy(io.Discard, master) //nolint:errcheck // until it is closed
	if t.moment(p) {
		t.toldBefore = t.told()
	}
	if _, err := master.Write([]byte{3}); err != nil && p.running() {
		return err
	}
	return t.endsBy(p, syscall.SIGINT, afterFirst, false)
}
