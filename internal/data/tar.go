package data

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/text"
)

// tarStore reads pictures inside a tar by their offsets. It is never unpacked.
type tarStore struct {
	fsys  files.Reader
	path  string
	spans []extent    // by number
	was   fs.FileInfo // when it was indexed

	mu sync.Mutex
	f  files.File
}

// extent is where in a tar a file's contents lie.
type extent struct{ off, size int64 }

// Read fails for the tar's sake, a file that is too long excepted: what was there when the tar was opened must be there
// still.
func (s *tarStore) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	f := s.file()
	raw, err := readAt(f, s.spans[i].off, s.spans[i].size, buf)
	if err == nil || errors.Is(err, errTooLong) {
		return raw, err
	}
	if fault := s.check(); fault != nil {
		return nil, fault
	}
	if errors.Is(err, files.ErrChanged) { // though it has size and time of before
		return nil, &SourceFault{Path: s.path, Err: err, Changed: true}
	}
	if fault := s.reopen(f); fault != nil {
		return nil, fault
	}
	return nil, &SourceFault{Path: s.path, Err: err}
}

// soon tells the file.
func (s *tarStore) soon(i int) {
	if f, able := s.file().(files.Foreteller); able {
		f.WillNeed(s.spans[i].off, s.spans[i].size)
	}
}

// place is the tar as it was indexed.
func (s *tarStore) place() string {
	return fmt.Sprintf("%s %d %d", absolute(s.path), s.was.Size(), s.was.ModTime().UnixNano())
}

// stamp is the size of file i, and the tar's time.
func (s *tarStore) stamp(i int) (stamp, error) {
	return stamp{s.spans[i].size, s.was.ModTime().UnixNano()}, nil
}

func (s *tarStore) file() files.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f
}

// check looks whether the open file has changed: was cut, or written to. The pictures that were listed are not in it
// any more, or not where they were. A file that cannot be looked at has another trouble.
func (s *tarStore) check() *SourceFault {
	now, err := s.file().Stat()
	if err != nil {
		return nil
	}
	return s.compare(now, "it has changed since it was opened")
}

// compare is what tells a file from that which was indexed, or nil.
func (s *tarStore) compare(now fs.FileInfo, what string) *SourceFault {
	switch {
	case now.Size() < s.was.Size():
		what += fmt.Sprintf(": it was cut from %d to %d bytes", s.was.Size(), now.Size())
	case now.Size() > s.was.Size():
		what += fmt.Sprintf(": it grew from %d to %d bytes", s.was.Size(), now.Size())
	case !now.ModTime().Equal(s.was.ModTime()):
		what += ": it was written to at " + now.ModTime().Format(time.DateTime)
	default:
		return nil
	}
	return &SourceFault{Path: s.path, Err: errors.New(what), Changed: true}
}

// reopen takes the file that is at the path now in the place of the open file f, where it is the same by size and time:
// a handle that went stale, as that of a share that was mounted anew, stays so.
func (s *tarStore) reopen(f files.File) *SourceFault {
	again, err := s.fsys.Open(s.path)
	if err != nil {
		return nil // nothing is there yet
	}
	now, err := again.Stat()
	if err != nil {
		_ = again.Close() // only read
		return nil
	}
	if fault := s.compare(now, "another file is in its place"); fault != nil {
		_ = again.Close()
		return fault
	}
	s.mu.Lock()
	if s.f == f {
		s.f, again = again, f
	}
	s.mu.Unlock()
	_ = again.Close() // the one that is not used
	return nil
}

func (s *tarStore) Close() error { return s.file().Close() }

// tarBlock is the unit of a tar: headers are one block, contents are filled up to whole ones.
const tarBlock = 512

