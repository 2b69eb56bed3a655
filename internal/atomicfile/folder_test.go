//go:build linux || darwin

package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// fillFolder writes a folder of two files, one larger than what is buffered.
func fillFolder(fsys files.FS, path string) error {
	f, err := NewFolder(fsys, path)
	if err != nil {
		return err
	}
	defer f.Drop()
	a, err := f.Create("a.csv")
	if err != nil {
		return err
	}
	b, err := f.Create("b.json")
	if err != nil {
		return err
	}
	for range 3000 {
		if _, err := io.WriteString(a, strings.Repeat("a", 50)); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(b, "{}"); err != nil {
		return err
	}
	return f.Finish()
}

// Whichever call fails, the folder is there with all that is in it or not at all, and nothing else is left.
func TestFolderFailureAtEveryCall(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		filestest.EachCall(t, cause, func(t *testing.T, fsys *filestest.FS) {
			dir := t.TempDir()
			path := filepath.Join(dir, "new", "out")
			err := fillFolder(fsys, path)
			fault := fsys.Fault()
			var failed *Failed
			switch {
			case err == nil || errors.As(err, &failed) && failed.Now == Written:
				wantFiles(t, path, map[string]string{"a.csv": strings.Repeat("a", 150000), "b.json": "{}"})
			case !errors.As(err, &failed) || !errors.Is(err, cause) || failed.Now != Unchanged ||
				!strings.Contains(err.Error(), path) ||
				fault.Op == "write" && strings.Contains(err.Error(), files.PartialExt):
				t.Errorf("%v: %v", fault, err)
			default:
				if names := list(t, dir); len(names) > 0 {
					t.Errorf("%v: %v left %v", fault, err, names)
				}
			}
			if fault == nil && err != nil {
				t.Errorf("no call fails: %v", err)
			}
		})
	}
}

// After a kill at any call the next writer is not hindered, and the folder is whole or not there in between.
func TestFolderKill(t *testing.T) {
	for n := 0; ; n++ {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		fsys := filestest.New(files.OS)
		fsys.Kill(n)
		err := fillFolder(fsys, path)
		if _, there := os.Stat(path); there == nil {
			wantFiles(t, path, map[string]string{"a.csv": strings.Repeat("a", 150000), "b.json": "{}"})
		} else if err := fillFolder(files.OS, path); err != nil {
			t.Errorf("after a kill at call %d: %v", n, err)
		} else if names := list(t, dir); len(names) != 1 {
			t.Errorf("after a kill at call %d: %v", n, names)
		}
		if err == nil {
			return
		}
	}
}

// TestErrors: a name of more than one line stays on one.
func TestErrors(t *testing.T) {
	for _, err := range []error{&Exists{"a\nb"}, &Failed{Path: "a\nb", Err: os.ErrInvalid}} {
		if s := err.Error(); !strings.Contains(s, `a\nb`) {
			t.Errorf("%q", s)
		}
	}
}

// What is there stays, but for an empty folder; another writer of the same folder is an error.
func TestFolderExists(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"full/x", "file", "empty/", "link"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "link":
			if err := os.Symlink("nowhere", path); err != nil {
				t.Fatal(err)
			}
		case strings.HasSuffix(name, "/"):
			if err := os.MkdirAll(path, 0o777); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.WriteFile(path, []byte("mine"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"full", "file", "link", "."} {
		var exists *Exists
		path := filepath.Join(dir, name)
		if name == "." {
			path = name
		}
		if err := fillFolder(files.OS, path); !errors.As(err, &exists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fillFolder(files.OS, filepath.Join(dir, "empty")); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "full", "x")); err != nil || string(got) != "mine" {
		t.Errorf("%q, %v", got, err)
	}
	first, err := NewFolder(files.OS, filepath.Join(dir, "shared"))
	if err != nil {
		t.Fatal(err)
	}
	if err := fillFolder(files.OS, filepath.Join(dir, "shared")); !errors.Is(err, files.ErrLocked) {
		t.Errorf("two writers: %v", err)
	}
	if err := first.Finish(); err != nil {
		t.Error(err)
	}
	first.Drop()
	wantFiles(t, filepath.Join(dir, "shared"), nil)
}
