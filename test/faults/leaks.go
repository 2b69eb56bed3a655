package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"alexnet/internal/files"
)

// leaks looks whether a long run needs more and more.
var leaks = row{
	name: "leaks", short: 4, long: 8, deadline: time.Hour,
	fault: "10,000 steps (the short form: 500) with validations, curves and a checkpoint after every 20th; data, run " +
		"folder, net and checkpoint opened and closed in one process 200 times (40)",
	how: "on reference, cpu and cpu,cpu; survived: in the second half neither memory (the median; 3 MiB are let " +
		"go, of the one process 8) nor descriptors nor threads are more than in the first, and there are as many " +
		"goroutines as after 60 steps",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		if runtime.GOOS != "linux" {
			return nil, skip("what a process uses is read in /proc")
		}
		l, err := openShapes(ctx, s, 40, 4)
		if err != nil {
			return nil, err
		}
		able, err := l.computes(ctx, s.dir)
		if err != nil {
			return nil, err
		}
		if !able {
			l.missing["cpu"], l.missing["cpu,cpu"] = withoutOneDNN, withoutOneDNN
		}
		first := filepath.Join(s.dir, "first")
		l.first = checkpointOf(first)
		return l.leaked, l.must(ctx, s.dir, "train", "--config", l.page, "--data", l.shapes, "--out", first, "--device",
			"reference", "--steps", "2")
	},
}

// leaked is a case: of the first four in short, of the next four in long.
func (l *lab) leaked(ctx context.Context, c *testCase) error {
	steps, times := 500, 40
	if c.number >= 4 {
		steps, times = 10_000, 200
	}
	dir, err := c.folder()
	if err != nil {
		return err
	}
	if c.number%4 == 3 {
		return l.opened(ctx, dir, times)
	}
	device, err := l.device(c.number % 4)
	if err != nil {
		return err
	}
	late, err := l.watched(ctx, dir, device, steps)
	if err != nil {
		return err
	}
	early, err := l.watched(ctx, dir, device, 60)
	if err == nil && late > early+4 {
		err = fmt.Errorf("%d goroutines after %d steps, %d after 60", late, steps, early)
	}
	return err
}

// usage is what a process uses.
type usage struct{ memory, descriptors, threads int }

func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d threads", float64(u.memory)/1024, u.descriptors, u.threads)
}

var (
	memoryOf  = nowInMemory
	threadsOf = regexp.MustCompile(`(?m)^Threads:\s+(\d+)$`)
)

// used reads it; memory is in KiB.
func used(pid int) (u usage, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return u, err
	}
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return u, err
	}
	u.descriptors = len(open)
	for into, field := range map[*int]*regexp.Regexp{&u.memory: memoryOf, &u.threads: threadsOf} {
		m := field.FindSubmatch(status)
		if m == nil {
			return u, fmt.Errorf("%s/status lacks %s", proc, field)
		}
		if *into, err = strconv.Atoi(string(m[1])); err != nil {
			return u, err
		}
	}
	return u, nil
}

// What memory is let go, in KiB. Between the middles of the halves lie 200 steps of the short form: 20 kB a step are
// found.
const (
	breathOfRun     = 3 << 10
	breathOfProcess = 8 << 10
)

// more is what the second half of samples has more than the first: of memory, which breathes with the collector and as
// curves are drawn, by the median, less a breath in KiB; of the others by the most.
func more(samples []usage, breath int) error {
	if len(samples) < 8 {
		return fmt.Errorf("only %d samples", len(samples))
	}
	settled := samples[len(samples)/5:]
	before, after := typical(settled[:len(settled)/2]), typical(settled[len(settled)/2:])
	if after.memory > before.memory+breath || after.descriptors > before.descriptors+1 ||
		after.threads > before.threads+2 {
		return fmt.Errorf("first %v, later %v", before, after)
	}
	return nil
}

// typical is the median of memory and the most of the others.
func typical(of []usage) usage {
	m, memory := usage{}, []int{}
	for _, u := range of {
		memory = append(memory, u.memory)
		m.descriptors, m.threads = max(m.descriptors, u.descriptors), max(m.threads, u.threads)
	}
	slices.Sort(memory)
	m.memory = memory[len(memory)/2]
	return m
}

// watched trains for so many steps, wants what the process uses to be level, and returns how many goroutines it had at
// the end. There it is ended by SIGQUIT, at which Go lists them.
func (l *lab) watched(ctx context.Context, dir, device string, steps int) (int, error) {
	run := filepath.Join(dir, fmt.Sprint("run", steps))
	// With Go's usual pace its heap takes a thousand steps to find its size, some 20 MiB up and down.
	tight := func(c *exec.Cmd) { c.Env = append(os.Environ(), "GOGC=10") }
	p, err := l.start(ctx, dir, tight, "train", "--config", l.page, "--data", l.shapes, "--out", run, "--device",
		device, "--epochs", "100000", "--set", "train.checkpoint_steps=20")
	if err != nil {
		return 0, err
	}
	t := &target{run: run}
	var samples []usage
	for step := 0; step < steps && p.running(); p.within(5 * time.Millisecond) {
		if step = t.told(); step < (len(samples)+1)*steps/100 {
			continue
		}
		u, err := used(p.cmd.Process.Pid)
		if err != nil {
			return 0, errors.Join(err, p.failed("while it was watched"))
		}
		samples = append(samples, u)
	}
	if err := p.signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	if code := p.wait(); code != exitGo {
		return 0, p.failed("want the exit code %d of a program in Go at SIGQUIT", exitGo)
	}
	if err := more(samples, breathOfRun); err != nil && steps > 100 {
		return 0, fmt.Errorf("%s, %d steps: %w\n%v", device, steps, err, samples)
	}
	return bytes.Count(p.stderr.bytes(), []byte("\ngoroutine ")), nil
}

const exitGo = 2 // a program in Go that was ended by SIGQUIT

// opened opens and closes all that a run needs, again and again, in a process of its own.
func (l *lab) opened(ctx context.Context, dir string, times int) error {
	c, err := childCommand(ctx, "opens", l.shapes, l.first, filepath.Join(dir, "runs"), strconv.Itoa(times))
	if err != nil {
		return err
	}
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, tail(out, 2000))
	}
	return err
}

// opensChild does so: DATA CHECKPOINT FOLDER TIMES. It fails if there is more at the end than after a fifth.
func opensChild(args []string) error {
	if len(args) != 4 {
		return errors.New("opens: want data, a checkpoint, a folder, a number")
	}
	l := &lab{shapes: args[0], first: args[1]}
	times, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	var samples []usage
	var goroutines []int
	for i := range times {
		run := filepath.Join(args[2], strconv.Itoa(i))
		if err := l.trainHere(context.Background(), files.OS, run, "train.epochs=1"); err != nil {
			return err
		}
		runtime.GC()
		u, err := used(os.Getpid())
		if err != nil {
			return err
		}
		samples, goroutines = append(samples, u), append(goroutines, settledGoroutines())
	}
	if err := more(samples, breathOfProcess); err != nil {
		return fmt.Errorf("%w\n%v", err, samples)
	}
	if first, last := slices.Max(goroutines[:times/2]), goroutines[times-1]; last > first {
		return fmt.Errorf("%d goroutines, then %d", first, last)
	}
	return nil
}

func init() { children["opens"] = opensChild }

// settledGoroutines counts them after those that are about to end had the time for it.
func settledGoroutines() int {
	n := runtime.NumGoroutine()
	for range 50 {
		time.Sleep(time.Millisecond)
		n = min(n, runtime.NumGoroutine())
	}
	return n
}