// listTar indexes a tar in one pass over its headers.
func listTar(ctx context.Context, fsys files.Reader, name string) (*listing, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, &SourceError{Path: name, Problem: NotOpened, Err: err}
	}
	var index tarIndex
	if err := index.read(ctx, f); err != nil {
		head, _ := headIn(f, foreignHead) // what cannot be read is not a picture either
		f.Close()                         //nolint:errcheck // only read
		if files.IsPointer(head) {
			return nil, &SourceError{Path: name, Problem: Pointer}
		}
		if format := picture.Format(head); format != "" {
			return nil, &SourceError{Path: name, Problem: OnePicture, Detail: format}
		}
		if other := foreignError(name, head); other != nil {
			return nil, other
		}
		if isText(head) {
			return nil, &SourceError{Path: name, Problem: NoTar}
		}
		return nil, tarError(name, ofPublished(name, index.size, err))
	}
	if err := publishedEnds(name, index.last, index.size); err != nil {
		return nil, errors.Join(tarError(name, err), f.Close())
	}
	info, err := f.Stat()
	if err != nil {
		f.Close() //nolint:errcheck // only read
		return nil, &SourceError{Path: name, Problem: NotOpened, Err: err}
	}
	store := &tarStore{fsys: fsys, path: name, f: f, was: info}
	l, spans, err := index.listing(name, store, func(m member) ([]byte, error) {
		return readAt(f, m.span.off, m.span.size, nil)
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	store.spans = spans
	inside := func(file string) cifarPlace {
		i := slices.IndexFunc(index.files, func(m member) bool { return m.name == file })
		return cifarPlace{name, &index.files[i].span}
	}
	if len(index.inner) > 0 {
		return l, nil
	}
	if of, err := l.cifar(name, fsys, inside); of != nil || err != nil {
		return of, errors.Join(err, f.Close())
	}
	return l, nil
}

// published are the sizes of ILSVRC2012's tars in bytes.
var published = map[string]int64{
	"ILSVRC2012_img_train.tar": 147_897_477_120,
	"ILSVRC2012_img_val.tar":   6_744_924_160,
}

// ofPublished adds to what is wrong with a tar how many bytes it lacks, where its name tells how many it should have.
func ofPublished(name string, size int64, err error) error {
	if whole := published[filepath.Base(name)]; size < whole {
		return fmt.Errorf("%w; it has %s of the %s bytes that were published: %s are missing", err,
			text.Grouped(size), text.Grouped(whole), text.Grouped(whole-size))
	}
	return err
}

// publishedEnds tells whether one of ILSVRC2012's tars, of its very size, has zeros for its last files: these end at
// last. Of other tars the end is not known so well (maxTarRest).
func publishedEnds(name string, last, size int64) error {
	const record = 20 * tarBlock // to which GNU tar fills up the two blocks of the end mark
	if size != published[filepath.Base(name)] || size-last < 2*tarBlock+record {
		return nil
	}
	return fmt.Errorf("%w: its files end at byte %s, and %s bytes follow", errHole, text.Grouped(last),
		text.Grouped(size-last))
}

// listing is what was found in the file root as a listing, with the places of the pictures by their numbers. aside
// reads a file that is no picture.
func (x *tarIndex) listing(root string, store Store, aside func(m member) ([]byte, error)) (
	*listing, []extent, error,
) {
	if len(x.inner) > 0 {
		return x.ofTars(root, store, aside)
	}
	names, jsons, err := x.samples(root)
	if err != nil {
		return nil, nil, err
	}
	notes := slices.Clone(slices.DeleteFunc(x.aside, func(m member) bool { return !noteworthy(m.name) }))
	l := &listing{
		kind: Tar, files: make([]Record, len(x.files)), dirs: x.dirs, nowhere: x.nowhere, circles: x.circles,
		store: store, leftovers: x.leftovers,
		aside: func(name string) ([]byte, error) {
			i := slices.IndexFunc(notes, func(m member) bool { return m.name == name })
			if i < 0 {
				return nil, fs.ErrNotExist
			}
			return aside(notes[i])
		},
	}
	if len(x.tars) > 0 {
		l.form = "a tar of a tar for each class"
	}
	for _, m := range notes {
		l.notes = append(l.notes, m.name)
	}
	spans := make([]extent, len(x.files))
	for i, m := range x.files {
		l.files[i], spans[i] = Record{Name: m.name, File: x.inTars(m.name), Number: int32(i)}, m.span
		if names != nil {
			l.files[i].Name, l.files[i].File = names[i], cmp.Or(l.files[i].File, m.name)
		}
	}
	if names != nil {
		l.named, l.webdataset, l.dirs, l.form = true, true, nil, "a WebDataset tar"
		l.samples = sampleNotes(jsons, aside)
		shard, _ := stem(filepath.Base(root))
		l.apart = func(i int) string { // keys may begin anew in each shard
			class, key, _ := strings.Cut(names[i], "/")
			return path.Join(class, shard, key)
		}
	}
	return l, spans, nil
}

// Reasons why a tar is refused before or after its entries were read.
var (
	errNoEnd    = errors.New("no end mark")
	errSparse   = errors.New("a sparse file")
	errHole     = errors.New("an end mark before the end")
	errLongName = fmt.Errorf("it has a name longer than %d bytes", maxTarName)
	errDeep     = fmt.Errorf("it has a name of more than %d folders", maxTarDepth)
)

// maxTarName is how long a name in a tar may be: longer ones could not be unpacked, and to take them apart, folder by
// folder, takes the square of their length.
const maxTarName = 4096

// maxTarDepth is how deep a file in a tar may lie: a level may take a hundred times the two bytes of its name.
const maxTarDepth = 64

// tarError says what is wrong with the file in the user's words.
func tarError(name string, err error) error {
	e := &SourceError{Path: name, Problem: NotRead, Err: err}
	switch {
	case errors.Is(err, errSparse):
		e.Problem, e.Err = Sparse, nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errNoEnd):
		e.Problem = CutOff
	case errors.Is(err, errHole):
		e.Problem = Hole
	case errors.Is(err, tar.ErrHeader):
		e.Problem = NoTar
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, new(flate.CorruptInputError)):
		e.Problem = Damaged
	}
	return e
}

