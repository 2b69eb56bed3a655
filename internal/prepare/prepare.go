// Package prepare makes a prepared set (package shards) of any source: every picture is read once, decoded, made as
// large as training wants it, and written as a JPEG into the shard that a hash of its key names.
//
// One goroutine reads, as many as there are cores decode and encode, one writes, in the order of the source: the bytes
// of the set depend on nothing but the source, the options and what encodes.
//
// Until all is there everything lies in a folder beside the one to be made, with ".partial" after its name. Now and
// then, always after the same pictures, everything written so far is made durable and then noted in a state: how far
// the source was read, how long each file is, and what the pictures' mean will be made of. A run that was killed goes
// on from there: it cuts the files to what was noted, and comes to the same bytes.
//
// The package imports atomicfile, config, data and data/picture, files, lockfile, recipe, shards and text.
package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/lockfile"
	"alexnet/internal/recipe"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// How pictures are made square.
const (
	Crop   = "crop"   // the shorter side is scaled, and the centre cut out
	Squash = "squash" // both sides are scaled
)

// quality is that of the JPEGs.
const quality = 95

// Making is what is made of the pictures: it decides, with the source, what the set's bytes are.
type Making struct {
	Resize int    `json:"resize"` // the sides of the pictures, which are never enlarged
	Fit    string `json:"fit"`    // Crop or Squash
	Keep   bool   `json:"keep"`   // every picture keeps its bytes
	Shards int    `json:"shards"` // of the training part
	// Labels is the source's [data.Place.Labels].
	Labels text.Raw `json:"labels,omitempty"`
}

// Options say what is made of a source, where, and how.
type Options struct {
	Making           // Shards 0: one for each 128 MB of the source's pictures
	Files   files.FS // where the set is made
	Out     string   // a folder that is not there, or empty
	Workers int      // goroutines that decode and encode; 0: GOMAXPROCS
	// OnBad is told of each picture that cannot be read, in the source's order; or nil.
	OnBad func(*data.BadPicture)
	// Progress is told now and then how many pictures were looked at; or nil.
	Progress func(done, total int)
}

// Result is what was made.
type Result struct {
	Out      string
	Classes  int
	Pictures [3]int // by part: training, validation, test
	Shards   [3]int
	Bytes    int64 // of all shards
	Manifest
	Report  string // the file that names the unreadable ones
	Resumed int    // pictures that an earlier run had done
}

// Manifest is what a set says of how it was made.
type Manifest struct {
	Making
	Encoder    string `json:"encoder"` // picture.JPEGDecoder's name of it; empty: nothing was encoded
	Decoder    string `json:"decoder"`
	Kept       int    `json:"kept"`              // pictures that kept their bytes
	Encoded    int    `json:"encoded"`           // the others
	Unreadable int    `json:"unreadable"`        // pictures of the source that are in no shard
	Decided    string `json:"decided,omitempty"` // the source's: what numbered labels were found to mean
}

// Names in the folder in which a set is made.
const (
	setName     = shards.UnfinishedName // becomes the set
	stateName   = shards.StateName
	entriesName = "entries"
	lockName    = "lock"
)

// Run makes a set, or goes on with one that was begun. It closes nothing. Of its errors these are data: *Exists,
// *Inside, *Busy, *Differs, *files.NoRoom, *Interrupted around ctx's cause, and *data.SourceFault of a source that
// failed or changed. After each of the last four, and after a full disk, the same call again goes on.
func Run(ctx context.Context, src *data.Source, o Options) (r *Result, err error) {
	if o.Resize < 1 || o.Resize > config.MaxSide || o.Fit != Crop && o.Fit != Squash || o.Shards < 0 ||
		o.Shards > MaxShards {
		return nil, fmt.Errorf("prepare: pictures of %d, %q, %d shards", o.Resize, o.Fit, o.Shards)
	}
	o.Labels = text.Raw(src.Place.Labels)
	place, _, err := files.Follow(o.Files, filepath.Clean(o.Out), nil) // beside what is there on its disk
	if err != nil {
		return nil, err
	}
	partial := files.Partial(place)
	m := &maker{src: src, o: o, out: place, dir: partial, set: filepath.Join(partial, setName)}
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil &&
			(errors.Is(err, cause) || errors.Is(err, context.Canceled)) {
			err = &Interrupted{Done: m.noted, All: m.all(), Err: cause}
		}
	}()
	if r, err := m.finished(ctx); r != nil || err != nil {
		return r, err
	}
	if err := apart(o.Files, src.Place.Paths, o.Out, place); err != nil {
		return nil, err
	}
	made, err := files.MkdirAll(o.Files, partial)
	if err != nil {
		return nil, err
	}
	release, err := lockfile.Hold(o.Files, filepath.Join(partial, lockName))
	switch {
	case errors.Is(err, files.ErrLocked):
		return nil, &Busy{o.Out}
	case err != nil:
		return nil, err
	}
	defer release()
	r, err = m.finished(ctx) // by another process, before this one had the lock
	if err != nil && len(made) > 0 {
		tidy(o.Files, partial)
	}
	if r != nil || err != nil {
		return r, err
	}
	if err := files.SyncParents(o.Files, slices.Compact(append(made, partial))); err != nil {
		return nil, err
	}
	return m.run(ctx)
}

