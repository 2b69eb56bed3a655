//go:build linux || darwin

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// Write appends at the file's own position, which WriteAt leaves alone: the package says so, and this holds os.File to
// it.
func TestWriteAndWriteAtMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	err := Write(files.OS, path, func(f File) error {
		_, err1 := io.WriteString(f, "....")
		_, err2 := f.WriteAt([]byte("ab"), 0)
		_, err3 := io.WriteString(f, "!")
		return errors.Join(err1, err2, err3)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filepath.Dir(path), map[string]string{"f": "ab..!"})
}

// Whichever call fails, the name holds the old file or the new one, whole, nothing else is left in the folder, and the
// error says which.
func TestFailureAtEveryCall(t *testing.T) {
	content := func(f File) error {
		for range 3 {
			// not io.WriteString: os.File has a way of its own for it
			if _, err := f.Write([]byte("new content ")); err != nil {
				return fmt.Errorf("tensor conv1.weight: %w", err)
			}
		}
		_, err := f.WriteAt([]byte("N"), 0)
		return err
	}
	const whole = "New content new content new content "
	for _, old := range []string{"", "old"} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
			var failed []string
			filestest.EachCall(t, cause, func(t *testing.T, fsys *filestest.FS) {
				dir := t.TempDir()
				path := filepath.Join(dir, "last.safetensors")
				want := map[string]string{}
				if old != "" {
					want["last.safetensors"] = old
					if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				err := Write(fsys, path, content)
				fault := fsys.Fault()
				if fault == nil || fault.Op == "lstat" { // what that tells matters only where another call fails
					want["last.safetensors"] = whole
					if err != nil {
						t.Errorf("no call fails: %v", err)
					}
					wantFiles(t, dir, want)
					return
				}
				failed = append(failed, fault.Op)
				prefix := "cannot write " + path + ": "
				if fault.Op == "close" || fault.Op == "syncdir" { // it has its name already
					want["last.safetensors"], prefix = whole, path+" is written, "
				}
				if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), prefix) ||
					strings.Contains(err.Error(), "nothing was changed") != (prefix[0] == 'c') {
					t.Errorf("%v fails: error %v", fault, err)
				}
				wantFiles(t, dir, want)
			})
			want := "openfile lock fstat stat truncate write write write writeat sync rename close syncdir"
			if got := strings.Join(failed, " "); got != want {
				t.Errorf("failed: %s, want %s", got, want)
			}
		}
	}
}

func TestLeftoversAreTakenOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(filepath.Join(dir, ".f.tmp"), []byte(strings.Repeat("a killed writer's ", 100)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(files.OS, path, text("short")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"f": "short"})
}

func TestTwoWritersAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	err := Write(files.OS, path, func(f File) error {
		if err := Write(files.OS, path, text("second")); err == nil ||
			!strings.Contains(err.Error(), path+": another process is writing it") {
			t.Errorf("second writer: %v", err)
		}
		return text("first")(f)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"f": "first"})
}

func TestRenameFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	err := Write(files.OS, path, text("x"))
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), ".f.tmp") {
		t.Errorf("onto a folder: %v", err)
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "f")
	if err := Write(files.OS, path, text("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := Write(files.OS, "f", text("x")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, ".", map[string]string{"f": "x"})
}

func text(s string) func(File) error {
	return func(f File) error {
		_, err := io.WriteString(f, s)
		return err
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// wantFiles checks that a folder holds just these files.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	names := list(t, dir)
	if len(names) != len(want) {
		t.Errorf("folder holds %v, want %d files", names, len(want))
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, text)
		}
	}
}
