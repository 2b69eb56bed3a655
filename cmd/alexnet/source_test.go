package main

import (
	"testing"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
)

// TestGeneratedPath: eval finds the generated pictures again by the path that their source gives.
func TestGeneratedPath(t *testing.T) {
	source, err := data.DemoSource(data.DemoOptions{Train: 1, Val: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer done(source)
	if source.Path != generated {
		t.Errorf("generated pictures have the path %q, checkpoints are asked for %q", source.Path, generated)
	}
	height, width, err := source.Train.PictureSize(picture.Prep{})
	if err != nil || height != generatedSize || width != generatedSize {
		t.Errorf("generated pictures have %dx%d pixels (%v), want %d", width, height, err, generatedSize)
	}
}
