package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// InTheWay is what stands where a regular file belongs: a link, a folder, a pipe, a device. Nothing was written to it,
// nor to what it leads to.
type InTheWay struct {
	Path string
	Mode fs.FileMode // its type
	Link string      // where it leads, if it is a link
}

func (e *InTheWay) Error() string {
	what := Kind(e.Mode)
	if e.Mode&fs.ModeSymlink != 0 && e.Link != "" {
		what += " to " + e.Link
	}
	return fmt.Sprintf("%s is %s, not a regular file", e.Path, what)
}

// Kind names what a mode says of a file, if that is not a regular one: "a folder".
func Kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a link"
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeCharDevice != 0:
		return "a device"
	case m&fs.ModeDevice != 0:
		return "a disk"
	}
	return "something else"
}

// NewInTheWay is the error of what info says of name.
func NewInTheWay(fsys Reader, name string, info fs.FileInfo) *InTheWay {
	e := &InTheWay{Path: name, Mode: info.Mode().Type()}
	if e.Mode&fs.ModeSymlink != 0 {
		e.Link, _ = fsys.Readlink(name) // to tell; that it is a link is reason enough
	}
	return e
}

// Own looks at the place of a file that the program keeps for itself, in a run folder or anywhere that nobody named:
// info is nil where there is none yet. Anything but a regular file is an *InTheWay, links above all: what they lead to
// is somebody else's. The folders on the way may be links.
func Own(fsys Reader, name string) (info fs.FileInfo, err error) {
	info, err = fsys.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil //nolint:nilnil // as documented
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, NewInTheWay(fsys, name, info)
	}
	return info, nil
}

// longestNote is how much ReadOwn reads: locks and notes of a download have some hundred bytes.
const longestNote = 1 << 16

// ReadOwn reads a short file that the program keeps for itself. One that is not there is fs.ErrNotExist; anything but a
// regular file is an *InTheWay, which is not opened: a pipe would wait for a writer. A longer one is an error too.
func ReadOwn(fsys Reader, name string) ([]byte, error) {
	info, err := Own(fsys, name)
	if err == nil && info == nil {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, longestNote+1))
	if err == nil && len(text) > longestNote {
		err = fmt.Errorf("%s is longer than %d bytes", name, longestNote)
	}
	return text, err
}

// OpenOwn is OpenFile for writing to such a file: it follows no link and waits for no pipe, and what is there instead
// of a file is an *InTheWay. Of other errors the operation is "open for writing", to be told from reading.
func OpenOwn(fsys FS, name string, flag int, perm fs.FileMode) (File, error) {
	if _, err := Own(fsys, name); err != nil {
		return nil, err
	}
	f, err := fsys.OpenFile(name, flag|noFollow, perm)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // a link came just now; FreeBSD has EMLINK
		return nil, &InTheWay{Path: name, Mode: fs.ModeSymlink}
	}
	return nil, forWriting(err)
}

// forWriting tells in a system's error that a file was opened to be written.
func forWriting(err error) error {
	if p, is := err.(*fs.PathError); is && p.Op == "open" { //nolint:errorlint // what wraps it says more
		return &fs.PathError{Op: "open for writing", Path: p.Path, Err: p.Err}
	}
	return err
}

// PutAside gives a file that is not the program's own the first name of NAME.1, NAME.2, .. that is free, and tells it.
func PutAside(fsys FS, name string) (other string, err error) {
	for n := 1; ; n++ {
		other = fmt.Sprintf("%s.%d", name, n)
		_, err = fsys.Lstat(other)
		if errors.Is(err, fs.ErrNotExist) {
			return other, fsys.Rename(name, other)
		}
		if err != nil {
			return "", err
		}
	}
}
