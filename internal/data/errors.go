package data

import (
	"errors"
	"fmt"
)

// ErrNoData is what errors.Is finds in every failure to get at pictures at all: a missing or empty folder, no class
// folders, a broken tar.
var ErrNoData = errors.New("no usable data")

// SourceError says why a folder or tar cannot be used as data, and what to do. It is an ErrNoData.
type SourceError struct {
	Path    string // as the user gave it
	Problem string // "has no class folders"
	Next    string // what to do about it
	Err     error  // the cause, or nil
}

func (e *SourceError) Error() string {
	s := fmt.Sprintf("data %s: %s", e.Path, e.Problem)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	if e.Next != "" {
		s += "; " + e.Next
	}
	return s
}

// Unwrap gives the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Is makes every SourceError an ErrNoData.
func (e *SourceError) Is(target error) bool { return target == ErrNoData }

// SourceFault is a failure of what the pictures come from: a disk, a network, a folder that is gone, a process with too
// many open files. The picture in question may be sound, and be read at another time.
type SourceFault struct {
	Path string // as the user gave it
	Err  error
}

func (f *SourceFault) Error() string { return fmt.Sprintf("data %s: %v", f.Path, f.Err) }

// Unwrap gives the cause.
func (f *SourceFault) Unwrap() error { return f.Err }

// BadPicture is a picture that cannot be read: missing, cut off, no picture at all, too large, of another size than the
// rest.
type BadPicture struct {
	Name string // as Set.Name gives it, or the path of a single file
	Err  error
}

func (b *BadPicture) Error() string { return fmt.Sprintf("cannot read picture %s: %v", b.Name, b.Err) }

// Unwrap gives the reason.
func (b *BadPicture) Unwrap() error { return b.Err }
