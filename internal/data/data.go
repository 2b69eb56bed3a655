// Package data brings pictures to the trainer: it finds them in folders and tars, decodes them to uint8 pictures of one
// size, draws crop, flip and colour for each, and keeps a few batches ready ahead of the caller.
//
// A [Source] is what was found: the classes, a training and a validation [Set]. Files come from a [Store], which knows
// them by number and tells a failure of its own from a bad picture; there is one for folders, one for tars and one for
// memory, and some that can only be read in order, for what is compressed ([OpenThrough]). How a picture is labelled is
// told by whoever makes the source: folders and tars by the names of their folders, and what is labelled otherwise
// (shards of a WebDataset, lists, numbers) by names as if it lay in such. A recipe.Recipe says how a file becomes
// pixels: decode, turn upright, resize, make square by cutting out the centre or by squashing. [Measure] completes it
// with the size of the pictures, and with the mean picture and the principal components of colour that the 2012 paper
// needs. A [Loader] hands out batches by sample number.
//
// Everything that is random is drawn by counter (package philox) from the seed, the epoch and the picture, never from a
// state that moves along: a run that is resumed at sample n sees what the undisturbed run saw, and neither the number
// of workers nor the order of files on the disk changes anything. The draws are only made here; devices apply them.
//
// A source may fail for a while: a share that is gone, a process with too many open files. No picture is blamed for
// that. It is tried again as long as [Patience] has it, and a system call that hangs holds nobody up whose context
// ends.
//
// The package knows no device and no model. It imports atomicfile, config, recipe, files, imagenet, machine, parquet,
// philox, safetensors, shards, tensor, text and data/picture; github.com/klauspost/compress for what is packed,
// golang.org/x/text for names in Unicode's two forms, and gonum for the components of colour.
package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/files"
)

// Source is a collection of labelled pictures.
type Source struct {
	Path    string // for people: where it is, as the user gave it; or a name for generated pictures
	Place   Place  // the same for Open; of generated pictures, nothing
	Kind    Kind
	Around  string   // the single folder around everything that names leave out, with a slash at the end; or ""
	Train   *Set     // empty when there is only val/
	Val     *Set     // empty when there is no val/ and nothing was held out
	Test    *Set     // for a last measurement; empty when there is no test/
	Classes []string // a label is an index into it
	Split   bool     // Val was held out of the training pictures by share
	Empty   []string // class folders without pictures: no classes
	Unused  []Unused // what was found and is in no part
	Decided string   // what numbered labels were found to mean, for people; or ""

	Form      string         // how the pictures lie there, in words
	Labels    string         // where those of validation pictures come from; empty: from folders' names
	Leftovers map[string]int // files and folders that systems and downloads leave behind, by kind: "._*", "*.part"
	// Fingerprint is a hash of the names and labels of the pictures of Train and Val, by part: the same for a folder
	// and a tar of it, another if a picture came, went, or changed sides.
	Fingerprint string

	store   Store
	outages *outages // of all sets
}

// SetPatience says what is done about failures of the source from now on; before, a reading is tried once and nobody is
// told.
func (s *Source) SetPatience(p Patience) { s.outages.set(p) }

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
	Path             string
	Kind             Kind
	Around           string   // as in Source
	Classes          []string // their names
	Train, Val, Test []Record // in any order
	Empty            []string // as in Source
	Unused           []Unused
	Decided          string // as in Source
	Form, Labels     string
	Leftovers        map[string]int
}

