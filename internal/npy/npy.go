// Package npy writes and reads arrays as NumPy keeps them (numpy.lib.format): a header with type and shape, and the
// numbers. Go's libraries take an array whole, from memory, and give its header no room to grow; here rows are written
// as they come, and a zip of arrays tensor by tensor.
//
// What is read comes from strangers: arrays (.npy), zips of them (.npz), and the dicts of arrays that kaffe made of
// Caffe's nets, pickles in which nothing is run. Of the program the package imports files, pickle, tensor and zipped.
package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/tensor"
)

// Encode writes data as an array of the given shape, in C order.
func Encode(w io.Writer, data []float32, shape []int) error {
	if _, err := w.Write(header(codes["F32"], shape)); err != nil {
		return err
	}
	return tensor.Tensor{}.Encode(w, data)
}

// File is where a Writer writes to. Write appends, and WriteAt does not move it.
type File interface {
	io.Writer
	io.WriterAt
}

// Writer writes an array row by row, of as many rows as will come.
type Writer struct {
	f     File
	shape []int     // of the array so far; the rows come first
	rest  []float32 // fewer than chunk
}

// NewWriter begins an array of float32 in an empty file. row is the shape of one of its rows: (C, H, W) or (units).
func NewWriter(f File, row ...int) (*Writer, error) {
	w := &Writer{f: f, shape: append([]int{0}, row...)}
	_, err := f.Write(header(codes["F32"], w.shape)) // Close writes it again, which is as long whatever the rows
	return w, err
}

// Write appends a row, in C order.
func (w *Writer) Write(row []float32) (err error) {
	w.shape[0]++
	if w.rest = append(w.rest, row...); len(w.rest) >= chunk {
		err = tensor.Tensor{}.Encode(w.f, w.rest)
		w.rest = w.rest[:0]
	}
	return err
}

// Shape is that of the array so far: the rows, and what one is.
func (w *Writer) Shape() []int { return slices.Clone(w.shape) }

// Close writes what is left, and how many rows there are. The file stays open.
func (w *Writer) Close() error {
	if err := (tensor.Tensor{}).Encode(w.f, w.rest); err != nil {
		return err
	}
	_, err := w.f.WriteAt(header(codes["F32"], w.shape), 0)
	return err
}

// chunk is how many numbers are worth a call: 64 KiB.
const chunk = 1 << 14

const (
	align = 64 // of the numbers, so that they can be mapped into memory
	// growth is how many characters there are for the first dimension, as in NumPy: a header has the same length
	// whatever that is.
	growth = 21
)

// header is what stands before the numbers of an array of a type, in NumPy's words.
func header(descr string, shape []int) []byte {
	dims := make([]string, len(shape))
	for i, n := range shape {
		dims[i] = strconv.Itoa(n)
	}
	tuple := strings.Join(dims, ", ")
	if len(dims) == 1 {
		tuple += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	if len(dims) > 0 {
		text += strings.Repeat(" ", growth-len(dims[0]))
	}
	const before = len(Magic) + 4 // the version and the header's length
	length := (before+len(text)+1+align-1)/align*align - before
	var b bytes.Buffer
	b.WriteString(Magic + "\x01\x00")
	b.Write(binary.LittleEndian.AppendUint16(nil, uint16(length)))
	fmt.Fprintf(&b, "%-*s\n", length-1, text)
	return b.Bytes()
}
