package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

var fullDisk = row{
	name: "full", short: 12, long: 50,
	fault: "the disk is full, out of inodes, or files may grow no longer (ulimit -f), at a random level: from the " +
		"beginning, or all at once in the run",
	how: "a tmpfs of that size, or of that many files, or one that shrinks to it after the first checkpoint; a " +
		"limit of the process. From the beginning: the run is refused, or it ends with exit 1 and names a file and " +
		"what ran out, or it fitted. In the run: it goes on to its last step and tells which checkpoint was not " +
		"written; exit 1 where the last one was not. last is whole; with room it goes on to the tensors and metrics " +
		"of an undisturbed run",
	open: openFull,
}

// room is a way to have too little of it.
type room struct {
	name   string
	words  string // of the system, in the error
	advice string // what would help
	wrong  string // what must not be advised: it would not help
	ample  string // enough of it, an option of mount; empty: it is a limit of the process
}

var rooms = []room{
	{"space", "no space left on device", "free some space", "free some inodes", "size=64m"},
	{"inodes", "no space left on device", "free some inodes", "free some space", "nr_inodes=1000"},
	{"file size", "file too large", "ulimit -f", "free some", ""},
}

// tooLittle is what a run is refused with before its first step.
var tooLittle = regexp.MustCompile(`the checkpoints need .* are free|the checkpoints need room for \d+ files more`)

func openFull(ctx context.Context, s *setup) (caseFunc, error) {
	l, err := openLab(ctx, s, 2)
	if err != nil {
		return nil, err
	}
	need, err := needOf(filepath.Join(s.dir, "whole-reference"))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, c *testCase) error {
		dir, err := c.folder()
		if err != nil {
			return err
		}
		r := rooms[c.number%len(rooms)]
		var level string
		switch inTheRun := c.number/len(rooms)%4 != 0; {
		case r.ample == "":
			level, err = l.shortFiles(ctx, c, dir, r, need)
		case inTheRun:
			level, err = l.fills(ctx, c, dir, r, need)
		default:
			level, err = l.fullFromTheStart(ctx, c, dir, r, need)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", r.name, level, err)
		}
		return nil
	}, nil
}

// shortFiles trains under a limit on the size of files.
func (l *lab) shortFiles(ctx context.Context, c *testCase, dir string, r room, need needs) (level string, err error) {
	lim := limits{fileSize: uint64(1 + c.rand.IntN(need.longest)), time: 30 * time.Second}
	run := filepath.Join(dir, "run")
	end, err := limited(ctx, lim, dir, append([]string{l.alexnet}, l.train(run, "reference")...)...)
	if err == nil {
		err = l.judgeFull(r, end, run)
	}
	if err == nil {
		err = l.finish(ctx, dir, run, "reference")
	}
	return fmt.Sprint(lim.fileSize), err
}

// fullFromTheStart trains on a disk that has too little room, or just enough, when the run begins.
func (l *lab) fullFromTheStart(
	ctx context.Context, c *testCase, dir string, r room, need needs,
) (level string, err error) {
	switch r.name {
	case "space": // twice what is asked for before the first step is more than a run takes
		level = fmt.Sprintf("size=%d", page*(1+c.rand.IntN(4*need.bytes/page)))
	default:
		level = fmt.Sprintf("nr_inodes=%d", 1+c.rand.IntN(2*need.files)) // the root is one
	}
	at, err := mountSmall(ctx, dir, level)
	if err != nil {
		return level, err
	}
	defer func() { err = errors.Join(err, unmount(at)) }()
	run := filepath.Join(at, "run")
	end, err := limited(ctx, limits{time: 30 * time.Second}, dir,
		append([]string{l.alexnet}, l.train(run, "reference")...)...)
	if err != nil {
		return level, err
	}
	if err := l.judgeFull(r, end, run); err != nil {
		return level, err
	}
	if err := tool(ctx, "mount", "-o", "remount,"+r.ample, at); err != nil {
		return level, err
	}
	return level, l.finish(ctx, dir, run, "reference")
}

func mountSmall(ctx context.Context, dir, level string) (at string, err error) {
	at = filepath.Join(dir, "mnt")
	if err := os.Mkdir(at, 0o777); err != nil {
		return at, err
	}
	if err := tool(ctx, "mount", "-t", "tmpfs", "-o", level, "tmpfs", at); err != nil {
		return at, skip("no tmpfs can be mounted (needs root): %v", err)
	}
	return at, nil
}

