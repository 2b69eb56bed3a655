package prepare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// maker makes one set.
type maker struct {
	src  *data.Source
	o    Options
	out  string // o.Out, or where that leads
	dir  string // the .partial folder
	set  string // the folder in it that becomes the set
	keys *shards.Keys

	counts [3]int // shards by part
	first  [3]int // the number of each part's first shard, of all
	pool   *shards.Pool
	report files.File
	notes  files.File // entries
	dirty  []bool     // by shard: written to since the last note

	now     state        // with what was written so far
	entries []entry      // the same, in the source's order
	sums    *data.Sums   // of the training pictures
	noted   int          // pictures of the state on the disk
	buf     bytes.Buffer // of the writer
}

// all is the number of the source's pictures.
func (m *maker) all() int { return m.src.Train.Len() + m.src.Val.Len() + m.src.Test.Len() }

// pixels is how many values a picture has.
func (m *maker) pixels() int { return m.o.Resize * m.o.Resize * 3 }

func (m *maker) run(ctx context.Context) (*Result, error) {
	id, sizes, err := m.src.Identity(ctx, m.o.Workers)
	if err != nil {
		return nil, err
	}
	resumed, err := m.begin(id, sizes)
	if err != nil {
		return nil, err
	}
	defer m.close() //nolint:errcheck // what counts was synced
	if m.o.Progress != nil {
		m.o.Progress(m.now.Done, m.all())
	}
	m.keys = shards.NewKeys(m.names)
	if err := m.pictures(ctx); err != nil {
		return nil, err
	}
	after, _, err := m.src.Identity(ctx, m.o.Workers)
	if err != nil {
		return nil, err
	}
	if after != id {
		return nil, &data.SourceFault{
			Path: m.src.Path, Changed: true,
			Err: errors.New("it has changed since it was opened: pictures came, went or were written to"),
		}
	}
	r, err := m.finish()
	if r != nil {
		r.Resumed = resumed
	}
	return r, err
}

// begin takes up what is there, or begins.
func (m *maker) begin(id string, sizes map[data.Part]int64) (resumed int, err error) {
	var pictures [3]int
	var bytes [3]int64
	for i, p := range parts {
		pictures[i], bytes[i] = m.src.Part(p).Len(), sizes[p]
		if bytes[i] == 0 {
			bytes[i] = int64(pictures[i]) * aPicture
		}
	}
	making := m.o.Making
	m.now = state{Form: stateForm, Source: id, Pictures: m.all(), Making: making, Decoder: picture.JPEGDecoder()}
	m.sums = data.NewSums(m.pixels())
	m.counts = shardCounts(making.Shards, pictures, bytes)
	before, sums, err := readState(m.o.Files, filepath.Join(m.dir, stateName), m.pixels())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, &Differs{Partial: m.dir}
	default:
		if err := m.compare(before); err != nil {
			return 0, err
		}
		m.now, m.sums, m.counts = *before, sums, before.Counts
	}
	m.now.Counts = m.counts
	all := 0
	for i, n := range m.counts {
		m.first[i] = all
		all += n
	}
	m.dirty = make([]bool, all)
	if m.now.Lengths == nil {
		m.now.Lengths = make([]int64, all)
	}
	if err := m.room(pictures, bytes); err != nil {
		return 0, err
	}
	if _, err := files.MkdirAll(m.o.Files, m.set); err != nil {
		return 0, err
	}
	m.noted = m.now.Done
	return m.now.Done, m.cut()
}

// compare holds what was begun to what is to be gone on with. The number of shards that was asked for counts, not the
// one that came of it.
func (m *maker) compare(before *state) error {
	d := &Differs{Partial: m.dir, What: m.o.differences(&before.Making)}
	if before.Source != m.now.Source {
		d.Source = true
		d.What = append(d.What, fmt.Sprintf("of other pictures, or some have changed since (%s then, %s now)",
			text.Count(before.Pictures, "picture"), text.Grouped(int64(m.now.Pictures))))
	}
	if before.Decoder != m.now.Decoder {
		d.What = append(d.What, fmt.Sprintf("with %s, not %s", before.Decoder, m.now.Decoder))
	}
	if len(d.What) > 0 {
		return d
	}
	return nil
}

// room refuses a set that will not fit. JPEGs of quality 95 take some .46 bytes a pixel of photographs; more is
// possible, and is met as any full disk is.
func (m *maker) room(pictures [3]int, bytes [3]int64) error {
	const perPixel = .5
	need := int64(0)
	for i, n := range pictures {
		of := bytes[i]
		if !m.o.Keep {
			of = min(of, int64(perPixel*float64(m.o.Resize*m.o.Resize))*int64(n))
		}
		need += of + int64(n)*shards.Taken(0)
	}
	left := float64(m.all()-m.now.Done) / float64(max(m.all(), 1))
	return files.Room(m.o.Files, m.dir, m.o.Out, "the prepared set needs", int64(left*float64(need)),
		int64(len(m.dirty)+newFiles))
}

// newFiles is how many files there are besides shards, at most.
const newFiles = 10

// open opens a file of the set, or of the folder around it, to be written anywhere.
func (m *maker) open(name string) (files.File, error) {
	return files.OpenOwn(m.o.Files, name, os.O_RDWR|os.O_CREATE, 0o666)
}

func (m *maker) shardPath(i int) string {
	part := len(m.first) - 1
	for m.first[part] > i || m.counts[part] == 0 {
		part--
	}
	return filepath.Join(m.set, shards.Name(part, i-m.first[part]))
}

