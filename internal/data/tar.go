package data

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"alexnet/internal/data/picture"
	"alexnet/internal/files"
)

// tarStore reads pictures inside a tar by their offsets. It is never unpacked.
type tarStore struct {
	f     files.File
	spans []extent // by number
}

// extent is where in a tar a file's contents lie.
type extent struct{ off, size int64 }

// Read fails for the tar's sake, a file that is too long excepted: what was there when the tar was opened must be there
// still.
func (s *tarStore) Read(_ context.Context, i int, buf []byte) ([]byte, error) {
	raw, err := readAt(s.f, s.spans[i].off, s.spans[i].size, buf)
	if err != nil && !errors.Is(err, errTooLong) {
		return nil, &SourceFault{Path: s.f.Name(), Err: err}
	}
	return raw, err
}

func (s *tarStore) Close() error { return s.f.Close() }

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
		head := make([]byte, 16)
		n, _ := f.ReadAt(head, 0) // what cannot be read is not a picture either
		f.Close()                 //nolint:errcheck // only read
		if format := picture.Format(head[:n]); format != "" {
			return nil, &SourceError{Path: name, Problem: OnePicture, Detail: format}
		}
		return nil, tarError(name, err)
	}
	store := &tarStore{f: f, spans: make([]extent, len(index.files))}
	l := &listing{kind: Tar, files: make([]Record, len(index.files)), dirs: index.dirs, store: store}
	for i, m := range index.files {
		l.files[i], store.spans[i] = Record{Name: m.name, Number: int32(i)}, m.span
	}
	return l, nil
}

// Reasons why a tar is refused before or after its entries were read.
var (
	errCompressed = errors.New("compressed")
	errNoEnd      = errors.New("no end mark")
	errSparse     = errors.New("a sparse file")
)

// tarError says what is wrong with the file in the user's words.
func tarError(name string, err error) error {
	e := &SourceError{Path: name, Problem: NotRead, Err: err}
	switch {
	case errors.Is(err, errCompressed):
		e.Problem, e.Err = Compressed, nil
	case errors.Is(err, errSparse):
		e.Problem, e.Err = Sparse, nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errNoEnd):
		e.Problem = CutOff
	case errors.Is(err, tar.ErrHeader):
		e.Problem = NoTar
	}
	return e
}

// tarIndex is what one pass over a tar's headers finds.
type tarIndex struct {
	files []member
	dirs  []string
	links [][2]string // hard links: name, target
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
	if err := sniffTar(f, size); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	end := int64(0) // of the last entry, filled up to a whole block
	r := tar.NewReader(f)
	for ctx.Err() == nil {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		// The reader takes whole blocks and no more, so the file stands where the contents begin.
		off, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		end = off
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag == tar.TypeReg {
			end += (h.Size + tarBlock - 1) / tarBlock * tarBlock
		}
		if sparse(h) {
			return errSparse
		}
		x.add(h, name, off)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if size < end+tarBlock {
		return errNoEnd
	}
	x.resolve()
	x.dedupe()
	return nil
}

// sniffTar looks at the first bytes, for a better answer than "invalid header".
func sniffTar(f files.File, size int64) error {
	if size == 0 {
		return errors.New("empty file")
	}
	head := make([]byte, 8)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	// gzip, bzip2, xz, zstd, zip
	for _, magic := range []string{"\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "PK\x03\x04"} {
		if bytes.HasPrefix(head[:n], []byte(magic)) {
			return errCompressed
		}
	}
	return nil
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
	for dir := name; dir != "." && dir != ""; dir = path.Dir(dir) {
		if hidden(dir) {
			return
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if name != "" {
			x.dirs = append(x.dirs, name)
		}
	case tar.TypeReg:
		if !noPicture(name) {
			x.files = append(x.files, member{name, extent{off, h.Size}})
		}
	case tar.TypeLink:
		if !noPicture(name) {
			x.links = append(x.links, [2]string{name, strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")})
		}
	}
}

// resolve gives hard links the contents of their targets.
func (x *tarIndex) resolve() {
	if len(x.links) == 0 {
		return
	}
	at := make(map[string]extent, len(x.files))
	for _, m := range x.files {
		at[m.name] = m.span
	}
	for _, link := range x.links {
		if s, ok := at[link[1]]; ok {
			x.files = append(x.files, member{link[0], s})
		}
	}
}

// dedupe keeps the last of several entries of one name, as tar does when it unpacks.
func (x *tarIndex) dedupe() {
	slices.SortFunc(x.files, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(b.span.off, a.span.off))
	})
	x.files = slices.CompactFunc(x.files, func(a, b member) bool { return a.name == b.name })
}