// tarIndex is what one pass over a tar's headers finds.
type tarIndex struct {
	files []member
	aside []member // what is hidden, or by its name no picture: links may lead there
	dirs  []string
	links []tarLink

	labels map[int64]string // of a WebDataset, by where in the tar they begin

	nowhere, circles []string // as in listing

	// meet is told of each entry, with what is in it, while there is nothing else to read that by; or nil.
	meet      func(h *tar.Header, m member, content io.Reader) error
	leftovers leftovers
	size      int64             // of the file
	last      int64             // where its last entry ends
	tars      map[string]string // the tars in it that the files are in, by what is put before the names of these
	inner     []innerTar
}

// member is a file that may be a picture.
type member struct {
	name string
	span extent
}

func (x *tarIndex) read(ctx context.Context, f files.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if x.size = size; size == 0 {
		return errors.New("empty file")
	}
	if err := x.scan(ctx, f, "", extent{0, size}); err != nil {
		return err
	}
	if err := x.readInner(ctx, f, tarsDeep); err != nil {
		return err
	}
	return x.settle(ctx)
}

// finish makes of all entries what there would be, were they unpacked.
func (x *tarIndex) finish(ctx context.Context) error {
	runs := slices.ContainsFunc(x.aside, func(m member) bool {
		match, _ := path.Match(runsFolder+"/*/"+runsFile, m.name) // a sound pattern
		return match
	})
	if len(x.links) == 0 {
		x.dedupe()
	} else if err := x.follow(ctx); err != nil {
		return err
	}
	if runs {
		x.files = slices.DeleteFunc(x.files, func(m member) bool { return strings.HasPrefix(m.name, runsFolder+"/") })
		x.dirs = slices.DeleteFunc(x.dirs, func(d string) bool { return strings.HasPrefix(d+"/", runsFolder+"/") })
	}
	return nil
}

// scan goes over the headers of a tar that lies somewhere in the file, and puts prefix before its names.
func (x *tarIndex) scan(ctx context.Context, f files.File, prefix string, span extent) error {
	part := io.NewSectionReader(f, span.off, span.size)
	last, err := x.headers(ctx, part, prefix, span.off+span.size, func() (int64, error) {
		off, err := part.Seek(0, io.SeekCurrent)
		return span.off + off, err
	})
	if err != nil {
		return err
	}
	if prefix == "" {
		x.last = last
	}
	return ends(max(last, span.off), span.off+span.size)
}

