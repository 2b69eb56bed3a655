package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
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
	"alexnet/internal/report"
	"alexnet/internal/tensor"
)

// killedRun is the run that is killed: checkpoints after every second step, of hundreds of kB each, so that a good part
// of the time goes into writing them.
var killedRun = []string{
	"--config", "tiny.yaml", "--data", "shapes", "--epochs", "9", "--steps", strconv.Itoa(killSteps),
	"--set", "model.fc2.units=1024", "--set", "train.checkpoint_steps=2", "--set", "train.lr=0.0001",
}

const (
	killSteps  = 18 // of the undisturbed run; an epoch has 5
	killPoints = 10
	inWrite    = 4 // of these, so many while a checkpoint is being written
)

// TestKillAndResume kills a training process with SIGKILL at 10 points, some of them certainly while a checkpoint was
// being written (the temporary file was left behind), lets each run go on, and holds every tensor to the bits of a run
// that nothing disturbed. Where oneDNN computes, a few kills of its devices come on top. It is the short form of the
// kills of test/faults.
func TestKillAndResume(t *testing.T) {
	if testing.Short() {
		t.Skip("starts dozens of processes")
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
				t.Skip("this build has no oneDNN: ", err)
			case err != nil:
				t.Fatal(err) // a build with oneDNN promises it
			}
			killAndResume(t, device, []int{0, inWrite - 1, inWrite + 1, killPoints - 1})
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
		least := 2 + 2*(i-inWrite)
		when := func() bool { return lines(run) >= least && exists(checkpointIn(run)) }
		start := func() func() bool { return when }
		what := fmt.Sprintf("after %d lines of metrics", least)
		if i < inWrite {
			what = fmt.Sprintf("while checkpoint %d was being written", i/2+2)
			start = func() func() bool {
				seen := checkpointsSeen(run) // of this process alone: one killed a moment too late is started again
				return func() bool { return seen() > i/2 && exists(temporary(run)) }
			}
		}
		kill(t, dir, run, device, start, i < inWrite)
		finish(t, dir, "verify", run)            // what a killed run leaves is sound
		finish(t, dir, "train", "--resume", run) // it knows its end
		finish(t, dir, "verify", run)
		if got := eventsIn(t, run); !maps.Equal(got, eventsIn(t, filepath.Join(dir, "whole"))) {
			t.Errorf("killed %s and resumed: the events hold other points than the undisturbed run's: %v", what, got)
		}
		if diff := differences(want, tensors(t, run)); len(diff) > 0 {
			t.Errorf("killed %s and resumed: differs from the undisturbed run in %v", what, diff)
		}
	}
}

func checkpointIn(run string) string { return filepath.Join(run, "checkpoints", "last.safetensors") }

// temporary is the name under which a checkpoint is written before it takes its own.
func temporary(run string) string { return filepath.Join(run, "checkpoints", ".last.safetensors.tmp") }

// eventsIn are the numbers, pictures and histograms in a run's event files, by tag and step, and how often each is
// there. The seconds of copying are left out: checkpoints hold no clock, so a process that was killed after an epoch's
// last step, before its line, leaves one that has none to tell.
func eventsIn(t *testing.T, run string) map[string]int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(run, "events.out.tfevents.*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, name := range names {
		err := report.ReadEvents(bytes.NewReader(read(t, name)), func(e report.Event) error {
			for _, s := range e.Scalars {
				if s.Tag == "exchange/seconds" {
					continue
				}
				all[fmt.Sprintf("%s of step %d", s.Tag, e.Step)]++
			}
			for _, tag := range e.Shown {
				all[fmt.Sprintf("%s of step %d", tag, e.Step)]++
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

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
	for prefix, list := range map[string][]tensor.Tensor{"": c.Params, "optim.": c.Momentum} {
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
