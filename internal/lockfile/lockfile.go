// Package lockfile takes files for one process at a time: the kernel gives the lock back when its holder ends, however
// it ends, so what a killed process left behind is never in the way. It imports files and nothing else of the program.
package lockfile

import (
	"errors"
	"io/fs"
	"os"

	"alexnet/internal/files"
)

// Acquire opens the file for reading and writing, creates it if need be, and locks it without waiting: files.ErrLocked
// where somebody else has it. Its content is left as it is; on an error a file that was not there is not left behind.
// Closing the file gives the lock back. Who holds the lock may rename or remove the file.
func Acquire(fsys files.FS, path string) (files.File, error) {
	for {
		_, err := fsys.Lstat(path)
		made := errors.Is(err, fs.ErrNotExist)
		f, err := fsys.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		same, err := lock(fsys, f)
		if err == nil && same {
			return f, nil
		}
		if err != nil && made && !errors.Is(err, files.ErrLocked) {
			_ = fsys.Remove(path) // the first error is the one to tell
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
}

// lock locks f and tells whether its name still is f's: between open and lock the last holder may have renamed or
// removed the file, and then this lock guards nothing.
func lock(fsys files.FS, f files.File) (same bool, err error) {
	if err := f.Lock(); err != nil {
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
