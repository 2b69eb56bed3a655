package main

import (
	"io"
	"testing"

	"alexnet/internal/ui"
)

// TestFirstWrongFlag: of two wrong numbers the same one is named each time.
func TestFirstWrongFlag(t *testing.T) {
	const want = "--epochs 0: want at least 1"
	for range 40 {
		root := newRootCommand(&ui.Terminal{Out: io.Discard, Err: io.Discard})
		root.SetArgs([]string{"train", "--steps", "0", "--epochs", "0"})
		if err := root.Execute(); err == nil || err.Error() != want {
			t.Fatalf("got %v, want %s", err, want)
		}
	}
}
