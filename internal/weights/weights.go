// Package weights keeps nets in files: the safetensors format, written and read by hand, and on top of it the
// checkpoint.
//
// A safetensors file is eight bytes of header length (little endian), a JSON header that gives each tensor's type,
// shape and place, and then the tensors' bytes (https://github.com/huggingface/safetensors, "Format"). Any reader of
// the format can open ours. What ours have besides is a CRC32C of each tensor and one of the header, in the header's
// metadata, so that no damaged file is ever taken for a net: on reading, every flipped bit and every missing byte is
// found, and is a [*BadFile].
//
// A file is written whole or not at all. It grows under a temporary name in the same folder, tensor by tensor through
// one buffer, is synced, takes its name by rename, and the folder is synced: whatever kills the writer, the name holds
// the old file or the new one.
//
// The package knows neither model nor device. Tensors come from and go to callbacks, in logical order (conv OIHW, fc
// (out, in)), fp32; files of half the size, F16, can be written and read.
package weights

import (
	"fmt"
	"strings"
)

// Tensor is one named array of fp32, somewhere: in a file, on a device, in memory.
type Tensor struct {
	Name  string // "conv1.weight"
	Shape []int  // (96, 3, 11, 11); empty for a single number
	DType string // of the file that Write makes: F32, also where it is empty, or F16; of no meaning in what was read
	// Fill writes the values to dst, which has Len elements, in row-major order. Of a tensor from Load it fails with a
	// *BadFile where the bytes are damaged.
	Fill func(dst []float32) error
}

// Of is a tensor in memory. The data are read when it is saved, not copied here.
func Of(name string, shape []int, data []float32) Tensor {
	return Tensor{Name: name, Shape: shape, Fill: func(dst []float32) error {
		if len(dst) != len(data) {
			return fmt.Errorf("%s: %d values for shape %s", name, len(data), shapeString(shape))
		}
		copy(dst, data)
		return nil
	}}
}

// Len is the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Values reads the whole tensor into memory of its own.
func (t Tensor) Values() ([]float32, error) {
	v := make([]float32, t.Len())
	if err := t.Fill(v); err != nil {
		return nil, err
	}
	return v, nil
}

// Slot is where a tensor of a checkpoint goes: a parameter of a model.
type Slot struct {
	Name  string // "conv1.weight", also for its momentum
	Shape []int
	// Store takes the values, in row-major order; src is the caller's again when it returns.
	Store func(src []float32) error
}

// BadFile is a file that cannot be used: not of the format, damaged, or of a newer version. The command exits with 12.
type BadFile struct {
	Path   string
	Reason string // what is wrong and where
	Advice string // what to do next
}

func (e *BadFile) Error() string {
	s := e.Path + ": " + e.Reason
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Mismatch is a sound checkpoint of another net: a tensor is missing, is one too many, or has another shape. The
// command exits with 12.
type Mismatch struct {
	Path   string
	Tensor string
	File   []int  // shape in the file; nil: not there
	Net    []int  // shape in the net; nil: not there
	Advice string // what to do next
}

func (e *Mismatch) Error() string {
	what := ""
	switch {
	case e.File == nil:
		what = fmt.Sprintf("holds no %s, the net has one of %s", e.Tensor, shapeString(e.Net))
	case e.Net == nil:
		what = fmt.Sprintf("holds %s of %s, the net has none", e.Tensor, shapeString(e.File))
	default:
		what = fmt.Sprintf("%s is %s in the file and %s in the net", e.Tensor, shapeString(e.File), shapeString(e.Net))
	}
	return e.Path + ": " + what + "; " + e.Advice
}

// shapeString is "96x3x11x11"; a single number has the empty shape "()".
func shapeString(shape []int) string {
	if len(shape) == 0 {
		return "()"
	}
	var b strings.Builder
	for i, d := range shape {
		if i > 0 {
			b.WriteByte('x')
		}
		fmt.Fprint(&b, d)
	}
	return b.String()
}
