package tensor

import "fmt"

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
