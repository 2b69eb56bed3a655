package prepare

import (
	"cmp"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"

	"alexnet/internal/atomicfile"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/shards"
	"alexnet/internal/text"
)

// finish writes what comes after the last picture, and puts the set in its place. All of it can be done again.
func (m *maker) finish() (*Result, error) {
	if len(m.entries) == 0 {
		return nil, &data.SourceError{Path: m.src.Path, Problem: data.NoPictures}
	}
	x := &shards.Index{Shards: m.counts, Classes: m.src.Classes, Lengths: slices.Clone(m.now.Lengths)}
	for i := range x.Lengths {
		err := m.pool.Use(i, func(f files.File) error {
			_, err := f.WriteAt(shards.End, x.Lengths[i])
			return err
		})
		if err != nil {
			return nil, err
		}
		x.Lengths[i] += int64(len(shards.End))
		if err := m.sync([]int{i}); err != nil {
			return nil, err
		}
	}
	if err := m.beside(x); err != nil {
		return nil, err
	}
	err := atomicfile.Write(m.o.Files, filepath.Join(m.set, shards.IndexName), func(f atomicfile.File) error {
		return x.Write(f, func(i int) shards.Picture {
			e := &m.entries[i]
			set := m.src.Part(parts[e.part])
			return shards.Picture{
				Name: set.Name(int(e.index)), Label: set.Label(int(e.index)), Shard: int(e.shard), Off: e.off,
				Length: e.length, Sum: e.sum,
			}
		})
	})
	if err != nil {
		return nil, err
	}
	if err := m.close(); err != nil {
		return nil, err
	}
	// The index is read back, by the rules of those who will read it: one that they refuse is found here, and not after
	// the set is in its place. Of 1.3 million pictures that takes some 0.2 s.
	r, err := m.result(m.set)
	if err != nil {
		return nil, err
	}
	_ = m.o.Files.Remove(m.out) // an empty folder; anything else is in the way of the next call
	if err := m.o.Files.Rename(m.set, m.out); err != nil {
		return nil, err
	}
	if err := m.o.Files.SyncDir(filepath.Dir(filepath.Clean(m.out))); err != nil {
		return nil, err
	}
	tidy(m.o.Files, m.dir)
	return r, nil
}

// beside writes the small files, and what the index says of them. Entries are sorted as the index has them.
func (m *maker) beside(x *shards.Index) error {
	slices.SortFunc(m.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.index, b.index)) // as the source's sets are sorted
	})
	var pictures [len(shards.Parts)][]int
	for part, n := range m.counts {
		pictures[part] = make([]int, n)
	}
	for _, e := range m.entries {
		x.Pictures[e.part]++
		pictures[e.part][int(e.shard)-m.first[e.part]]++
	}
	classes, err := json.MarshalIndent(text.Raws(m.src.Classes), "", " ")
	if err != nil {
		return err
	}
	info, err := shards.Info(pictures)
	if err != nil {
		return err
	}
	contents := [...][]byte{append(classes, '\n'), info, nil}
	if x.Pictures[0] > 0 {
		x.Stats = true
		if contents[2], err = data.EncodeStatistics(m.o.recipeOf(), m.sums); err != nil {
			return err
		}
	}
	for i, name := range []string{shards.ClassesName, shards.InfoName, shards.StatsName} {
		if contents[i] == nil {
			continue
		}
		x.Sums[i] = shards.Checksum(contents[i])
		err := atomicfile.Write(m.o.Files, filepath.Join(m.set, name), func(f atomicfile.File) error {
			return writeAll(f, contents[i])
		})
		if err != nil {
			return err
		}
	}
	made := Manifest{
		Making: m.now.Making, Decoder: m.now.Decoder, Kept: m.now.Kept, Encoded: m.now.Encoded,
		Unreadable: m.now.Unreadable, Decided: m.src.Decided,
	}
	made.Shards = m.counts[0]
	if made.Encoded > 0 {
		made.Encoder = m.now.Decoder // one library does both
	}
	x.Manifest, err = json.Marshal(made)
	return err
}

func writeAll(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}
