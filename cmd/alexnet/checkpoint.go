package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"alexnet/internal/builtin"
	"alexnet/internal/checkpoint"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/interop"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// weightsOption is the flag of the commands that use a trained net.
type weightsOption struct {
	path string
	// passGenerated passes over runs on generated pictures where no path is given: what shapes they learned to tell
	// apart says nothing about anybody's pictures.
	passGenerated bool
}

func (o *weightsOption) addFlag(c *cobra.Command) {
	newest := "the newest run"
	if o.passGenerated {
		newest = "the newest run that is not on generated pictures"
	}
	c.Flags().StringVar(&o.path, "weights", "", weightsHelp+" (default: "+fmt.Sprintf(weightsDefault, newest)+")")
}

// What --weights is, and what is taken without it.
const (
	weightsHelp    = "checkpoint `FILE`, a run folder, or " + builtin.Name + ", the small net in the program"
	weightsDefault = "the best checkpoint of %s; without a run " + builtin.Name
)

// load opens the checkpoint; without --weights the best one of the newest run or, where there is none, the net in the
// program. It says which.
func (o *weightsOption) load(t *ui.Terminal) (*checkpoint.Checkpoint, error) {
	path := o.path
	if path == "" {
		newest, passed, err := newestWeights(o.passGenerated)
		if len(passed) > 0 {
			t.Note("not used: %s, trained on generated pictures; --weights %s takes it", text.Examples(passed),
				text.ShellWord(passed[0]))
		}
		if errors.Is(err, run.ErrNoRun) {
			return loadBuiltin(t, "; train your own: alexnet train --data DIR")
		}
		if err != nil {
			return nil, err
		}
		path = newest
		t.Note("weights: %s", text.Name(path))
	} else {
		path = findCheckpoint(path, t)
	}
	if path == builtin.Name {
		return loadBuiltin(t, "")
	}
	c, err := loadCheckpoint(path, t)
	if err == nil && c.Best == nil && c.Epoch == 0 && filepath.Base(path) == run.Last+".safetensors" {
		t.Note("it is from step %d; its run has had no validation yet, and so no best checkpoint", c.Step)
	}
	return c, err
}

// newestWeights is the checkpoint to use of the newest run. With passGenerated runs on generated pictures are not
// taken; they are passed, newest first. Where no other is left the error is a run.ErrNoRun.
func newestWeights(passGenerated bool) (path string, passed []string, err error) {
	all, err := run.NewestFirst(files.OS)
	if err != nil {
		return "", nil, err
	}
	for _, path := range all {
		if !passGenerated || !onGenerated(path) {
			return path, passed, nil
		}
		passed = append(passed, filepath.Dir(filepath.Dir(path)))
	}
	return "", passed, run.ErrNoRun
}

// onGenerated tells whether a checkpoint is of a run on generated pictures. One that cannot be read is not: whoever
// takes it will say what is wrong.
func onGenerated(path string) bool {
	c, err := checkpoint.Load(files.OS, path)
	if err != nil {
		return false
	}
	defer closeQuietly(c)
	return c.Data.Path == demo.Path
}

// loadBuiltin opens the net in the program and says how good it is.
func loadBuiltin(t *ui.Terminal, more string) (*checkpoint.Checkpoint, error) {
	m, err := builtin.Test()
	if err != nil {
		return nil, err
	}
	c, err := builtin.Load()
	if err == nil {
		t.Note("net: %s, built in (%s of %s; %s of its test pictures right)%s", builtin.Net,
			text.Classes(len(c.Classes)), builtin.Data, text.Percent(1-m.Top1Error), more)
	}
	return c, err
}

// findCheckpoint is the checkpoint to use where path is a run folder, and says which; else path itself. The name of the
// net in the program means that net whatever lies in the working folder: a file or run of this name is ./builtin.
func findCheckpoint(path string, t *ui.Terminal) string {
	if path == builtin.Name {
		return path
	}
	inside := run.ToUse(files.OS, path)
	if inside == "" {
		return path
	}
	t.Note("weights: %s", text.Name(inside))
	return inside
}

func loadCheckpoint(path string, t *ui.Terminal) (*checkpoint.Checkpoint, error) {
	defer t.Phase("opening the weights").Clear()
	r, err := openWeights(path)
	if err != nil {
		return nil, err
	}
	return readCheckpoint(r)
}

// readCheckpoint takes the checkpoint from an open file, which it closes where there is none.
func readCheckpoint(r *safetensors.Reader) (*checkpoint.Checkpoint, error) {
	err := interop.RefuseExported(r)
	if err == nil {
		var c *checkpoint.Checkpoint
		if c, err = checkpoint.LoadFrom(r); err == nil {
			return c, nil
		}
	}
	closeQuietly(r)
	return nil, err
}

// openWeights opens a file, or the one in the program.
func openWeights(path string) (*safetensors.Reader, error) {
	if path == builtin.Name {
		return builtin.Open()
	}
	r, err := safetensors.Open(files.OS, path)
	return r, explainMissing(path, err)
}

// explainMissing words the error of a file that is not there.
func explainMissing(path string, err error) error {
	info, missing := os.Stat(path)
	switch {
	case err == nil:
		return nil
	case errors.Is(missing, fs.ErrNotExist):
		return advise(exitCheckpoint, "alexnet runs lists the runs, alexnet train makes one",
			fmt.Errorf("%s: there is no such checkpoint", text.Name(path)))
	case missing == nil && info.IsDir():
		return advise(exitCheckpoint, "alexnet runs lists the runs, alexnet train makes one",
			fmt.Errorf("%s: a folder without a checkpoint of a run", text.Name(path)))
	}
	return err
}
