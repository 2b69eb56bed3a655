package main

import (
	"io"
	"os"
	"strings"
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

// TestRecipeKeys: the page on data names every key by which --set keeps --init from taking the file's preparation.
func TestRecipeKeys(t *testing.T) {
	page, err := os.ReadFile("../../docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "`--init` keeps the checkpoint's way, unless")
	sentence, _, found := strings.Cut(after, ";")
	for _, key := range recipeKeys {
		if !found || !strings.Contains(sentence, "`"+key+"`") || !setsRecipe([]string{key + "=1"}) {
			t.Errorf("docs/data.md does not name %s in %q", key, sentence)
		}
	}
}
