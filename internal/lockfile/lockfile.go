// Package lockfile takes files for one process at a time: the kernel gives the lock back when its holder ends, however
// it ends, so what a killed process left behind is never in the way. It imports files and nothing else of the program.
package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"alexnet/internal/files"
)

// ErrNoLocks says that the file system has no locks.
var ErrNoLocks = errors.New("files cannot be locked")

// Acquire opens the file for reading and writing, creates it if need be, and locks it without waiting: files.ErrLocked
// where somebody else has it, ErrNoLocks where there is no such thing, *files.InTheWay where there is something else
// than a file. Its content is left as it is; on an error a file that was not there is not left behind. Closing the file
// gives the lock back. Who holds the lock may rename or remove the file.
func Acquire(fsys files.FS, path string) (files.File, error) {
	for {
		before, err := files.Own(fsys, path)
		if err != nil {
			return nil, err
		}
		f, err := files.OpenOwn(fsys, path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		same, err := lock(fsys, f)
		if err == nil && same {
			return f, nil
		}
		if err != nil && before == nil && !errors.Is(err, files.ErrLocked) {
			_ = fsys.Remove(path) // the first error is the one to tell
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
}

// Hold is Acquire for whoever can do without where there are no locks: release gives the lock back, if there is one.
func Hold(fsys files.FS, path string) (release func(), err error) {
	f, err := Acquire(fsys, path)
	switch {
	case errors.Is(err, ErrNoLocks):
		return func() {}, nil
	case err != nil:
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// lock locks f and tells whether its name still is f's: between open and lock the last holder may have renamed or
// removed the file, and then this lock guards nothing.
func lock(fsys files.FS, f files.File) (same bool, err error) {
	switch err := f.Lock(); {
	case files.Lockless(err):
		return false, fmt.Errorf("%w: %w", ErrNoLocks, err)
	case err != nil:
		return false, err
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := fsys.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return fsys.SameFile(mine, there), nil
}