// cut opens what is written to and cuts it to what was noted: what comes after may be torn.
func (m *maker) cut() (err error) {
	m.pool = shards.NewPool(func(i int) (files.File, error) { return m.open(m.shardPath(i)) })
	for i, size := range m.now.Lengths {
		err := m.pool.Use(i, func(f files.File) error { return cutTo(f, size) })
		if err != nil {
			return err
		}
	}
	if m.report, err = m.open(filepath.Join(m.set, shards.ReportName)); err != nil {
		return err
	}
	if err := cutTo(m.report, m.now.Report); err != nil {
		return err
	}
	if m.notes, err = m.open(filepath.Join(m.dir, entriesName)); err != nil {
		return err
	}
	if err := cutTo(m.notes, int64(m.now.Entries)*entrySize); err != nil {
		return err
	}
	if m.entries, err = readEntries(m.notes, m.now.Entries); err != nil {
		return err
	}
	return m.o.Files.SyncDir(m.set)
}

// cutTo cuts a file to a size that it had once.
func cutTo(f files.File, size int64) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() < size:
		err := fmt.Errorf("it has %d bytes and had %d", info.Size(), size)
		return &fs.PathError{Op: "read", Path: f.Name(), Err: err}
	case info.Size() > size:
		return f.Truncate(size)
	}
	return nil
}

// names gives the names of all pictures.
func (m *maker) names(yield func(string) bool) {
	for _, p := range parts {
		set := m.src.Part(p)
		for i := range set.Len() {
			if !yield(set.Name(i)) {
				return
			}
		}
	}
}

// Notes are made after so many pictures more, or a quarter more, or at most so many.
const (
	fewNoted  = 64
	mostNoted = 1 << 14
)

// next is after how many pictures everything is noted next. It depends on nothing but how many are.
func (m *maker) next() int {
	return min(m.now.Done+min(max(m.now.Done/4, fewNoted), mostNoted), m.all())
}

// write writes one picture, in the source's order.
func (m *maker) write(j *job) error {
	m.now.Done++
	switch {
	case j.err != nil:
		return j.err
	case j.bad != nil:
		return m.writeBad(j)
	}
	part := partNumber(j.part)
	shard := m.first[part] + shards.Choose(j.key, m.counts[part])
	m.buf.Reset()
	set := m.src.Part(j.part)
	off, err := shards.Append(&m.buf, j.key, int(set.Label(j.index)), origin{text.Raw(set.File(j.index))}, j.out)
	if err != nil {
		return err
	}
	at := m.now.Lengths[shard]
	err = m.pool.Use(shard, func(f files.File) error {
		_, err := f.WriteAt(m.buf.Bytes(), at)
		return err
	})
	if err != nil {
		return err
	}
	m.now.Lengths[shard] += int64(m.buf.Len())
	m.dirty[shard] = true
	m.entries = append(m.entries, entry{
		part: uint32(part), index: uint32(j.index), shard: uint32(shard), off: at + int64(off),
		length: uint32(len(j.out)), sum: j.sum,
	})
	if j.kept {
		m.now.Kept++
	} else {
		m.now.Encoded++
	}
	return nil
}

// origin is KEY.json.
type origin struct {
	Path text.Raw `json:"path"` // in the source
}

// reported is a line of report.jsonl.
type reported struct {
	Name   text.Raw `json:"name"`
	Reason string   `json:"reason"`
}

func (m *maker) writeBad(j *job) error {
	line, err := json.Marshal(reported{text.Raw(j.bad.Name), text.Escape(j.bad.Err.Error())})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err := m.report.WriteAt(line, m.now.Report); err != nil {
		return err
	}
	m.now.Report += int64(len(line))
	m.now.Unreadable++
	if m.o.OnBad != nil {
		m.o.OnBad(j.bad)
	}
	return nil
}

// noted is how many pictures a note says are done, or why there is no such note.
type noted struct {
	done int
	err  error
}

// note begins to make everything durable that is written, and then to say so, while others go on to write: what they
// write is more than the note says. Nothing may be under way when it is called. The channel tells the end.
func (m *maker) note() <-chan noted {
	var dirty []int
	for i, is := range m.dirty {
		if is {
			dirty = append(dirty, i)
		}
	}
	clear(m.dirty)
	first, entries := m.now.Entries, slices.Clip(m.entries)
	m.now.Entries = len(entries)
	now := m.now
	now.Lengths = slices.Clone(m.now.Lengths)
	sums := m.sums.AppendBinary(nil)
	end := make(chan noted, 1)
	go func() {
		err := m.sync(dirty)
		if err == nil {
			err = writeEntries(m.notes, entries, first)
		}
		if err == nil {
			err = errors.Join(m.notes.Sync(), m.report.Sync(), m.o.Files.SyncDir(m.set), m.o.Files.SyncDir(m.dir))
		}
		if err == nil {
			err = writeState(m.o.Files, filepath.Join(m.dir, stateName), &now, sums)
		}
		end <- noted{now.Done, err}
	}()
	return end
}

// settle waits for a note; nil: there is none.
func (m *maker) settle(end <-chan noted) error {
	if end == nil {
		return nil
	}
	n := <-end
	if n.err == nil {
		m.noted = n.done
	}
	return n.err
}

// sync makes shards durable.
func (m *maker) sync(which []int) error {
	for _, i := range which {
		if err := m.pool.Use(i, files.File.Sync); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) close() error {
	var failed []error
	if m.pool != nil {
		failed = append(failed, m.pool.Close())
	}
	for _, f := range []files.File{m.report, m.notes} {
		if f != nil {
			failed = append(failed, f.Close())
		}
	}
	m.pool, m.report, m.notes = nil, nil, nil
	return errors.Join(failed...)
}
