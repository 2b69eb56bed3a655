package data

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

// packed is a file that can only be read in order, as a store: what is in it is compressed. It is a tarStore but for
// the spans, whose sizes only are those of the pictures, and for Read.
type packed struct {
	tarStore

	bads sync.Mutex
	bad  map[int]flaw // what through found wrong with pictures
}

// errOnlyThrough is said of a picture that cannot be read by itself.
const errOnlyThrough = flaw("can only be read together with what lies before it")

// Read fails, and says what through found wrong with the picture.
func (s *packed) Read(_ context.Context, i int, _ []byte) ([]byte, error) {
	s.bads.Lock()
	defer s.bads.Unlock()
	if bad, found := s.bad[i]; found {
		return nil, bad
	}
	return nil, errOnlyThrough
}

func (s *packed) blame(i int, bad flaw) {
	s.bads.Lock()
	defer s.bads.Unlock()
	if s.bad == nil {
		s.bad = map[int]flaw{}
	}
	s.bad[i] = bad
}

// order is the pictures by their places.
func (s *packed) order() []int {
	order := make([]int, len(s.spans))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(s.spans[a].off, s.spans[b].off), a-b) })
	return order
}

// fault is why what could be read when it was listed cannot be read now.
func (s *packed) fault(from *watched, err error) error {
	if ended := from.ctx.Err(); ended != nil {
		return ended
	}
	if fault := from.check(); fault != nil {
		return fault
	}
	if ended := from.ctx.Err(); ended != nil {
		return ended
	}
	if from.failed != nil {
		return from.failed
	}
	return &SourceFault{Path: s.path, Err: err}
}

// trouble is why the file cannot be listed where that is not the fault of what it holds, or nil.
func (s *packed) trouble(from *watched) error {
	if ended := from.ctx.Err(); ended != nil {
		return ended
	}
	if fault := s.check(); fault != nil {
		return &SourceError{Path: s.path, Problem: Changes, Err: fault.Err}
	}
	if from.failed != nil {
		return &SourceError{Path: s.path, Problem: NotRead, Err: from.failed.Err}
	}
	return nil
}

// watched reads a file for something that tells its own mistakes and the file's not apart. A reading that fails is
// tried again as long as the patience goes.
type watched struct {
	ctx    context.Context //nolint:containedctx // a decoder knows none
	of     *packed
	by     *reader // whose crew waits for the system calls, and has the patience; nil: nothing is tried again
	size   int64
	failed *SourceFault // of the reading that failed in the end
	last   trial        // the reading under way, or the one before
	nobody outages      // told of nothing
}

func (s *packed) watch(ctx context.Context) *watched {
	return &watched{ctx: ctx, of: s, size: s.was.Size()}
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := insist(w.ctx, w, w.begin(), func() (int, error) { return w.readOnce(p, off) })
	if fault := (*SourceFault)(nil); errors.As(err, &fault) {
		w.failed = fault
	}
	return n, err
}

// readOnce is ReadAt without patience; a failure is a *SourceFault.
func (w *watched) readOnce(p []byte, off int64) (int, error) {
	f := w.of.file()
	n, err := uncut(func() (int, error) { return f.ReadAt(p, off) })
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if fault := w.of.check(); fault != nil {
		return 0, fault
	}
	if fault := w.of.reopen(f); fault != nil {
		return 0, fault
	}
	return 0, &SourceFault{Path: w.of.path, Err: reason(err)}
}

// begin is another reading, after the one before it.
func (w *watched) begin() *trial {
	o := &w.nobody
	if w.by != nil {
		o = w.by.crew.of
	}
	w.last = trial{of: o, retry: o.retry()}
	return &w.last
}

// enter notes that system calls begin; not after the end of ctx.
func (w *watched) enter(t *trial) bool {
	if w.by == nil {
		return w.ctx.Err() == nil
	}
	return w.by.enter(t)
}

// leave notes that they have come back, and tells whether somebody waits for what they bring.
func (w *watched) leave() bool { return w.by == nil || w.by.leave() }

// check looks whether the file has changed.
func (w *watched) check() *SourceFault {
	t := w.begin()
	if !w.enter(t) {
		return nil
	}
	fault := w.of.check()
	if !w.leave() {
		return nil
	}
	t.end(true)
	return fault
}

// readAhead is how much of a file is read at once: as much as a disk reads in some milliseconds.
const readAhead = 1 << 20

// whole is the file from its beginning.
func (w *watched) whole() io.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(w, 0, w.size), int(min(readAhead, w.size)))
}

