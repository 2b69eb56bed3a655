package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// settings are what a machine or a cluster's scripts may have set for every program.
var settings = row{
	name: "settings", short: 20, long: 200,
	fault: "OpenMP's variables leave fewer threads than asked for, or others; limits on address space (ulimit -v) " +
		"and on what may be written (ulimit -d), at a random level above that with which Go starts",
	how: "survived: with fewer threads the run ends, with the tensors of one that was to have so many; under a limit " +
		"it comes to what the undisturbed run came to, or is refused with exit 1, the limit by name and no dump",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		if runtime.GOOS != "linux" {
			return nil, skip("needs Linux")
		}
		l, err := openLab(ctx, s, 2)
		if err != nil {
			return nil, err
		}
		for _, device := range devices[1:] {
			if l.missing[device] != "" {
				continue
			}
			run := filepath.Join(s.dir, "one-"+device)
			if err := l.trainAmid(ctx, s.dir, run, device, "GOMAXPROCS=1"); err != nil {
				return nil, err
			}
			one, err := outcomeOf(run)
			if err != nil {
				return nil, err
			}
			l.whole["one thread, "+device] = one
		}
		return l.amid, nil
	},
}

// variables are settings of OpenMP, and whether they leave one thread.
var variables = []struct {
	set string
	one bool
}{
	{"OMP_THREAD_LIMIT=1", true},
	{"OMP_DYNAMIC=true", false},
	{"OMP_MAX_ACTIVE_LEVELS=0", true},
	{"OMP_PROC_BIND=spread", false},
	{"OMP_DYNAMIC=true OMP_THREAD_LIMIT=1", true},
	{"OMP_NESTED=true OMP_WAIT_POLICY=active", false},
}

func (l *lab) amid(ctx context.Context, c *testCase) error {
	dir, err := c.folder()
	if err != nil {
		return err
	}
	run := filepath.Join(dir, "run")
	if c.number%2 == 1 {
		return l.underLimit(ctx, c, dir, run)
	}
	device, err := l.device(1 + c.number/2%2)
	if err != nil {
		return err
	}
	v := variables[c.number/4%len(variables)]
	if err := l.trainAmid(ctx, dir, run, device, strings.Fields(v.set)...); err != nil {
		return err
	}
	got, err := outcomeOf(run)
	if err != nil {
		return err
	}
	want := device
	if v.one {
		want = "one thread, " + device
	}
	if names := differences(l.whole[want].tensors, got.tensors); len(names) > 0 {
		return fmt.Errorf("%s, %s: the tensors %s differ", v.set, device, strings.Join(names, ", "))
	}
	return nil
}

// trainAmid trains with variables set, which must take no longer than it may take on a busy machine.
func (l *lab) trainAmid(ctx context.Context, dir, run, device string, variables ...string) error {
	p, err := l.start(ctx, dir, func(c *exec.Cmd) { c.Env = append(os.Environ(), variables...) },
		l.train(run, device)...)
	if err != nil {
		return err
	}
	if !p.within(40 * time.Second) {
		return errors.Join(p.failed("%s, %s", variables, device), p.cmd.Process.Kill())
	}
	if p.wait() != 0 {
		return p.failed("%s, %s", variables, device)
	}
	return nil
}

// Above these Go starts, on a loaded machine too: at 1700 MiB of address space its own dump came before any word of
// ours 62 times of 955, at 1800 never in 397. What a run takes lies some hundred MB higher, and in between is where one
// could break.
const (
	leastMapped   = 1900 << 20
	leastWritable = 200 << 20
)

func (l *lab) underLimit(ctx context.Context, c *testCase, dir, run string) error {
	device, err := l.device(c.number / 4)
	if err != nil {
		return err
	}
	lim := limits{mapped: leastMapped + uint64(c.rand.IntN(800<<20)), time: 40 * time.Second}
	name := "RLIMIT_AS"
	if c.number%4 == 1 {
		lim = limits{memory: leastWritable + uint64(c.rand.IntN(200<<20)), time: lim.time}
		name = "RLIMIT_DATA"
	}
	end, err := limited(ctx, lim, dir, append([]string{l.alexnet}, l.train(run, device)...)...)
	if err != nil {
		return err
	}
	err = end.civil()
	switch {
	case err != nil:
	case end.code == 0: // where oneDNN does not load another device computes, and says so
		if !strings.Contains(end.stderr, "slower reference backend") {
			err = l.compare(run, device)
		}
	case end.code != 1 || !strings.Contains(end.errorLine(), name):
		err = fmt.Errorf("exit %d: %s", end.code, end.tail())
	}
	if err != nil {
		err = fmt.Errorf("%s of %d bytes, %s: %w", name, max(lim.mapped, lim.memory), device, err)
	}
	return err
}
