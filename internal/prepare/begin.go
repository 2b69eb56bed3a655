package prepare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"alexnet/internal/atomicfile"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

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
	case errors.Is(err, errState):
		return 0, &Differs{Partial: m.dir}
	case err != nil:
		return 0, err
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
	if err := m.clear(); err != nil {
		return 0, err
	}
	return m.now.Done, m.cut()
}

// clear removes what earlier runs left in the set and what is not cut to what was noted: shards of another number, of
// a run that ended before it noted anything, and what comes after the last picture, which is made again.
func (m *maker) clear() error {
	items, err := m.o.Files.ReadDir(m.set)
	if err != nil {
		return err
	}
	shard := map[string]bool{}
	for i := range m.now.Lengths {
		shard[filepath.Base(m.shardPath(i))] = true
	}
	for _, e := range items {
		if shard[e.Name()] || !ours(e) {
			continue
		}
		if err := m.o.Files.Remove(filepath.Join(m.set, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// ours tells a shard and the files that come after the last picture, or what was to become one.
func ours(e fs.DirEntry) bool {
	is := func(pattern string) bool { match, _ := filepath.Match(pattern, e.Name()); return match }
	for _, part := range shards.Parts {
		if is(part + "-[0-9]*.tar") {
			return true
		}
	}
	late := []string{shards.IndexName, shards.InfoName, shards.ClassesName, shards.StatsName}
	return slices.ContainsFunc(late, func(name string) bool { return is(name) || atomicfile.Left(name, e) })
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
