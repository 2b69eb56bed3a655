package main

import (
	"errors"
	"fmt"
	"io/fs"

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
	} else if inside := run.ToUse(path); inside != "" {
		path = inside
		t.note("weights: %s", path)
	}
	return loadCheckpoint(path)
}

func loadCheckpoint(path string) (*weights.Checkpoint, error) {
	c, err := weights.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, advise(exitCheckpoint, "ls runs/*/checkpoints, or alexnet train to make one", fmt.Errorf("no checkpoint there: %w", err))
	}
	return c, err
}
