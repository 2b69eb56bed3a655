//go:build unix

package main

import (
	"bytes"
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

// TestSignalAtPipe: a page can be a pipe, which is waited for as cat waits. A signal must end that.
func TestSignalAtPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "page.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"config"},
		{"train", "--data", "shapes"},
		{"summary"},
		{"bench"},
		{"weights", "init", "--out", "w"},
	} {
		var said bytes.Buffer
		c := exec.Command("alexnet", append(args, "--config", "./page.yaml")...)
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
			!bytes.Contains(said.Bytes(), []byte("interrupted (SIGTERM)")) {
			t.Errorf("%v: exit code %d:\n%s", args, code, said.Bytes())
		}
	}
}
