//go:build linux || darwin

package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// late is a disk where a link comes between the look and the opening.
type late struct{ FS }

func (l late) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if err := os.Symlink("precious", name); err != nil {
		return nil, err
	}
	return l.FS.OpenFile(name, flag, perm)
}

func TestOpenOwnFollowsNoLink(t *testing.T) {
	for _, disk := range []FS{OS, late{OS}} {
		dir := t.TempDir()
		precious, name := filepath.Join(dir, "precious"), filepath.Join(dir, "f")
		if err := os.WriteFile(precious, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if disk == OS {
			if err := os.Symlink("precious", name); err != nil {
				t.Fatal(err)
			}
		}
		_, err := OpenOwn(disk, name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if !errors.As(err, new(*InTheWay)) {
			t.Errorf("%T: error %v", disk, err)
		}
		if got, err := os.ReadFile(precious); err != nil || string(got) != "old" {
			t.Errorf("%T: written through: %q (%v)", disk, got, err)
		}
	}
}

// Nobody reads the pipe: opening it would wait for ever.
func TestOpenOwnWaitsForNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenOwn(OS, name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	var other *InTheWay
	if !errors.As(err, &other) || other.Mode != fs.ModeNamedPipe {
		t.Errorf("error %v", err)
	}
}

// A lock or a note may be made by a stranger too: nothing is waited for, and not all of what has no end is read.
func TestReadOwn(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("/dev/zero", at("link")),
		os.WriteFile(at("long"), nil, 0o600), os.Truncate(at("long"), 1<<40),
		os.WriteFile(at("note"), []byte("7\n"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe", "link", "."} {
		if _, err := ReadOwn(OS, at(name)); !errors.As(err, new(*InTheWay)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if text, err := ReadOwn(OS, at("long")); err == nil || len(text) > 2*longestNote {
		t.Errorf("%d bytes of a terabyte: %v", len(text), err)
	}
	if _, err := ReadOwn(OS, at("none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: error %v", err)
	}
	if text, err := ReadOwn(OS, at("note")); err != nil || string(text) != "7\n" {
		t.Errorf("a note: %q, %v", text, err)
	}
}

// Writing is told from reading by the operation.
func TestOpenOwnNamesWriting(t *testing.T) {
	_, err := OpenOwn(OS, filepath.Join(t.TempDir(), "no", "f"), os.O_WRONLY|os.O_CREATE, 0o666)
	var p *fs.PathError
	if !errors.As(err, &p) || p.Op != "open for writing" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// unsynced fails each sync of a folder.
type unsynced struct {
	FS
	err error
}

func (u unsynced) SyncDir(name string) error {
	return &fs.PathError{Op: "sync", Path: name, Err: u.err}
}

// What cannot be done is told once; what failed is an error each time.
func TestTolerant(t *testing.T) {
	for _, c := range []struct {
		err  error
		told int
	}{
		{syscall.EACCES, 1},
		{syscall.EPERM, 1},
		{syscall.EINVAL, 1},
		{syscall.ENOTSUP, 1},
		{syscall.EOPNOTSUPP, 1},
		{syscall.ENOSYS, 1},
		{syscall.EIO, 0},
		{syscall.ENOSPC, 0},
		{syscall.ESTALE, 0},
	} {
		var told []Weakness
		fsys := Tolerant(unsynced{OS, c.err}, func(w Weakness) { told = append(told, w) })
		for range 3 {
			if err := fsys.SyncDir("d/"); (err == nil) != (c.told == 1) || err != nil && !errors.Is(err, c.err) {
				t.Errorf("%v: error %v", c.err, err)
			}
		}
		if len(told) != c.told {
			t.Errorf("%v: told %v", c.err, told)
		}
	}
}

type syncer struct {
	FS
	err error
}

func (s syncer) SyncAll(string) error { return s.err }

// What is below Tolerant can be synced whole, or says that it cannot.
func TestTolerantSyncAll(t *testing.T) {
	for _, c := range []struct {
		below FS
		want  error
	}{{syncer{OS, nil}, nil}, {syncer{OS, syscall.EIO}, syscall.EIO}, {unsynced{OS, nil}, errors.ErrUnsupported}} {
		if err := Tolerant(c.below, nil).(Syncer).SyncAll("d"); !errors.Is(err, c.want) {
			t.Errorf("%T: %v, want %v", c.below, err, c.want)
		}
	}
}

func TestSyncAll(t *testing.T) {
	s, ok := OS.(Syncer)
	if !ok {
		t.Skip("only Linux syncs a whole file system")
	}
	dir := t.TempDir()
	if err := s.SyncAll(dir); err != nil {
		t.Error(err)
	}
	if err := s.SyncAll(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no folder: %v", err)
	}
}

// A link in the place of a folder leads to one, or is named.
func TestMkdirAllOverLinks(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(os.Mkdir(in("real"), 0o755), os.Symlink("real", in("link")),
		os.Symlink("nowhere", in("dangling")))
	if err != nil {
		t.Fatal(err)
	}
	if made, err := MkdirAll(OS, in("link/a/b")); err != nil || len(made) != 2 {
		t.Errorf("made %v (%v)", made, err)
	}
	if _, err := os.Stat(in("real/a/b")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"dangling", "dangling/a"} {
		made, err := MkdirAll(OS, in(name))
		want := "mkdir " + in("dangling") + ": a link that leads nowhere is in the way"
		if len(made) > 0 || err == nil || err.Error() != want {
			t.Errorf("%s: made %v, error %v", name, made, err)
		}
	}
}
