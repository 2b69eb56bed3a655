package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"alexnet/internal/config"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/recipe"
	"alexnet/internal/safetensors"
	"alexnet/internal/shards"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// preparedStore reads pictures of a prepared set out of its shards.
type preparedStore struct {
	fsys  files.Reader
	root  string
	index *shards.Index
	spans []span // by number
	pool  *shards.Pool
}

// span is where a picture lies, in 16 bytes.
type span struct {
	where  uint64 // shard << 48 | offset
	length uint32
	sum    uint32 // CRC32C
}

func (s span) shard() int { return int(s.where >> 48) }
func (s span) off() int64 { return int64(s.where & (1<<48 - 1)) }

// IsPrepared tells whether a folder is a prepared set: by how its index begins, or where that is spoilt or missing by
// what lies beside it.
func IsPrepared(fsys files.Reader, root string) bool {
	info, err := fsys.Stat(filepath.Join(root, shards.IndexName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return false
	}
	beside := 0
	for _, other := range []string{shards.InfoName, shards.ClassesName, shards.ReportName} {
		if _, err := fsys.Stat(filepath.Join(root, other)); err == nil {
			beside++
		}
	}
	if beside > 1 { // a part of a set may be missing
		return true
	}
	return err == nil && isIndex(fsys, filepath.Join(root, shards.IndexName))
}

// isIndex tells whether a regular file begins as the index of a prepared set.
func isIndex(fsys files.Reader, name string) bool {
	head, err := headOf(fsys, name, len(shards.Magic))
	return err == nil && string(head) == shards.Magic // what cannot be read is none
}

// openPrepared opens a prepared set by its index: its pictures have the names that the source had, so that one seed
// gives the same split and order. The files beside the index and the sizes of the shards are held to it; what is in the
// shards is when it is read.
func openPrepared(fsys files.Reader, root string) (Contents, Store, error) {
	if unfinished(fsys, root) {
		return Contents{}, nil, &SourceError{Path: root, Problem: Unfinished}
	}
	s := &preparedStore{fsys: fsys, root: root}
	c := Contents{Path: root, Kind: Folder, Form: "a prepared set"}
	if err := s.readIndex(&c); err != nil {
		return Contents{}, nil, &SourceError{Path: root, Problem: BadSet, Detail: shards.IndexName, Err: err}
	}
	if name, err := s.checkFiles(); err != nil {
		return Contents{}, nil, &SourceError{Path: root, Problem: BadSet, Detail: name, Err: err}
	}
	s.pool = shards.NewPool(func(i int) (files.File, error) { return fsys.Open(s.path(s.index.Shard(i))) })
	return c, s, nil
}

// listPrepared lists a prepared set as if its pictures lay in class folders, those of parts that its pictures' names or
// their number tell: it may be one of several places.
func listPrepared(fsys files.Reader, root string) (*listing, error) {
	c, store, err := openPrepared(fsys, root)
	if err != nil {
		return nil, err
	}
	l := &listing{kind: Folder, store: store, named: true, form: c.Form, classes: c.Classes}
	l.aside = func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	whole := len(c.Val)+len(c.Test) > 0
	for _, of := range []struct {
		part    Part
		records []Record
	}{{TrainPart, c.Train}, {ValPart, c.Val}, {TestPart, c.Test}} {
		for _, r := range of.records {
			r.Name = inPart(r.Name, c.Classes[r.Label], of.part, whole)
			l.files = append(l.files, r)
		}
	}
	return l, nil
}

// inPart is the name of a picture of a prepared set in the folder of its class, in that of its part where the name says
// the part or always is set. Most names are so already.
func inPart(name, class string, part Part, always bool) string {
	in := func(name string) bool {
		folder, _, inside := strings.Cut(name, "/")
		return inside && (folder == class || norm.NFC.String(folder) == norm.NFC.String(class))
	}
	first, below, _ := strings.Cut(name, "/")
	if own, is := partOf(first); is && own == part && in(below) {
		return name
	}
	if !in(name) {
		name = class + "/" + name
	}
	if always {
		name = string(part) + "/" + name
	}
	return name
}

// unfinished tells whether a folder is one in which a set is made, or the set in it.
func unfinished(fsys files.Reader, root string) bool {
	root = filepath.Clean(root)
	if filepath.Base(root) == shards.UnfinishedName {
		root = filepath.Dir(root)
	}
	if filepath.Ext(root) != files.PartialExt {
		return false
	}
	_, err := fsys.Stat(filepath.Join(root, shards.StateName))
	return err == nil
}

func (s *preparedStore) path(name string) string { return filepath.Join(s.root, name) }

func (s *preparedStore) readIndex(c *Contents) error {
	f, err := s.fsys.Open(s.path(shards.IndexName))
	if err != nil {
		return reason(err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return reason(err)
	}
	var parts [len(shards.Parts)][]Record
	var x *shards.Index
	part, end := -1, 0
	tooLong := false
	s.index, err = shards.ReadIndex(io.NewSectionReader(f, 0, info.Size()), info.Size(), func(begun *shards.Index) {
		x, s.spans = begun, make([]span, begun.All())
		for p, n := range x.Pictures {
			parts[p] = make([]Record, n)
		}
	}, func(i int, p shards.Picture) {
		for i >= end {
			part++
			end += x.Pictures[part]
		}
		s.spans[i] = span{uint64(p.Shard)<<48 | uint64(p.Off), p.Length, p.Sum}
		parts[part][i-end+x.Pictures[part]] = Record{Name: p.Name, Label: p.Label, Number: int32(i)}
		tooLong = tooLong || p.Length > maxFile
	})
	switch {
	case err != nil:
		return reason(err)
	case s.index.All() == 0 || s.index.All() > math.MaxInt32:
		return fmt.Errorf("it lists %d pictures", s.index.All())
	case tooLong:
		return errTooLong
	}
	c.Classes, c.Train, c.Val, c.Test = s.index.Classes, parts[0], parts[1], parts[2]
	return nil
}

// checkFiles holds what lies beside the index to it, and tells what is not as it should be.
func (s *preparedStore) checkFiles() (name string, err error) {
	for i, name := range []string{shards.ClassesName, shards.InfoName} {
		raw, err := readFile(s.fsys, s.path(name), nil)
		if err == nil && shards.Checksum(raw) != s.index.Sums[i] {
			err = errDiffers
		}
		if err != nil {
			return name, err
		}
	}
	items, err := s.fsys.ReadDir(s.root) // one look, where a look at each may be a journey
	if err != nil {
		return ".", reason(err)
	}
	sizes := map[string]int64{}
	for _, item := range items {
		info, err := item.Info()
		if err == nil && !info.Mode().IsRegular() {
			info, err = s.fsys.Stat(s.path(item.Name()))
		}
		if err == nil {
			sizes[item.Name()] = info.Size()
		}
	}
	for i, want := range s.index.Lengths {
		name := s.index.Shard(i)
		switch size, there := sizes[name]; {
		case !there:
			return name, fs.ErrNotExist
		case size != want:
			return name, fmt.Errorf("it has %s bytes, and the index says %s", text.Grouped(size), text.Grouped(want))
		}
	}
	return "", nil
}

var errDiffers = errors.New("its checksum is not that in the index")

// Read blames the picture where its bytes are not those that were written, and names the shard and the key.
func (s *preparedStore) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	at := s.spans[i]
	var raw []byte
	var own error
	err := s.pool.Use(at.shard(), func(f files.File) (err error) {
		if raw, err = readAt(f, at.off(), int64(at.length), buf); err != nil {
			return err
		}
		if sum := shards.Checksum(raw); sum != at.sum {
			own = flaw(fmt.Sprintf("%s in %s has the CRC32C %08x, and the index says %08x",
				text.Name(keyAt(f, at.off())), s.index.Shard(at.shard()), sum, at.sum))
		}
		return nil
	})
	var short flaw
	switch {
	case own != nil:
		return nil, own
	case errors.As(err, &short): // it had its length when it was opened
		return nil, &SourceFault{Path: s.path(s.index.Shard(at.shard())), Err: short, Changed: true}
	case err != nil:
		return nil, &SourceFault{Path: s.path(s.index.Shard(at.shard())), Err: reason(err)}
	}
	return raw, nil
}

// keyAt is the key of the picture whose bytes begin at off: the name in the header before it, less its ending.
func keyAt(f files.File, off int64) string {
	h := make([]byte, tarBlock)
	if _, err := f.ReadAt(h, off-tarBlock); err != nil {
		return "a picture"
	}
	field := func(b []byte) string {
		b, _, _ = bytes.Cut(b, []byte{0})
		return string(b)
	}
	name := field(h[:100])
	if prefix := field(h[345:500]); prefix != "" { // ustar's place for the folders of a long name
		name = prefix + "/" + name
	}
	return name
}

// shard is the shard of picture i, whose pictures are read fastest one after the other.
func (s *preparedStore) shard(i int) int32 { return int32(s.spans[i].shard()) }

// soon tells the shard. What cannot be opened is told of when it is read.
func (s *preparedStore) soon(i int) {
	at := s.spans[i]
	_ = s.pool.Use(at.shard(), func(f files.File) error {
		if told, able := f.(files.Foreteller); able {
			told.WillNeed(at.off(), int64(at.length))
		}
		return nil
	})
}

// place is the set by its index, which has the checksums of all pictures.
func (s *preparedStore) place() string { return fmt.Sprintf("prepared %08x", s.index.Sum) }

// made is a store of which some or all is prepared sets.
type made interface {
	// sums are the checksums of the indexes of these.
	sums() []uint32
	// prepared tells whether picture i lies in one: it is called .jpg whatever it is, as WebDataset's readers want it.
	prepared(i int) bool
}

func (s *preparedStore) sums() []uint32    { return []uint32{s.index.Sum} }
func (s *preparedStore) prepared(int) bool { return true }

// Made is the checksum of a prepared set's index, which has those of all pictures: two sets of one Fingerprint may be
// made in different ways. Of several sets it is that of these checksums, in whatever order they were given; of other
// sources it is empty.
func (s *Source) Made() string {
	m, able := s.store.(made)
	if !able {
		return ""
	}
	sums := m.sums()
	switch slices.Sort(sums); len(sums) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%08x", sums[0])
	}
	return fmt.Sprintf("%08x", shards.Checksum(fmt.Appendf(nil, "%08x", sums)))
}