// stream is a store of a tar in something compressed. What lies in that can only be got at by unpacking all before it,
// so it is unpacked from its beginning once to be listed and once each time that the pictures are read, and never kept.
// The spans are places in what is unpacked.
type stream struct {
	packed
	unpack func(*watched) (io.ReadCloser, error) // begins at the file's beginning
}

// through passes every picture in the order in which they lie in the tar; raw is nil where there is no file for it, of
// which Read gives the reason.
func (s *stream) through(r *reader, each func(number int, raw []byte) error) error {
	from := s.watch(r.crew.ctx)
	from.by = r
	if fault := from.check(); fault != nil {
		return fault
	}
	in, err := s.unpack(from)
	if err != nil {
		return s.fault(from, err)
	}
	defer in.Close() //nolint:errcheck // only read
	order := s.order()
	at, buf := int64(0), []byte(nil)
	for k := 0; k < len(order); {
		span, raw := s.spans[order[k]], []byte(nil)
		if err := skip(in, span.off-at); err != nil {
			return s.fault(from, err)
		}
		if at = span.off; span.size <= maxFile {
			buf = slices.Grow(buf[:0], int(span.size))[:span.size]
			if _, err := io.ReadFull(in, buf); err != nil {
				return s.fault(from, err)
			}
			raw, at = buf, at+span.size
		}
		for ; k < len(order) && s.spans[order[k]] == span; k++ { // links are more names of one file
			if raw == nil {
				s.blame(order[k], errTooLong)
			}
			if err := each(order[k], raw); err != nil {
				return err
			}
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // what is compressed has its checksum at its end
		return s.fault(from, err)
	}
	if fault := from.check(); fault != nil {
		return fault
	}
	return from.ctx.Err()
}

// skip reads n bytes that nobody wants.
func skip(in io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, in, n)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// gunzip unpacks a file that gzip made.
func gunzip(w *watched) (io.ReadCloser, error) { return gzip.NewReader(w.whole()) }

// counted counts what is read.
type counted struct {
	in     io.Reader
	n      int64
	failed error // the first failure other than the end
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && c.failed == nil {
		c.failed = err
	}
	return n, err
}

func (c *counted) at() (int64, error) { return c.n, nil }

// listGzip lists a tar in gzip; through says that it may be read through for that.
func listGzip(ctx context.Context, fsys files.Reader, name string, through bool) (*listing, error) {
	s, err := openStream(fsys, name, gunzip)
	if err != nil {
		return nil, err
	}
	var l *listing
	if err = s.sniff(ctx); err == nil && !through {
		err = &SourceError{Path: name, Problem: OnlyThrough}
	}
	if err == nil {
		l, err = s.list(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

func openStream(fsys files.Reader, name string, unpack func(*watched) (io.ReadCloser, error)) (*stream, error) {
	s := &stream{unpack: unpack}
	return s, s.open(fsys, name)
}

// open opens the file, of which nothing else is known then.
func (s *packed) open(fsys files.Reader, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return &SourceError{Path: name, Problem: NotOpened, Err: err}
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(&SourceError{Path: name, Problem: NotOpened, Err: err}, f.Close())
	}
	s.fsys, s.path, s.was, s.f = fsys, name, info, f
	return nil
}

// sniff tells by the first block whether a tar is in it at all.
func (s *stream) sniff(ctx context.Context) error {
	from := s.watch(ctx)
	in, err := s.unpack(from)
	if err != nil {
		return s.broken(from, err)
	}
	defer in.Close() //nolint:errcheck // only read
	c, block := &counted{in: in}, make([]byte, tarBlock)
	n, _ := io.ReadFull(c, block) // an early end is no failure of what unpacks
	if c.failed != nil {
		return s.broken(from, c.failed)
	}
	if _, err := tar.NewReader(bytes.NewReader(block)).Next(); errors.Is(err, tar.ErrHeader) || n < tarBlock {
		return &SourceError{Path: s.path, Problem: Compressed, Detail: "gzip", Err: errors.New("in it is no tar")}
	}
	return nil
}

// broken is why a stream cannot be listed.
func (s *stream) broken(from *watched, err error) error {
	if other := s.trouble(from); other != nil {
		return other
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return tarError(s.path, err)
}

// list reads the stream through and finds what is in it.
func (s *stream) list(ctx context.Context) (*listing, error) {
	from := s.watch(ctx)
	x := &streamIndex{room: freeRoom + 2*s.was.Size(), notes: map[int64][]byte{}}
	err := x.read(ctx, from, s.unpack)
	if fault := s.check(); err == nil && fault != nil {
		err = fault // which broken finds
	}
	if err != nil {
		return nil, s.broken(from, err)
	}
	l, spans, err := x.listing(s.path, s, func(m member) ([]byte, error) {
		raw, kept := x.notes[m.span.off]
		if !kept {
			raw, kept = x.told.notes[m.span.off]
		}
		if !kept {
			return nil, fmt.Errorf("is larger than %s", text.Bytes(maxNote))
		}
		return raw, nil
	})
	s.spans = spans
	return l, err
}

// streamIndex is a tarIndex of what is read only once: what else is wanted of it is taken along.
type streamIndex struct {
	tarIndex
	in    *counted
	room  int64            // bytes that the index may still take
	notes map[int64][]byte // noteworthy files by their places
	told  sampleNotesRead

	seen int // files so far
	last string
}

// What an index may take: twice the file, as each entry takes some of that, and so much besides. A file of some bytes
// may have as many entries in it as somebody likes.
const (
	freeRoom  = 16 << 20
	entryRoom = 256      // bytes for an entry, its name not included
	tarRoom   = 2 << 10  // bytes for a tar in it
	maxNote   = 16 << 20 // of one noteworthy file
)

var errManyEntries = errors.New("it has more entries than a file of its size could have pictures")

func (x *streamIndex) read(ctx context.Context, from *watched, unpack func(*watched) (io.ReadCloser, error)) error {
	in, err := unpack(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	x.in = &counted{in: in}
	samples := newStreamSamples()
	x.meet = x.meeting(ctx, &x.tarIndex, samples, "", tarsDeep)
	last, err := x.headers(ctx, x.in, "", math.MaxInt64, x.in.at)
	if err == nil {
		_, err = io.Copy(io.Discard, x.in)
	}
	if err == nil {
		err = ends(last, x.in.n)
	}
	if x.in.failed != nil {
		err = x.in.failed // the cause of whatever was found then
	}
	if err != nil && x.seen > 0 {
		return fmt.Errorf("after %s of its files, the last of them %s: %w", text.Grouped(int64(x.seen)),
			text.Name(x.last), err)
	}
	if err != nil {
		return err
	}
	samples.end(&x.told, &x.tarIndex)
	return x.settle(ctx)
}

// take accounts for an entry of a tar of that name.
func (x *streamIndex) take(h *tar.Header, within string, m member) error {
	if x.room -= entryRoom + int64(len(m.name)+len(h.Linkname)); x.room < 0 {
		return errManyEntries
	}
	if h.Typeflag == tar.TypeReg {
		x.seen, x.last = x.seen+1, within+m.name
	}
	return nil
}

// meeting reads what is in an entry where that may be wanted. The entry is one of a tar of that name, with an index and
// samples of its own; tars in it are read so deep.
func (x *streamIndex) meeting(
	ctx context.Context, of *tarIndex, samples *streamSamples, within string, deep int,
) func(h *tar.Header, m member, content io.Reader) error {
	return func(h *tar.Header, m member, content io.Reader) error {
		if err := x.take(h, within, m); err != nil {
			return err
		}
		switch {
		case h.Typeflag != tar.TypeReg || inHidden(m.name):
		case isTar(m.name):
			if deep > 0 {
				return x.tar(ctx, of, m, content, deep-1)
			}
		case noteworthy(m.name):
			if !isArchive(m.name) {
				return x.note(m, content)
			}
		default:
			return samples.meet(&x.told, of, m, content)
		}
		return nil
	}
}

// note reads a file that is wanted later, where it is not too long and there is room.
func (x *streamIndex) note(m member, content io.Reader) error {
	if m.span.size > min(maxNote, x.room) {
		return nil
	}
	raw, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	x.notes[m.span.off] = raw
	x.room -= int64(len(raw))
	return nil
}

// tar goes over a tar in the stream, as readInner does. Where there are pictures beside it nobody wants it.
func (x *streamIndex) tar(ctx context.Context, outer *tarIndex, m member, content io.Reader, deep int) error {
	if k := len(outer.inner); len(outer.files)+len(outer.links) > 0 || k > 0 && outer.inner[k-1].err != nil {
		return nil
	}
	if x.room -= tarRoom; x.room < 0 {
		return errManyEntries
	}
	in, end := innerTar{name: m.name, index: &tarIndex{}}, m.span.off+m.span.size
	samples := newStreamSamples()
	in.index.meet = x.meeting(ctx, in.index, samples, classOfTar(m.name)+"/", deep)
	last, err := in.index.headers(ctx, content, "", end, x.in.at)
	if err == nil {
		err = ends(max(last, m.span.off), end)
	}
	samples.end(&x.told, in.index)
	in.err = err
	outer.inner = append(outer.inner, in)
	return nil
}
