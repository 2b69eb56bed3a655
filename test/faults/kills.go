package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// kills ends a run by SIGKILL, once to three times, lets it go on each time, and holds it to the undisturbed run.
var kills = row{
	name: "kills", short: 40, long: 500,
	fault: "kill -9 in training, half of them while a checkpoint was being written; resume",
	how: "one to three kills in a run, on reference, cpu and cpu,cpu in turn, at a random time or as the temporary " +
		"file appears (which must be left behind); survived: resumed, weights, momentum and metrics are those of the " +
		"undisturbed run, bit for bit, and nothing else is left in the folder",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		l, err := openLab(ctx, s, 2)
		if err != nil {
			return nil, err
		}
		return l.killed, nil
	},
}

func (l *lab) killed(ctx context.Context, c *testCase) error {
	device, err := l.device(c.number)
	if err != nil {
		return err
	}
	dir, err := c.folder()
	if err != nil {
		return err
	}
	run := filepath.Join(dir, "run")
	inWrite := c.number/len(devices)%2 == 0
	for range 1 + c.rand.IntN(3) {
		if err := l.kill(ctx, c, dir, run, device, inWrite); err != nil {
			return err
		}
	}
	return l.finish(ctx, dir, run, device)
}

// kill begins the run or goes on with it, and kills it. One that was quicker begins anew.
func (l *lab) kill(ctx context.Context, c *testCase, dir, run, device string, inWrite bool) error {
	for ctx.Err() == nil {
		args := l.resume(run)
		if !isThere(checkpointOf(run)) {
			if err := os.RemoveAll(run); err != nil {
				return err
			}
			args = l.train(run, device)
		}
		p, err := l.start(ctx, dir, nil, args...)
		if err != nil {
			return err
		}
		if inWrite {
			seen, wait := writesSeen(run), c.rand.IntN(4)
			p.until(func() bool { return seen() > wait })
		} else {
			p.within(time.Duration(c.rand.IntN(400)) * time.Millisecond)
		}
		if err := p.signal(syscall.SIGKILL); err != nil {
			return err
		}
		switch code := p.wait(); {
		case code == 128+int(syscall.SIGKILL) && (!inWrite || slices.ContainsFunc(temporaries(run), isThere)):
			return nil
		case code == 128+int(syscall.SIGKILL): // a moment too late: it may go on from there
		case code != 0:
			return p.failed("ended by itself")
		default:
			if err := os.RemoveAll(run); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// writesSeen counts the temporary files that were there when it was called: each writing of a checkpoint once.
func writesSeen(run string) func() int {
	n := 0
	last := map[string]fs.FileInfo{}
	return func() int {
		for _, name := range temporaries(run) {
			now, err := os.Lstat(name)
			if err != nil {
				delete(last, name)
			} else if before := last[name]; before == nil || !os.SameFile(before, now) {
				last[name] = now
				n++
			}
		}
		return n
	}
}