// Squared is how the pictures of a prepared set were made square when it was made, and how they were resized, which is
// always with antialiasing; both empty: they keep their bytes, or it is another source.
func (s *Source) Squared() (config.Fit, config.Interpolation) {
	p, is := s.store.(*preparedStore)
	if !is {
		return "", ""
	}
	var made struct {
		Fit  config.Fit `json:"fit"`
		Keep bool       `json:"keep"`
	}
	if json.Unmarshal(p.index.Manifest, &made) != nil || made.Keep || made.Fit == "" {
		return "", ""
	}
	return made.Fit, config.Antialiased
}

// stamp is length and checksum of picture i.
func (s *preparedStore) stamp(i int) (stamp, error) {
	return stamp{int64(s.spans[i].length), int64(s.spans[i].sum)}, nil
}

func (s *preparedStore) Close() error { return s.pool.Close() }

// accounted is a store that may have the statistics of its training pictures beside them.
type accounted interface {
	// statistics gives them, or nil: there are none, or they are not those of these pictures by this recipe as it is
	// computed here.
	statistics(records []Record, by recipe.Recipe) *Stats
}

func (s *preparedStore) statistics(records []Record, by recipe.Recipe) *Stats {
	if !s.index.Stats || len(records) != s.index.Pictures[0] {
		return nil
	}
	for i, r := range records { // the set's own, all of them, in its order
		if int(r.Number) != i {
			return nil
		}
	}
	name := s.path(shards.StatsName)
	raw, err := readFile(s.fsys, name, nil)
	if err != nil || shards.Checksum(raw) != s.index.Sums[2] {
		return nil
	}
	r, err := safetensors.NewReader(name, bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil
	}
	k, err := readKept(r, statsKey(&by), by)
	if err != nil || len(k.Bad) > 0 {
		return nil
	}
	return &Stats{Recipe: k.Recipe, Pictures: k.Pictures, Beside: name}
}

