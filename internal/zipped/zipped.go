// Package zipped reads the files in a zip that hold weights: PyTorch's .pth and NumPy's .npz. A stored one can be read
// anywhere, and of whatever was read whole the CRC-32 was held to what the zip says. archive/zip reads the zip; what is
// added is that a zip's list is no longer than fits its size, and that a checksum is looked at for stored files read in
// parts too. It imports tensor, for its errors, and text, to word them.
package zipped

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
	"sync"

	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Archive is an open zip.
type Archive struct {
	Members []*Member // in the order of the zip's list, without folders
	// Unchecked tells that the zip has no checksums: all of them are 0, as PyTorch writes them where it is told to.
	Unchecked bool

	byName map[string]*Member
}

// Member is a file in a zip. Goroutines may read it at once.
type Member struct {
	Name   string
	Size   int64 // unpacked
	Stored bool  // not compressed

	zip       *zip.File
	r         io.ReaderAt
	fileSize  int64
	unchecked bool

	once sync.Once
	sum  error // that Verify found
}

// longest is how many bytes a zip's list may have: that of 2,000 tensors, and of more in a large zip. An entry of 46
// bytes is kept in some 600, here and in archive/zip.
func longest(size int64) int64 { return 256<<10 + size/20 }

// inflates is how many bytes deflate makes of one at most.
const inflates = 1032

// Open reads the list of a zip of size bytes. What is wrong with it is a *tensor.BadFile, without a path.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	entries, err := list(r, size)
	if err != nil {
		return nil, err
	}
	a := &Archive{Unchecked: true, byName: map[string]*Member{}}
	left := uint64(size)
	for _, f := range entries {
		if strings.HasSuffix(f.Name, "/") { // a folder
			continue
		}
		m := &Member{
			Name: f.Name, Size: int64(f.UncompressedSize64), Stored: f.Method == zip.Store,
			zip: f, r: r, fileSize: size,
		}
		if err := m.check(); err != nil {
			return nil, err
		}
		if f.CompressedSize64 > left { // or one could be read again and again under many names
			return nil, tensor.Damaged("the files in the zip are longer than it is")
		}
		left -= f.CompressedSize64
		if a.byName[m.Name] != nil {
			return nil, tensor.Damaged("%s is in the zip twice", m.Name)
		}
		a.byName[m.Name] = m
		a.Members = append(a.Members, m)
		a.Unchecked = a.Unchecked && f.CRC32 == 0
	}
	if len(a.Members) == 0 {
		return nil, tensor.Damaged("cut short or damaged: a zip without files")
	}
	for _, m := range a.Members {
		m.unchecked = a.Unchecked
	}
	return a, nil
}

// list is what the zip says of its files.
func list(r io.ReaderAt, size int64) ([]*zip.File, error) {
	b := &bounded{r: r, left: longest(size)}
	z, err := zip.NewReader(b, size)
	b.opened = true
	switch {
	case err == nil, errors.Is(err, zip.ErrInsecurePath): // names lead nowhere, because nothing is unpacked
		return z.File, nil
	case errors.Is(err, errLongList):
		return nil, tensor.Damaged("its list of files is longer than %d bytes", longest(size))
	case errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, tensor.Damaged("cut short or damaged: a zip without its list of files")
	}
	return nil, err
}

// check holds what the list says of a file to the zip's size.
func (m *Member) check() error {
	packed := m.zip.CompressedSize64
	switch {
	case m.zip.Flags&1 != 0:
		return tensor.Damaged("%s is encrypted", m.Name)
	case !m.Stored && m.zip.Method != zip.Deflate:
		return tensor.Damaged("%s is compressed by method %d, which is not read", m.Name, m.zip.Method)
	case packed > uint64(m.fileSize), m.Stored && m.zip.UncompressedSize64 != packed,
		m.zip.UncompressedSize64/inflates > packed:
		return tensor.Damaged("%s of %d bytes, packed %d, in a zip of %d", m.Name, m.zip.UncompressedSize64, packed,
			m.fileSize)
	}
	return nil
}

// Member is the file of a name: nil where there is none.
func (a *Archive) Member(name string) *Member { return a.byName[name] }

// Verify reads all files for their checksums, in little memory. It ends with ctx, between two files.
func (a *Archive) Verify(ctx context.Context) error {
	for _, m := range a.Members {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := m.Verify(); err != nil {
			return err
		}
	}
	return nil
}

