package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"alexnet/internal/run"
	"alexnet/internal/weights"
)

// weightsOption is the flag of the commands that use a trained net.
type weightsOption struct{ path string }

func (o *weightsOption) addFlag(c *cobra.Command) {
	c.Flags().StringVar(&o.path, "weights", "", "checkpoint `FILE`, or a run folder (default: the best checkpoint of the newest run)")
}

// load opens the checkpoint; without --weights the best one of the newest run, and says which.
func (o *weightsOption) load(t *terminal) (*weights.Checkpoint, error) {
	path := o.path
	if path == "" {
		newest, err := run.Newest()
		if errors.Is(err, run.ErrNoRun) {
			return nil, advise(exitNoData, "alexnet train, or --weights FILE", fmt.Errorf("no trained net: %w", err))
		}
		if err != nil {
			return nil, err
		}
		path = newest
		t.note("weights: %s", path)
	} else {
		path = inRun(path, t)
	}
	c, err := loadCheckpoint(path)
	if err == nil && c.Best == nil && c.Epoch == 0 && filepath.Base(path) == run.Last+".safetensors" {
		t.note("it is from step %d; its run has had no validation yet, and so no best checkpoint", c.Step)
	}
	return c, err
}

// inRun is the checkpoint to use where path is a run folder, and says which; else path itself.
func inRun(path string, t *terminal) string {
	inside := run.ToUse(path)
	if inside == "" {
		return path
	}
	t.note("weights: %s", inside)
	return inside
}

func loadCheckpoint(path string) (*weights.Checkpoint, error) {
	c, err := weights.Load(path)
	return c, noCheckpoint(path, err)
}

// noCheckpoint words the error of a file that is not there.
func noCheckpoint(path string, err error) error {
	info, missing := os.Stat(path)
	switch {
	case err == nil:
		return nil
	case errors.Is(missing, fs.ErrNotExist):
		return advise(exitCheckpoint, "ls runs/*/checkpoints, or alexnet train to make one", fmt.Errorf("%s: there is no such checkpoint", path))
	case missing == nil && info.IsDir():
		return advise(exitCheckpoint, "ls runs/*/checkpoints, or alexnet train to make one", fmt.Errorf("%s: a folder without a checkpoint of a run", path))
	}
	return err
}
