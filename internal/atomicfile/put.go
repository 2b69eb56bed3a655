package atomicfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"alexnet/internal/files"
)

// Place is what a name leads to.
type Place struct {
	Path    string      // of the file itself, after all links
	Old     fs.FileInfo // the regular file that is there; nil: none
	Through bool        // a pipe, a device or an open file of the process, which is written to as it is
	// Descriptor is the number of that open file: 1 of /dev/stdout, whatever it is; else -1.
	Descriptor int
}

// Look follows the links from a name that somebody gave. What can be no output is a *files.InTheWay: a folder, a
// socket, a disk.
func Look(fsys files.Reader, name string) (*Place, error) {
	// Links as /dev/stdout lead to open files, and what these say need not be a name.
	number := -1
	at, info, err := files.Follow(fsys, name, func(at string) bool {
		number = descriptor(at)
		return number >= 0
	})
	switch {
	case err != nil:
		return nil, err
	case info == nil:
		return &Place{Path: at, Descriptor: -1}, nil
	}
	const device = fs.ModeDevice | fs.ModeCharDevice
	switch kind := info.Mode().Type(); {
	case kind == 0 && number < 0:
		return &Place{Path: at, Old: info, Descriptor: -1}, nil
	case kind == 0, kind == fs.ModeNamedPipe, kind == device:
		return &Place{Path: at, Through: true, Descriptor: number}, nil
	}
	return nil, files.NewInTheWay(fsys, at, info)
}

// descriptor is the number of the open file that a path names, or -1.
func descriptor(name string) int {
	name = filepath.ToSlash(filepath.Clean(name))
	for _, pattern := range []string{"/dev/fd/*", "/proc/*/fd/*", "/proc/*/task/*/fd/*"} {
		if is, _ := path.Match(pattern, name); !is {
			continue
		}
		if n, err := strconv.Atoi(path.Base(name)); err == nil {
			return n
		}
	}
	return -1
}

// Put writes to a name that somebody gave what the callback writes, and tells how many bytes. A regular file, or none,
// is replaced as by [Write]; links are followed, and stay. A pipe, a device or an open file of the process such as
// /dev/stdout is written to as it is, from memory, once the content is complete; waiting for whoever reads it ends with
// ctx, with its cause. Errors are otherwise those of [Write].
func Put(ctx context.Context, fsys files.FS, name string, content func(File) error) (size int64, err error) {
	place, err := Look(fsys, name)
	var other *files.InTheWay
	switch {
	case errors.As(err, &other):
		return 0, err
	case err != nil:
		return 0, failed(name, Unchanged, err)
	case !place.Through:
		return replace(fsys, place.Path, place.Old, content)
	}
	var m Memory
	if err := content(&m); err != nil {
		return 0, failed(name, Unchanged, err)
	}
	if err := through(ctx, fsys, name, m.Bytes); err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, failed(name, Unknown, err)
	}
	return int64(len(m.Bytes)), nil
}

// through writes to what is not a regular file. An open file that is one is appended to.
func through(ctx context.Context, fsys files.FS, name string, content []byte) error {
	f, err := openThrough(ctx, fsys, name)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.Close() }) // which ends the Write
	_, err = f.Write(content)
	if !stop() {
		return context.Cause(ctx)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// openThrough waits for a pipe's reader.
func openThrough(ctx context.Context, fsys files.FS, name string) (files.File, error) {
	const pause = 20 * time.Millisecond
	for {
		f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_APPEND|files.NonBlock, 0)
		if !errors.Is(err, syscall.ENXIO) {
			return f, err
		}
		if info, e := fsys.Stat(name); e != nil || info.Mode()&fs.ModeNamedPipe == 0 {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// Memory is a File in memory; it begins empty.
type Memory struct {
	Bytes []byte // what was written
	at    int64  // where Write goes on
}

func (m *Memory) Write(p []byte) (int, error) {
	n, err := m.WriteAt(p, m.at)
	m.at += int64(n)
	return n, err
}

// WriteAt makes the file as long as it has to be.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	if more := off + int64(len(p)) - int64(len(m.Bytes)); more > 0 {
		m.Bytes = append(m.Bytes, make([]byte, more)...)
	}
	return copy(m.Bytes[off:], p), nil
}
