package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"alexnet/internal/files"
)

// TestReadLines: a list is read whole without its byte order mark, a longer one not, and the end of the program is no
// fault of the list.
func TestReadLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte("\ufeffa\r\nb\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := readLines(t.Context(), files.OS, path, 8); got != "a\r\nb\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := readLines(t.Context(), files.OS, path, 7); got != "" || !errors.As(err, new(*tooLong)) {
		t.Errorf("%q, %v", got, err)
	}
	_, err := readLines(t.Context(), files.OS, path+".no", 7)
	if !errors.Is(err, os.ErrNotExist) || err.Error() != "no such file or directory" {
		t.Errorf("%v", err)
	}
	stop := errors.New("Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := readList(ctx, path); !errors.Is(err, stop) {
		t.Errorf("a list of paths: %v", err)
	}
	if _, err := readClasses(ctx, path); err == nil || err.Error() != stop.Error() {
		t.Errorf("a list of classes: %v", err)
	}
}
