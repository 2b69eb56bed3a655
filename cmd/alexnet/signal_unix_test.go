//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestIgnoredSignals trains as a script does in the background, and under nohup: with SIGINT and SIGHUP ignored. Both
// are sent, and the run must go on, step for step, until SIGTERM ends it with a checkpoint.
func TestIgnoredSignals(t *testing.T) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "8", "--val", "2", "--size", "16")
	var log bytes.Buffer
	c := exec.Command("sh", "-c", `trap "" INT HUP; exec alexnet "$@"`, "sh", "train", "--config", "tiny.yaml",
		"--data", "shapes", "--device", "reference", "--epochs", "100000", "--out", "run")
	c.Dir, c.Stderr = dir, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	run := filepath.Join(dir, "run")
	until := func(steps int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); lines(run) < steps; time.Sleep(time.Millisecond) {
			select {
			case err := <-ended:
				t.Fatalf("ended with %v:\n%s", err, log.Bytes())
			default:
			}
			if time.Now().After(deadline) {
				_ = c.Process.Kill()
				t.Fatalf("%d steps in a minute", lines(run))
			}
		}
	}
	until(3)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		for range 2 { // the second would end it at once
			if err := c.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		until(lines(run) + 20)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; c.ProcessState.ExitCode() != exitSignal+int(syscall.SIGTERM) || !exists(checkpointIn(run)) {
		t.Errorf("SIGTERM: ended with %v:\n%s", err, log.Bytes())
	}
}

// TestSignalAtPipe: a page or a list of classes can be a pipe, which is waited for as cat waits, or what waits though
// it looks like a file: the kernel's log, where it may be read. A signal must end that, and is all there is to say.
func TestSignalAtPipe(t *testing.T) {
	dir := t.TempDir()
	pipe, log := filepath.Join(dir, "page.yaml"), "/proc/kmsg"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		{"config", "--config", pipe},
		{"train", "--data", "shapes", "--config", pipe},
		{"summary", "--config", pipe},
		{"bench", "--config", pipe},
		{"weights", "init", "--out", "w", "--config", pipe},
		{"weights", "import", "net.pth", "--out", "w", "--classes", pipe},
	}
	if f, err := os.Open(log); err == nil {
		_ = f.Close() // only looked at
		commands = append(commands, []string{"config", "--config", log})
	} else {
		t.Logf("without %s: %v", log, err)
	}
	for _, args := range commands {
		var said bytes.Buffer
		c := exec.Command("alexnet", args...)
		c.Dir, c.Stderr = dir, &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = c.Wait() // what it ended with is in its state
			close(ended)
		}()
		select {
		case <-ended:
			t.Fatalf("%v: ended with %v:\n%s", args, c.ProcessState, said.Bytes())
		case <-time.After(500 * time.Millisecond): // it waits
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = c.Process.Kill()
			t.Fatalf("%v: SIGTERM was not heard", args)
		}
		if code := c.ProcessState.ExitCode(); code != exitSignal+int(syscall.SIGTERM) ||
			!bytes.Contains(said.Bytes(), []byte("error: interrupted (SIGTERM)")) ||
			bytes.Contains(said.Bytes(), []byte("next:")) {
			t.Errorf("%v: exit code %d:\n%s", args, code, said.Bytes())
		}
	}
}
