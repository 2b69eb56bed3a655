// Package safetensors reads and writes the format of that name: named tensors and a few words of metadata in one file.
//
// A safetensors file is eight bytes of header length (little endian), a JSON header that gives each tensor's type,
// shape and place, and then the tensors' bytes (https://github.com/huggingface/safetensors, "Format"). Any reader of
// the format can open ours, and any file of the format can be opened here. What ours have besides is a CRC32C of each
// tensor and one of the header, in the header's metadata, so that no damaged file is ever taken for a sound one: on
// reading, every flipped bit and every missing byte is found, and is a [*BadFile].
//
// A file is written whole or not at all, as package atomicfile has it. It grows under a temporary name tensor by
// tensor, through one buffer: whatever kills the writer, the name holds the old file or the new one.
//
// Tensors come from and go to callbacks, in row-major order, fp32; files of half the size, F16, can be written and
// read. What the tensors and the metadata mean is the caller's business: of the program the package imports atomicfile
// and files.
package safetensors

import (
	"context"
	"fmt"

	"alexnet/internal/text"
)

// Tensor is one named array of fp32, somewhere: in a file, on a device, in memory.
type Tensor struct {
	Name  string // "conv1.weight"
	Shape []int  // (96, 3, 11, 11); empty for a single number
	DType string // of the file that Write makes: F32, also where it is empty, or F16; of no meaning in what was read
	// Fill writes the values to dst, which has Len elements, in row-major order. Of a tensor of a file it fails with a
	// *BadFile where the bytes are damaged.
	Fill func(dst []float32) error
}

// Of is a tensor in memory. The data are read when it is saved, not copied here.
func Of(name string, shape []int, data []float32) Tensor {
	return Tensor{Name: name, Shape: shape, Fill: func(dst []float32) error {
		if len(dst) != len(data) {
			return fmt.Errorf("%s: %d values for shape %s", name, len(data), text.Shape(shape))
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

// WithContext is the tensor with a Fill that fails when ctx has ended: a long file can be given up between two tensors.
func (t Tensor) WithContext(ctx context.Context) Tensor {
	fill := t.Fill
	t.Fill = func(dst []float32) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return fill(dst)
	}
	return t
}

// BadFile is a file that cannot be read.
type BadFile struct {
	Path   string
	Fault  Fault
	Reason string // what is wrong and where
}

func (e *BadFile) Error() string { return e.Path + ": " + e.Reason }

// Fault is what kind of thing is wrong with a file.
type Fault int

// The faults of files.
const (
	Corrupt     Fault = iota + 1 // bytes that a sound file cannot have
	OtherFormat                  // it is not a safetensors file
	OtherType                    // a tensor of numbers that are not floating-point
	Pointer                      // it stands for another file, which Git LFS has not fetched
)
