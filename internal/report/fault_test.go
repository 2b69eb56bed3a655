package report

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

// contents are the folder's files, metrics and events.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

// Whichever call fails, all files hold what they held before the line, and the line can be appended after that. It may
// be an epoch's end that takes an older one's place.
func TestAppendFailsAtEachCall(t *testing.T) {
	for _, m := range []Metrics{step(4), {Step: 3, Epoch: 1, ValLoss: new(0.125)}} {
		clean := t.TempDir()
		write(t, clean, 0, undisturbed()...)
		write(t, clean, 3, m)
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
			calls := 0
			for failed := true; failed; calls++ {
				failed = failAppend(t, m, cause, calls, content(t, clean))
			}
			if calls < 3 { // two writes, and none
				t.Errorf("only %d calls were tried", calls)
			}
		}
	}
}

// failAppend appends m where call n fails, and again; there may be no such call.
func failAppend(t *testing.T, m Metrics, cause error, n int, want string) (failed bool) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, 0, undisturbed()...)
	fsys := filestest.New(files.OS)
	w, err := NewWriter(fsys, dir, 3, true)
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	fsys.Fail("", n, cause)
	err = w.Append(m)
	fault := fsys.Fault()
	if !errors.Is(err, cause) && fault != nil {
		t.Errorf("%v fails: error %v", fault, err)
	}
	if fault != nil {
		if after := contents(t, dir); !maps.Equal(before, after) {
			t.Errorf("%v fails: files held %q, now %q", fault, before, after)
		}
		err = w.Append(m)
	}
	if err != nil {
		t.Errorf("no call fails: %v", err)
	}
	fsys.Fail("sync", 0, cause)
	if _, err := w.Sync(); !errors.Is(err, cause) {
		t.Errorf("sync fails: error %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if got := content(t, dir); got != want {
		t.Errorf("%v failed, then the line was appended: %q, want %q", fault, got, want)
	}
	b, err := os.ReadFile(w.events.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, b); len(got) < 3 { // version, start, and what the line says
		t.Errorf("%v failed: events %q", fault, got)
	}
	return fault != nil
}

// A writer that cannot be had leaves the lines up to its step, and no file of events of its own; what of the earlier
// one it has cut, the next writer says again.
func TestNewWriterFailsAtEachCall(t *testing.T) {
	clean := t.TempDir()
	write(t, clean, 0, undisturbed()...)
	want := points(t, clean)
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		filestest.EachCall(t, cause, func(t *testing.T, fsys *filestest.FS) {
			dir := t.TempDir()
			write(t, dir, 0, undisturbed()...)
			metrics := content(t, dir)
			w, err := NewWriter(fsys, dir, 6, true)
			if fault := fsys.Fault(); fault == nil || err == nil && fault.Op == "close" { // of a file that was read
				fsys.Fail("", 0, nil) // Close, which comes now, is to work
				if err := errors.Join(err, w.Close()); err != nil {
					t.Errorf("no call fails: %v", err)
				}
			} else if !errors.Is(err, cause) || content(t, dir) != metrics || len(eventFiles(t, dir)) > 1 {
				t.Errorf("%v fails: error %v; metrics %q; events %v", fault, err, content(t, dir), eventFiles(t, dir))
			}
			write(t, dir, 6)
			if got := points(t, dir); !maps.Equal(got, want) {
				t.Errorf("%v failed, then the run went on: points %v, want %v", fsys.Fault(), got, want)
			}
		})
	}
}

// Sync makes both files durable, and NewWriter their names.
func TestBothFilesAreSynced(t *testing.T) {
	fsys := filestest.New(files.OS)
	dir := t.TempDir()
	w, err := NewWriter(fsys, dir, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(fsys.Calls(), filestest.Call{Op: "syncdir", Name: dir}) {
		t.Errorf("the folder was not synced: %v", fsys.Calls())
	}
	before := len(fsys.Calls())
	if _, err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{w.file.Name(), w.events.Name()} {
		if !slices.Contains(fsys.Calls()[before:], filestest.Call{Op: "sync", Name: name}) {
			t.Errorf("%s was not synced: %v", name, fsys.Calls()[before:])
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// Where what was torn cannot be cut back either, the next line does that before anything else: the file never holds a
// line after a part of one.
func TestTornAndNotCut(t *testing.T) {
	for _, events := range []bool{false, true} {
		dir := t.TempDir()
		below := filestest.New(files.OS)
		fsys := filestest.New(below)
		w, err := NewWriter(fsys, dir, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		torn := 0
		if events {
			torn = 1 // the line is written, its event is not
		}
		fsys.Fail("write", torn, syscall.ENOSPC)
		below.Fail("truncate", 0, syscall.EIO)
		if err := w.Append(step(1)); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, syscall.EIO) {
			t.Errorf("error %v", err)
		}
		for _, m := range undisturbed() {
			if err := w.Append(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		clean := t.TempDir()
		write(t, clean, 0, undisturbed()...)
		if got, want := content(t, dir), content(t, clean); got != want {
			t.Errorf("events torn %t: %q, want %q", events, got, want)
		}
	}
}