// New makes a source of a store and what it holds. Where there are no validation pictures the share valShare (0 <=
// valShare < 1) of each class's training pictures is held out: which ones depends on seed and on their names alone, and
// at least one of each class stays for training. The source closes the store.
func New(c Contents, store Store, valShare float64, seed uint64) *Source {
	src := &Source{
		Path: c.Path, Kind: c.Kind, Around: c.Around, Classes: c.Classes, Empty: c.Empty, Unused: c.Unused,
		Form: cmp.Or(c.Form, forms[c.Kind]), Labels: c.Labels, Leftovers: c.Leftovers, Decided: c.Decided, store: store,
	}
	if c.Kind != Generated {
		src.Place = At(c.Path)
	}
	train, val := c.Train, c.Val
	for _, records := range [][]Record{train, val, c.Test} {
		if !slices.IsSortedFunc(records, compareRecords) {
			slices.SortFunc(records, compareRecords)
		}
	}
	if len(val) == 0 && valShare > 0 {
		train, val = holdOut(train, valShare, seed)
		src.Split = true
	}
	cache := newCache()
	src.Train, src.Val = newSet(train, store, cache), newSet(val, store, cache)
	src.Test = newSet(c.Test, store, newCache()) // nobody reads it who reads the others
	src.outages = &outages{path: c.Path}
	src.Train.outages, src.Val.outages, src.Test.outages = src.outages, src.outages, src.outages
	src.Fingerprint = fingerprint(src.Classes, src.Train, src.Val)
	return src
}

// compareRecords orders pictures by class, then by name.
func compareRecords(a, b Record) int {
	if a.Label != b.Label {
		return cmp.Compare(a.Label, b.Label)
	}
	return strings.Compare(a.Name, b.Name)
}

// Part is the set of a part.
func (s *Source) Part(p Part) *Set {
	switch p {
	case TrainPart:
		return s.Train
	case ValPart:
		return s.Val
	case TestPart:
		return s.Test
	}
	return nil
}

// Trainable says what keeps the source from being trained on: a class folder without pictures. As no class it would
// number those after it anew on the day it gets some.
func (s *Source) Trainable() error {
	if len(s.Empty) == 0 {
		return nil
	}
	empty := &SourceError{Path: s.Path, Problem: EmptyClass, Detail: s.Empty[0]}
	for _, u := range s.Unused {
		if u.Why == Nowhere { // may be why
			empty.Err = errors.New(u.String())
		}
	}
	return empty
}

// Missing are the classes that a set has no pictures of.
func (s *Source) Missing(set *Set) (classes []string) {
	seen := make([]bool, len(s.Classes))
	for _, r := range set.records {
		seen[r.Label] = true
	}
	for i, name := range s.Classes {
		if !seen[i] {
			classes = append(classes, name)
		}
	}
	return classes
}

// LimitCache bounds what pictures kept in memory may still take, in bytes: for whoever knows better than the source
// what the process needs otherwise. Sets that are kept already stay.
func (s *Source) LimitCache(bytes int64) {
	s.Train.cache.limit(bytes) // and Val's, which is the same
	s.Test.cache.limit(bytes)
}

// Close closes the store and forgets the pictures that are kept in memory. Sets must not be read afterwards.
func (s *Source) Close() error {
	for _, set := range []*Set{s.Train, s.Val, s.Test} {
		set.mu.Lock()
		clear(set.views)
		set.mu.Unlock()
	}
	return s.store.Close()
}

// Place is where pictures lie.
type Place struct {
	Paths []string // of folders and tars, which make one source
	// Labels is how their labels are meant: "" for what is found out, LabelsIndex, LabelsID or LabelsNumbers, or else
	// the path of a file of labels: one a line for pictures for validation that lie in no class folders, in the order
	// of their names, or lines of a picture and its label.
	Labels string
}

// At is the place of these paths.
func At(paths ...string) Place { return Place{Paths: paths} }

// LabelsFile tells whether Labels is the path of a file.
func (p Place) LabelsFile() bool {
	return !slices.Contains([]string{"", LabelsIndex, LabelsID, LabelsNumbers}, p.Labels)
}

// String is the place for people; its control characters are not escaped.
func (p Place) String() string { return strings.Join(p.Paths, ", ") }

