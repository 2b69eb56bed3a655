package safetensors

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Reader is an open safetensors file. The tensors are read one at a time; goroutines may read at once.
type Reader struct {
	Header
	path string
	r    io.ReaderAt
	file io.Closer
}

// Open opens a safetensors file, ours or another program's, and checks its header. A file that is none, or damaged, is
// a *tensor.BadFile.
func Open(fsys files.Reader, path string) (*Reader, error) {
	f, size, err := tensor.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(path, f, size)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.file = f
	return r, nil
}

// NewReader is Open for size bytes that are at hand otherwise; path is what errors call them. Close does not close r.
func NewReader(path string, r io.ReaderAt, size int64) (*Reader, error) {
	h, err := parse(r, size)
	if err != nil {
		return nil, tensor.At(path, err)
	}
	return &Reader{Header: *h, path: path, r: r}, nil
}

// Path is what errors call the file.
func (r *Reader) Path() string { return r.path }

// Close closes the file that Open opened.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Tensor is tensor i of the header, to be read while the Reader is open.
func (r *Reader) Tensor(i int) tensor.Tensor {
	info := r.Tensors[i]
	return tensor.Tensor{
		Name: info.Name, Shape: info.Shape,
		Fill: func(dst []float32) error { return tensor.At(r.path, r.read(info, dst)) },
	}
}

// read reads a tensor as float32 and checks its bytes.
func (r *Reader) read(t Info, dst []float32) error {
	decode, known := tensor.Decoders[t.DType]
	if !known {
		return &tensor.BadFile{
			Fault:  tensor.OtherType,
			Reason: fmt.Sprintf("tensor %s is of type %s, which is not floating-point", t.Name, t.DType),
		}
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("tensor %s: %d values for shape %s", t.Name, len(dst), text.Shape(t.Shape))
	}
	width := int(tensor.Widths[t.DType])
	return r.scan(t, func(b []byte) error {
		n := len(b) / width
		decode(dst[:n], b)
		dst = dst[n:]
		return nil
	})
}

// Verify reads the bytes of tensor i, whatever its type, in blocks of little memory, and holds them to their checksum
// where the file has some: a *tensor.BadFile where they are damaged. It ends with ctx.
func (r *Reader) Verify(ctx context.Context, i int) error {
	err := r.scan(r.Tensors[i], func([]byte) error { return context.Cause(ctx) })
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return tensor.At(r.path, err)
}

// scan gives a tensor's bytes to do, a block of whole numbers at a time, and checks them.
func (r *Reader) scan(t Info, do func(block []byte) error) error {
	in := io.NewSectionReader(r.r, t.Offset, t.Bytes)
	buf := make([]byte, min(tensor.Chunk, t.Bytes))
	crc := uint32(0)
	for left := t.Bytes; left > 0; {
		b := buf[:min(int64(len(buf)), left)]
		if _, err := io.ReadFull(in, b); err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, b)
		if err := do(b); err != nil {
			return err
		}
		left -= int64(len(b))
	}
	if want := r.sums[t.Name]; r.checked && sumString(crc) != want {
		return tensor.Damaged("tensor %s is damaged: its CRC32C is %s, not %q", t.Name, sumString(crc), want)
	}
	return nil
}