// headers goes over the headers of a tar, and puts prefix before its names. at is where in the file in stands, end is
// where the tar ends at the latest, last where its last entry ends, filled up to a whole block; 0: it has none.
func (x *tarIndex) headers(
	ctx context.Context, in io.Reader, prefix string, end int64, at func() (int64, error),
) (last int64, err error) {
	r := tar.NewReader(in)
	for ctx.Err() == nil {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		// The reader takes whole blocks and no more, so it stands where the contents begin.
		off, err := at()
		if err != nil {
			return 0, err
		}
		last = off
		if len(prefix)+len(h.Name) > maxTarName || len(h.Linkname) > maxTarName {
			return 0, errLongName
		}
		name := inTar(h.Name)
		if name != "" {
			name = prefix + name
		}
		if strings.Count(name, "/") > maxTarDepth {
			return 0, errDeep
		}
		if h.Typeflag == tar.TypeReg {
			if h.Size < 0 || h.Size > end-off { // before it is rounded up: it may be any number
				return 0, fmt.Errorf("%s in it lacks %s of its %s bytes: %w", text.Name(name),
					text.Grouped(h.Size-(end-off)), text.Grouped(h.Size), io.ErrUnexpectedEOF)
			}
			last += (h.Size + tarBlock - 1) / tarBlock * tarBlock
		}
		if sparse(h) {
			return 0, errSparse
		}
		if _, ext := sampleKey(name); ext == wdsLabel && h.Typeflag == tar.TypeReg && h.Size <= maxLabelBytes {
			label := make([]byte, h.Size)
			if _, err := io.ReadFull(r, label); err != nil {
				return 0, err
			}
			if x.labels == nil {
				x.labels = map[int64]string{}
			}
			x.labels[off] = string(label)
		}
		x.add(h, name, off)
		if x.meet == nil {
			continue
		}
		if err := x.meet(h, member{name, extent{off, h.Size}}, r); err != nil {
			return 0, err
		}
	}
	return last, ctx.Err()
}