// statsKey names what statistics depend on besides the pictures: the recipe up to them, and what decodes.
func statsKey(by *recipe.Recipe) string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n%s\n", keptForm, picture.JPEGDecoder(), upToStats(by)) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

// upToStats is a recipe less what is made of statistics, or comes after them.
func upToStats(by *recipe.Recipe) []byte {
	how := *by
	how.Crop, how.Scale, how.Mean, how.MeanShape, how.Colors, how.Decoder = 0, nil, nil, nil, recipe.Colors{}, ""
	text, _ := json.Marshal(how) // plain numbers and words: nothing can fail
	return text
}

// EncodeStatistics is the file that a prepared set keeps beside its pictures: the statistics by a recipe that knows the
// pictures' size, of training pictures of which none was unreadable.
func EncodeStatistics(by recipe.Recipe, sums *Sums) ([]byte, error) {
	key := statsKey(&by)
	if err := sums.complete(&by); err != nil {
		return nil, err
	}
	page, err := json.Marshal(kept{Form: keptForm, Key: key, Recipe: by, Pictures: sums.pictures, JPEG: true})
	if err != nil {
		return nil, err
	}
	return safetensors.Bytes(map[string]string{"statistics": string(page)},
		[]tensor.Tensor{tensor.Of("mean", by.MeanShape, by.Mean)})
}
