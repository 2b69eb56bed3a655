package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/files"
)

// Event is a record of a TensorBoard event file, as far as it is understood here.
type Event struct {
	Number int   // of the record, from 1
	At     int64 // its first byte in the file

	Step    uint64
	Version string   // of a file's first record
	Writer  string   // likewise: the program, where it says so
	Start   bool     // the order to forget what earlier files have of Step and later ones
	Scalars []Scalar // numbers of Step
	Shown   []string // tags of its pictures and histograms
	Line    *uint32  // of this program's: the Sum of the line of metrics.jsonl that has the same numbers

	data []byte // as it stands in the file; nil: it is too long to be looked at
}

// tells is whether the event says anything of its step.
func (e *Event) tells() bool { return len(e.Scalars) > 0 || len(e.Shown) > 0 || e.Line != nil }

// Scalar is a number of an event.
type Scalar struct {
	Tag   string
	Value float32
}

// Ours tells whether the record is the first of a file of this program.
func (e *Event) Ours() bool { return e.Number == 1 && e.Version == version && e.Writer == writer }

// EventError is a record that is not what was written, or not whole.
type EventError struct {
	Number int   // of the record, from 1
	At     int64 // its first byte
	Torn   bool  // the file ends in it
	Reason string
}

func (e *EventError) Error() string {
	return fmt.Sprintf("record %d, at byte %d: %s", e.Number, e.At, e.Reason)
}

// parsed is the longest record whose content is looked at, and the longest that this program writes. Others' pictures
// may be longer; their checksum is verified nevertheless.
const parsed = 1 << 20

// ReadEvents reads an event file, this program's or another's, record by record with both checksums of each. It ends
// with the first error of each, which it returns, or at a record that is not sound, with an *EventError.
func ReadEvents(r io.Reader, each func(Event) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	at := int64(0)
	for n := 1; ; n++ {
		data, length, err := readRecord(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		e := Event{Number: n, At: at, data: data}
		if err == nil && data != nil {
			err = e.parse(data)
		}
		var bad *EventError
		if errors.As(err, &bad) {
			bad.Number, bad.At = n, at
		}
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
		at += length
	}
}

// readRecord reads a record and how many bytes it takes; data is nil where it is too long to be looked at. io.EOF says
// that there is none.
func readRecord(in io.Reader) (data []byte, length int64, err error) {
	var head [12]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, 0, torn(err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if masked(crc32.Checksum(head[:8], castagnoli)) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, 0, &EventError{Reason: "the checksum of its length does not agree"}
	}
	if n > math.MaxInt64-16 {
		return nil, 0, &EventError{Reason: fmt.Sprintf("a length of %d bytes", n)}
	}
	sum := crc32.New(castagnoli)
	if n <= parsed {
		data = make([]byte, n)
		_, err = io.ReadFull(in, data)
		sum.Write(data)
	} else {
		_, err = io.CopyN(sum, in, int64(n))
	}
	if err == nil {
		_, err = io.ReadFull(in, head[:4])
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, torn(err)
	}
	if masked(sum.Sum32()) != binary.LittleEndian.Uint32(head[:]) {
		return nil, 0, &EventError{Reason: "the checksum of its data does not agree"}
	}
	return data, int64(n) + 16, nil
}

func torn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &EventError{Torn: true, Reason: "the file ends in it"}
	}
	return err
}

// errProto says that data with the right checksum are no event.
var errProto = &EventError{Reason: "it is not an event"}

func (e *Event) parse(data []byte) error {
	ok := protoFields(data, func(num protowire.Number, v []byte, x uint64) bool {
		switch num {
		case eventStep:
			e.Step = x
		case eventFileVersion:
			e.Version = string(v)
		case eventLine:
			sum := uint32(x)
			e.Line = &sum
		case eventSource:
			return protoFields(v, func(num protowire.Number, v []byte, _ uint64) bool {
				if num == sourceWriter {
					e.Writer = string(v)
				}
				return true
			})
		case eventSessionLog:
			return protoFields(v, func(num protowire.Number, _ []byte, x uint64) bool {
				e.Start = e.Start || num == sessionStatus && x == sessionStart
				return true
			})
		case eventSummary:
			return protoFields(v, func(num protowire.Number, v []byte, _ uint64) bool {
				return num != summaryValue || e.addValue(v)
			})
		}
		return true
	})
	if !ok {
		bad := *errProto
		return &bad
	}
	return nil
}

// addValue takes a value of a summary, where it is a plain number, a picture or a histogram.
func (e *Event) addValue(value []byte) bool {
	var s Scalar
	number, shown := false, false
	ok := protoFields(value, func(num protowire.Number, v []byte, x uint64) bool {
		switch num {
		case valueTag:
			s.Tag = string(v)
		case valueSimple:
			s.Value, number = math.Float32frombits(uint32(x)), true
		case valueImage, valueHisto:
			shown = true
		}
		return true
	})
	if shown {
		e.Shown = append(e.Shown, s.Tag)
	}
	if number {
		e.Scalars = append(e.Scalars, s)
	}
	return ok
}

