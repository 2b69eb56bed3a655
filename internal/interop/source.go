package interop

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"alexnet/internal/files"
	"alexnet/internal/npy"
	"alexnet/internal/pth"
	"alexnet/internal/safetensors"
	"alexnet/internal/tensor"
	"alexnet/internal/zipped"
)

// Source is an open file of weights, of whatever program.
type Source struct {
	Path string
	Form Form
	// Tensors are as the file has them: names, order, layout. DType is that of the file.
	Tensors []tensor.Tensor
	Meta    map[string]string // what else the file says, by key
	Checked bool              // reading a tensor holds it to a checksum
	// Unchecked is a zip whose checksums are all 0: whoever wrote it computed none.
	Unchecked bool

	layout    layout
	bgr       bool            // the first layer's channels, and those of a mean, are blue, green and red
	told      bool            // by SetBGR
	caffe     bool            // weights of Caffe's, or made of such: pictures are prepared as there
	steps     []step          // what it computes, where the file knows that
	layers    []pair          // and the layers with weights, in that order
	side      int             // of what it reads; 0: the file does not say
	mean      []float32       // of the channels, in the file's order, where it has one; one number stands for all
	meanFile  string          // of a mean image, which the file names
	scale     float32         // what is left after the mean is multiplied by it; 0: the file does not say
	published *Published      // nil: not one that is known
	zip       *zipped.Archive // the file, where it is one
	close     func() error
}

// layout is how a file orders the numbers of weights.
type layout int

const (
	outIn layout = iota // (out, in, height, width) and (out, in), as here and in PyTorch, Caffe and ONNX
	inOut               // (height, width, in, out) and (in, out), where a map is read as rows, columns, channels
)

// Open opens a file of weights, whatever its form, which its content tells. It reads no weights. What is not read
// because of its form is an *OtherForm, a damaged file a *tensor.BadFile.
func Open(fsys files.Reader, path string) (*Source, error) {
	form, err := FormOf(fsys, path)
	if err != nil {
		return nil, err
	}
	open, read := openers[form]
	if !read {
		return nil, &OtherForm{Path: path, Form: form}
	}
	s, err := open(fsys, path)
	if bad := (*tensor.BadFile)(nil); errors.As(err, &bad) && bad.Fault == tensor.OtherFormat {
		return nil, &OtherForm{path, form, bad.Reason}
	}
	if err != nil {
		return nil, err
	}
	s.Path, s.Form = path, form
	return s, nil
}

// openers open the forms that are read.
var openers = map[Form]func(files.Reader, string) (*Source, error){
	Safetensors: openSafetensors, Caffe: openCaffe, ONNX: openONNX, PyTorch: openPyTorch,
	NPZ: openNumPy, NPY: openNumPy,
}

// SetBGR says which order the first layer's colours, and those of every mean, are in, whatever is usual in files of
// this form: blue, green, red or red, green, blue. It counts for what is opened and imported after it.
func (s *Source) SetBGR(bgr bool) { s.bgr, s.told = bgr, true }

// Close closes the file; the tensors' Fill fail from then on.
func (s *Source) Close() error { return s.close() }

// Verify reads all of a zip and holds it to its checksums, in little memory: a *tensor.BadFile where it is damaged. Of
// files of other kinds it reads nothing. It ends with ctx, between two files of the zip.
func (s *Source) Verify(ctx context.Context) error {
	if s.zip == nil || s.Unchecked {
		return nil
	}
	err := s.zip.Verify(ctx)
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return tensor.At(s.Path, err)
}

func openSafetensors(fsys files.Reader, path string) (*Source, error) {
	r, err := safetensors.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	s := &Source{Meta: maps.Clone(r.Meta), Checked: r.Checked(), close: r.Close}
	for i, info := range r.Tensors {
		t := r.Tensor(i)
		t.DType = info.DType
		s.Tensors = append(s.Tensors, t)
	}
	return s, nil
}

// found are the tensors by what they are, weights in our order but for what only the net tells.
func (s *Source) found() (f found, err error) {
	if len(s.layers) > 0 {
		return found{pairs: s.layers}, nil
	}
	if f, err = pairUp(s.Path, s.Tensors); err != nil {
		return f, err
	}
	for i, p := range f.pairs {
		if p.weight != nil {
			t := s.layout.ordered(*p.weight)
			f.pairs[i].weight = &t
		}
	}
	if s.Meta[formKey] != "" {
		f.others = slices.DeleteFunc(f.others, func(t tensor.Tensor) bool {
			return t.Name == meanTensor || t.Name == scaleTensor
		})
	}
	return f, nil
}

func openPyTorch(fsys files.Reader, path string) (*Source, error) {
	f, err := pth.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	return &Source{
		Tensors: f.Tensors, Meta: f.Scalars, Checked: f.Form == pth.Zip && !f.Unchecked, Unchecked: f.Unchecked,
		zip: f.Archive, close: f.Close,
	}, nil
}

// openNumPy opens a zip of arrays or a dict of them. What the latter were made of is Caffe's: (height, width, in, out),
// and blue before red.
func openNumPy(fsys files.Reader, path string) (*Source, error) {
	a, err := npy.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	s := &Source{
		Tensors: a.Tensors, Meta: map[string]string{}, Checked: a.Checked, Unchecked: a.Unchecked, zip: a.Zip,
		close: a.Close,
	}
	if a.Dict {
		s.layout, s.bgr, s.caffe = inOut, true, true
	}
	for name, said := range a.Meta {
		s.Meta[name] = said
		var ours map[string]string
		if name == npy.Metadata && json.Unmarshal([]byte(said), &ours) == nil {
			maps.Copy(s.Meta, ours)
			delete(s.Meta, name)
		}
	}
	return s, nil
}
