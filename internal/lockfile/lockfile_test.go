//go:build linux || darwin

package lockfile

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/files/filestest"
)

func TestAcquire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, []byte("left by a dead process"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Acquire(files.OS, path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "left by a dead process" {
		t.Errorf("content changed to %q (%v)", got, err)
	}
	if _, err := Acquire(files.OS, path); !errors.Is(err, files.ErrLocked) {
		t.Errorf("second holder: %v, want ErrLocked", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	g, err := Acquire(files.OS, path)
	if err != nil {
		t.Fatalf("after the holder closed: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

func TestAcquireInMissingFolder(t *testing.T) {
	if _, err := Acquire(files.OS, filepath.Join(t.TempDir(), "no", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

// What another kind of store tells of its files is not of package os.
func TestAcquireElsewhere(t *testing.T) {
	store := filestest.New(files.OS)
	store.Fail("openfile", 3, errors.New("opened again and again"))
	f, err := Acquire(store, filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// Where there are no locks the error says so, and a file that was not there is not left behind.
func TestNoLocks(t *testing.T) {
	for cause, none := range map[syscall.Errno]bool{
		syscall.ENOLCK: true, syscall.EOPNOTSUPP: true, syscall.ENOSYS: true, syscall.EINVAL: true, syscall.EIO: false,
	} {
		path := filepath.Join(t.TempDir(), "lock")
		store := filestest.New(files.OS)
		store.Fail("lock", 0, cause)
		_, err := Acquire(store, path)
		if !errors.Is(err, cause) || errors.Is(err, ErrNoLocks) != none {
			t.Errorf("%v: error %v", cause, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: left behind (%v)", cause, err)
		}
	}
}

// Holders that remove the file while they hold it, as a run folder does, must still exclude each other.
func TestRemovingHoldersExclude(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var inside, won int
	var guard sync.Mutex // for the two counters
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				f, err := Acquire(files.OS, path)
				if errors.Is(err, files.ErrLocked) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				guard.Lock()
				if inside++; inside != 1 {
					t.Errorf("%d holders at once", inside)
				}
				won++
				guard.Unlock()
				guard.Lock()
				inside--
				guard.Unlock()
				if err := errors.Join(os.Remove(path), f.Close()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if won == 0 {
		t.Error("nobody ever got the lock")
	}
}
