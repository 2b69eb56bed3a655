// Package pth reads the tensors of PyTorch's files, .pth, .pt and .tar, as torch.save writes them: zips since 1.6, and
// the form before that. Both hold one pickle, a dict of tensors as a rule or a dict that has such a dict in it, and the
// numbers beside it. Of a tensor the pickle tells which numbers, from which on, its shape and its strides; several may
// share their numbers.
//
// No class or function of Python's is run, and none is known but those that tensors are made of: torch/serialization.py
// and torch/_utils.py say what they do. Files that need more are refused by name, see [Refused]. A zip's checksums are
// looked at; the older form has none, so its numbers may be any. The package imports files, pickle, tensor, text and
// zipped.
package pth

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
	"alexnet/internal/zipped"
)

// File is an open file of PyTorch's. Its tensors can be read until it is closed, by goroutines at once.
type File struct {
	// Tensors are in the order of the file. A name is the way to the tensor, with dots between:
	// "state_dict.features.module.0.weight", "optimizer.state.0.momentum_buffer". DType is that of the file. Fill
	// resolves strides; of a type that is not floating-point it fails with a *tensor.BadFile.
	Tensors []tensor.Tensor
	// Scalars are what else the object holds, by the way to it: "epoch" is "90", "arch" is "alexnet". Truth and None
	// are in Python's words; of a list of more than pickle.LongestRow plain values only their number is told.
	Scalars map[string]string
	Form    string // Zip or Legacy
	// Unchecked tells that a zip has no checksums: torch.serialization.set_crc32_options(False) makes those.
	Unchecked bool

	// Archive is the whole file, until it is closed; nil where it is not a zip.
	Archive *zipped.Archive

	file io.Closer
}

// The forms of files.
const (
	Zip    = "zip"    // since PyTorch 1.6
	Legacy = "legacy" // before; pickles and numbers one after the other. It has no checksums.
)

// Kind is what a file is that is refused though it is PyTorch's.
type Kind int

// The kinds.
const (
	WholeModel  Kind = iota + 1 // the module itself, whose class would have to be imported and run
	TorchScript                 // a program with its weights
	Tar                         // the form of 2016, before PyTorch 0.1.10
	OtherGlobal                 // something in the object is neither a tensor nor a plain value
)

// Refused is a file of PyTorch's that holds more than tensors and plain values.
type Refused struct {
	Path string
	Kind Kind
	// Name is that of the class or function in it, "torchvision.models.alexnet.AlexNet"; empty where none is named.
	Name string
}

func (e *Refused) Error() string {
	name := text.Name(e.Name)
	switch e.Kind {
	case WholeModel:
		return fmt.Sprintf("%s: it holds a whole model, %s, not only its tensors", e.Path, name)
	case TorchScript:
		return e.Path + ": it is a TorchScript program, not a file of tensors"
	case Tar:
		return e.Path + ": it is of PyTorch's form of 2016, a tar, which is not read"
	}
	return fmt.Sprintf("%s: it holds %s, which is neither a tensor nor a plain value", e.Path, name)
}

// Open opens a file that torch.save made and reads all but the numbers. What is wrong with it is a *tensor.BadFile or a
// *Refused.
func Open(fsys files.Reader, path string) (*File, error) {
	file, size, err := tensor.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	f, err := NewFile(path, file, size)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.file = file
	return f, nil
}

// NewFile is Open for size bytes that are at hand otherwise; path is what errors call them. Close does not close r.
func NewFile(path string, r io.ReaderAt, size int64) (*File, error) {
	f, err := read(r, size)
	if err != nil {
		return nil, at(path, err)
	}
	for i, t := range f.Tensors {
		f.Tensors[i].Fill = func(dst []float32) error { return at(path, t.Fill(dst)) }
	}
	return f, nil
}

// at tells the path where the error does not.
func at(path string, err error) error {
	if r := new(Refused); errors.As(err, &r) {
		r.Path = path
		return r
	}
	return tensor.At(path, err)
}

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// magic is what the older form begins with, as a pickle of its own: 0x1950a86a20f9469cfc6c.
const magic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."

// read tells the forms apart by their first bytes.
func read(r io.ReaderAt, size int64) (*File, error) {
	head := make([]byte, min(size, 512))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return readZip(r, size)
	case bytes.HasPrefix(head, []byte{0x80}) && bytes.Contains(head[:min(len(head), 32)], []byte(magic)):
		return readLegacy(r, size)
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return nil, &Refused{Kind: Tar}
	case bytes.HasPrefix(head, []byte{0x80}):
		return nil, &tensor.BadFile{Fault: tensor.OtherFormat, Reason: "a pickle that torch.save did not make"}
	}
	return nil, &tensor.BadFile{Fault: tensor.OtherFormat, Reason: "it begins as no file of PyTorch's"}
}
