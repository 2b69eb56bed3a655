package npy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/zipped"
)

// Archive is an open file of NumPy's: an array (.npy), a zip of them (.npz), or a dict of arrays as kaffe and others
// made them of Caffe's nets. The tensors can be read until it is closed, by goroutines at once.
type Archive struct {
	// Tensors are in the order of the file. That of a .npy is called "". DType is that of the file; Fill reads arrays
	// in Fortran's order too, and fails with a *tensor.BadFile where they are not floating-point.
	Tensors []tensor.Tensor
	// Meta is the text in an .npz beside the arrays, by name: Metadata.
	Meta map[string]string
	// Dict tells that it is a dict of layers: "conv1.weight", "conv1.bias", laid out as the file has them, which in
	// TensorFlow's programs is (height, width, in, out).
	Dict bool
	// Checked tells that each array is held to a checksum when it is read, as in a zip. Unchecked is a zip whose
	// checksums are all 0: whoever wrote it computed none.
	Checked, Unchecked bool
	// Zip is the whole file, until it is closed; nil where it is not a zip.
	Zip *zipped.Archive

	file io.Closer
}

// maxText is how long a text in an .npz is.
const maxText = 4 << 20

// Open opens a file that NumPy wrote and reads all but the numbers. What is wrong with it is a *tensor.BadFile.
func Open(fsys files.Reader, path string) (*Archive, error) {
	file, size, err := tensor.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	a, err := NewArchive(path, file, size)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	a.file = file
	return a, nil
}

// NewArchive is Open for size bytes that are at hand otherwise; path is what errors call them. Close does not close r.
func NewArchive(path string, r io.ReaderAt, size int64) (*Archive, error) {
	a, err := read(r, size)
	if err != nil {
		return nil, tensor.At(path, err)
	}
	for i, t := range a.Tensors {
		a.Tensors[i].Fill = func(dst []float32) error {
			if t.Name != "" {
				return tensor.At(path, tensor.In("tensor "+t.Name, t.Fill(dst)))
			}
			return tensor.At(path, t.Fill(dst))
		}
	}
	return a, nil
}

// Close closes the file that Open opened.
func (a *Archive) Close() error {
	if a.file == nil {
		return nil
	}
	return a.file.Close()
}

// read tells the forms apart by their first bytes.
func read(r io.ReaderAt, size int64) (*Archive, error) {
	head := make([]byte, min(size, 512))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte(Magic)):
		return readArray(r, size)
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return readZip(r, size)
	}
	return nil, &tensor.BadFile{Fault: tensor.OtherFormat, Reason: "it begins as no file of NumPy's"}
}

// readArray reads a .npy.
func readArray(r io.ReaderAt, size int64) (*Archive, error) {
	h, err := readHeader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	if h.kind == "O" {
		return readObjects(r, size, h)
	}
	view, dtype, err := h.view(size)
	if err != nil {
		return nil, err
	}
	section := func() io.Reader { return io.NewSectionReader(r, h.length, int64(h.size)) }
	return &Archive{Tensors: []tensor.Tensor{{Shape: view.Shape, DType: dtype, Fill: func(dst []float32) error {
		return view.Fill(dst, section(), dtype)
	}}}}, nil
}

// readZip reads an .npz.
func readZip(r io.ReaderAt, size int64) (*Archive, error) {
	z, err := zipped.Open(r, size)
	if err != nil {
		return nil, err
	}
	a := &Archive{Meta: map[string]string{}, Checked: !z.Unchecked, Unchecked: z.Unchecked, Zip: z}
	headers := 1<<20 + size/8 // bytes that they may take: deflate makes long ones of short ones
	for _, m := range z.Members {
		if m.Name == Metadata {
			b, err := m.Bytes(maxText)
			if err != nil {
				return nil, err
			}
			a.Meta[m.Name] = string(b)
			continue
		}
		name, is := strings.CutSuffix(m.Name, ".npy")
		if !is {
			return nil, &tensor.BadFile{
				Fault: tensor.OtherFormat, Reason: fmt.Sprintf("a zip that NumPy did not make: %s is no array", m.Name),
			}
		}
		t, header, err := member(name, m)
		if headers -= header; headers < 0 {
			return nil, tensor.Damaged("longer headers than a file of its size has")
		}
		if err != nil {
			return nil, tensor.In("array "+name, err)
		}
		a.Tensors = append(a.Tensors, t)
	}
	return a, nil
}

// member is an array in an .npz, and how long its header is.
func member(name string, m *zipped.Member) (t tensor.Tensor, header int64, err error) {
	var h *heading
	err = m.Begin(func(r io.Reader) (err error) {
		h, err = readHeader(r)
		return err
	})
	if err != nil {
		return t, 0, err
	}
	if h.kind == "O" {
		return t, 0, &tensor.BadFile{Fault: tensor.OtherFormat, Reason: "an array of Python's objects in a zip"}
	}
	view, dtype, err := h.view(m.Size)
	if err != nil {
		return t, 0, err
	}
	return tensor.Tensor{Name: name, Shape: view.Shape, DType: dtype, Fill: func(dst []float32) error {
		return m.Read(func(r io.Reader) error {
			if _, err := io.CopyN(io.Discard, r, h.length); err != nil {
				return err
			}
			return view.Fill(dst, r, dtype)
		})
	}}, h.length, nil
}

// view is how the numbers of an array of size bytes, header included, lie, and of what type they are.
func (h *heading) view(size int64) (v tensor.View, dtype string, err error) {
	if dtype, err = typeOf(h.order, h.kind, h.width); err != nil {
		return v, "", err
	}
	if err := h.check(size); err != nil {
		return v, "", err
	}
	v, err = layout(h.shape, h.fortran)
	return v, dtype, err
}

// layout is how an array of a shape lies.
func layout(shape []int64, fortran bool) (v tensor.View, err error) {
	if len(shape) > tensor.MaxDims {
		return v, tensor.Damaged("%d dimensions, more than %d", len(shape), tensor.MaxDims)
	}
	dims := make([]int, len(shape))
	for i, d := range shape {
		dims[i] = int(d)
	}
	n, err := tensor.Size(dims, 1)
	if err != nil {
		return v, tensor.Damaged("%v", err)
	}
	if v = tensor.RowMajor(dims); fortran {
		v = tensor.ColumnMajor(dims)
	}
	return v, v.Check(n)
}

// typeOf is the type of numbers that NumPy calls so, in the words of package tensor.
func typeOf(order, kind string, width uint64) (string, error) {
	name := fmt.Sprintf("%s%d", map[string]string{"f": "F", "i": "I", "u": "U"}[kind], 8*width)
	if kind == "b" && width == 1 {
		name = "BOOL"
	}
	if _, known := tensor.Widths[name]; !known {
		return "", &tensor.BadFile{
			Fault:  tensor.OtherType,
			Reason: fmt.Sprintf("numbers of type '%s%s%d', which are not read", order, kind, width),
		}
	}
	if order == ">" && width > 1 {
		return "", &tensor.BadFile{
			Fault: tensor.OtherType, Reason: fmt.Sprintf("numbers of type '>%s%d', which is big-endian", kind, width),
		}
	}
	return name, nil
}
