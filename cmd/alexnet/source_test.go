package main

import (
	"testing"

	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/data/picture"
)

// TestGeneratedPath: eval finds the generated pictures again by the path that checkpoints have always had for them.
func TestGeneratedPath(t *testing.T) {
	source, err := demo.Open(demo.Options{Train: 1, Val: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer done(source)
	if source.Path != demo.Path || demo.Path != "generated pictures" || source.Kind != data.Generated {
		t.Errorf("generated pictures have the path %q and the kind %d, checkpoints are asked for %q",
			source.Path, source.Kind, demo.Path)
	}
	height, width, err := source.Train.PictureSize(t.Context(), picture.Prep{})
	if err != nil || height != generatedSize || width != generatedSize {
		t.Errorf("generated pictures have %dx%d pixels (%v), want %d", width, height, err, generatedSize)
	}
}
