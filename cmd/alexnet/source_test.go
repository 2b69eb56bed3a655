package main

import (
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
	"alexnet/internal/train"
)

// TestGeneratedPath: eval finds the generated pictures again by the path that checkpoints have always had for them.
func TestGeneratedPath(t *testing.T) {
	source, err := demo.Open(demo.Options{Train: 1, Val: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeQuietly(source)
	if source.Path != demo.Path || demo.Path != "generated pictures" || source.Kind != data.Generated {
		t.Errorf("generated pictures have the path %q and the kind %d, checkpoints are asked for %q",
			source.Path, source.Kind, demo.Path)
	}
	height, width, err := source.Train.PictureSize(t.Context(), &recipe.Recipe{Channels: 3})
	if err != nil || height != generatedSize || width != generatedSize {
		t.Errorf("generated pictures have %dx%d pixels (%v), want %d", width, height, err, generatedSize)
	}
}

// TestFolderNamedAsGenerated: a folder that is called as the generated pictures are is opened where a checkpoint names
// it, and named in advice.
func TestFolderNamedAsGenerated(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, demo.Path)
	if err := demo.Write(t.Context(), files.OS, path, demo.Options{Train: 3, Val: 2, Size: 16}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct {
		path     string
		kind     data.Kind
		pictures int
	}{{path, data.Folder, 30}, {demo.Path, data.Generated, 2000}} {
		checkpoint := &checkpoint.Checkpoint{Data: checkpoint.Data{Path: c.path}}
		source, err := reopenData(t.Context(), checkpoint, &config.Config{}, "")
		if err != nil {
			t.Fatal(err)
		}
		defer closeQuietly(source)
		if source.Kind != c.kind || source.Train.Len() != c.pictures {
			t.Errorf("%s: kind %d, %d pictures", c.path, source.Kind, source.Train.Len())
		}
	}
	for _, generated := range []bool{false, true} {
		next := fromWeights(&train.OtherData{Path: demo.Path, Generated: generated, Fits: true, Checkpoint: "c"})
		if named := strings.Contains(next, " --data '"+demo.Path+"'"); named == generated {
			t.Errorf("generated: %t, advice: %s", generated, next)
		}
	}
}
