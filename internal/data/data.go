// Package data brings pictures to the trainer: it finds them in folders and tars, decodes them to uint8 pictures of one
// size, draws crop, flip and colour for each, and keeps a few batches ready ahead of the caller.
//
// A [Source] is what was found: the classes, a training and a validation [Set]. A [picture.Prep] says how a file becomes
// pixels: decode, shorter side to a given length, centre crop. [ComputeStats] takes the mean picture and the principal
// components of colour that the 2012 paper needs. A [Loader] hands out batches by sample number.
//
// Everything that is random is drawn by counter (package philox) from the seed, the epoch and the picture, never from a
// state that moves along: a run that is resumed at sample n sees what the undisturbed run saw, and neither the number
// of workers nor the order of files on the disk changes anything. The draws are only made here; devices apply them.
//
// The package knows no device and no model.
package data

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"sync"
)

// Source is a collection of labelled pictures.
type Source struct {
	Path    string
	Train   *Set     // empty when there is only val/
	Val     *Set     // empty when there is no val/ and nothing was held out
	Classes []string // names of the class folders, sorted; a label is an index into it
	Split   bool     // Val was held out of the training pictures by share
	// Fingerprint is a hash of the names and labels of all pictures, by part: the same for a folder and a tar of it,
	// another if a picture came, went, or changed sides.
	Fingerprint string

	store store
}

// Close closes the tar, if the source is one. Sets must not be read afterwards.
func (s *Source) Close() error { return s.store.Close() }

// Open finds the pictures of a folder or a tar (uncompressed; read in place through an index of offsets).
//
// The pictures lie in class folders, at any depth below them. With train/CLASS/... and val/CLASS/... these are the two
// sets; other folders beside them, test/ above all, are never read. With train/ alone, or with class folders at the
// top, the share valShare (0 <= valShare < 1) of each class is held out for validation: which pictures depends on seed
// and on their names alone, and at least one of each class stays for training. A single folder around all of it is
// passed over. Hidden files and files that by their name are no pictures (.txt, .json, Thumbs.db ...) are ignored; any
// other file counts as a picture, whatever its extension.
//
// Failures are *SourceError, hence ErrNoData; a valShare out of range is a plain error.
func Open(path string, valShare float64, seed uint64) (*Source, error) {
	if !(valShare >= 0 && valShare < 1) {
		return nil, fmt.Errorf("share held out for validation is %g, want at least 0 and less than 1", valShare)
	}
	found, err := list(path)
	if err != nil {
		return nil, err
	}
	src, err := arrange(path, found, valShare, seed)
	if err != nil {
		return nil, errors.Join(err, found.store.Close())
	}
	return src, nil
}

// list finds what is at path: a folder or a tar.
func list(path string) (*listing, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &SourceError{
			Path: path, Problem: "no such file or folder",
			Next: fmt.Sprintf("check the path, or make generated pictures there with: alexnet data demo --out %s",
				path),
		}
	case err != nil:
		return nil, &SourceError{
			Path: path, Problem: "cannot be opened", Next: "check the path and its permissions", Err: err,
		}
	case info.IsDir():
		return listFolder(path)
	default:
		return listTar(path)
	}
}

// Set is an ordered list of labelled pictures: sorted by class, then by name.
type Set struct {
	entries []entry
	store   store

	mu       sync.Mutex
	views    map[viewKey]*view
	bad      map[int]*BadPicture // found so far, by number
	reported map[int]bool        // told to some OnBad
}

// entry is one picture and where its bytes are.
type entry struct {
	name      string // slash-separated, from the source's root: "train/cat/1.jpg"
	label     int32
	off, size int64 // in a tar; off is the number of the picture in a memory store; unused in a folder
}

// store reads the bytes of pictures. Implementations may be called from many goroutines.
type store interface {
	// read returns the file, in buf if it fits.
	read(e *entry, buf []byte) ([]byte, error)
	io.Closer
}

// maxFile is the largest file that is read: far beyond any photo, far below what would hurt.
const maxFile = 256 << 20

var errTooLong = fmt.Errorf("file of more than %d MB", maxFile>>20)

func newSet(entries []entry, st store) *Set {
	return &Set{
		entries: entries, store: st,
		views: map[viewKey]*view{}, bad: map[int]*BadPicture{}, reported: map[int]bool{},
	}
}

// Len is the number of pictures.
func (s *Set) Len() int { return len(s.entries) }

// Name is the picture's path inside the source, slash-separated: "cat/1.jpg", or "val/cat/1.jpg".
func (s *Set) Name(i int) string { return s.entries[i].name }

// Label is the number of its class.
func (s *Set) Label(i int) int32 { return s.entries[i].label }

// Bad lists the pictures of the set that turned out unreadable so far, in order.
func (s *Set) Bad() []*BadPicture {
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers := make([]int, 0, len(s.bad))
	for i := range s.bad {
		numbers = append(numbers, i)
	}
	sort.Ints(numbers)
	bad := make([]*BadPicture, len(numbers))
	for k, i := range numbers {
		bad[k] = s.bad[i]
	}
	return bad
}

// report tells onBad of picture i, unless somebody was told before: a picture is reported once in a run, not once in an
// epoch.
func (s *Set) report(i int, b *BadPicture, onBad func(*BadPicture)) {
	if onBad == nil {
		return
	}
	s.mu.Lock()
	before := s.reported[i]
	s.reported[i] = true
	s.mu.Unlock()
	if !before {
		onBad(b)
	}
}

// fingerprint hashes names and classes by part.
func fingerprint(classes []string, train, val *Set) string {
	h := sha256.New()
	for _, part := range []struct {
		name string
		set  *Set
	}{{"train", train}, {"val", val}} {
		_, _ = fmt.Fprintf(h, "%s %d\n", part.name, part.set.Len())
		for _, e := range part.set.entries {
			_, _ = fmt.Fprintf(h, "%q %q\n", classes[e.label], e.name)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
