// Package files is the one way from the program to what is kept in files: pictures, checkpoints, metrics, events, run
// folders. Whoever reads or writes such a thing is given a [Reader] or an [FS] and knows no other way, so that a test
// can put one between that fails at a chosen call, and another kind of store can stand where a disk does. [OS] is the
// disk. Pages are not such things: package config reads one itself, from the disk of whoever names it.
//
// Names are paths as the operating system writes them. Errors are what package os gives: an *fs.PathError or
// *os.LinkError around the system's number, so that errors.Is finds fs.ErrNotExist and syscall.ENOSPC alike.
//
// The package imports text, for what its errors say, and nothing else of the program.
package files

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Reader opens what is only read.
type Reader interface {
	Open(name string) (File, error)
	Stat(name string) (fs.FileInfo, error)      // follows links
	Lstat(name string) (fs.FileInfo, error)     // does not
	Readlink(name string) (string, error)       // where a link leads, as it says: perhaps from its own folder
	ReadDir(name string) ([]fs.DirEntry, error) // sorted by name

	// SameFile tells whether two of the reader's own infos, or of files opened through it, are of one file.
	SameFile(a, b fs.FileInfo) bool
}

// ReadFile reads a file whole.
func ReadFile(fsys Reader, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(f)
}

// FS reads and writes.
type FS interface {
	Reader
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(old, name string) error
	Remove(name string) error  // a file, or a folder that is empty
	SyncDir(name string) error // makes durable which names are in the folder
}

// MkdirAll is os.MkdirAll, and tells which folders it made, outermost first. On an error it removes them. A power
// failure may take the folders with all that is in them until [SyncParents].
func MkdirAll(fsys FS, path string) (made []string, err error) {
	var missing []string
	for p := path; ; p = filepath.Dir(p) {
		info, err := fsys.Stat(p)
		if err == nil && info.IsDir() {
			break
		}
		if err == nil {
			return nil, &fs.PathError{Op: "mkdir", Path: p, Err: errors.New("a file is in the way")}
		}
		if !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			return nil, err
		}
		missing = append(missing, p)
	}
	for _, p := range slices.Backward(missing) {
		err := fsys.Mkdir(p, 0o777)
		if errors.Is(err, fs.ErrExist) { // somebody else may make it at the same moment
			if _, err = fsys.Stat(p); errors.Is(err, fs.ErrNotExist) {
				err = &fs.PathError{Op: "mkdir", Path: p, Err: errors.New("a link that leads nowhere is in the way")}
			}
		} else if err == nil {
			made = append(made, p)
		}
		if err != nil {
			for _, m := range slices.Backward(made) {
				_ = fsys.Remove(m) // the first error is the one to tell
			}
			return nil, err
		}
	}
	return made, nil
}

// SyncParents makes it durable that folders are there: what SyncDir of a folder makes so is only what is in it.
func SyncParents(fsys FS, folders []string) error {
	for _, folder := range folders {
		if err := fsys.SyncDir(filepath.Dir(folder)); err != nil {
			return err
		}
	}
	return nil
}

// File is an open file. Read and Write move its place, ReadAt and WriteAt do not.
type File interface {
	io.Reader
	io.Writer
	io.ReaderAt
	io.WriterAt
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Chmod(mode fs.FileMode) error
	Sync() error

	// Lock takes the file for this process, without waiting: ErrLocked where another open file has it. Closing the
	// file, or the end of the process, however it ends, gives the lock back.
	Lock() error
}

// Foreteller is a File that makes use of being told what will be read of it soon.
type Foreteller interface {
	// WillNeed returns at once, or takes as long as a system call, and never fails.
	WillNeed(off, size int64)
}

// ErrChanged says that a file is not what it was when it was opened: waiting does not bring that back.
var ErrChanged = errors.New("it has changed since it was opened")

// Remote tells whether a path is that of an object in a store, and no path of a file system: it holds from any folder.
// It may be one that was joined, as filepath.Join makes s3:/a/b of s3://a and b.
func Remote(path string) bool {
	const scheme = "s3:/" // or S3:/, as schemes go
	return len(path) >= len(scheme) && strings.EqualFold(path[:len(scheme)], scheme)
}

// ErrLocked says that another open file holds the lock.
var ErrLocked = errors.New("locked by another process")

// OS is the operating system's own files.
var OS FS = system{}

type system struct{}

func (system) Open(name string) (File, error) { return openFile(os.Open(name)) }

func (system) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	return openFile(os.OpenFile(name, flag, perm))
}

// openFile keeps a nil *os.File from becoming a File that is not nil.
func openFile(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// file adds what package os lacks: Lock, which systems do in ways of their own.
type file struct{ *os.File }

func (system) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

func (system) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

func (system) Readlink(name string) (string, error) { return os.Readlink(name) }

func (system) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (system) SameFile(a, b fs.FileInfo) bool { return os.SameFile(a, b) }

func (system) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

func (system) Rename(old, name string) error { return os.Rename(old, name) }

func (system) Remove(name string) error { return os.Remove(name) }

func (system) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