// fills trains on a disk that has next to nothing left once the first checkpoint is there.
func (l *lab) fills(ctx context.Context, c *testCase, dir string, r room, need needs) (level string, err error) {
	left := page * c.rand.IntN(2*need.longest/page)
	bites := left < need.longest/2 // a file may be half written when the disk fills up
	if r.name == "inodes" {
		left = c.rand.IntN(3)
		bites = left == 0
	}
	level = fmt.Sprintf("%d left after the first checkpoint", left)
	at, err := mountSmall(ctx, dir, r.ample)
	if err != nil {
		return level, err
	}
	defer func() { err = errors.Join(err, unmount(at)) }()
	run := filepath.Join(at, "run")
	for range 20 {
		if err := os.RemoveAll(run); err != nil {
			return level, err
		}
		end, err := l.trainOnFilling(ctx, dir, run, at, r, left)
		if err != nil {
			return level, err
		}
		if err := l.judgeFilled(r, end, run); err != nil {
			return level, err
		}
		if err := tool(ctx, "mount", "-o", "remount,"+r.ample, at); err != nil {
			return level, err
		}
		if err := l.finish(ctx, dir, run, "reference"); err != nil {
			return level, fmt.Errorf("with room: %w: it had said %s", err, end.tail())
		}
		if !bites || strings.Contains(end.stderr, unsaved) {
			return level, nil
		}
	}
	return level, errors.New("twenty runs wrote all their checkpoints")
}

// unsaved is what a run tells that goes on without a checkpoint.
const unsaved = "no checkpoint of step "

// trainOnFilling stops the run after its first checkpoint, for as long as it takes to leave its disk so much.
func (l *lab) trainOnFilling(ctx context.Context, dir, run, at string, r room, left int) (*ending, error) {
	p, err := l.start(ctx, dir, nil, l.train(run, "reference")...)
	if err != nil {
		return nil, err
	}
	p.until(func() bool { return isThere(checkpointOf(run)) })
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	err = leave(ctx, at, r, left)
	if err := errors.Join(err, p.signal(syscall.SIGCONT)); err != nil {
		return nil, err
	}
	end := &ending{over: !p.within(30 * time.Second)}
	if end.over {
		if err := p.signal(syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	end.code = p.wait()
	end.took = time.Since(p.began)
	end.stdout, end.stderr = string(p.stdout.bytes()), string(p.stderr.bytes())
	return end, nil
}

// judgeFilled looks at a run whose disk filled up.
func (l *lab) judgeFilled(r room, end *ending, run string) error {
	if err := end.civil(); err != nil {
		return err
	}
	if _, _, err := tensorsOf(checkpointOf(run)); err != nil {
		return err
	}
	var err error
	switch said := end.errorLine(); {
	case end.code == 0:
		err = l.compare(run, "reference")
	case end.code != 1:
		err = fmt.Errorf("exit %d", end.code)
	case !strings.Contains(said, "the run came to its end"):
		err = errors.New("it did not go on to its last step")
	case !strings.Contains(said, r.words):
		err = fmt.Errorf("it does not say %q", r.words)
	case !strings.Contains(end.stderr, r.advice):
		err = fmt.Errorf("it does not advise to %s", r.advice)
	default:
		err = leftovers(run, nil)
	}
	switch {
	case err != nil:
	case strings.Contains(end.stderr, r.wrong):
		err = fmt.Errorf("it advises to %s", r.wrong)
	case end.code != 0 && !strings.Contains(end.stderr, unsaved):
		err = fmt.Errorf("it says nothing of %s", unsaved)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, end.tail())
	}
	return err
}

// judgeFull looks at a run that had too little room, or just enough.
func (l *lab) judgeFull(r room, end *ending, run string) error {
	if err := end.civil(); err != nil {
		return err
	}
	if isThere(checkpointOf(run)) {
		if _, _, err := tensorsOf(checkpointOf(run)); err != nil {
			return err
		}
	}
	switch {
	case end.code == 0:
		return l.compare(run, "reference")
	case end.code != 1:
		return fmt.Errorf("exit %d: %s", end.code, end.tail())
	case !strings.Contains(end.errorLine(), run) ||
		!strings.Contains(end.errorLine(), r.words) && !tooLittle.MatchString(end.errorLine()):
		return fmt.Errorf("it does not say %q and name a file: %s", r.words, end.tail())
	case strings.Contains(end.stderr, r.wrong) || !strings.Contains(end.stderr, r.advice):
		return fmt.Errorf("it does not advise to %s: %s", r.advice, end.tail())
	case !isThere(run):
		return nil
	}
	return leftovers(run, nil)
}

// needs are what a run takes.
type needs struct{ bytes, files, longest int }

func needOf(run string) (n needs, err error) {
	err = filepath.WalkDir(run, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		n.files++
		if size := int(info.Size()); !e.IsDir() {
			n.bytes += (size + page - 1) / page * page
			n.longest = max(n.longest, size)
		}
		return nil
	})
	n.bytes += n.longest // a temporary file
	return n, err
}
