package prepare

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"alexnet/internal/atomicfile"
	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/shards"
)

// stateForm is the first word of a state. Another meaning of anything in it, or of what it goes on with: another
// number.
const stateForm = "alexnet prepare 1"

// state is what a run that goes on has to know, and in the file the sums follow it.
type state struct {
	Form     string  `json:"form"`
	Source   string  `json:"source"`   // its identity
	Pictures int     `json:"pictures"` // of the source
	Making   Making  `json:"making"`
	Decoder  string  `json:"decoder"`
	Counts   [3]int  `json:"counts"`  // shards by part
	Done     int     `json:"done"`    // pictures of the source that were looked at, in its order
	Entries  int     `json:"entries"` // of these, written
	Lengths  []int64 `json:"lengths"` // of the shards
	Report   int64   `json:"report"`  // the length of the report
	Kept     int     `json:"kept"`
	Encoded  int     `json:"encoded"`

	Unreadable int `json:"unreadable"`
}

// errState is that of a state which is damaged, or of another form.
var errState = errors.New("not a state")

// writeState puts a state in the place of the one before: a line of JSON, the sums, and the CRC32C of both.
func writeState(fsys files.FS, path string, s *state, sums []byte) error {
	page, err := json.Marshal(s)
	if err != nil {
		return err
	}
	all := append(append(page, '\n'), sums...)
	all = binary.LittleEndian.AppendUint32(all, shards.Checksum(all))
	return atomicfile.Write(fsys, path, func(f atomicfile.File) error {
		_, err := f.Write(all)
		return err
	})
}

// readState reads one that is sound, with sums of pictures of so many values. Other errors than errState say nothing of
// what is in the file: that it is not there, or that it cannot be read.
func readState(fsys files.Reader, path string, pixels int) (*state, *data.Sums, error) {
	switch there, err := files.Own(fsys, path); {
	case err != nil:
		return nil, nil, err
	case there == nil:
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	all, err := files.ReadFile(fsys, path)
	if err != nil {
		return nil, nil, err
	}
	end := len(all) - 4
	page, rest, found := bytes.Cut(all[:max(end, 0)], []byte{'\n'})
	if !found || shards.Checksum(all[:end]) != binary.LittleEndian.Uint32(all[end:]) {
		return nil, nil, errState
	}
	s := &state{}
	if err := json.Unmarshal(page, s); err != nil || s.Form != stateForm {
		return nil, nil, errState
	}
	sums := data.NewSums(pixels)
	if s.Making.Resize*s.Making.Resize*3 != pixels { // it will be told what differs
		return s, sums, nil
	}
	n := 0
	for _, c := range s.Counts {
		n += c
	}
	if n != len(s.Lengths) || s.Entries < 0 || s.Done < s.Entries {
		return nil, nil, errState
	}
	if sums.SetBinary(rest) != nil {
		return nil, nil, errState
	}
	return s, sums, nil
}

// entry is where a picture is, in the order in which they were written.
type entry struct {
	part, index uint32 // in the source
	shard       uint32 // of all
	off         int64
	length, sum uint32
}

// entrySize is what an entry takes in the file.
const entrySize = 28

// writeEntries writes those from first on to their places.
func writeEntries(f files.File, all []entry, first int) error {
	le := binary.LittleEndian
	b := make([]byte, 0, entrySize*(len(all)-first))
	for _, e := range all[first:] {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, e.part), e.index), e.shard)
		b = le.AppendUint32(le.AppendUint32(le.AppendUint64(b, uint64(e.off)), e.length), e.sum)
	}
	if len(b) == 0 {
		return nil
	}
	_, err := f.WriteAt(b, int64(first)*entrySize)
	return err
}

func readEntries(f files.File, count int) ([]entry, error) {
	b := make([]byte, entrySize*count)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("%s: %w", f.Name(), errors.Join(io.ErrUnexpectedEOF, err))
	}
	le := binary.LittleEndian
	all := make([]entry, count)
	for i := range all {
		r := b[i*entrySize:][:entrySize]
		all[i] = entry{
			le.Uint32(r), le.Uint32(r[4:]), le.Uint32(r[8:]), int64(le.Uint64(r[12:])), le.Uint32(r[20:]),
			le.Uint32(r[24:]),
		}
	}
	return all, nil
}
