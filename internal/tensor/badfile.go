package tensor

import (
	"errors"
	"fmt"
	"io"
)

// BadFile is a file that cannot be read.
type BadFile struct {
	Path   string
	Fault  Fault
	Reason string // what is wrong and where
}

func (e *BadFile) Error() string { return e.Path + ": " + e.Reason }

// Fault is what kind of thing is wrong with a file.
type Fault int

// The faults of files.
const (
	Corrupt     Fault = iota + 1 // bytes that a sound file cannot have
	OtherFormat                  // it is not a file of the format
	OtherType                    // a tensor of numbers that are not floating-point
	Pointer                      // it stands for another file, which Git LFS has not fetched
)

// Damaged is the BadFile of content that a sound file cannot have. Its path is the caller's to fill in.
func Damaged(format string, a ...any) *BadFile {
	return &BadFile{Fault: Corrupt, Reason: fmt.Sprintf(format, a...)}
}

// At tells the path of a file where the error does not. A file that ends early was cut by somebody after its size was
// read.
func At(path string, err error) error {
	var bad *BadFile
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad):
		if bad.Path != "" { // it may be of another file, which this one names
			path = bad.Path
		}
		return &BadFile{Path: path, Fault: bad.Fault, Reason: bad.Reason}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &BadFile{Path: path, Fault: Corrupt, Reason: "cut short while it was read"}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// In says of what in a file an error tells.
func In(what string, err error) error {
	var bad *BadFile
	if errors.As(err, &bad) {
		return &BadFile{Path: bad.Path, Fault: bad.Fault, Reason: what + ": " + bad.Reason}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
