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
				if fault == nil {
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
			want := "lstat lstat lstat openfile lock fstat stat fstat write write write writeat sync fstat " +
				"rename close syncdir"
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
	if err := Write(files.OS, path, textOf("short")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"f": "short"})
}

func TestTwoWritersAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	err := Write(files.OS, path, func(f File) error {
		if err := Write(files.OS, path, textOf("second")); err == nil ||
			!strings.Contains(err.Error(), path+": another process is writing it") {
			t.Errorf("second writer: %v", err)
		}
		return textOf("first")(f)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"f": "first"})
}

func TestFolderInTheWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	err := Write(files.OS, path, textOf("x"))
	if err == nil || !strings.Contains(err.Error(), path+" is a folder") {
		t.Errorf("onto a folder: %v", err)
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestMissingFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "f")
	if err := Write(files.OS, path, textOf("x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := Write(files.OS, "f", textOf("x")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, ".", map[string]string{"f": "x"})
}

// What stands in the place of a file of the program's own is refused by name, whatever it is, and is left as it was.
func TestNothingIsWrittenThrough(t *testing.T) {
	for _, at := range []string{"f", ".f.tmp"} {
		for what, put := range inTheWay {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "precious"), []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(dir, at)); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(filepath.Join(dir, at))
			if err != nil {
				t.Fatal(err)
			}
			err = Write(files.OS, filepath.Join(dir, "f"), textOf("new"))
			var other *files.InTheWay
			if !errors.As(err, &other) || other.Path != filepath.Join(dir, at) ||
				!strings.Contains(err.Error(), at+" is "+what) {
				t.Errorf("%s is %s: error %v", at, what, err)
			}
			after, err := os.Lstat(filepath.Join(dir, at))
			if err != nil || !os.SameFile(before, after) {
				t.Errorf("%s was %s, and was replaced (%v)", at, what, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "precious")); err != nil || string(got) != "old" {
				t.Errorf("%s was %s: the file that it leads to holds %q (%v)", at, what, got, err)
			}
			if names := list(t, dir); len(names) != 2 {
				t.Errorf("%s is %s: folder holds %v", at, what, names)
			}
		}
	}
}

// inTheWay makes what can stand in a file's place; a file named precious is beside it.
var inTheWay = map[string]func(string) error{
	"a link to precious": func(p string) error { return os.Symlink("precious", p) },
	"a link to nowhere":  func(p string) error { return os.Symlink("nowhere", p) },
	"a folder":           func(p string) error { return os.Mkdir(p, 0o755) },
	"a pipe":             func(p string) error { return syscall.Mkfifo(p, 0o644) },
}

// A folder on the way may be a link.
func TestLinkedFolder(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(dir, "scratch"), 0o755), os.Symlink("scratch", filepath.Join(dir, "run")))
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(files.OS, filepath.Join(dir, "run", "f"), textOf("x")); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filepath.Join(dir, "scratch"), map[string]string{"f": "x"})
}

// Whoever may read the old file may read the new one, and nobody else, not even while it is written.
func TestModeIsKept(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o640, 0o664, 0o444, 0o000} {
		path := filepath.Join(t.TempDir(), "f")
		err := errors.Join(os.WriteFile(path, []byte("old"), 0o644), os.Chmod(path, mode))
		if err != nil {
			t.Fatal(err)
		}
		err = Write(files.OS, path, func(f File) error {
			info, err := os.Stat(Temp(path))
			if err == nil && info.Mode().Perm() != mode|0o600 {
				t.Errorf("mode %03o: %03o while it is written", mode, info.Mode().Perm())
			}
			return errors.Join(err, textOf("new")(f))
		})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode || info.Size() != 3 {
			t.Errorf("mode %03o became %v (%v)", mode, info.Mode(), err)
		}
	}
}

// Without locks a file is written under a name that nobody else writes, and nothing stays behind.
func TestWithoutLocks(t *testing.T) {
	for _, cause := range []error{syscall.ENOLCK, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		fsys := filestest.New(files.OS)
		fsys.Fail("lock", 0, cause)
		err := Write(fsys, path, func(f File) error {
			second := filestest.New(files.OS)
			second.Fail("lock", 0, cause)
			return errors.Join(Write(second, path, textOf("second")), textOf("first")(f))
		})
		if err != nil {
			t.Errorf("%v: %v", cause, err)
		}
		wantFiles(t, dir, map[string]string{"f": "first"})
	}
}

// Final knows the names under which files are written, with locks and without, and takes no others for them.
func TestFinal(t *testing.T) {
	for _, cause := range []error{nil, syscall.ENOLCK} {
		dir := t.TempDir()
		fsys := filestest.New(files.OS)
		fsys.Fail("lock", 0, cause)
		err := Write(fsys, filepath.Join(dir, "f.block"), func(File) error {
			for _, name := range list(t, dir) {
				if name == "f.block" || Final(name) != "f.block" {
					t.Errorf("no locks: %v; %s becomes %s", cause, name, Final(name))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		".f.block.tmp": "f.block", ".f.block.7.0.tmp": "f.block", ".f.7.tmp": "f.7", ".7.0.tmp": "7.0", "f": "f",
		"f.tmp": "f.tmp", "f.7.0.tmp": "f.7.0.tmp", ".f": ".f", ".tmp": ".tmp", "..tmp": "..tmp", "": "",
	} {
		if got := Final(name); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}

func textOf(s string) func(File) error {
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
