// Package data brings pictures to the trainer: it finds them in folders and tars, decodes them to uint8 pictures of one
// size, draws crop, flip and colour for each, and keeps a few batches ready ahead of the caller.
//
// A [Source] is what was found: the classes, a training and a validation [Set]. Files come from a [Store], which knows
// them by number and tells a failure of its own from a bad picture; there is one for folders, one for tars and one for
// memory. How a picture is labelled is told by whoever makes the source: folders and tars by the names of their
// folders. A recipe.Recipe says how a file becomes pixels: decode, shorter side to a given length, centre crop.
// [Measure] completes it with the size of the pictures, and with the mean picture and the principal components of
// colour that the 2012 paper needs. A [Loader] hands out batches by sample number.
//
// Everything that is random is drawn by counter (package philox) from the seed, the epoch and the picture, never from a
// state that moves along: a run that is resumed at sample n sees what the undisturbed run saw, and neither the number
// of workers nor the order of files on the disk changes anything. The draws are only made here; devices apply them.
//
// The package knows no device and no model. It imports config, recipe, files, machine, philox and data/picture.
package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"alexnet/internal/files"
	"alexnet/internal/machine"
)

// Source is a collection of labelled pictures.
type Source struct {
	Path    string // as the user gave it, or a name for generated pictures
	Kind    Kind
	Train   *Set     // empty when there is only val/
	Val     *Set     // empty when there is no val/ and nothing was held out
	Classes []string // a label is an index into it
	Split   bool     // Val was held out of the training pictures by share
	// Fingerprint is a hash of the names and labels of all pictures, by part: the same for a folder and a tar of it,
	// another if a picture came, went, or changed sides.
	Fingerprint string

	store Store
}

// Kind is what a source is.
type Kind int

// The kinds of source.
const (
	Folder    Kind = iota // of class folders
	Tar                   // of the same
	Generated             // drawn by the program: Path names no file
)

// Contents are the pictures of a store and what is known about them.
type Contents struct {
	Path       string
	Kind       Kind
	Classes    []string // their names
	Train, Val []Record // in any order
}

// New makes a source of a store and what it holds. Where there are no validation pictures the share valShare (0 <=
// valShare < 1) of each class's training pictures is held out: which ones depends on seed and on their names alone, and
// at least one of each class stays for training. The source closes the store.
func New(c Contents, store Store, valShare float64, seed uint64) *Source {
	src := &Source{Path: c.Path, Kind: c.Kind, Classes: c.Classes, store: store}
	train, val := c.Train, c.Val
	for _, records := range [][]Record{train, val} {
		slices.SortFunc(records, func(a, b Record) int {
			return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.Name, b.Name))
		})
	}
	if len(val) == 0 && valShare > 0 {
		train, val = holdOut(train, valShare, seed)
		src.Split = true
	}
	cache := &cache{left: budget(machine.MemoryNow()), kept: map[viewKey][]*Set{}}
	src.Train, src.Val = newSet(train, store, cache), newSet(val, store, cache)
	src.Fingerprint = fingerprint(src.Classes, src.Train, src.Val)
	return src
}

// Close closes the store and forgets the pictures that are kept in memory. Sets must not be read afterwards.
func (s *Source) Close() error {
	for _, set := range []*Set{s.Train, s.Val} {
		set.mu.Lock()
		clear(set.views)
		set.mu.Unlock()
	}
	return s.store.Close()
}

// Open finds the pictures of a folder or a tar (uncompressed; read in place through an index of offsets).
//
// The pictures lie in class folders, at any depth below them. With train/CLASS/... and val/CLASS/... these are the two
// sets; other folders beside them, test/ above all, are never read. With train/ alone, or with class folders at the
// top, a share of each class is held out for validation as [New] does it. A single folder around all of it is passed
// over. Hidden files and files that by their name are no pictures (.txt, .json, Thumbs.db ...) are ignored; any other
// file counts as a picture, whatever its extension.
//
// When ctx ends, Open returns its error at once, even where a system call hangs, as on a network's folder whose server
// is gone. Other failures are *SourceError, hence ErrNoData; a valShare out of range is a plain error.
func Open(ctx context.Context, fsys files.Reader, path string, valShare float64, seed uint64) (*Source, error) {
	if !(valShare >= 0 && valShare < 1) {
		return nil, fmt.Errorf("share held out for validation is %g, want at least 0 and less than 1", valShare)
	}
	type outcome struct {
		src *Source
		err error
	}
	opened := make(chan outcome)
	go func() {
		src, err := openPath(ctx, fsys, path, valShare, seed)
		select {
		case opened <- outcome{src, err}:
		case <-ctx.Done(): // nobody waits any more
			if err == nil {
				src.Close() //nolint:errcheck // only read
			}
		}
	}()
	select {
	case o := <-opened:
		return o.src, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// openPath is Open, at the system's pace.
func openPath(ctx context.Context, fsys files.Reader, path string, valShare float64, seed uint64) (*Source, error) {
	found, err := list(ctx, fsys, path)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	contents, err := arrange(path, found)
	if err != nil {
		return nil, errors.Join(err, found.store.Close())
	}
	return New(contents, found.store, valShare, seed), nil
}

// list finds what is at path: a folder or a tar.
func list(ctx context.Context, fsys files.Reader, path string) (*listing, error) {
	info, err := fsys.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &SourceError{Path: path, Problem: NotFound}
	case err != nil:
		return nil, &SourceError{Path: path, Problem: NotOpened, Err: err}
	case info.IsDir():
		return listFolder(ctx, fsys, path)
	default:
		return listTar(ctx, fsys, path)
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
		for _, r := range part.set.records {
			_, _ = fmt.Fprintf(h, "%q %q\n", classes[r.Label], r.Name)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
