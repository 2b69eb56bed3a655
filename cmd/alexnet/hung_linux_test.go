package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/cpu"
)

// stops stands before OpenMP's own function of that name: once the file "hang" is there, oneDNN's loops never end.
const stops = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
void GOMP_parallel(void (*f)(void *), void *data, unsigned n, unsigned flags) {
	static void (*next)(void (*)(void *), void *, unsigned, unsigned);
	if (!next) *(void **)&next = dlsym(dlopen("libgomp.so.1", RTLD_NOW), "GOMP_parallel");
	while (!access("hang", F_OK)) usleep(10000);
	next(f, data, n, flags);
}`

// TestSignalsWhileHung: a device that does not answer keeps no signal from being heard. The first asks the run to end,
// and when it cannot the watchdog ends the process; the second ends it at once.
func TestSignalsWhileHung(t *testing.T) {
	if cpu.Threads() < 2 {
		t.Skip("needs oneDNN and two cores")
	}
	dir := t.TempDir()
	writeTiny(t, dir)
	library := filepath.Join(dir, "stops.so")
	cc := exec.Command("cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-", "-ldl")
	cc.Stdin = strings.NewReader(stops)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Skipf("no C compiler: %v %s", err, out)
	}
	for _, c := range []struct {
		name    string
		signals int
		code    int
		says    []string
	}{
		{"two signals", 2, exitSignal + int(syscall.SIGTERM), []string{"stopping", "last checkpoint: step"}},
		{"one signal", 1, exitFailed, []string{
			"waited 30 s for a training step: no answer from cpu at ",
			"the last checkpoint is kept: run/checkpoints/last",
			"alexnet doctor checks the devices; then alexnet train --resume run",
		}},
	} {
		if c.signals == 1 && testing.Short() {
			continue // takes half a minute
		}
		t.Run(c.name, func(t *testing.T) {
			work := t.TempDir()
			writeTiny(t, work)
			var log bytes.Buffer
			p := exec.Command("alexnet", "train", "--config", "tiny.yaml", "--epochs", "100000", "--batch", "64",
				"--out", "run", "--set", "train.checkpoint_steps=5", "--set", "model.conv1.kernels=256", "--set",
				"model.fc2.units=512")
			p.Dir, p.Env, p.Stderr = work, append(os.Environ(), "LD_PRELOAD="+library), &log
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = p.Wait() // what it ended with is in its state
				close(ended)
			}()
			within := func(d time.Duration, what string, f func() bool) {
				t.Helper()
				for end := time.Now().Add(d); !f(); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						_ = p.Process.Kill()
						<-ended
						t.Fatalf("no %s within %v\n%s", what, d, log.Bytes())
					}
				}
			}
			within(time.Minute, "checkpoint", func() bool { return exists(checkpointIn(filepath.Join(work, "run"))) })
			if err := os.WriteFile(filepath.Join(work, "hang"), nil, 0o666); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			for range c.signals {
				if err := p.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			limit := 10 * time.Second
			if c.signals == 1 {
				limit = time.Minute
			}
			within(limit, "end", func() bool {
				select {
				case <-ended:
					return true
				default:
					return false
				}
			})
			<-ended
			if got := p.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d\n%s", got, c.code, log.Bytes())
			}
			for _, part := range c.says {
				if !strings.Contains(log.String(), part) {
					t.Errorf("it does not say %q:\n%s", part, log.Bytes())
				}
			}
		})
	}
}