// finished gives the set where it is there already: one that was killed after its last act, before it had tidied up, is
// done where it was made of this source in this way. Any other is in the way, and so is what is not an empty folder.
func (m *maker) finished(ctx context.Context) (*Result, error) {
	there, err := occupied(m.o.Files, m.out)
	if !there || err != nil {
		return nil, err
	}
	inTheWay := &Exists{m.o.Out}
	begun := m.left()
	if begun == nil || begun.Done != begun.Pictures || len(m.o.differences(&begun.Making)) > 0 ||
		begun.Decoder != picture.JPEGDecoder() {
		return nil, inTheWay
	}
	id, _, err := m.src.Identity(ctx, m.o.Workers)
	if err != nil {
		return nil, err
	}
	r, err := m.result(m.out)
	if err != nil || begun.Source != id || !r.of(begun) {
		return nil, inTheWay
	}
	tidy(m.o.Files, m.dir)
	return r, nil
}

// left is the state beside a set that is in its place, or nil: then what is there is not that set.
func (m *maker) left() *state {
	if _, err := m.o.Files.Stat(m.set); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, _, err := readState(m.o.Files, filepath.Join(m.dir, stateName), m.pixels())
	if err != nil {
		return nil
	}
	return s
}

// of tells whether a set is what a state was noted of.
func (r *Result) of(s *state) bool {
	bytes := int64(0)
	for _, n := range s.Lengths {
		bytes += n + int64(len(shards.End))
	}
	return r.Bytes == bytes && r.Shards == s.Counts && r.Kept == s.Kept && r.Encoded == s.Encoded &&
		r.Unreadable == s.Unreadable && r.Resize == s.Making.Resize
}

// result is what was made, as the index in a folder has it.
func (m *maker) result(set string) (*Result, error) {
	r, err := resultOf(m.o.Files, set)
	if err != nil {
		return nil, err
	}
	r.Out, r.Report = m.o.Out, filepath.Join(m.o.Out, shards.ReportName)
	return r, nil
}

// resultOf reads what was made out of a set's index.
func resultOf(fsys files.FS, out string) (*Result, error) {
	f, err := fsys.Open(filepath.Join(out, shards.IndexName))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x, err := shards.ReadIndex(f, info.Size(), func(*shards.Index) {}, func(int, shards.Picture) {})
	if err != nil {
		return nil, err
	}
	r := &Result{Classes: len(x.Classes), Pictures: x.Pictures, Shards: x.Shards}
	for _, n := range x.Lengths {
		r.Bytes += n
	}
	return r, json.Unmarshal(x.Manifest, &r.Manifest)
}

// tidy removes what Run put into its folder, and the folder if nothing else is in it. What stays is in nobody's way.
func tidy(fsys files.FS, partial string) {
	for _, name := range []string{entriesName, stateName, lockName} {
		_ = fsys.Remove(filepath.Join(partial, name))
	}
	_ = fsys.Remove(partial)
}

