package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// races lets processes meet in one folder.
var races = row{
	name: "races", short: 35, long: 500,
	fault: "two trainers and two resumes on one folder, eight runs begun at once, readers and exports beside a trainer",
	how: "survived: one trainer wins and comes to what the undisturbed run came to, the others end with 13 and " +
		"change nothing; a reader finds a whole checkpoint at any time, or none yet; runs are numbered without a gap",
	open: func(ctx context.Context, s *setup) (caseFunc, error) {
		l, err := openLab(ctx, s, 2)
		if err != nil {
			return nil, err
		}
		return l.raced, nil
	},
}

const exitFailed, exitNoData, exitLocked = 1, 10, 13 // beside exitCheckpoint

// meetings are the ways in which processes meet. Each returns the folder of a finished run.
var meetings = []struct {
	name string
	do   func(l *lab, ctx context.Context, c *testCase, dir, device string) error
}{
	{"two trainers", (*lab).twoTrainers},
	{"two resumes", (*lab).twoResumes},
	{"a resume beside the trainer", (*lab).resumeBeside},
	{"readers beside the trainer", (*lab).readersBeside},
	{"exports beside the trainer", (*lab).exportsBeside},
	{"eight at once", (*lab).eightAtOnce},
	{"a resume after a kill, beside another", (*lab).resumesAfterKill},
}

func (l *lab) raced(ctx context.Context, c *testCase) error {
	device, err := l.device(c.number)
	if err != nil {
		return err
	}
	dir, err := c.folder()
	if err != nil {
		return err
	}
	m := meetings[c.number%len(meetings)]
	if err := m.do(l, ctx, c, dir, device); err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	return nil
}

// contest starts commands together, a moment drawn between them, and wants one of them to come through and the others
// to find the folder locked. Where one was done before another looked, that one may say what no says.
func (l *lab) contest(ctx context.Context, c *testCase, dir string, late func(*process) bool, all ...[]string) error {
	var under []*process
	for i, args := range all {
		if i > 0 && c.rand.IntN(2) == 0 {
			time.Sleep(time.Duration(c.rand.IntN(60_000)) * time.Microsecond)
		}
		p, err := l.start(ctx, dir, nil, args...)
		if err != nil {
			return err
		}
		under = append(under, p)
	}
	won := 0
	for _, p := range under {
		switch code := p.wait(); {
		case code == exitLocked:
		case code == 0 && p.didNothing():
		case code == 0:
			won++
		case late != nil && late(p):
		default:
			return p.failed("want exit code 0 or %d", exitLocked)
		}
	}
	if won != 1 {
		var said []string
		for _, p := range under {
			said = append(said, p.failed("one of %d", len(under)).Error())
		}
		return fmt.Errorf("%d came through:\n%s", won, strings.Join(said, "\n"))
	}
	return nil
}

// didNothing tells whether a resume found the run finished.
func (p *process) didNothing() bool {
	return bytes.Contains(p.stdout.bytes(), []byte("nothing was done"))
}

// twoTrainers begin in one folder. Who looks after the other is done finds a run there: wrong usage.
func (l *lab) twoTrainers(ctx context.Context, c *testCase, dir, device string) error {
	run := filepath.Join(dir, "run")
	args := l.train(run, device)
	tooLate := func(p *process) bool {
		return p.wait() == 2 && strings.Contains(string(p.stderr.bytes()), "there is a run in this folder")
	}
	if err := l.contest(ctx, c, dir, tooLate, args, args, args); err != nil {
		return err
	}
	return l.compare(run, device)
}

// begun is a run that was ended by SIGTERM, or by SIGKILL, in its course, with a checkpoint to go on from.
func (l *lab) begun(ctx context.Context, c *testCase, dir, device string, by syscall.Signal) (string, error) {
	run := filepath.Join(dir, "run")
	for ctx.Err() == nil {
		if err := os.RemoveAll(run); err != nil {
			return "", err
		}
		p, err := l.start(ctx, dir, nil, l.train(run, device)...)
		if err != nil {
			return "", err
		}
		at := 2 + c.rand.IntN(8)
		p.until(func() bool { return lines(run) >= at && isThere(checkpointOf(run)) })
		if err := p.signal(by); err != nil {
			return "", err
		}
		if p.wait() == 128+int(by) {
			return run, nil
		}
	}
	return "", context.Cause(ctx)
}

func (l *lab) twoResumes(ctx context.Context, c *testCase, dir, device string) error {
	return l.resumes(ctx, c, dir, device, syscall.SIGTERM)
}

func (l *lab) resumesAfterKill(ctx context.Context, c *testCase, dir, device string) error {
	return l.resumes(ctx, c, dir, device, syscall.SIGKILL)
}