// Section is where a stored file lies, unchecked: see Verify.
func (m *Member) Section() (*io.SectionReader, error) {
	off, err := m.zip.DataOffset()
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, io.EOF) {
		return nil, tensor.Damaged("%s does not lie where the zip's list says", m.Name)
	}
	if err != nil {
		return nil, err
	}
	if off > m.fileSize-int64(m.zip.CompressedSize64) {
		return nil, tensor.Damaged("cut short: %s ends after the zip", m.Name)
	}
	if err := m.named(off); err != nil {
		return nil, err
	}
	return io.NewSectionReader(m.r, off, int64(m.zip.CompressedSize64)), nil
}

// named holds the name in the zip's list, which no checksum covers, to the one before the file, which begins at off:
// signature, 22 bytes, the lengths of name and of what else there is, and these two (APPNOTE.TXT, 4.3.7). How long the
// last is the list does not say, and PyTorch fills it up, so that the header is looked for from off back.
func (m *Member) named(off int64) error {
	const fixed, most = 30, 1<<16 - 1
	n := int64(len(m.Name))
	for _, extra := range []int64{256, most} {
		head := make([]byte, min(off, fixed+n+extra))
		if _, err := m.r.ReadAt(head, off-int64(len(head))); err != nil {
			return err
		}
		for more := int64(0); int64(len(head)) >= fixed+n+more; more++ {
			h := head[int64(len(head))-fixed-n-more:]
			if string(h[:4]) == "PK\x03\x04" && int64(binary.LittleEndian.Uint16(h[26:])) == n &&
				int64(binary.LittleEndian.Uint16(h[28:])) == more {
				if string(h[fixed:fixed+n]) == m.Name {
					return nil
				}
				return tensor.Damaged("%s has another name in the zip's list", text.Name(string(h[fixed:fixed+n])))
			}
		}
	}
	return tensor.Damaged("%s does not lie where the zip's list says", m.Name)
}

// Verify reads a file for its checksum, the first time that it is asked.
func (m *Member) Verify() error {
	m.once.Do(func() { m.sum = m.Read(func(io.Reader) error { return nil }) })
	return m.sum
}

// Begin gives a file's bytes to do, and looks at no checksum.
func (m *Member) Begin(do func(io.Reader) error) error {
	return m.unpack(func(raw io.Reader) error { return do(io.LimitReader(raw, m.Size)) })
}

// inflaters are kept, because one takes 40 KB and a zip may have thousands of files.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// unpack gives a file's bytes to do, however many they are.
func (m *Member) unpack(do func(io.Reader) error) error {
	section, err := m.Section()
	if err != nil {
		return err
	}
	if m.Stored {
		return m.fault(do(section))
	}
	r := inflaters.Get().(io.Reader)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bufio.NewReader(section), nil); err != nil {
		return err
	}
	return m.fault(do(r))
}

// buffers are for what is read for its checksum only.
var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// Read gives a file's bytes to do, reads what that leaves, and fails where the whole is not what the zip says.
func (m *Member) Read(do func(io.Reader) error) error {
	return m.unpack(func(raw io.Reader) error {
		sum := &summed{r: io.LimitReader(raw, m.Size+1)}
		if err := do(sum); err != nil {
			return err
		}
		buf := buffers.Get().(*[64 << 10]byte)
		defer buffers.Put(buf)
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, sum, buf[:]); err != nil {
			return err
		}
		if sum.n != m.Size {
			return tensor.Damaged("%s has %d bytes, not %d", m.Name, sum.n, m.Size)
		}
		if sum.crc != m.zip.CRC32 && !m.unchecked {
			return tensor.Damaged("%s is damaged: its CRC-32 is %08x, not %08x", m.Name, sum.crc, m.zip.CRC32)
		}
		return nil
	})
}

// fault says that what fails to unpack is damaged.
func (m *Member) fault(err error) error {
	if errors.As(err, new(flate.CorruptInputError)) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return tensor.Damaged("%s is damaged: %v", m.Name, err)
	}
	return err
}

// Bytes is a whole file of at most so many bytes.
func (m *Member) Bytes(most int64) (b []byte, err error) {
	if m.Size > most {
		return nil, tensor.Damaged("%s of %d bytes, more than %d", m.Name, m.Size, most)
	}
	err = m.Read(func(r io.Reader) error {
		b = make([]byte, m.Size)
		_, err := io.ReadFull(r, b)
		return err
	})
	return b, err
}

// summed counts what is read and sums it up.
type summed struct {
	r   io.Reader
	n   int64
	crc uint32
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n, s.crc = s.n+int64(n), crc32.Update(s.crc, crc32.IEEETable, p[:n])
	return n, err
}

// bounded is a file of which only so much is read until it is opened.
type bounded struct {
	r      io.ReaderAt
	left   int64
	opened bool
}

var errLongList = errors.New("long list")

func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if !b.opened {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, errLongList
		}
	}
	if off < 0 { // as a list that lies says
		return 0, io.EOF
	}
	return b.r.ReadAt(p, off)
}
