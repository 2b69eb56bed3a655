package main

import (
	"fmt"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/weights"
)

// generated is the path that checkpoints give for pictures that the program drew itself.
const generated = "generated pictures"

// generatedSize is the side of these pictures.
const generatedSize = 32

// openData opens the pictures to train on; without a path those that the program draws, where the net is of a size for them.
func openData(path string, cfg *config.Config) (*data.Source, error) {
	if path != "" {
		return data.Open(path, cfg.Data.ValShare, cfg.Train.Seed)
	}
	if size := cfg.Model.Input.Size; size > generatedSize {
		return nil, advise(exitNoData, "alexnet train --data DIR, a folder of class folders; or the demo net: alexnet train",
			fmt.Errorf("no data: this net sees %dx%d pixels, the generated pictures have %dx%[3]d", size, size, generatedSize))
	}
	return data.DemoSource(data.DemoOptions{})
}

// reopenData opens the pictures that a checkpoint names.
func reopenData(c *weights.Checkpoint, cfg *config.Config) (*data.Source, error) {
	switch c.Data.Path {
	case "":
		return nil, advise(exitNoData, "--data DIR", fmt.Errorf("%s names no data: it was never trained", c.Path))
	case generated:
		return data.DemoSource(data.DemoOptions{})
	}
	return data.Open(c.Data.Path, cfg.Data.ValShare, cfg.Train.Seed)
}

// evalData chooses the pictures to evaluate on, and says on standard error which they are.
func evalData(path string, c *weights.Checkpoint, t *terminal) (*data.Source, *data.Set, error) {
	cfg, err := config.Parse(c.Config, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration in %s: %w", c.Path, err)
	}
	var source *data.Source
	if path == "" {
		source, err = reopenData(c, cfg)
	} else {
		source, err = data.Open(path, cfg.Data.ValShare, cfg.Train.Seed)
	}
	if err != nil {
		return nil, nil, err
	}
	trained := source.Fingerprint == c.Data.Fingerprint
	if path == "" && !trained {
		t.warn("the pictures in %s have changed since the training; some of these may have been trained on", source.Path)
	}
	set, what := source.Val, "validation part of "+source.Path
	if source.Split {
		what = "held-out part of " + source.Path
	}
	if path != "" && (set.Len() == 0 || source.Split && !trained) {
		if trained {
			t.warn("%s holds no pictures for validation; these are the ones that the net was trained on", source.Path)
		}
		done(source)
		if source, err = data.Open(path, 0, 0); err != nil {
			return nil, nil, err
		}
		set, what = source.Train, "all of "+source.Path
	}
	if set.Len() == 0 {
		defer done(source)
		return nil, nil, advise(exitNoData, "alexnet eval --data DIR", fmt.Errorf("%s holds no pictures for validation", source.Path))
	}
	t.note("data: %s, %s", what, counted(set.Len(), "picture"))
	return source, set, nil
}
