package data

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

// zipped is a store of a zip. Its list of files, at its end, says where each begins; but what is in them is compressed
// in most zips, so they too are read in order, once for a set that is prepared. The offsets of the spans are the files'
// places in that list, from 1 on, and the sizes what it says.
type zipped struct{ packed }

// through passes every picture in the order of the zip's list; raw is nil where there is no file for it, of which Read
// gives the reason.
func (s *zipped) through(r *reader, each func(number int, raw []byte) error) error {
	from := s.watch(r.crew.ctx)
	from.by = r
	if fault := from.check(); fault != nil {
		return fault
	}
	z, err := openZip(from)
	if err != nil {
		return s.fault(from, err)
	}
	order := s.order()
	var buf bytes.Buffer
	for k := 0; k < len(order); {
		place, raw := s.spans[order[k]].off, []byte(nil)
		if place > int64(len(z.File)) {
			return s.fault(from, zip.ErrFormat)
		}
		buf.Reset()
		err := unzip(z.File[place-1], &buf)
		if err == nil {
			raw = buf.Bytes()
		}
		for ; k < len(order) && s.spans[order[k]].off == place; k++ { // links are more names of one file
			if err != nil {
				if from.ctx.Err() != nil || from.failed != nil || from.check() != nil {
					return s.fault(from, err)
				}
				s.blame(order[k], flaw(err.Error()))
			}
			if err := each(order[k], raw); err != nil {
				return err
			}
		}
	}
	if fault := from.check(); fault != nil {
		return fault
	}
	return from.ctx.Err()
}

// unzip unpacks a file.
func unzip(e *zip.File, buf *bytes.Buffer) error {
	if e.UncompressedSize64 > maxFile {
		return errTooLong
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	n, err := buf.ReadFrom(io.LimitReader(r, maxFile+1))
	if n > maxFile {
		return errTooLong
	}
	return err
}

// openZip reads a zip's list of files, which may take a third of the zip and 2 MB: it is kept in some five times its
// bytes, and no picture is so small that its name takes half as much as itself.
func openZip(w *watched) (*zip.Reader, error) {
	bounded := &listReader{watched: w, left: w.size/3 + 2<<20}
	z, err := zip.NewReader(bounded, w.size)
	bounded.left = -1 // read what you like
	if errors.Is(err, zip.ErrInsecurePath) {
		err = nil // names lead nowhere outside, because nothing is unpacked
	}
	if err != nil {
		return nil, err
	}
	in := &inflater{buf: bufio.NewReaderSize(nil, int(min(zipAhead, w.size)))}
	z.RegisterDecompressor(zip.Deflate, in.begin)
	return z, nil
}

// zipAhead is how much of a compressed file is read at once.
const zipAhead = 128 << 10

// inflater unpacks the files of a zip, one after the other.
type inflater struct {
	buf *bufio.Reader
	out io.ReadCloser
}

// begin ends what was unpacked before.
func (d *inflater) begin(r io.Reader) io.ReadCloser {
	d.buf.Reset(r)
	if d.out == nil {
		d.out = flate.NewReader(d.buf)
	} else {
		_ = d.out.(flate.Resetter).Reset(d.buf, nil) // fails never
	}
	return d.out
}

// listReader is a file of which only so much is read.
type listReader struct {
	*watched
	left int64 // negative: any
}

var errLongList = errors.New("its list of files is longer than a zip of its size could have for pictures")

func (r *listReader) ReadAt(p []byte, off int64) (int, error) {
	if r.left >= 0 {
		if r.left -= int64(len(p)); r.left < 0 {
			return 0, errLongList
		}
	}
	return r.watched.ReadAt(p, off)
}

// listZip lists a zip by its own list. Where it holds no pictures but tars, as Kaggle's does, these are listed as if
// they lay in a folder. through says that they may be read through for that.
func listZip(ctx context.Context, fsys files.Reader, name string, through bool) (*listing, error) {
	store := &zipped{}
	if err := store.open(fsys, name); err != nil {
		return nil, err
	}
	from := store.watch(ctx)
	fail := func(err error) (*listing, error) {
		if other := store.trouble(from); other != nil {
			err = other
		} else if !errors.As(err, new(*SourceError)) {
			err = &SourceError{Path: name, Problem: OtherZip, Err: err}
		}
		return nil, errors.Join(err, store.Close())
	}
	z, err := openZip(from)
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = &SourceError{Path: name, Problem: Damaged, Err: errors.New("the list of files at its end is not whole")}
	}
	if err != nil {
		return fail(err)
	}
	if arrays(z) {
		return fail(&SourceError{Path: name, Problem: OtherForm, Detail: string(NumPy)})
	}
	if !through {
		return fail(&SourceError{Path: name, Problem: OnlyThrough})
	}
	var index tarIndex
	if err := index.zip(z); err != nil {
		return fail(err)
	}
	if err := index.finish(ctx); err != nil {
		return fail(err)
	}
	l, spans, err := index.listing(name, store, func(m member) ([]byte, error) {
		if m.span.size > maxNote {
			return nil, fmt.Errorf("is larger than %s", text.Bytes(maxNote))
		}
		var buf bytes.Buffer
		err := unzip(z.File[m.span.off-1], &buf)
		return buf.Bytes(), err
	})
	if err != nil {
		return fail(err)
	}
	store.spans = spans
	return l.withArchives(name, func(inside string) (*listing, error) {
		if ext := strings.ToLower(path.Ext(inside)); ext == ".parquet" || ext == ".zip" {
			return nil, &SourceError{Path: name, Problem: Packed, Detail: inside}
		}
		at := slices.IndexFunc(z.File, func(e *zip.File) bool { return inTar(slashed(e.Name)) == inside })
		return listInZip(ctx, fsys, name, inside, at)
	})
}

