package data

import (
	"errors"
	"fmt"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

// ErrNoData is what errors.Is finds in every failure to get at pictures at all: a missing or empty folder, no class
// folders, a broken tar.
var ErrNoData = errors.New("no usable data")

// SourceError says why a folder or tar cannot be used as data. It is an ErrNoData.
type SourceError struct {
	Path    string // as the user gave it; of several that are at odds, all
	Problem Problem
	Detail  string // the class folder, or the format of a picture, in question
	Err     error  // the cause, or nil
	// Paths are all that were given, where Path is one of several or all in one; nil: Path is it.
	Paths []string
}

func (e *SourceError) Error() string { return fmt.Sprintf("data %s: %s", text.Name(e.Path), e.Why()) }

// Why is the error without the path.
func (e *SourceError) Why() string {
	words := problems[e.Problem]
	if e.Detail != "" {
		words = fmt.Sprintf(words, text.Name(e.Detail))
	}
	if e.Err != nil {
		words += fmt.Sprintf(" (%v)", e.Err)
	}
	return words
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
	UnknownClass           // in the validation part and not in that for training; Detail: the folder
	LoosePart              // pictures for validation that are in no class folder; Detail: the part's folder
	EmptyPart              // a folder for validation without pictures; Detail: it
	TwoParts               // two folders for one part; Detail: both
	NoTar                  // neither a folder, nor a tar, nor a list of pictures
	Compressed             // in a way that is not read; Detail: the program's name
	OnlyThrough            // compressed in a way that is read, but its pictures one after the other only
	OtherForm              // what another program keeps pictures in; Detail: the Form
	Damaged                // its checksums do not fit, or its list of files is not there
	Changes                // it was written to while it was listed
	OtherZip               // a zip with something in it that is not read
	OtherParquet           // likewise
	Packed                 // something in an archive that is not read in one of that kind; Detail: it
	OnePicture             // Detail: its format
	Pointer                // it stands for a tar that Git LFS has not fetched
	CutOff                 // a tar that ends too early
	Hole                   // a tar of which a part was never written
	Twice                  // a picture in a tar and beside it, or in two tars; Detail: it; Err: where
	BadNotes               // labels in a file beside the pictures that cannot be read; Detail: the file
	Sparse                 // a tar with a file in pieces
	NotRead                // a tar that cannot be read for another reason
	BadSet                 // a prepared set of which something is damaged or missing; Detail: the file
	NoShards               // it is to be read some shards at a time, and has none
	Special                // a device, a pipe, a socket: what is no folder cannot be read in place
	BadList                // a list of pictures with a line that is none; Err says which
	NoLabel                // a picture without one, though others have labels of their own; Detail: it
	BadLabel               // one that names no class, or does not fit others; Detail: the picture, file or row
	WrongCount             // labels that are more or fewer than the pictures; Detail: the file of labels
	Disagree               // labels that others contradict; Detail: the first picture
	AskOrder               // labels of 1000 classes in an order that nothing tells; Detail: the numbers
	NoNumbers              // no labels are numbers, though somebody said what they mean
	MissingShard           // one of several, which others or a file beside them name; Detail: it
	ShardCount             // a shard with another number of pictures than is written; Detail: it, or its part
	NoLabels               // the path of a file of labels that is not there, perhaps a word misspelt; Detail: it
	NoPart                 // of several paths, one of which nothing says what it is for
	PathTwice              // of several paths, two that are the same
	HoldsSets              // a folder with a prepared set in it; Detail: that
	Unfinished             // what a prepared set is made in
)

var problems = map[Problem]string{
	NotFound: "no such file or folder", NotOpened: "cannot be opened", NotListed: "cannot be listed",
	NoPictures: "holds no pictures", NoClassFolders: "has pictures but no class folders",
	EmptyClass:   `class folder "%s" holds no pictures`,
	UnknownClass: `class folder "%s" has no counterpart among those to train on`,
	LoosePart:    "the pictures in %s are in no class folders", EmptyPart: "%s holds no pictures",
	TwoParts:   "%s are both there, and are folders for the same part",
	Pointer:    files.ErrPointer.Error(),
	NoTar:      "is neither a folder, nor a tar, nor a list of pictures",
	Compressed: "is compressed with %s", OnePicture: "is a picture (%s)",
	CutOff: "the tar is cut off", Hole: "a part of the tar is missing", BadNotes: "%s cannot be used",
	Twice: "%s is there twice", PathTwice: "is given twice",
	HoldsSets:  "%s in it is a prepared set, and not a folder of pictures",
	Unfinished: "is a prepared set that is not finished",
	Sparse:     "holds a sparse file", NotRead: "cannot be read",
	NoShards:    "is not in shards, and data.shuffle window mixes some of them at a time",
	BadSet:      "it is a prepared set, and %s in it cannot be used",
	Special:     "is neither a folder nor a regular file",
	OnlyThrough: "can only be read from its beginning to its end, and not picture by picture",
	OtherForm:   "is %s, which is not read", Damaged: "is damaged", Changes: "changes while it is read",
	NoPart:   "neither its name nor its folders say whether it is for training, validation or test",
	OtherZip: "is a zip of a kind that is not read", OtherParquet: "is a Parquet file of a kind that is not read",
	Packed:  "%s in it is not read inside such an archive",
	BadList: "cannot be used as a list of pictures", NoLabel: "%s has no label",
	BadLabel: "the label of %s cannot be used", WrongCount: "the labels in %s do not fit",
	Disagree:  "the label of %s contradicts others",
	AskOrder:  "labels are %s, and nothing tells in which order the 1000 classes are",
	NoNumbers: "no labels are numbers", MissingShard: "the shard %s is missing",
	NoLabels:   "there is no file of labels %s",
	ShardCount: "the pictures in %s are not as many as is written",
}

// Unwrap gives the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Is makes every SourceError an ErrNoData.
func (e *SourceError) Is(target error) bool { return target == ErrNoData }

// SourceFault is a failure of what the pictures come from: a disk, a network, a folder that is gone, a process with too
// many open files. The picture in question may be sound, and be read at another time.
type SourceFault struct {
	Path    string // as the user gave it
	Picture string // that was to be read, as Set.Name gives it; empty: Path is its own, or it is not known
	Err     error
	Tried   time.Duration // how long it was tried again
	// Changed says that the source is not what it was when it was opened. Waiting does not bring that back.
	Changed bool
	// Damaged says that what it holds is spoilt, though it is the file that was opened. Another copy is needed.
	Damaged bool
}

func (f *SourceFault) Error() string {
	s := "data " + text.Name(f.Path)
	if f.Picture != "" && !f.Changed {
		s += ": cannot read " + text.Name(f.Picture)
	}
	s = fmt.Sprintf("%s: %v", s, f.Err)
	if f.Tried > 0 {
		s += fmt.Sprintf(" (tried for %s)", text.Duration(f.Tried.Round(10*time.Millisecond)))
	}
	return s
}

// Unwrap gives the cause.
func (f *SourceFault) Unwrap() error { return f.Err }

// BadPicture is a picture that cannot be read: missing, cut off, no picture at all, too large, of another size than the
// rest.
type BadPicture struct {
	Name string // as Set.Name gives it, or the path of a single file
	Err  error
}

func (b *BadPicture) Error() string {
	return fmt.Sprintf("cannot read picture %s: %v", text.Name(b.Name), b.Err)
}

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
	return fmt.Sprintf("is %dx%d, most are %dx%d", e.Width, e.Height, e.WantWidth, e.WantHeight)
}
