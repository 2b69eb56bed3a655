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
)

// Write appends at the file's own position, which WriteAt leaves alone: the package says so, and this holds os.File to
// it.
func TestWriteAndWriteAtMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	err := Write(path, func(f File) error {
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

// faulty fails at the call number fail, counted over all methods.
type faulty struct {
	*os.File
	calls, fail int
	half        bool // a failing write writes half
}

func (f *faulty) step() error {
	if f.calls++; f.calls-1 == f.fail {
		return syscall.ENOSPC
	}
	return nil
}

func (f *faulty) Write(p []byte) (int, error) {
	if err := f.step(); err != nil {
		n := 0
		if f.half {
			n, _ = f.File.Write(p[:len(p)/2])
		}
		return n, &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return f.File.Write(p)
}

func (f *faulty) WriteAt(p []byte, off int64) (int, error) {
	if err := f.step(); err != nil {
		return 0, &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	return f.File.WriteAt(p, off)
}

func (f *faulty) Truncate(n int64) error {
	return errors.Join(f.step(), f.File.Truncate(n))
}

func (f *faulty) Sync() error {
	return errors.Join(f.step(), f.File.Sync())
}

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
	for _, old := range []string{"", "old"} {
		for fail := range 7 { // truncate, 3 writes, 1 write at, sync; then none
			dir := t.TempDir()
			path := filepath.Join(dir, "last.safetensors")
			want := map[string]string{}
			if old != "" {
				want["last.safetensors"] = old
				if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := write(path, content, func(f *os.File) file { return &faulty{File: f, fail: fail, half: true} })
			if fail == 6 {
				want["last.safetensors"] = "New content new content new content "
				if err != nil {
					t.Errorf("no call fails: %v", err)
				}
			} else if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "cannot write "+path+": ") {
				t.Errorf("call %d fails: error %v", fail, err)
			}
			wantFiles(t, dir, want)
		}
	}
}

// noClose fails to close.
type noClose struct{ *os.File }

func (f noClose) Close() error { return errors.Join(f.File.Close(), syscall.EIO) }

// Once the file has its name, no failure may say that nothing was changed.
func TestCloseFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	err := write(path, text("new"), func(f *os.File) file { return noClose{f} })
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), path+" is written") ||
		strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("error %v", err)
	}
	wantFiles(t, filepath.Dir(path), map[string]string{"f": "new"})
}

func TestLeftoversAreTakenOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(filepath.Join(dir, ".f.tmp"), []byte(strings.Repeat("a killed writer's ", 100)),
		0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, text("short")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"f": "short"})
}

func TestTwoWritersAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	err := Write(path, func(f File) error {
		if err := Write(path, text("second")); err == nil ||
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
	err := Write(path, text("x"))
	if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), ".f.tmp") {
		t.Errorf("onto a folder: %v", err)
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "f")
	if err := Write(path, text("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := Write("f", text("x")); err != nil {
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