// listInZip lists a tar in a zip, file number i of its list, compressed by itself or not.
func listInZip(ctx context.Context, fsys files.Reader, name, inside string, i int) (*listing, error) {
	s, err := openStream(fsys, name, func(w *watched) (io.ReadCloser, error) {
		z, err := openZip(w)
		if err != nil {
			return nil, err
		}
		if i < 0 || i >= len(z.File) { // a link, or not the zip that it was
			return nil, zip.ErrFormat
		}
		e, err := z.File[i].Open()
		if err != nil {
			return nil, err
		}
		return newNested(e)
	})
	if err != nil {
		return nil, err
	}
	l, err := (*listing)(nil), s.sniff(ctx)
	if err == nil {
		l, err = s.list(ctx)
	}
	if err != nil {
		if e := (*SourceError)(nil); errors.As(err, &e) && e.Problem == Compressed {
			e.Problem, e.Detail, e.Err = OtherZip, "", fmt.Errorf("%s in it is no tar", text.Name(inside))
		} else if e != nil {
			e.Err = fmt.Errorf("%s in it: %w", text.Name(inside), cmp.Or(e.Err, errors.New(e.Why())))
		}
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

// nested is what is unpacked of a file in a zip, and unpacked again where gzip made that.
type nested struct {
	io.Reader
	entry io.ReadCloser
	whole io.Reader // of the entry, whose own checksum comes at its end
}

func newNested(entry io.ReadCloser) (*nested, error) {
	whole := bufio.NewReaderSize(entry, zipAhead)
	n := &nested{whole, entry, whole}
	if head, _ := whole.Peek(2); string(head) == gzipMagic { // whatever fails does so again when it is read
		z, err := gzip.NewReader(whole)
		if err != nil {
			return nil, errors.Join(err, entry.Close())
		}
		n.Reader = z
	}
	return n, nil
}

func (n *nested) Read(p []byte) (int, error) {
	k, err := n.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		if _, failed := io.Copy(io.Discard, n.whole); failed != nil {
			err = failed
		}
	}
	return k, err
}

func (n *nested) Close() error { return n.entry.Close() }

// arrays tells whether a zip holds arrays of NumPy and nothing else, as that of downsampled ImageNet does.
func arrays(z *zip.Reader) bool {
	return len(z.File) > 0 && !slices.ContainsFunc(z.File, func(e *zip.File) bool { return path.Ext(e.Name) != ".npy" })
}

// slashed is a name in a zip. Some programs write it with the slashes of Windows.
func slashed(name string) string {
	if !strings.Contains(name, "/") {
		return strings.ReplaceAll(name, `\`, "/")
	}
	return name
}

// zip takes the entries of a zip for those of a tar.
func (x *tarIndex) zip(z *zip.Reader) error {
	for i, e := range z.File {
		if len(e.Name) > maxTarName {
			return errLongName
		}
		name := inTar(slashed(e.Name))
		if strings.Count(name, "/") > maxTarDepth {
			return errDeep
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Size: int64(min(e.UncompressedSize64, maxFile+1))}
		switch mode := e.Mode(); {
		case mode.IsDir() || strings.HasSuffix(slashed(e.Name), "/"):
			h.Typeflag = tar.TypeDir
		case mode&fs.ModeSymlink != 0:
			var target bytes.Buffer
			if e.UncompressedSize64 > maxTarName {
				return errLongName
			}
			if err := unzip(e, &target); err != nil {
				return fmt.Errorf("the link %s: %w", text.Name(name), err)
			}
			h.Typeflag, h.Linkname = tar.TypeSymlink, target.String()
		case !mode.IsRegular():
			continue
		case noPicture(name) && !noteworthy(name):
		case e.Flags&1 != 0:
			return fmt.Errorf("%s in it is encrypted", text.Name(name))
		case e.Method != zip.Store && e.Method != zip.Deflate:
			return fmt.Errorf("%s in it is compressed with method %d, only stored and deflated files are read",
				text.Name(name), e.Method)
		}
		x.add(h, name, int64(i)+1)
	}
	return nil
}
