package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// childWord as the first argument makes this program a child of its own: it does one thing, to be killed or limited.
const childWord = "child"

// children are what a child can do.
var children = map[string]func(args []string) error{
	"decode":  decodeChild,
	"limited": limitedChild,
	"writer":  writerChild,
}

// child carries out the rest of the command line, a name of children and its arguments, and is the process's exit code.
func child(args []string) int {
	if len(args) == 0 || children[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "faults: no such child")
		return 2
	}
	if err := children[args[0]](args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	return 0
}

// childCommand starts this program as a child.
func childCommand(ctx context.Context, args ...string) (*exec.Cmd, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, own, append([]string{childWord}, args...)...), nil
}

// limits are what a process is left.
type limits struct {
	memory   uint64        // bytes that it can write to and shares with nobody; 0: any. Address space is not counted
	mapped   uint64        // bytes of address space; 0: any
	fileSize uint64        // of the files that it writes; 0: any
	cpu      time.Duration // of processor, in whole seconds; 0: any
	time     time.Duration // on the clock; 0: until the context ends
}

// limitedChild sets limits for this process and becomes another program: MEMORY MAPPED FILESIZE CPU PROGRAM ARGUMENT..,
// each 0 or a limit.
func limitedChild(args []string) error {
	which := []int{syscall.RLIMIT_DATA, syscall.RLIMIT_AS, syscall.RLIMIT_FSIZE, syscall.RLIMIT_CPU}
	program := len(which)
	if len(args) <= program {
		return errors.New("limited: too few arguments")
	}
	limits := map[int]uint64{}
	for i, which := range which {
		n, err := strconv.ParseUint(args[i], 10, 64)
		if err != nil {
			return err
		}
		if n != 0 {
			limits[which] = n
		}
	}
	for which, n := range limits { // at once before the end: this process is one of Go, too
		if err := syscall.Setrlimit(which, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	return syscall.Exec(args[program], args[program:], os.Environ())
}

// ending is how a program ended.
type ending struct {
	code           int // -1: by a signal, or it was ended because its time was over
	stdout, stderr string
	took, cpu      time.Duration
	over           bool // its time on the clock was over
}

// limited runs a program under limits.
func limited(ctx context.Context, l limits, dir string, argv ...string) (*ending, error) {
	until := ctx
	if l.time > 0 {
		var cancel context.CancelFunc
		until, cancel = context.WithTimeout(ctx, l.time)
		defer cancel()
	}
	own := []string{
		"limited", fmt.Sprint(l.memory), fmt.Sprint(l.mapped), fmt.Sprint(l.fileSize),
		fmt.Sprint(uint64(l.cpu.Seconds())),
	}
	cmd, err := childCommand(until, append(own, argv...)...)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.WaitDelay = time.Second
	began := time.Now()
	err = cmd.Run()
	o := &ending{stdout: stdout.String(), stderr: stderr.String(), took: time.Since(began)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && until.Err() == nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	o.code, o.over = cmd.ProcessState.ExitCode(), until.Err() != nil
	o.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return o, nil
}

// civil finds what no input may bring about: no end in time, an end by a signal, a dump of Go.
func (o *ending) civil() error {
	switch {
	case o.over:
		return fmt.Errorf("not done after %v", o.took.Round(time.Millisecond))
	case o.code < 0:
		return fmt.Errorf("it was killed after %v of processor: %s", o.cpu.Round(time.Millisecond), o.tail())
	}
	for _, word := range []string{"goroutine ", "panic: ", "fatal error: ", "SIGSEGV", "runtime error"} {
		if strings.Contains(o.stderr, word) {
			return fmt.Errorf("exit %d with a dump: %s", o.code, o.tail())
		}
	}
	return nil
}

// tail is what it said on stderr, its beginning where that is long.
func (o *ending) tail() string {
	const enough = 600
	if len(o.stderr) > enough {
		return fmt.Sprintf("%q..", o.stderr[:enough])
	}
	return fmt.Sprintf("%q", o.stderr)
}
