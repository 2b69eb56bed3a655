package data

import (
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

// Record is one picture of a store.
type Record struct {
	Name   string // slash-separated, from the source's root, another for each picture: "train/cat/1.jpg"
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

var (
	errNoFile  = flaw("is not a file")
	errTooLong = flaw(fmt.Sprintf("file of more than %d MB", maxFile>>20))
)

// readFile reads a whole file into buf, if it fits.
func readFile(fsys files.Reader, name string, buf []byte) ([]byte, error) {
	info, err := fsys.Stat(name) // before it is opened: a FIFO would wait for a writer
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err = f.Stat(); err != nil {
		return nil, reason(err)
	}
	return readAt(f, 0, info.Size(), buf)
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
	if n, err := r.ReadAt(buf, off); n < len(buf) {
		if err == io.EOF {
			return nil, flaw(fmt.Sprintf("ends after %d of %d bytes", n, len(buf)))
		}
		return nil, reason(err)
	}
	return buf, nil
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
