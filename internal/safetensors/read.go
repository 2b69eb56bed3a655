package safetensors

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"alexnet/internal/files"
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
// a *BadFile.
func Open(fsys files.Reader, path string) (*Reader, error) {
	info, err := fsys.Stat(path) // before it is opened: a FIFO would wait for a writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &BadFile{Path: path, Fault: OtherFormat, Reason: "not a regular file"}
	}
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r, err := NewReader(path, f, info.Size())
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
		return nil, at(path, err)
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
func (r *Reader) Tensor(i int) Tensor {
	info := r.Tensors[i]
	return Tensor{
		Name: info.Name, Shape: info.Shape, Fill: func(dst []float32) error { return at(r.path, r.read(info, dst)) },
	}
}

// at tells the path where the error does not. A file that ends early was cut by somebody after its size was read.
func at(path string, err error) error {
	var bad *BadFile
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		bad = Damaged("cut short while it was read")
	case !errors.As(err, &bad):
		return fmt.Errorf("%s: %w", path, err)
	}
	bad.Path = path
	return bad
}

// read reads a tensor as float32 and checks its bytes.
func (r *Reader) read(t Info, dst []float32) error {
	decode, known := decoders[t.DType]
	if !known {
		return &BadFile{
			Fault:  OtherType,
			Reason: fmt.Sprintf("tensor %s is of type %s, which is not floating-point", t.Name, t.DType),
		}
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("tensor %s: %d values for shape %s", t.Name, len(dst), text.Shape(t.Shape))
	}
	width := int(widths[t.DType])
	return r.scan(t, func(b []byte) error {
		n := len(b) / width
		decode(dst[:n], b)
		dst = dst[n:]
		return nil
	})
}

// Verify reads the bytes of tensor i, whatever its type, in blocks of little memory, and holds them to their checksum
// where the file has some: a *BadFile where they are damaged. It ends with ctx.
func (r *Reader) Verify(ctx context.Context, i int) error {
	err := r.scan(r.Tensors[i], func([]byte) error { return context.Cause(ctx) })
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return at(r.path, err)
}

// scan gives a tensor's bytes to do, a block of whole numbers at a time, and checks them.
func (r *Reader) scan(t Info, do func(block []byte) error) error {
	in := io.NewSectionReader(r.r, t.Offset, t.Bytes)
	buf := make([]byte, min(chunk, t.Bytes))
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
		return Damaged("tensor %s is damaged: its CRC32C is %s, not %q", t.Name, sumString(crc), want)
	}
	return nil
}

// decoders convert the format's floating-point types to float32.
var decoders = map[string]func(dst []float32, b []byte){
	"F32": func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	},
	"F64": func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	},
	"BF16": func(dst []float32, b []byte) { // the upper half of a float32
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	},
	"F16": func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
		}
	},
}

// half is IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24, exact in float32
		x := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(x))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}
