//go:build linux || darwin

package report

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/files"
)

// A full disk (here a limit on the length of files) may take half a line; that half must not stay, or the next line
// would be joined to it.
func TestHalfWrittenLineIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(files.OS, dir, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(step(1)); err != nil {
		t.Fatal(err)
	}
	first := content(t, dir)
	limit := func(bytes uint64) (old syscall.Rlimit) {
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		return old
	}
	old := limit(uint64(len(first) + 10))
	err = w.Append(step(2))
	limit(old.Cur)
	if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), fileName) {
		t.Errorf("error %v", err)
	}
	if got := content(t, dir); got != first {
		t.Errorf("file holds %q, want %q", got, first)
	}
	if err := w.Append(step(3)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if ms, err := readMetrics(w.file.Name()); err != nil || len(ms) != 2 || ms[1].Step != 3 {
		t.Errorf("read %+v, %v", ms, err)
	}
}
