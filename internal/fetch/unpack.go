package fetch

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

// Bounds of an archive. Pictures hardly shrink.
const (
	usualGrowth = 1.2 // bytes unpacked for each of the archive: more than any of the sets known by name has

	maxGrowth  = 20       // bytes unpacked for each of the archive ...
	freeGrowth = 64 << 20 // ... besides these
	maxEntries = 5_000_000
)

// BadArchive says why an archive is not unpacked.
type BadArchive struct {
	Name string // of the entry; empty: the archive itself
	Why  string
}

func (e *BadArchive) Error() string {
	if e.Name == "" {
		return "the archive " + e.Why
	}
	return fmt.Sprintf("the archive is not unpacked: %s %s", text.Name(e.Name), e.Why)
}

// unpacker writes an archive's entries below a folder.
type unpacker struct {
	ctx  context.Context //nolint:containedctx // it lives for one call
	fsys files.FS
	dir  string
	made map[string]bool // folders
	n    int             // files
	left int64           // bytes that may still be written
	read func() int64    // bytes of the archive so far
	all  int64
	o    *Options
}

// unpack puts the archive's files below dir, which is new, and tells how many there are.
func unpack(ctx context.Context, archive, dir string, o Options) (int, error) {
	f, err := o.Files.Open(archive)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	u := &unpacker{
		ctx: ctx, fsys: o.Files, dir: dir, made: map[string]bool{}, all: info.Size(), o: &o,
		left: freeGrowth + maxGrowth*info.Size(),
	}
	if err := o.Files.Mkdir(dir, 0o777); err != nil {
		return 0, err
	}
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		err = u.zip(f)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		err = u.gzip(f)
	case len(head) == 512 && string(head[257:262]) == "ustar":
		err = u.tar(u.counted(f))
	default:
		err = &BadArchive{Why: "is neither a tar, a .tar.gz nor a zip"}
	}
	if err == nil && u.n == 0 {
		err = &BadArchive{Why: "holds no files"}
	}
	return u.n, err
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (u *unpacker) counted(r io.Reader) io.Reader {
	c := &counter{r: r}
	u.read = func() int64 { return c.n }
	return c
}

func (u *unpacker) gzip(f io.Reader) error {
	z, err := gzip.NewReader(bufio.NewReaderSize(u.counted(f), 1<<20))
	if err != nil {
		return broken(err)
	}
	if err := u.tar(z); err != nil {
		return err
	}
	return u.copy(io.Discard, z) // up to the checksum
}

// broken is what a decoder says of an archive, as its fault.
func broken(err error) error {
	var path *fs.PathError
	switch {
	case err == nil, errors.As(err, &path):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &BadArchive{Why: "ends early"}
	}
	return &BadArchive{Why: fmt.Sprintf("is damaged: %v", err)}
}

func (u *unpacker) tar(r io.Reader) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return broken(err)
		case h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag == tar.TypeDir:
			if err := u.entry(h.Name, true, nil); err != nil {
				return err
			}
		case h.Typeflag != tar.TypeReg:
			return &BadArchive{h.Name, "is a link or a device"}
		default:
			if err := u.entry(h.Name, false, t); err != nil {
				return err
			}
		}
	}
}

func (u *unpacker) zip(f files.File) error {
	z, err := zip.NewReader(f, u.all)
	if err != nil {
		return broken(err)
	}
	done := int64(0)
	u.read = func() int64 { return done }
	for _, e := range z.File {
		if !e.Mode().IsDir() && !e.Mode().IsRegular() {
			return &BadArchive{e.Name, "is a link or a device"}
		}
		r, err := e.Open()
		if err != nil {
			return broken(err)
		}
		err = u.entry(e.Name, e.Mode().IsDir(), r)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		done += int64(min(e.CompressedSize64, uint64(u.all)))
	}
	return nil
}

// entry writes one file or folder.
func (u *unpacker) entry(name string, dir bool, content io.Reader) error {
	if err := context.Cause(u.ctx); err != nil {
		return err
	}
	local := filepath.FromSlash(strings.TrimPrefix(name, "./"))
	if strings.TrimSuffix(local, string(filepath.Separator)) == "" || local == "." {
		return nil // the folder itself
	}
	if !filepath.IsLocal(local) {
		return &BadArchive{name, "would lie outside the folder"}
	}
	path := filepath.Join(u.dir, local)
	if dir {
		return u.folder(path)
	}
	if err := u.folder(filepath.Dir(path)); err != nil {
		return err
	}
	if u.n++; u.n > maxEntries {
		return &BadArchive{Why: fmt.Sprintf("holds more than %d files", maxEntries)}
	}
	f, err := create(u.fsys, path)
	if errors.Is(err, fs.ErrExist) {
		return &BadArchive{name, "is there twice"}
	}
	if err != nil {
		return err
	}
	return errors.Join(u.copy(f, content), f.Close())
}

// syncTree makes a folder durable with all that is in it: at once where the system can, else file by file.
func syncTree(ctx context.Context, fsys files.FS, dir string) error {
	if s, ok := fsys.(files.Syncer); ok {
		if err := s.SyncAll(dir); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	items, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, item := range items {
		path := filepath.Join(dir, item.Name())
		if err = context.Cause(ctx); err == nil && item.IsDir() {
			err = syncTree(ctx, fsys, path)
		} else if err == nil {
			err = syncFile(fsys, path)
		}
		if err != nil {
			return err
		}
	}
	return fsys.SyncDir(dir)
}

func syncFile(fsys files.FS, path string) error {
	f, err := files.OpenOwn(fsys, path, os.O_RDWR, 0) // not all systems sync what is open for reading only
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// folder makes a folder once.
func (u *unpacker) folder(path string) error {
	if u.made[path] {
		return nil
	}
	if _, err := files.MkdirAll(u.fsys, path); err != nil {
		return err
	}
	u.made[path] = true
	return nil
}

// copy writes a file's content, as long as there may be so much.
func (u *unpacker) copy(f io.Writer, content io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := content.Read(buf)
		if u.left -= int64(n); u.left < 0 {
			return &BadArchive{Why: fmt.Sprintf("grows to more than %d times its size", maxGrowth)}
		}
		if n > 0 {
			if _, err := f.Write(buf[:n]); err != nil {
				return err
			}
		}
		u.o.progress(Unpacking, u.read(), u.all)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err := errors.Join(broken(err), context.Cause(u.ctx)); err != nil {
			return err
		}
	}
}
