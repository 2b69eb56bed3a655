// Package atomicfile writes files whole or not at all: under a temporary name in the same folder, synced, renamed, the
// folder synced. Whatever happens, a full disk and kill -9 included, the name holds the old file or the new one. It
// imports files and lockfile and nothing else of the program.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"alexnet/internal/files"
	"alexnet/internal/lockfile"
)

// File is what a writer of content gets: Write appends, WriteAt writes anywhere. The two may be mixed; neither moves
// the other.
type File interface {
	io.Writer
	io.WriterAt
}

// Write puts what the callback writes in path's place. On an error, the callback's included, path is as it was and the
// temporary file is removed. There is one temporary name for each path (.NAME.tmp), locked while it is written: what a
// killed writer left is overwritten by the next one, and two writers at once are an error.
func Write(fsys files.FS, path string, content func(File) error) error {
	dir, base := filepath.Split(path)
	temp := filepath.Join(dir, "."+base+".tmp")
	f, err := lockfile.Acquire(fsys, temp)
	if err != nil {
		return failed(path, err)
	}
	err = fill(f, content)
	if err == nil {
		err = fsys.Rename(temp, path)
	}
	if err != nil {
		_, _ = fsys.Remove(temp), f.Close() // before the lock goes; the first error is the one to tell
		return failed(path, err)
	}
	if err := errors.Join(f.Close(), syncFolder(fsys, dir)); err != nil {
		return fmt.Errorf("%s is written, but may be lost in a power failure: %w", path, err)
	}
	return nil
}

func fill(f files.File, content func(File) error) error {
	if err := f.Truncate(0); err != nil { // a killed writer's leftovers
		return err
	}
	if err := content(f); err != nil {
		return err
	}
	return f.Sync()
}

func syncFolder(fsys files.FS, dir string) error {
	if dir == "" {
		dir = "."
	}
	err := fsys.SyncDir(dir)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil // file systems that keep no such promise
	}
	return err
}

// failed says which file could not be written: the system's error names the temporary one.
func failed(path string, err error) error {
	var p *os.PathError
	var l *os.LinkError
	switch {
	case errors.Is(err, files.ErrLocked):
		return fmt.Errorf("cannot write %s: another process is writing it", path)
	case errors.As(err, &p) && p == err: //nolint:errorlint // only where it is the outermost: what wraps it says more
		err = p.Err
	case errors.As(err, &l) && l == err: //nolint:errorlint // likewise
		err = l.Err
	}
	return fmt.Errorf("cannot write %s: %w (nothing was changed)", path, err)
}
