package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var realCalls = row{
	name: "strace", short: 13, long: 260,
	fault: "a system call of a run or a resume fails in the kernel's place (strace)",
	how: "each kind of call on a file of the run folder in turn, with the causes above, at a random moment; " +
		"survived: as above",
	open: openStrace,
}

// called are the system calls that Go makes for files.
var called = []string{
	"openat", "newfstatat", "fstat", "read", "write", "pwrite64", "fsync", "ftruncate", "flock", "renameat", "unlinkat",
	"mkdirat", "getdents64",
}

// errnoNames are strace's words for errnos.
var errnoNames = []string{"EIO", "ENOSPC", "EDQUOT", "EROFS", "ESTALE", "ENOLCK"} // EINTR Go tries again by itself

func openStrace(ctx context.Context, s *setup) (caseFunc, error) {
	if err := haveTool("strace"); err != nil {
		return nil, err
	}
	if err := tool(ctx, "strace", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=fsync", "-e",
		"inject=fsync:error=EIO:when=1", "true"); err != nil {
		return nil, skip("strace may not trace here: %v", err)
	}
	l, err := openLab(ctx, s, 2)
	if err != nil {
		return nil, err
	}
	half := filepath.Join(s.dir, "half", "run")
	if err := l.must(ctx, s.dir, l.train(half, "reference", "--steps", strconv.Itoa(2*stepsPerEpoch))...); err != nil {
		return nil, err
	}
	return func(ctx context.Context, c *testCase) error {
		dir, err := c.folder()
		if err != nil {
			return err
		}
		call, scene := called[c.number%len(called)], c.number%2 // every pair within 26
		cause := errnoNames[c.rand.IntN(len(errnoNames))]
		run := filepath.Join(dir, "run")
		for when := 1 + c.rand.IntN(12); when > 0; when /= 2 {
			args := l.train(run, "reference")
			if err := os.RemoveAll(run); err != nil {
				return err
			}
			if scene == 1 {
				args = l.resume(run)
				if err := os.CopyFS(run, os.DirFS(half)); err != nil {
					return err
				}
			}
			inject := fmt.Sprintf("inject=%s:error=%s:when=%d", call, cause, when)
			hit, end, err := injected(ctx, dir, run, call, inject, append([]string{l.alexnet}, args...))
			if err != nil {
				return err
			}
			if !hit {
				continue // no thread made so many; a half of them is tried
			}
			if err := l.judgeInjected(call, end, run); err != nil {
				return fmt.Errorf("alexnet %s: %s: exit %d: %w: %s", args[0], inject, end.code, err, end.tail())
			}
			if err := l.finish(ctx, dir, run, "reference"); err != nil {
				return fmt.Errorf("alexnet %s: %s, then undisturbed: %w", args[0], inject, err)
			}
			return nil
		}
		if scene == 1 && call == "mkdirat" || call == "getdents64" || call == "read" {
			return nil // not made, or of files that strace is not told
		}
		return fmt.Errorf("the program never calls %s", call)
	}, nil
}

// injected runs a command in which one call on the run's files fails, and tells whether that happened. Each thread
// counts for itself, so that it may happen more than once.
func injected(ctx context.Context, dir, run, call, inject string, argv []string) (hit bool, end *ending, err error) {
	log := filepath.Join(dir, "strace.log")
	command := []string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", log, "-e", "trace=" + call, "-e", inject}
	for _, name := range runFiles {
		command = append(command, "-P", filepath.Join(run, name))
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return false, nil, err
	}
	command[0] = path
	end, err = limited(ctx, limits{time: 40 * time.Second}, dir, append(command, argv...)...)
	if err != nil {
		return false, nil, err
	}
	text, err := os.ReadFile(log)
	return strings.Contains(string(text), "(INJECTED)"), end, err
}

// runFiles are what a run writes, but for the events, whose name tells the time.
var runFiles = []string{
	"", "lock", "config.yaml", ".config.yaml.tmp", "metrics.jsonl", "curves.png", ".curves.png.tmp", "checkpoints",
	"checkpoints/last.safetensors", "checkpoints/.last.safetensors.tmp", "checkpoints/best.safetensors",
	"checkpoints/.best.safetensors.tmp",
}

// judgeInjected looks at a run in which a call failed.
func (l *lab) judgeInjected(call string, end *ending, run string) error {
	if err := end.civil(); err != nil {
		return err
	}
	if isThere(checkpointOf(run)) {
		if _, _, err := tensorsOf(checkpointOf(run)); err != nil {
			return err
		}
	}
	if call != "unlinkat" && isThere(run) {
		if err := leftovers(run, nil); err != nil {
			return err
		}
	}
	if end.code == 0 {
		return l.compare(run, "reference")
	}
	if !strings.Contains(end.errorLine(), run) {
		return errors.New("the error does not name a file")
	}
	return nil
}

// errorLine is the line of stderr that says what went wrong.
func (o *ending) errorLine() string {
	for line := range strings.Lines(o.stderr) {
		if strings.HasPrefix(line, "error: ") {
			return line
		}
	}
	return ""
}
