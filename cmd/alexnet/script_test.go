package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/gpu"
)

// TestMain lets the test binary be the command: the scripts, and the tests that start processes, find it as alexnet in
// the PATH.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"alexnet": main})
}

// tests are those of this package, which leave the user's cache folder alone: by default they have none.
type tests struct{ *testing.M }

func (m tests) Run() int {
	if err := os.Setenv("XDG_CACHE_HOME", noCache); err != nil {
		panic(err)
	}
	return m.M.Run()
}

// noCache is a cache folder that is none: its path must be absolute.
const noCache = "none"

// TestScripts runs the scripts under testdata/script. They are what a user could type; five commands come on top:
//
//	exits CODE COMMAND...   runs the command and wants this exit code
//	flip FILE BYTE          turns over one bit of a byte; a negative BYTE counts from the end
//	cut FILE BYTES          leaves only the first BYTES bytes
//	lacks FROM TO FUNCTION  copies a shared library, without that function
//	near FILE FILE          wants two checkpoints or arrays to be the same but for rounding
//	same FILE FILE TENSOR...   wants these tensors to be the same in both, bit for bit; with ! each to be another
//
// tiny.yaml, a net that trains in milliseconds, lies in every script's folder.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			writeTiny(t, env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", noCache)
			libraries := os.Getenv("LD_LIBRARY_PATH") // where emulated GPUs are
			env.Setenv("LD_LIBRARY_PATH", libraries)
			for _, dir := range filepath.SplitList(libraries) {
				if strings.Contains(dir, "softgpu") {
					env.Setenv("SOFTGPU", dir)
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "flip": flip, "cut": cutFile, "lacks": lacks, "near": near, "same": same,
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "full":
				_, err := os.Stat("/dev/full")
				return err == nil, nil
			case "threads": // the cpu device has several
				return cpu.Threads() > 1, nil
			case "bf16": // the cpu device computes in it
				devs, err := cpu.Open(1)
				if err != nil {
					return false, nil //nolint:nilerr // no such device here
				}
				defer closeDevices(devs)
				return device.Supports(devs[0], device.BF16) == nil, nil
			case "hangup": // not where nohup started the tests: the program must then live through it
				return !signal.Ignored(syscall.SIGHUP), nil
			case "gpu":
				return anyGPU()
			case "cuda":
				return gpu.Built, nil
			case "softgpu": // emulated ones, of which settings may ask for more or fewer
				there, err := anyGPU()
				return there && emulated(), err
			case "cpu":
				return cpu.Available() == nil, nil
			case "proc":
				_, err := os.Stat("/proc/self")
				return err == nil, nil
			}
			return false, errors.New("no such condition: " + name)
		},
	})
}

func emulated() bool { return strings.Contains(os.Getenv("LD_LIBRARY_PATH"), "softgpu") }

// anyGPU tells whether there is one. Under make test-cuda, which brings emulated ones, there must be.
func anyGPU() (bool, error) {
	err := gpu.Available()
	if err != nil && gpu.Built && emulated() {
		return false, err
	}
	return err == nil, nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Check(err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE BYTE")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	content := []byte(ts.ReadFile(args[0]))
	if at < 0 {
		at += len(content)
	}
	content[at] ^= 4
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o666))
}

func cutFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE BYTES")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// lacks leaves the function where it is under a name that nobody asks for.
func lacks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lacks FROM TO FUNCTION")
	}
	library, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	name := []byte("\x00" + args[2] + "\x00")
	if !bytes.Contains(library, name) {
		ts.Fatalf("%s has no %s", args[0], args[2])
	}
	other := bytes.Clone(name)
	other[len(other)-2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), bytes.ReplaceAll(library, name, other), 0o666))
}

// writeTiny puts the scripts' net into dir.
func writeTiny(t *testing.T, dir string) {
	t.Helper()
	tiny, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tiny.yaml"), tiny, 0o666); err != nil {
		t.Fatal(err)
	}
}

// finish runs a command to its end.
func finish(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("alexnet", args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("alexnet %v: %v\n%s", args, err, out)
	}
}
