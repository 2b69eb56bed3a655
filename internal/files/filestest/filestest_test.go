package filestest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"alexnet/internal/files"
)

func TestFailsOnceAsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := New(files.OS)
	f.Fail("write", 1, syscall.ENOSPC)
	file, err := f.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, syscall.ENOSPC, nil} {
		if _, err := file.Write([]byte("abcd")); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i, err, want)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "abcdababcd" {
		t.Errorf("file holds %q (%v): the write that failed is to leave half", got, err)
	}
	if fault := f.Fault(); fault == nil || *fault != (Call{"write", path}) {
		t.Errorf("failed: %v", fault)
	}
	c := func(op string) string { return op + " " + path }
	want := []string{c("openfile"), c("write"), c("write"), c("write"), c("close")}
	if got := fmt.Sprint(f.Calls()); got != fmt.Sprint(want) {
		t.Errorf("calls %s, want %s", got, want)
	}
}

func TestEachCallIsTried(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	var failed []string
	EachCall(t, syscall.EIO, func(_ *testing.T, f *FS) {
		err := errors.Join(f.Mkdir(path, 0o777), f.Rename(path, path+"2"), f.SyncDir(filepath.Dir(path)))
		_, _ = os.Remove(path), os.Remove(path+"2")
		fault := f.Fault()
		if (fault != nil) != errors.Is(err, syscall.EIO) {
			t.Errorf("%v failed: error %v", fault, err)
		}
		failed = append(failed, fmt.Sprint(fault))
	})
	dir := filepath.Dir(path)
	if want := fmt.Sprintf("[mkdir %s rename %s syncdir %s <nil>]", path, path, dir); fmt.Sprint(failed) != want {
		t.Errorf("failed: %s, want %s", failed, want)
	}
}

func TestBrokenForAWhile(t *testing.T) {
	dir := t.TempDir()
	f := New(files.OS)
	f.Break(syscall.ESTALE, func(c Call) bool { return c.Op == "stat" })
	for range 2 {
		if _, err := f.Stat(dir); !errors.Is(err, syscall.ESTALE) {
			t.Errorf("broken: %v", err)
		}
		if _, err := f.Lstat(dir); err != nil {
			t.Errorf("another call: %v", err)
		}
	}
	f.Mend()
	if _, err := f.Stat(dir); err != nil {
		t.Errorf("mended: %v", err)
	}
}

func TestHangsUntilReleased(t *testing.T) {
	dir := t.TempDir()
	f := New(files.OS)
	release := f.Hang(func(c Call) bool { return c.Op == "stat" })
	if _, err := f.Lstat(dir); err != nil {
		t.Errorf("another call: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := f.Stat(dir)
		done <- err
	}()
	for len(f.Calls()) < 2 {
		runtime.Gosched()
	}
	select {
	case err := <-done:
		t.Fatalf("did not hang: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := f.Stat(dir); err != nil {
		t.Error(err)
	}
}

// A killed process does nothing more: the write it was in is half done, and neither it nor what would clean up is.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := New(files.OS)
	w, err := f.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	f.Kill(1)
	for i, want := range []error{nil, ErrKilled, ErrKilled} {
		if _, err := w.Write([]byte("12345678")); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", i, err, want)
		}
	}
	if err := w.Truncate(0); !errors.Is(err, ErrKilled) {
		t.Errorf("truncate: %v", err)
	}
	if err := f.Remove(path); !errors.Is(err, ErrKilled) {
		t.Errorf("remove: %v", err)
	}
	if fault := f.Fault(); fault == nil || fault.Op != "write" {
		t.Errorf("killed in %v", fault)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "123456781234" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}