// protoFields calls each for the fields of a message, with bytes or a number, until it returns false. It returns false
// then, and where the message is none.
func protoFields(b []byte, each func(num protowire.Number, v []byte, x uint64) bool) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var v []byte
		var x uint64
		switch typ {
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			x, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(b)
			x = uint64(short)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 || !each(num, v, x) {
			return false
		}
		b = b[n:]
	}
	return true
}

// ownName are the names of our event files: when they were begun, on which machine, by which process.
var ownName = regexp.MustCompile(`^events\.out\.tfevents\.(\d{10,18})\..+\.\d+\.\d+$`)

// ownEvents are the event files in dir that this program wrote, by their first record, oldest first, and a time in
// seconds that is after those in their names.
func ownEvents(fsys files.FS, dir string) (paths []string, stamp int64, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		m := ownName.FindStringSubmatch(e.Name())
		if m == nil || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		ours, err := isOwn(fsys, path)
		if err != nil {
			return nil, 0, err
		}
		if !ours {
			continue
		}
		made, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return nil, 0, err
		}
		stamp = max(stamp, made+1)
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return paths, stamp, nil
}

// isOwn knows a file of ours by its first record, and by what a writer that was killed, or a power cut, left of that.
// What cannot be understood is not ours, and nor is an empty file: its writer may be about to begin.
func isOwn(fsys files.Reader, path string) (ours bool, err error) {
	f, err := fsys.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // only read
	first := preamble(time.Time{})
	head := make([]byte, 4*len(first)) // and orders that follow
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	head = head[:n]
	if whole := err == nil; !whole && n > 0 && len(bytes.Trim(head, "\x00")) == 0 {
		return true, nil // all of it is zeros
	}
	if n < len(first) {
		return n > 0 && bytes.Equal(timeless(head), timeless(first[:n])), nil
	}
	enough := errors.New("one record")
	err = ReadEvents(bytes.NewReader(head), func(e Event) error {
		ours = e.Ours()
		return enough
	})
	if errors.Is(err, enough) || errors.As(err, new(*EventError)) {
		err = nil
	}
	return ours, err
}

// timeless is the beginning of a file without the time in its first record and the checksum of that, which follows.
func timeless(head []byte) []byte {
	const at, end = 8 + 4 + 1, 8 + 4 + 1 + 8 // length, its checksum, the tag of the time
	sum := len(preamble(time.Time{})) - 4
	return slices.Concat(head[:min(at, len(head))], head[min(end, len(head)):min(max(end, sum), len(head))])
}

// shownAgain are the records of pictures and histograms of a step that earlier files are about to lose: no metrics have
// these, so the new file gets them as they are.
type shownAgain struct {
	step    uint64
	wanted  bool
	tags    []string
	records []byte
}

// mostShown is how many bytes of them are taken: more than a step of this program has.
const mostShown = 64 << 20

// take keeps a record, unless an earlier file has the same: a run that was killed while it began leaves both.
func (s *shownAgain) take(e *Event) {
	if !s.wanted || e.Step != s.step || len(e.Shown) == 0 || len(s.records)+len(e.data) > mostShown {
		return
	}
	for _, tag := range e.Shown {
		if slices.Contains(s.tags, tag) {
			return
		}
	}
	s.tags = append(s.tags, e.Shown...)
	s.records = append(s.records, record(e.data)...)
}

// cuts says what is to become of an event file.
type cuts struct {
	path string
	end  int64 // where it is to end; -1: where it does
	gone bool  // it has no numbers before that: it is to be removed
}

// lookForCuts finds the first event of a file of ours that is of step or later, or damaged, and what the file shows.
func lookForCuts(fsys files.FS, path string, step uint64, again *shownAgain) (cuts, error) {
	c := cuts{path: path, end: -1, gone: true}
	f, err := files.OpenOwn(fsys, path, os.O_RDWR, 0)
	if err != nil {
		return c, err
	}
	defer f.Close() //nolint:errcheck // only read
	err = ReadEvents(f, func(e Event) error {
		told := e.tells()
		if (told || e.Start) && e.Step >= step && c.end < 0 {
			c.end = e.At
		}
		if c.end < 0 {
			c.gone = c.gone && !told
		}
		again.take(&e)
		return nil
	})
	var bad *EventError
	if errors.As(err, &bad) {
		if err = nil; c.end < 0 {
			c.end = bad.At
		}
	}
	return c, err
}

// cut does it.
func (c *cuts) cut(fsys files.FS) error {
	if c.gone {
		return fsys.Remove(c.path)
	}
	if c.end < 0 {
		return nil
	}
	f, err := files.OpenOwn(fsys, c.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err = f.Truncate(c.end); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
