package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// generatedSize is the side of these pictures.
const generatedSize = 32

// openData opens the pictures to train on; without a path those that the program draws, where the net is of a size for
// them.
func openData(ctx context.Context, path string, cfg *config.Config) (*data.Source, error) {
	if path != "" {
		source, err := data.Open(ctx, files.OS, path, cfg.Data.ValShare, cfg.Train.Seed)
		if err == nil && len(source.Classes) < 2 {
			defer closeQuietly(source)
			return nil, advise(exitNoData, "give data with a folder for each class, two or more",
				fmt.Errorf("data %s: holds one class (%s), and a net needs another to tell it from", path,
					source.Classes[0]))
		}
		return source, err
	}
	if size := cfg.Model.Input.Size; size > generatedSize {
		return nil, advise(exitNoData,
			"alexnet train --data DIR, a folder of class folders; or the demo net: alexnet train",
			fmt.Errorf("no data: this net sees %dx%d pixels, the generated pictures have %dx%[3]d", size, size,
				generatedSize))
	}
	return demo.Open(demo.Options{})
}

// reopenData opens the pictures that a checkpoint names; command is what to repeat with --data where they are gone.
func reopenData(
	ctx context.Context, c *checkpoint.Checkpoint, cfg *config.Config, command string,
) (*data.Source, error) {
	switch c.Data.Path {
	case "":
		why := "names no data: it was never trained"
		if c.Data.Fingerprint != "" {
			why = "does not say where its data are: such paths are left out of checkpoints that are passed on"
		}
		return nil, advise(exitNoData, command+" --data DIR", fmt.Errorf("%s %s", c.Path, why))
	case demo.Path:
		return demo.Open(demo.Options{})
	}
	source, err := data.Open(ctx, files.OS, shortenPath(c.Data.Path), cfg.Data.ValShare, cfg.Train.Seed)
	var gone *data.SourceError
	if errors.As(err, &gone) {
		return nil, advise(exitNoData, command+" --data DIR, the folder or tar where the pictures are now",
			fmt.Errorf("%w; this path comes from %s", gone, c.Path))
	}
	return source, err
}

// shortenPath is path as it is seen from the working folder, where it lies in it.
func shortenPath(path string) string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if near, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(near) {
		return near
	}
	return path
}

// evalData chooses the pictures to evaluate on, and says on standard error which they are.
func evalData(
	ctx context.Context, path string, c *checkpoint.Checkpoint, t *ui.Terminal,
) (*data.Source, *data.Set, error) {
	cfg, err := config.Parse(c.Config, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration in %s: %w", c.Path, err)
	}
	var source *data.Source
	if path == "" {
		source, err = reopenData(ctx, c, cfg, "alexnet eval --weights "+text.ShellWord(c.Path))
	} else {
		source, err = data.Open(ctx, files.OS, path, cfg.Data.ValShare, cfg.Train.Seed)
	}
	if err != nil {
		return nil, nil, err
	}
	trained := source.Fingerprint == c.Data.Fingerprint
	if path == "" && !trained {
		t.Warn("the pictures in %s have changed since the training; some of these may have been trained on",
			source.Path)
	}
	set, what := source.Val, "validation part of "+source.Path
	if source.Split {
		what = "held-out part of " + source.Path
	}
	switch {
	case set.Len() == 0:
		if trained {
			t.Warn("%s holds no pictures for validation; these are the ones that the net was trained on", source.Path)
		}
		set, what = source.Train, "all of "+source.Path
	case path != "" && source.Split && !trained:
		closeQuietly(source)
		if source, err = data.Open(ctx, files.OS, path, 0, 0); err != nil {
			return nil, nil, err
		}
		set, what = source.Train, "all of "+source.Path
	}
	if set.Len() == 0 {
		defer closeQuietly(source)
		return nil, nil, advise(exitNoData, "alexnet eval --data DIR", fmt.Errorf("%s holds no pictures", source.Path))
	}
	t.Note("data: %s, %s", what, text.Count(set.Len(), "picture"))
	return source, set, nil
}
