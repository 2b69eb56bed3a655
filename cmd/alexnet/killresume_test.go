package main

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"alexnet/internal/weights"
)

// The run that is killed: checkpoints after every second step, and a net of about a million weights (12 MB a checkpoint with
// momentum), so that a good part of the time goes into writing them.
var killedRun = []string{
	"--config", "tiny.yaml", "--data", "shapes", "--device", "reference", "--set", "model.fc2.units=8192", "--set", "train.checkpoint_steps=2",
}

const (
	killSteps  = 18 // of the undisturbed run; an epoch has 5
	killPoints = 20
	inWrite    = 8 // of these, so many while a checkpoint is being written
)

// TestKillAndResume kills a training process with SIGKILL at 20 points, some of them certainly while a checkpoint was being written
// (the temporary file was left behind), lets each run go on, and holds every tensor to the bits of a run that nothing disturbed.
func TestKillAndResume(t *testing.T) {
	if testing.Short() {
		t.Skip("starts forty processes")
	}
	dir := t.TempDir()
	tiny, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tiny.yaml"), tiny, 0o666); err != nil {
		t.Fatal(err)
	}
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "8", "--val", "2", "--size", "16")
	last := strconv.Itoa(killSteps)
	finish(t, dir, append([]string{"train", "--out", "whole", "--epochs", "9", "--steps", last}, killedRun...)...)
	want := tensors(t, filepath.Join(dir, "whole"))

	writes := 0
	for i := range killPoints {
		run := "run" + strconv.Itoa(i)
		args := append([]string{"train", "--out", run, "--epochs", "9", "--steps", last}, killedRun...)
		var at string
		if i < inWrite {
			at = killInWrite(t, dir, run, args, i/2)
			writes++
		} else {
			at = killAfterLines(t, dir, run, args, 2+i-inWrite)
		}
		finish(t, dir, "train", "--resume", run, "--steps", last, "--device", "reference")
		got := tensors(t, filepath.Join(dir, run))
		if diff := differences(want, got); len(diff) > 0 {
			t.Errorf("killed %s and resumed: differs from the undisturbed run in %v", at, diff)
		}
		os.RemoveAll(filepath.Join(dir, run))
	}
	t.Logf("%d kill points, %d of them while a checkpoint was being written", killPoints, writes)
}

// killInWrite kills the process while a checkpoint is being written: the one after skip others. Whether it was in time shows after its
// death: then the temporary file is still there.
func killInWrite(t *testing.T, dir, run string, args []string, skip int) string {
	t.Helper()
	checkpoints := filepath.Join(dir, run, "checkpoints")
	temp, last := filepath.Join(checkpoints, ".last.safetensors.tmp"), filepath.Join(checkpoints, "last.safetensors")
	for range 50 {
		os.RemoveAll(filepath.Join(dir, run))
		p := begin(t, dir, args...)
		seen := 0
		var before fs.FileInfo
		for !p.over() {
			now, err := os.Stat(last)
			if err == nil && (before == nil || !os.SameFile(before, now)) {
				before = now
				seen++
			}
			if seen > skip && exists(temp) {
				break
			}
		}
		p.kill()
		if exists(temp) && seen > skip {
			return "while checkpoint " + strconv.Itoa(seen+1) + " was being written"
		}
	}
	t.Fatalf("never caught a checkpoint being written")
	return ""
}

// killAfterLines kills the process when so many steps stand in its metrics and there is a checkpoint.
func killAfterLines(t *testing.T, dir, run string, args []string, lines int) string {
	t.Helper()
	p := begin(t, dir, args...)
	for !p.over() {
		text, err := os.ReadFile(filepath.Join(dir, run, "metrics.jsonl"))
		if err == nil && bytes.Count(text, []byte("\n")) >= lines && exists(filepath.Join(dir, run, "checkpoints", "last.safetensors")) {
			break
		}
	}
	p.kill()
	return "after " + strconv.Itoa(lines) + " lines of metrics"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// process is a command under way.
type process struct {
	cmd  *exec.Cmd
	done chan error
	err  error
	end  bool
}

func begin(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command("alexnet", args...), done: make(chan error, 1)}
	p.cmd.Dir = dir
	var log bytes.Buffer
	p.cmd.Stderr = bufio.NewWriter(&log)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p
}

// over tells whether the process has ended by itself.
func (p *process) over() bool {
	if p.end {
		return true
	}
	select {
	case p.err = <-p.done:
		p.end = true
	default:
		time.Sleep(50 * time.Microsecond)
	}
	return p.end
}

// kill ends it with SIGKILL and waits for its death.
func (p *process) kill() {
	if p.end {
		return
	}
	p.cmd.Process.Kill() //nolint:errcheck // it may have ended just now
	p.err, p.end = <-p.done, true
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

// tensors reads weights and momentum of a run's last checkpoint.
func tensors(t *testing.T, run string) map[string][]float32 {
	t.Helper()
	c, err := weights.Load(filepath.Join(run, "checkpoints", "last.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Step != killSteps {
		t.Fatalf("%s ended at step %d, want %d", run, c.Step, killSteps)
	}
	all := map[string][]float32{}
	for prefix, list := range map[string][]weights.Tensor{"": c.Params, "optim.": c.Momentum} {
		for _, tensor := range list {
			if all[prefix+tensor.Name], err = tensor.Values(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(c.Momentum) == 0 {
		t.Fatal(errors.New("the checkpoint holds no momentum"))
	}
	return all
}

// differences names the tensors that are not the same bit for bit.
func differences(want, got map[string][]float32) []string {
	var names []string
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	for name, w := range want {
		if !slices.EqualFunc(w, got[name], same) {
			names = append(names, name)
		}
	}
	if len(got) != len(want) {
		names = append(names, "the number of tensors")
	}
	slices.Sort(names)
	return names
}
