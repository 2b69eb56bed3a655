package data

import (
	"errors"
	"fmt"
)

// ErrNoData is what errors.Is finds in every failure to get at pictures at all: a missing or empty folder, no class
// folders, a broken tar.
var ErrNoData = errors.New("no usable data")

// SourceError says why a folder or tar cannot be used as data. It is an ErrNoData.
type SourceError struct {
	Path    string // as the user gave it
	Problem Problem
	Detail  string // the class folder, or the format of a picture, in question
	Err     error  // the cause, or nil
}

func (e *SourceError) Error() string {
	words := problems[e.Problem]
	if e.Detail != "" {
		words = fmt.Sprintf(words, e.Detail)
	}
	s := fmt.Sprintf("data %s: %s", e.Path, words)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// Problem is why something cannot be used as data.
type Problem int

// The problems of sources. Those that name something have it as Detail.
const (
	NotFound       Problem = iota + 1
	NotOpened              // for want of permission, most often
	NotListed              // a folder: likewise
	NoPictures             // it is empty, or no file looks like a picture
	NoClassFolders         // pictures, but in no folder of their class
	EmptyClass             // Detail: the folder
	UnknownClass           // in val/ and not in train/; Detail: the folder
	NoTar                  // neither a folder nor a tar
	Compressed             // a tar perhaps, but not as it is
	OnePicture             // Detail: its format
	CutOff                 // a tar that ends too early
	Sparse                 // a tar with a file in pieces
	NotRead                // a tar that cannot be read for another reason
)

var problems = map[Problem]string{
	NotFound: "no such file or folder", NotOpened: "cannot be opened", NotListed: "cannot be listed",
	NoPictures: "holds no pictures", NoClassFolders: "has pictures but no class folders",
	EmptyClass: "class folder %q holds no pictures", UnknownClass: "class folder %q has no counterpart in train/",
	NoTar: "is neither a folder nor a tar", Compressed: "is compressed", OnePicture: "is a picture (%s)",
	CutOff: "the tar is cut off", Sparse: "holds a sparse file", NotRead: "cannot be read",
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

// SizeError is a picture of another size than the rest, or than the recipe's, where nothing makes them one size.
type SizeError struct {
	Height, Width         int
	WantHeight, WantWidth int
	Alone                 bool // it is not one of a set: the size wanted is the recipe's, not that of the others
}

func (e *SizeError) Error() string {
	if e.Alone {
		return fmt.Sprintf("is %dx%d, want %dx%d", e.Width, e.Height, e.WantWidth, e.WantHeight)
	}
	return fmt.Sprintf("is %dx%d, the others are %dx%d", e.Width, e.Height, e.WantWidth, e.WantHeight)
}
