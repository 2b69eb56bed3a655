package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"alexnet/internal/files"
)

// Store holds the files of pictures, numbered from 0. What they show and which part of the data they belong to is told
// by the [Record]s that come with it.
type Store interface {
	// Read gives the file of picture i, in buf where it fits. Many goroutines may call it at once. A *SourceFault says
	// that the store failed and not the picture. Any other error is the picture's own and gives the reason without its
	// name; after the end of ctx it may be ctx's.
	Read(ctx context.Context, i int, buf []byte) ([]byte, error)
	// Close ends the use of the store: nothing can be read afterwards.
	Close() error
}

// isSequential tells whether a store can only be read in order.
func isSequential(s Store) bool {
	_, only := s.(sequential)
	return only
}

// Record is one picture of a store.
type Record struct {
	Name   string // slash-separated, from the source's root, another for each picture: "train/cat/1.jpg"
	File   string // where it lies, if that is elsewhere: "ILSVRC2012_val_00000001.JPEG"; empty: where Name says
	Label  int32  // the number of its class
	Number int32  // what Store.Read knows it by
}

// Memory is a store of files in memory.
type Memory [][]byte

// Read copies file i.
func (m Memory) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	return append(buf[:0], m[i]...), nil
}

// Close does nothing.
func (Memory) Close() error { return nil }

// maxFile is the largest file that is read: far beyond any photo, far below what would hurt.
const maxFile = 256 << 20

// flaw is what is wrong with one file, whatever the state of what holds it.
type flaw string

func (f flaw) Error() string { return string(f) }

var errTooLong = flaw(fmt.Sprintf("file of more than %d MB", maxFile>>20))

// NotFile is something else in the place of a regular file: a folder, a device. Of a picture it is the own failure.
type NotFile struct{ Mode fs.FileMode } // its type

func (e *NotFile) Error() string { return e.Unwrap().Error() }

// Unwrap gives a flaw.
func (e *NotFile) Unwrap() error { return flaw("is " + files.Kind(e.Mode)) }

// pipe tells whether err is that of a pipe, which is not read in place.
func pipe(err error) bool {
	var other *NotFile
	return errors.As(err, &other) && other.Mode&fs.ModeNamedPipe != 0
}

// readFile reads a whole file into buf, if it fits. Anything but a regular file is a *NotFile.
func readFile(fsys files.Reader, name string, buf []byte) ([]byte, error) {
	info, err := uncut(func() (fs.FileInfo, error) { return fsys.Stat(name) }) // before: a FIFO would wait for a writer
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, &NotFile{info.Mode().Type()}
	}
	f, err := uncut(func() (files.File, error) { return fsys.Open(name) })
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err = uncut(f.Stat); err != nil {
		return nil, reason(err)
	}
	return readAt(f, 0, info.Size(), buf)
}

// readPipe reads what comes out of a pipe until its end, into buf if that fits.
func readPipe(fsys files.Reader, name string, buf []byte) ([]byte, error) {
	f, err := uncut(func() (files.File, error) { return fsys.Open(name) })
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close() //nolint:errcheck // only read
	all := bytes.NewBuffer(buf[:0])
	n, err := all.ReadFrom(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, reason(err)
	case n > maxFile:
		return nil, errTooLong
	}
	return all.Bytes(), nil
}

// readAt reads size bytes at off into buf, if they fit.
func readAt(r io.ReaderAt, off, size int64, buf []byte) ([]byte, error) {
	if size > maxFile {
		return nil, errTooLong
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if n, err := uncut(func() (int, error) { return r.ReadAt(buf, off) }); n < len(buf) {
		if errors.Is(err, io.EOF) {
			return nil, flaw(fmt.Sprintf("ends after %d of %d bytes", n, len(buf)))
		}
		return nil, reason(err)
	}
	return buf, nil
}

// signals are so many that a call is made again for each, at once; one that is cut off more often has failed.
const signals = 100

// uncut makes a call again where a signal cut it off.
func uncut[T any](call func() (T, error)) (x T, err error) {
	for range signals {
		if x, err = call(); err == nil || !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return x, err
}

// reason strips the path from an operating system's error: the picture's name stands before it anyway.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// ownFault tells whether a failure to read a file is that file's own: it is not there, must not be read, is not a file,
// ends early. Whatever else a system reports says nothing about the file: EIO and ESTALE come from disks and networks,
// EMFILE and ENFILE from a process or a machine with too many open files.
func ownFault(err error) bool {
	var own flaw
	if errors.As(err, &own) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return true
	}
	for _, number := range []syscall.Errno{syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENOTDIR, syscall.EISDIR} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
