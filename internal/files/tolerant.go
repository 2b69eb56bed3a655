package files

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
)

// Weakness is what a file system cannot do. Work goes on without it, and people are told once.
type Weakness struct {
	Path string // of a folder
	Lock bool   // it has no locks; otherwise folders cannot be synced
	Err  error  // the system's
}

func (w Weakness) String() string {
	cause := w.Err
	if p := (*fs.PathError)(nil); errors.As(cause, &p) {
		cause = p.Err
	}
	if w.Lock {
		return fmt.Sprintf("files in %s cannot be locked (%v): nothing keeps a second trainer out of this folder",
			w.Path, cause)
	}
	return fmt.Sprintf("the folder %s cannot be synced (%v): a power failure may take what was just written into it",
		w.Path, cause)
}

// Lockless tells whether an error of Lock says that the file system has no locks: NFS without its lock service, FUSE,
// Lustre without -o flock.
func Lockless(err error) bool {
	return errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}

// Tolerant is fsys, but a folder that cannot be synced, because it may only be searched and written to or the file
// system has no such thing, is no error. The first is told to warn, from whatever goroutine met it. That a disk fails
// to sync is an error as before.
func Tolerant(fsys FS, warn func(Weakness)) FS { return &tolerant{FS: fsys, warn: warn} }

type tolerant struct {
	FS
	warn func(Weakness)
	once sync.Once
}

func (t *tolerant) SyncDir(name string) error {
	err := t.FS.SyncDir(name)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		t.once.Do(func() { t.warn(Weakness{Path: filepath.Clean(name), Err: err}) })
		return nil
	}
	return err
}

// CanWrite is what the file system below says, where it can tell.
func (t *tolerant) CanWrite(dir string) error {
	if asker, ok := t.FS.(Asker); ok {
		return asker.CanWrite(dir)
	}
	return nil
}

// SyncAll is that of the file system below, where it can.
func (t *tolerant) SyncAll(dir string) error {
	syncer, ok := t.FS.(Syncer)
	if !ok {
		return errors.ErrUnsupported
	}
	return syncer.SyncAll(dir)
}

// Space is that of the file system below, where it can tell.
func (t *tolerant) Space(dir string) (Space, error) {
	meter, ok := t.FS.(Meter)
	if !ok {
		return Space{}, errors.ErrUnsupported
	}
	return meter.Space(dir)
}
