package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/cpu"
	"alexnet/internal/files"
	"alexnet/internal/safetensors"
)

// killedRun is the run that is killed: checkpoints after every second step, of hundreds of kB each, so that a good part
// of the time goes into writing them.
var killedRun = []string{
	"--config", "tiny.yaml", "--data", "shapes", "--epochs", "9", "--steps", strconv.Itoa(killSteps),
	"--set", "model.fc2.units=1024", "--set", "train.checkpoint_steps=2", "--set", "train.lr=0.0001",
}

const (
	killSteps  = 18 // of the undisturbed run; an epoch has 5
	killPoints = 20
	inWrite    = 8 // of these, so many while a checkpoint is being written
)

// TestKillAndResume kills a training process with SIGKILL at 20 points, some of them certainly while a checkpoint was
// being written (the temporary file was left behind), lets each run go on, and holds every tensor to the bits of a run
// that nothing disturbed. Where oneDNN computes, a few kills of its devices come on top.
func TestKillAndResume(t *testing.T) {
	if testing.Short() {
		t.Skip("starts forty processes")
	}
	t.Run("reference", func(t *testing.T) {
		points := make([]int, killPoints)
		for i := range points {
			points[i] = i
		}
		killAndResume(t, "reference", points)
	})
	for _, device := range []string{"cpu", "cpu,cpu"} {
		t.Run(device, func(t *testing.T) {
			switch err := cpu.Available(); {
			case !cpu.Built:
				t.Skip(err)
			case err != nil:
				t.Fatal(err) // a build with oneDNN promises it
			}
			killAndResume(t, device, []int{0, 5, inWrite + 2, killPoints - 4})
		})
	}
}

// killAndResume does so at some of the points. Resumed runs find the device themselves.
func killAndResume(t *testing.T, device string, points []int) {
	dir := t.TempDir()
	writeTiny(t, dir)
	finish(t, dir, "data", "demo", "--out", "shapes", "--train", "8", "--val", "2", "--size", "16")
	finish(t, dir, append([]string{"train", "--out", "whole", "--device", device}, killedRun...)...)
	want := tensors(t, filepath.Join(dir, "whole"))
	for _, i := range points {
		run := filepath.Join(dir, "run"+strconv.Itoa(i))
		when := func() bool { return lines(run) >= 2+i-inWrite && exists(checkpointIn(run)) }
		start := func() func() bool { return when }
		what := fmt.Sprintf("after %d lines of metrics", 2+i-inWrite)
		if i < inWrite {
			what = fmt.Sprintf("while checkpoint %d was being written", i/2+2)
			start = func() func() bool {
				seen := checkpointsSeen(run) // of this process alone: one killed a moment too late is started again
				return func() bool { return seen() > i/2 && exists(temporary(run)) }
			}
		}
		kill(t, dir, run, device, start, i < inWrite)
		finish(t, dir, "train", "--resume", run, "--steps", strconv.Itoa(killSteps))
		if diff := differences(want, tensors(t, run)); len(diff) > 0 {
			t.Errorf("killed %s and resumed: differs from the undisturbed run in %v", what, diff)
		}
	}
}

func checkpointIn(run string) string { return filepath.Join(run, "checkpoints", "last.safetensors") }

// temporary is the name under which a checkpoint is written before it takes its own.
func temporary(run string) string { return filepath.Join(run, "checkpoints", ".last.safetensors.tmp") }

func lines(run string) int {
	text, _ := os.ReadFile(filepath.Join(run, "metrics.jsonl")) // not there yet: none
	return bytes.Count(text, []byte("\n"))
}

// checkpointsSeen counts the files that had the checkpoint's name while it was called.
func checkpointsSeen(run string) func() int {
	n := 0
	var last fs.FileInfo
	return func() int {
		if now, err := os.Stat(checkpointIn(run)); err == nil && (last == nil || !os.SameFile(last, now)) {
			last = now
			n++
		}
		return n
	}
}

// kill starts the run and kills it as soon as what start returned says so. A process that was quicker than this one is
// started again. With inWrite the proof is in what the dead process left: the temporary file.
func kill(t *testing.T, dir, run, device string, start func() func() bool, inWrite bool) {
	t.Helper()
	for range 50 {
		if err := os.RemoveAll(run); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		c := exec.Command("alexnet", append([]string{"train", "--out", run, "--device", device}, killedRun...)...)
		c.Dir, c.Stderr = dir, &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		when := start()
		killed := false
		for over := false; !over && !killed; {
			select {
			case err := <-ended:
				if over = true; err != nil {
					t.Fatalf("the run ended by itself: %v\n%s", err, log.Bytes())
				}
			default:
				if when() {
					killed = c.Process.Kill() == nil && (<-ended) != nil
				}
				time.Sleep(20 * time.Microsecond)
			}
		}
		if killed && (!inWrite || exists(temporary(run))) {
			return
		}
	}
	t.Fatalf("never caught the run at the right moment")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// tensors reads weights and momentum of a run's last checkpoint.
func tensors(t *testing.T, run string) map[string][]float32 {
	t.Helper()
	c, err := checkpoint.Load(files.OS, checkpointIn(run))
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(c)
	if c.Step != killSteps {
		t.Fatalf("%s ended at step %d, want %d", run, c.Step, killSteps)
	}
	all := map[string][]float32{}
	for prefix, list := range map[string][]safetensors.Tensor{"": c.Params, "optim.": c.Momentum} {
		for _, tensor := range list {
			if all[prefix+tensor.Name], err = tensor.Values(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(c.Momentum) == 0 {
		t.Fatal("the checkpoint holds no momentum")
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