// Open finds the pictures of a folder or a tar (uncompressed; read in place through an index of offsets).
//
// The pictures lie in class folders, at any depth below them. Folders for parts of the data have class folders in them:
// train (or training), val (valid, validation), test (testing), in whatever case. Pictures for test are never trained
// or chosen on. Without a folder for training the class folders at the top are it; without one for validation a share
// of each class is held out as [New] does it. Classes are matched between parts by name, in whatever normal form. What
// is found and in no part is in Source.Unused; a folder for validation that cannot be used is an error. A single folder
// around all of it is passed over. Hidden files and files that by their name are no pictures (.txt, .json, Thumbs.db
// ...) are ignored; any other file counts as a picture, whatever its extension.
//
// A prepared set (package shards) is opened by its index: what that names, labels and parts. A folder that holds such
// sets is none (HoldsSets).
//
// ILSVRC2012's tars, its validation pictures without folders, Tiny ImageNet and CIFAR's binary files are read as they
// are, and so are shards of a WebDataset and lists of pictures and labels; tars in a folder as if they were unpacked
// there. Their pictures have the names that they would have in class folders; [Set.File] is where each lies.
//
// Several paths count as if each were unpacked into a folder of its name beside the others, where that says what it is
// for (train.tar, photos-val), or where a folder does that not all of them lie in; without its name where its folders
// say that themselves, or where no name does: then all have class folders of one set. Prepared sets with only training
// pictures, whose names tell no part, are like that; others have folders for parts. Classes of several sets are joined
// by name. [Set.File] begins with the path.
//
// What can only be read through is a *SourceError here (OnlyThrough), and for OpenThrough to open.
//
// When ctx ends, Open returns its error at once, even where a system call hangs, as on a network's folder whose server
// is gone. Other failures are *SourceError, hence ErrNoData; a valShare out of range is a plain error.
func Open(ctx context.Context, fsys files.Reader, at Place, valShare float64, seed uint64) (*Source, error) {
	return openWith(ctx, fsys, at, valShare, seed, false)
}

// OpenThrough is Open of whatever can be read: also of tars in gzip, of zips, of tars in a zip, of Parquet files and of
// folders of these. A picture in them has the name that it has when they are unpacked. They are read through once for
// the names, and their source is [Source.Sequential].
//
// ImageNet as Hugging Face has it is read. In its older form the pictures have their WNIDs in their names,
// n01440764_10026_n01440764.JPEG: they are as if they lay in folders of the WNIDs, in a part by the archive's name. So
// are those of the present one, Parquet files: in folders of the WNIDs in their paths, of ImageNet's where the classes
// have its names, or of the names.
func OpenThrough(
	ctx context.Context, fsys files.Reader, at Place, valShare float64, seed uint64,
) (*Source, error) {
	return openWith(ctx, fsys, at, valShare, seed, true)
}

