package filestest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

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