// inTar is a name in a tar as one from its top on, wherever else it would lead; "" is the top.
func inTar(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// ends looks at what follows the last entry of a tar, which ends at last, up to the end.
func ends(last, end int64) error {
	if end < last+tarBlock {
		return errNoEnd
	}
	if rest := end - last; rest > maxTarRest {
		return fmt.Errorf("%w: its files end at byte %s, and %s bytes follow", errHole, text.Grouped(last),
			text.Grouped(rest))
	}
	return nil
}

// maxTarRest is how much may follow the last entry: tars are filled up to whole records, of 10 kB most often, of 1 MB
// on some tapes. More is a hole of zeros, as downloads that were taken up at the wrong place have it, or another tar.
const maxTarRest = 2 << 20

// tarsDeep is how deep tars may lie in tars: ILSVRC2012_img_train.tar, of a tar for each class, in another.
const tarsDeep = 2

// innerTar is a tar in a tar.
type innerTar struct {
	name  string
	index *tarIndex
	err   error // why it cannot be read
}

// readInner reads the tars in a tar that holds nothing else, and those in these, so deep. As nothing is compressed,
// each picture is one piece of the outer file.
func (x *tarIndex) readInner(ctx context.Context, f files.File, deep int) error {
	if deep == 0 || len(x.files)+len(x.links) > 0 {
		return nil
	}
	for _, m := range x.aside {
		if inHidden(m.name) || !isTar(m.name) {
			continue
		}
		of := &tarIndex{}
		err := of.scan(ctx, f, "", m.span)
		if err == nil {
			err = of.readInner(ctx, f, deep-1)
		}
		if err != nil {
			return fmt.Errorf("%s in it: %w", text.Name(m.name), err)
		}
		x.inner = append(x.inner, innerTar{name: m.name, index: of})
	}
	return nil
}

// hold notes that the files whose names begin so are in a tar in the tar.
func (x *tarIndex) hold(prefix, name string) {
	if x.tars == nil {
		x.tars = map[string]string{}
	}
	x.tars[prefix] = name
}

// inTars is where a file lies that is in a tar in the tar, as a path: n01440764.tar/n01440764_10026.JPEG; of others "".
func (x *tarIndex) inTars(name string) string {
	end := 0
	for range 2 { // the class, perhaps after the part
		slash := strings.IndexByte(name[end:], '/')
		if end += slash + 1; slash < 0 {
			break
		}
		if holds, is := x.tars[name[:end]]; is {
			return holds + "/" + name[end:]
		}
	}
	return ""
}

func isTar(name string) bool { return strings.EqualFold(path.Ext(name), ".tar") }

// settle makes class folders of tars for ILSVRC2012's classes, as that of its training pictures has them, and of others
// what each would be by itself. Where there are pictures beside tars nobody wants these.
func (x *tarIndex) settle(ctx context.Context) error {
	if len(x.files)+len(x.links) > 0 {
		x.inner = nil
	}
	last := map[string]int{} // of several of one name it counts, as tar unpacks it
	for i, in := range x.inner {
		if in.err != nil {
			return fmt.Errorf("%s in it: %w", text.Name(in.name), in.err)
		}
		last[in.name] = i
	}
	kept, wnids := x.inner[:0], true
	for i, in := range x.inner {
		if last[in.name] != i {
			continue
		}
		kept = append(kept, in)
		_, known := imagenet.Place(classOfTar(in.name))
		part, is := partOf(path.Dir(in.name))
		wnids = wnids && known && (!is || part == TrainPart)
	}
	x.inner = kept
	for i, in := range x.inner {
		for _, m := range slices.Concat(in.index.files, in.index.aside) {
			if len(in.name)+len(m.name) > maxTarName {
				return errLongName
			}
		}
		if wnids {
			prefix := string(TrainPart) + "/" + classOfTar(in.name) + "/"
			x.hold(prefix, in.name)
			x.flatten(prefix, in.index)
			x.inner[i].index = nil
		} else if err := in.index.settle(ctx); err != nil {
			return err
		}
	}
	if wnids {
		x.inner = nil
	}
	return x.finish(ctx)
}

// flatten takes what another index has, under names with a prefix. Where a link leads to a name from the root of its
// tar on, as each hard link does, that root is a folder now.
func (x *tarIndex) flatten(prefix string, of *tarIndex) {
	for _, m := range of.files {
		x.files = append(x.files, member{prefix + m.name, m.span})
	}
	for _, m := range of.aside {
		x.aside = append(x.aside, member{prefix + m.name, m.span})
	}
	for _, l := range of.links {
		if strings.HasPrefix(l.target, "/") {
			l.target = "/" + prefix + strings.TrimLeft(l.target, "/")
		}
		x.links = append(x.links, tarLink{prefix + l.name, l.target, l.off})
	}
	x.dirs = append(x.dirs, prefixed(prefix, of.dirs)...)
	if x.labels == nil {
		x.labels = map[int64]string{}
	}
	maps.Copy(x.labels, of.labels)
	for kind, n := range of.leftovers {
		x.leftovers.add(kind, n)
	}
}

// ofTars is the listing of tars in a tar: as if they lay in a folder.
func (x *tarIndex) ofTars(root string, store Store, aside func(m member) ([]byte, error)) (*listing, []extent, error) {
	inner, outer := map[string]*tarIndex{}, *x
	var names []string
	for _, in := range x.inner {
		names = append(names, in.name)
		inner[in.name] = in.index
	}
	outer.inner = nil
	l, _, err := outer.listing(root, noStore{}, aside)
	if err != nil {
		return nil, nil, err
	}
	var spans []extent // numbers go from one tar to the next
	whole, err := l.join(root, names, func(name string) (*listing, error) {
		of, at, err := inner[name].listing(root, noStore{}, aside)
		spans = append(spans, at...)
		return of, err
	})
	if err != nil {
		return nil, nil, err
	}
	whole.store, whole.form = store, "a tar of tars"
	return whole, spans, nil
}

// noStore stands for the store of a file for what lies in it.
type noStore struct{}

func (noStore) Read(context.Context, int, []byte) ([]byte, error) { return nil, fs.ErrNotExist }
func (noStore) Close() error                                      { return nil }

// classOfTar is the class that a tar for one class has the name of.
func classOfTar(name string) string {
	class, _ := stem(path.Base(name))
	return class
}

// sparse tells whether the entry's contents have holes, so that they do not lie in the tar as one piece.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// add puts one entry into the index.
func (x *tarIndex) add(h *tar.Header, name string, off int64) {
	if name == "" {
		return
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if !inHidden(name) {
			x.dirs = append(x.dirs, name)
		}
	case tar.TypeReg:
		x.leftovers.left(name)
		if m := (member{name, extent{off, h.Size}}); noPicture(name) || inHidden(name) {
			x.aside = append(x.aside, m)
		} else {
			x.files = append(x.files, m)
		}
	case tar.TypeLink:
		x.links = append(x.links, tarLink{name, path.Clean("/" + h.Linkname), off})
	case tar.TypeSymlink:
		x.links = append(x.links, tarLink{name, h.Linkname, off})
	}
}

// inHidden tells whether a file or a folder that it lies in is hidden.
func inHidden(name string) bool {
	for ; name != "." && name != ""; name = path.Dir(name) {
		if hidden(name) {
			return true
		}
	}
	return false
}

// dedupe keeps the last of several entries of one name, as tar does when it unpacks.
func (x *tarIndex) dedupe() {
	slices.SortFunc(x.files, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(b.span.off, a.span.off))
	})
	x.files = slices.CompactFunc(x.files, func(a, b member) bool { return a.name == b.name })
}
