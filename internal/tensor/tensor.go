// Package tensor is named arrays of numbers as files of weights have them, whatever the format: what one is called, its
// shape, its type in the file, and how its numbers are got; and what can be wrong with such a file.
//
// Tensors come from and go to callbacks, in row-major order, as fp32: of a net of 244 MB only one is in memory at a
// time. A View tells how a tensor lies where its numbers do not follow each other. What they mean is the caller's
// business. The package imports files and text and nothing else of the program.
package tensor

import (
	"context"
	"fmt"

	"alexnet/internal/text"
)

// Tensor is one named array of fp32, somewhere: in a file, on a device, in memory.
type Tensor struct {
	Name  string // "conv1.weight"
	Shape []int  // (96, 3, 11, 11); empty for a single number
	// DType is the type in the file: of one that is written F32, also where it is empty, or F16; of one that was read
	// whatever it was, where the reader tells it.
	DType string
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
