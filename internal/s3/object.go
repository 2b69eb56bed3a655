package s3

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
)

// object is an open object. What is read is of the version that was opened, or an error.
type object struct {
	r           *Reader
	bucket, key string
	was         *info  // when it was opened
	version     string // what the names of its blocks begin with
	at          int64  // of Read and Seek
	doubtful    atomic.Bool
	closed      atomic.Bool
	saves       sync.WaitGroup // of blocks that somebody has read already
}

// ReadAt reads blocks, those that are kept from the disk.
func (o *object) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: o.Name(), Err: errors.New("negative offset")}
	}
	for n < len(p) {
		if off >= o.was.size {
			return n, io.EOF
		}
		most := min(int64(len(p)-n), o.was.size-off)
		if o.r.direct() {
			if err := o.get(p[n:][:most], off); err != nil {
				return n, err
			}
		} else {
			most = min(most, o.r.block-off%o.r.block)
			if err := o.read(p[n:][:most], off); err != nil {
				return n, err
			}
		}
		n, off = n+int(most), off+most
	}
	return n, nil
}

// Read reads on.
func (o *object) Read(p []byte) (int, error) {
	n, err := o.ReadAt(p, o.at)
	if o.at += int64(n); n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek moves where Read reads.
func (o *object) Seek(off int64, whence int) (int64, error) {
	at := off + map[int]int64{io.SeekStart: 0, io.SeekCurrent: o.at, io.SeekEnd: o.was.size}[whence]
	if at < 0 {
		return 0, &fs.PathError{Op: "seek", Path: o.Name(), Err: errors.New("negative offset")}
	}
	o.at = at
	return at, nil
}

// Stat is what the object was when it was opened; after a failure, what is there now.
func (o *object) Stat() (fs.FileInfo, error) {
	if !o.doubtful.Load() {
		return o.was, nil
	}
	return o.r.head("stat", o.Name())
}

// Name is the path.
func (o *object) Name() string { return "s3://" + o.was.name }

// Close forgets what was to be read soon, and returns when what was read is kept, or cannot be.
func (o *object) Close() error {
	o.closed.Store(true)
	o.r.mu.Lock()
	o.r.coming = slices.DeleteFunc(o.r.coming, func(w wish) bool { return w.of == o })
	o.r.mu.Unlock()
	o.saves.Wait()
	return nil
}

var errReadOnly = errors.New("objects are only read")

func (o *object) failed(op string) error {
	return &fs.PathError{Op: op, Path: o.Name(), Err: errReadOnly}
}

// Write fails, and so does all that changes a file.
func (o *object) Write([]byte) (int, error) { return 0, o.failed("write") }

// WriteAt fails.
func (o *object) WriteAt([]byte, int64) (int, error) { return 0, o.failed("write") }

// Truncate fails.
func (o *object) Truncate(int64) error { return o.failed("truncate") }

// Chmod fails.
func (o *object) Chmod(fs.FileMode) error { return o.failed("chmod") }

// Sync fails.
func (o *object) Sync() error { return o.failed("sync") }

// Lock fails.
func (o *object) Lock() error { return o.failed("lock") }