// recipeOf is how training prepares pictures of a set where its page says no more than their size and how they were
// made square: the statistics are those by it.
func (o *Making) recipeOf() recipe.Recipe {
	r := recipe.Recipe{
		Resize: o.Resize, Height: o.Resize, Width: o.Resize, Channels: 3, Exif: config.ApplyExif,
		MeanKind: config.MeanImage,
	}
	if o.Fit == Squash {
		r.Fit = config.SquashFit
	}
	return r
}

// want is what is made of each picture.
func (o *Making) want() picture.Want {
	return picture.Want{Resize: o.Resize, Shrink: true, Squash: o.Fit == Squash, Channels: 3, Upright: true}
}

// What decides the number of shards.
const (
	MaxShards  = 320       // of a part
	shardBytes = 128 << 20 // of the source's pictures in a shard
	aPicture   = 110_000   // bytes, where the source does not know: ImageNet's on average
)

// shardCounts are the numbers of shards by part: of the training part, or where there is none of the first that there
// is, as many as asked for, and of the others in proportion to their bytes. No part has more shards than pictures.
func shardCounts(asked int, pictures [3]int, bytes [3]int64) (counts [3]int) {
	each := int64(shardBytes)
	if asked > 0 {
		for part, n := range pictures {
			if n > 0 {
				each = max(1, bytes[part]/int64(asked))
				break
			}
		}
	}
	first := true
	for part, n := range pictures {
		if n == 0 {
			continue
		}
		count := int(min((bytes[part]+each-1)/each, MaxShards))
		if asked > 0 && first {
			count = asked
		}
		first = false
		counts[part] = min(max(count, 1), n)
	}
	return counts
}

// Exists says that something is in the place of the set already.
type Exists struct{ Out string }

func (e *Exists) Error() string { return text.Name(e.Out) + " is there already, and not empty" }

// Inside says that the set would lie in its own source.
type Inside struct{ Out, Source string }

func (e *Inside) Error() string {
	return fmt.Sprintf("%s lies in %s, which it is to be made of", text.Name(e.Out), text.Name(e.Source))
}

// Busy says that another process makes the same set.
type Busy struct{ Out string }

func (e *Busy) Error() string { return "another process is making " + text.Name(e.Out) }

// Differs says that what was begun is not what is to be gone on with.
type Differs struct {
	Partial string   // the folder
	What    []string // "pictures of 256, not 128"; empty: it is damaged
	Source  bool     // it is of other pictures, whatever the options
}

func (e *Differs) Error() string {
	if len(e.What) == 0 {
		return text.Name(e.Partial) + " is damaged: its file " + stateName + " is not as it was written"
	}
	return fmt.Sprintf("%s was begun otherwise: %s", text.Name(e.Partial), strings.Join(e.What, "; "))
}

// Interrupted says that the context ended. Done pictures of All need not be done again.
type Interrupted struct {
	Done, All int
	Err       error
}

func (e *Interrupted) Error() string { return e.Err.Error() }
func (e *Interrupted) Unwrap() error { return e.Err }

// differences names what of a making is another.
func (o *Making) differences(begun *Making) (what []string) {
	say := func(format string, args ...any) { what = append(what, fmt.Sprintf(format, args...)) }
	if o.Resize != begun.Resize {
		say("pictures of %d, not %d", begun.Resize, o.Resize)
	}
	if o.Fit != begun.Fit {
		say("by %s, not %s", begun.Fit, o.Fit)
	}
	if o.Keep != begun.Keep {
		say("with keep %t, not %t", begun.Keep, o.Keep)
	}
	if o.Shards != begun.Shards {
		say("in %s, not %s", shardsAsked(begun.Shards), shardsAsked(o.Shards))
	}
	if o.Labels != begun.Labels {
		say("with labels %s, not %s", labelsAsked(begun.Labels), labelsAsked(o.Labels))
	}
	return what
}

// parts are the parts of the data in the order of shards.Parts.
var parts = []data.Part{data.TrainPart, data.ValPart, data.TestPart}

func partNumber(p data.Part) int { return slices.Index(parts, p) }

// shardsAsked is a number of shards in words.
func shardsAsked(n int) string {
	if n == 0 {
		return "as many shards as suit the bytes"
	}
	return text.Count(n, "shard")
}

// labelsAsked is how labels are meant, in words.
func labelsAsked(labels text.Raw) string {
	if labels == "" {
		return "as they are found out"
	}
	return text.Name(string(labels))
}
