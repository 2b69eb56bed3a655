package prepare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"

	"alexnet/internal/data"
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
	defer m.close() //nolint:errcheck // what counts was synced
	resumed, err := m.begin(id, sizes)
	if err != nil {
		return nil, err
	}
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
	out := j.out()
	off, err := shards.Append(&m.buf, j.key, int(set.Label(j.index)), origin{text.Raw(set.File(j.index))}, out)
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
		length: uint32(len(out)), sum: j.sum,
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
	first, entries := m.now.Entries, m.entries
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
