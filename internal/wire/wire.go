// Package wire reads protobuf messages in a file by their places, so that a net of 244 MB is never in memory whole. A
// [Walker] goes over the fields of a message, each at its own offset, and what a field holds is looked at only when it
// is asked for: numbers by the thousand are left where they are and streamed when somebody wants them.
//
// The encoding is that of https://protobuf.dev/programming-guides/encoding: a field is a number and a type, and a value
// or a length and so many bytes. What the numbers mean is the caller's business. No field is trusted: every length is
// held to what lies around it, before memory is taken, and what cannot be is a [*tensor.BadFile] that says at which
// byte. There is no recursion, and no memory but one window for each Walker.
//
// The package imports files, tensor and protowire, which decodes the fields themselves.
package wire

import (
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

// File is an open file whose bytes are one message.
type File struct {
	path string
	r    io.ReaderAt
	size int64
	file io.Closer
}

// Open opens a file. One that is not regular, or a pointer of Git LFS, is a *tensor.BadFile.
func Open(fsys files.Reader, path string) (*File, error) {
	f, size, err := tensor.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	in := New(path, f, size)
	in.file = f
	return in, nil
}

// New is Open for size bytes that are at hand otherwise; path is what errors call them. Close does not close r.
func New(path string, r io.ReaderAt, size int64) *File { return &File{path: path, r: r, size: size} }

// Path is what errors call the file.
func (f *File) Path() string { return f.path }

// Size is that of the whole file in bytes.
func (f *File) Size() int64 { return f.size }

// All is the whole file.
func (f *File) All() Range { return Range{0, f.size} }

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// At tells the path where the error does not. A file that ends early was cut by somebody after its size was read.
func (f *File) At(err error) error { return tensor.At(f.path, err) }

// Range is a part of a file: bytes Off to End, the last not among them.
type Range struct{ Off, End int64 }

// Len is the number of bytes.
func (r Range) Len() int64 { return r.End - r.Off }

// Field is one field of a message.
type Field struct {
	Num  protowire.Number
	Type protowire.Type
	Bits uint64 // the value, where it is a varint or of fixed width
	In   Range  // what it holds, where it is bytes: a string, a message, packed numbers
	At   int64  // where it begins
}

// windowSize is how much is read of the file at a time. headSize is the longest beginning of a field: two varints, its
// number with its type, and its value or length.
const (
	windowSize = 64 << 10
	headSize   = 20
)

// Walker goes over messages of a file, through a window of its own: of one file several may be under way at once, each
// by one goroutine. A walk may be begun within another's do.
type Walker struct {
	*File
	window []byte // what lies in the file at place
	place  int64
	buf    []byte
}

// Walk is a new Walker.
func (f *File) Walk() *Walker {
	return &Walker{File: f, buf: make([]byte, min(windowSize, f.size))}
}

// look gives what lies at a place of the file: at least headSize bytes, or all up to end.
func (w *Walker) look(at, end int64) ([]byte, error) {
	want := min(headSize, end-at)
	if at < w.place || at+want > w.place+int64(len(w.window)) {
		b := w.buf[:min(int64(len(w.buf)), w.size-at)]
		n, err := w.r.ReadAt(b, at)
		if int64(n) < want {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			w.window = nil
			return nil, err
		}
		w.window, w.place = b[:n], at
	}
	b := w.window[at-w.place:]
	return b[:min(int64(len(b)), end-at)], nil
}

// Fields gives the fields of the message in a part of the file to do, in their order, and ends with its first error.
func (w *Walker) Fields(in Range, do func(Field) error) error {
	for at := in.Off; at < in.End; {
		head, err := w.look(at, in.End)
		if err != nil {
			return err
		}
		f, n, err := field(head, at, in.End, w.size)
		if err != nil {
			return err
		}
		at += n
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// field decodes the field that head begins with, which lies at a place in a file of so many bytes and must not go
// beyond end, and tells how long it is.
func field(head []byte, at, end, file int64) (f Field, size int64, err error) {
	num, typ, n := protowire.ConsumeTag(head)
	if n < 0 {
		return f, 0, tensor.Damaged("byte %d: no field of a protobuf message begins there", at)
	}
	f = Field{Num: num, Type: typ, At: at}
	m := 0
	switch typ {
	case protowire.VarintType, protowire.BytesType:
		f.Bits, m = protowire.ConsumeVarint(head[n:])
	case protowire.Fixed32Type:
		var v uint32
		v, m = protowire.ConsumeFixed32(head[n:])
		f.Bits = uint64(v)
	case protowire.Fixed64Type:
		f.Bits, m = protowire.ConsumeFixed64(head[n:])
	default:
		return f, 0, tensor.Damaged("byte %d: field %d is of type %d, which is not in use", at, num, typ)
	}
	if m < 0 {
		return f, 0, tensor.Damaged("byte %d: field %d is cut short, or no number", at, num)
	}
	size = int64(n + m)
	if typ == protowire.BytesType {
		if left := end - at - size; f.Bits > uint64(left) {
			short := ""
			if end == file {
				short = "cut short: "
			}
			return f, 0, tensor.Damaged("%sbyte %d: field %d is of %d bytes, and %d are left", short, at, num, f.Bits,
				left)
		}
		f.In = Range{at + size, at + size + int64(f.Bits)}
		size += int64(f.Bits)
	}
	return f, size, nil
}