// openWith is both.
func openWith(
	ctx context.Context, fsys files.Reader, at Place, valShare float64, seed uint64, through bool,
) (*Source, error) {
	if !(valShare >= 0 && valShare < 1) {
		return nil, fmt.Errorf("share held out for validation is %g, want at least 0 and less than 1", valShare)
	}
	type outcome struct {
		src *Source
		err error
	}
	opened := make(chan outcome)
	go func() {
		src, err := openPlace(ctx, fsys, at, valShare, seed, through)
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

// openPlace is Open, at the system's pace.
func openPlace(
	ctx context.Context, fsys files.Reader, at Place, valShare float64, seed uint64, through bool,
) (*Source, error) {
	var found *listing
	var err error
	if len(at.Paths) != 1 {
		found, err = listAll(ctx, fsys, at.Paths, through)
	} else if one := at.Paths[0]; !IsPrepared(fsys, one) {
		found, err = listSource(ctx, fsys, one, through)
	} else if at.Labels != "" {
		found, err = listPrepared(fsys, one)
	} else {
		contents, store, err := openPrepared(fsys, one)
		if err != nil {
			return nil, err
		}
		return New(contents, store, valShare, seed), nil
	}
	if ended := ctx.Err(); ended != nil { // asked once: it may end at any time
		if err == nil {
			_ = found.store.Close() // only read
		}
		return nil, ended
	}
	if e := (*SourceError)(nil); errors.As(err, &e) {
		e.Paths = at.Paths
	}
	if err != nil {
		return nil, err
	}
	truth, err := at.truth(fsys)
	if err != nil {
		return nil, errors.Join(err, found.store.Close())
	}
	contents, err := arrange(at.String(), found, at.Labels, truth)
	if err != nil {
		if len(at.Paths) == 1 {
			err = orForeign(ctx, fsys, at.Paths[0], found, err)
		}
		return nil, errors.Join(err, found.store.Close())
	}
	src := New(contents, found.store, valShare, seed)
	src.Place, src.outages.paths = at, at.Paths
	return src, nil
}

// list finds what is at path, which may be a prepared set.
func list(ctx context.Context, fsys files.Reader, path string, through bool) (*listing, error) {
	if IsPrepared(fsys, path) {
		return listPrepared(fsys, path)
	}
	return listSource(ctx, fsys, path, through)
}

// listSource finds what is at path: a folder, a tar, or what can only be read through, where it may be.
func listSource(ctx context.Context, fsys files.Reader, path string, through bool) (*listing, error) {
	info, err := fsys.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &SourceError{Path: path, Problem: NotFound}
	case err != nil:
		return nil, &SourceError{Path: path, Problem: NotOpened, Err: err}
	case info.IsDir():
		return listFolder(ctx, fsys, path, through)
	case !info.Mode().IsRegular(): // to open a FIFO would be to wait for a writer
		return nil, &SourceError{Path: path, Problem: Special}
	}
	if l, err := listList(ctx, fsys, path); l != nil || err != nil {
		return l, err
	}
	l, err := listFile(ctx, fsys, path, through)
	if err != nil {
		return nil, err
	}
	if name := l.unread(); name != "" {
		return nil, errors.Join(&SourceError{Path: path, Problem: Packed, Detail: name}, l.store.Close())
	}
	return l, nil
}

// listFile lists what is in a file, by how that begins.
func listFile(ctx context.Context, fsys files.Reader, path string, through bool) (*listing, error) {
	var l *listing
	head, err := headOf(fsys, path, foreignHead)
	begins := func(magic string) bool { return err == nil && strings.HasPrefix(string(head), magic) }
	switch {
	case begins(gzipMagic):
		l, err = listGzip(ctx, fsys, path, through)
	case begins(zipMagic), begins(emptyZip):
		l, err = listZip(ctx, fsys, path, through)
	case begins(parquetMagic):
		l, err = listParquet(ctx, fsys, path, through)
	default: // and whatever cannot be read
		l, err = listTar(ctx, fsys, path)
	}
	if err != nil {
		return nil, err
	}
	if name := l.packedCIFAR(); name != "" {
		return nil, errors.Join(&SourceError{Path: path, Problem: Packed, Detail: name}, l.store.Close())
	}
	return l, nil
}

// fingerprint hashes names and classes by part.
func fingerprint(classes []string, train, val *Set) string {
	h := sha256.New()
	for _, part := range []struct {
		name string
		set  *Set
	}{{"train", train}, {"val", val}} {
		_, _ = fmt.Fprintf(h, "%s %d\n", part.name, part.set.Len())
		part.set.hash(h, classes)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// FingerprintBy is the Fingerprint that the source has where New is told to hold out another share, by another seed.
func (s *Source) FingerprintBy(valShare float64, seed uint64) string {
	if !s.Split && s.Val.Len() > 0 {
		return s.Fingerprint
	}
	train, val := slices.Concat(s.Train.records, s.Val.records), []Record(nil)
	slices.SortFunc(train, compareRecords)
	if valShare > 0 {
		train, val = holdOut(train, valShare, seed)
	}
	return fingerprint(s.Classes, &Set{records: train}, &Set{records: val})
}

// Fingerprint is a hash of the names and labels of the set's pictures, whatever else is in its source; classes are the
// source's.
func (s *Set) Fingerprint(classes []string) string {
	h := sha256.New()
	s.hash(h, classes)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hash writes a line a picture to a hash, which never fails.
func (s *Set) hash(h io.Writer, classes []string) {
	var line []byte
	for _, r := range s.records { // as %q %q writes it, a million within a fraction of a second
		line = append(appendQuoted(line[:0], classes[r.Label]), ' ')
		line = append(appendQuoted(line, r.Name), '\n')
		_, _ = h.Write(line)
	}
}

// appendQuoted is strconv.AppendQuote, faster where there is nothing to escape.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(b, s)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