func (l *lab) resumes(ctx context.Context, c *testCase, dir, device string, by syscall.Signal) error {
	run, err := l.begun(ctx, c, dir, device, by)
	if err != nil {
		return err
	}
	args := l.resume(run)
	if err := l.contest(ctx, c, dir, nil, args, args, args); err != nil {
		return err
	}
	return l.compare(run, device)
}

// resumeBeside tries to go on with a run that is under way, again and again.
func (l *lab) resumeBeside(ctx context.Context, c *testCase, dir, device string) error {
	run := filepath.Join(dir, "run")
	trainer, err := l.start(ctx, dir, nil, l.train(run, device)...)
	if err != nil {
		return err
	}
	trainer.within(time.Duration(c.rand.IntN(100)) * time.Millisecond)
	locked := 0
	for trainer.running() {
		p, err := l.start(ctx, dir, nil, l.resume(run)...)
		if err != nil {
			return err
		}
		code := p.wait()
		switch {
		case code == exitLocked:
			locked++
		case code == exitNoData && locked == 0: // no run yet, or nothing in it
		case code == 0 && p.didNothing() && trainer.within(2*time.Second): // the trainer had given back the folder
		default:
			return p.failed("want exit code %d", exitLocked)
		}
	}
	if trainer.wait() != 0 {
		return trainer.failed("the trainer was disturbed")
	}
	return l.compare(run, device)
}

// readersBeside reads the run that is under way in every way that there is.
func (l *lab) readersBeside(ctx context.Context, c *testCase, dir, device string) error {
	pictures, err := filepath.Glob(filepath.Join(l.shapes, "val", "*", "*"))
	if err != nil || len(pictures) == 0 {
		return fmt.Errorf("no pictures in %s: %w", l.shapes, errors.Join(err))
	}
	return l.beside(ctx, c, dir, device, func(i int, run string) []string {
		readers := [][]string{
			{"eval", "--weights", run, "--device", "reference"},
			{"predict", "--weights", run, "--device", "reference", pictures[i%len(pictures)]},
			{"weights", "show", checkpointOf(run)},
			{"verify", checkpointOf(run)},
			{"verify", run},
			{
				"features", "--weights", run, "--device", "reference", "--layer", "fc2", "--out",
				fmt.Sprintf("rows%d.npy", i), pictures[0],
			},
		}
		return readers[(i+c.number)%len(readers)]
	})
}

func (l *lab) exportsBeside(ctx context.Context, c *testCase, dir, device string) error {
	return l.beside(ctx, c, dir, device, func(i int, run string) []string {
		return []string{"weights", "export", checkpointOf(run), "--out", fmt.Sprintf("net%d.safetensors", i)}
	})
}

// beside runs other commands again and again while a trainer goes, a checkpoint after each step. They must come
// through, or find no checkpoint yet.
func (l *lab) beside(
	ctx context.Context, c *testCase, dir, device string, reader func(i int, run string) []string,
) error {
	run := filepath.Join(dir, "run")
	trainer, err := l.start(ctx, dir, nil, l.train(run, device, "--set", "train.checkpoint_steps=1")...)
	if err != nil {
		return err
	}
	found := false
	for i := 0; trainer.running() || !found; i++ {
		over := !trainer.running()
		there := isThere(checkpointOf(run))
		p, err := l.start(ctx, dir, nil, reader(i, run)...)
		if err != nil {
			return err
		}
		switch code := p.wait(); {
		case code == 0:
			found = true
		case (code == exitCheckpoint || code == exitNoData) && !there && !over && noneYet.Match(p.stderr.bytes()):
		default:
			return p.failed("beside a trainer")
		}
	}
	if trainer.wait() != 0 {
		return trainer.failed("the trainer was disturbed")
	}
	return l.compare(run, device)
}

var noneYet = regexp.MustCompile("there is no such (checkpoint|file or run)|a folder without a checkpoint|" +
	"config.yaml is damaged or missing")

// eightAtOnce lets runs/ number eight runs that begin together.
func (l *lab) eightAtOnce(ctx context.Context, c *testCase, dir, device string) error {
	const n = 8
	var under []*process
	for range n {
		args := l.train("", device, "--json")
		at := slices.Index(args, "--out")
		p, err := l.start(ctx, dir, nil, slices.Delete(args, at, at+2)...)
		if err != nil {
			return err
		}
		under = append(under, p)
	}
	var got []string
	for _, p := range under {
		if p.wait() != 0 {
			return p.failed("failed")
		}
		var said struct{ Run string }
		if err := json.Unmarshal(p.stdout.bytes(), &said); err != nil {
			return err
		}
		got = append(got, said.Run)
		if err := l.compare(filepath.Join(dir, said.Run), device); err != nil {
			return err
		}
	}
	want := []string{filepath.Join("runs", "train")}
	for i := 2; i <= n; i++ {
		want = append(want, filepath.Join("runs", fmt.Sprint("train", i)))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the runs are %v", got)
	}
	return nil
}
