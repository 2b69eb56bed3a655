package interop

import (
	"fmt"
	"math"
	"slices"

	"alexnet/internal/device"
	"alexnet/internal/tensor"
)

// NotFinite is a tensor with a number that is infinite or not a number, or that is too large for the division of
// weights after a dropout layer.
type NotFinite struct {
	Path   string
	Tensor string
	Index  int // of the first such number, row by row
	Value  float32
}

func (e *NotFinite) Error() string {
	if v := float64(e.Value); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return fmt.Sprintf("%s: %s has %g as number %d, which is infinite when it is divided for dropout", e.Path,
			e.Tensor, e.Value, e.Index)
	}
	return fmt.Sprintf("%s: %s has %g as number %d, which no trained net has", e.Path, e.Tensor, e.Value, e.Index)
}

// finite is t with a Fill that refuses infinite numbers and NaN, and numbers that would be infinite times factor.
func finite(path string, t tensor.Tensor, factor float32) tensor.Tensor {
	fill := t.Fill
	t.Fill = func(dst []float32) error {
		if err := fill(dst); err != nil {
			return err
		}
		for i, v := range dst {
			if after := float64(v * factor); math.IsNaN(after) || math.IsInf(after, 0) {
				return &NotFinite{path, t.Name, i, v}
			}
		}
		return nil
	}
	return t
}

// reshaped is t, whose numbers lie as they lay, as a tensor of another shape.
func reshaped(t tensor.Tensor, shape ...int) tensor.Tensor {
	t.Shape = shape
	return t
}

// permuted is t with its dimensions in another order: dimension i of the result is axes[i] of t. Of shape it takes one
// more tensor of memory while it is read.
func permuted(t tensor.Tensor, axes ...int) tensor.Tensor {
	from, fill := t.Shape, t.Fill
	t.Shape = make([]int, len(axes))
	strides := make([]int, len(axes)) // in t, of the result's dimensions
	for i, a := range axes {
		t.Shape[i], strides[i] = from[a], device.ParamSpec{Shape: from[a+1:]}.Len()
	}
	shape := t.Shape
	t.Fill = func(dst []float32) error {
		src := make([]float32, len(dst))
		if err := fill(src); err != nil {
			return err
		}
		if len(dst) > 0 {
			permute(dst, src, shape, strides)
		}
		return nil
	}
	return t
}

// permute copies src to dst, of the shape, whose dimension i lies in src in steps of strides[i].
func permute(dst, src []float32, shape, strides []int) {
	index, at, last := make([]int, len(shape)), 0, len(shape)-1
	for i := 0; i < len(dst); i += shape[last] {
		for j := range shape[last] {
			dst[i+j] = src[at+j*strides[last]]
		}
		for d := last - 1; d >= 0; d-- {
			index[d]++
			at += strides[d]
			if index[d] < shape[d] {
				break
			}
			at -= shape[d] * strides[d]
			index[d] = 0
		}
	}
}

// turned is t of three colours along a dimension, which change places: BGR becomes RGB.
func turned(t tensor.Tensor, dim int) tensor.Tensor {
	fill, plane := t.Fill, device.ParamSpec{Shape: t.Shape[dim+1:]}.Len()
	t.Fill = func(dst []float32) error {
		if err := fill(dst); err != nil {
			return err
		}
		for block := range slices.Chunk(dst, 3*plane) {
			for i := range plane {
				block[i], block[2*plane+i] = block[2*plane+i], block[i]
			}
		}
		return nil
	}
	return t
}

// ordered is a weight in our order: (out, in, height, width) or (out, in).
func (l layout) ordered(t tensor.Tensor) tensor.Tensor {
	switch {
	case l != inOut:
		return t
	case len(t.Shape) == 4: // height, width, in, out
		return permuted(t, 3, 2, 0, 1)
	case len(t.Shape) == 2:
		return permuted(t, 1, 0)
	}
	return t
}

// mapOrdered is a weight of (out, in) whose inputs are a map: these become channels, rows, columns where a file has
// them as rows, columns, channels, which no shape tells.
func (l layout) mapOrdered(t tensor.Tensor, in device.Shape) tensor.Tensor {
	if l != inOut || in.H*in.W == 1 || len(t.Shape) != 2 { // of one place there is one order
		return t
	}
	out, n := t.Shape[0], t.Shape[1]
	return reshaped(permuted(reshaped(t, out, in.H, in.W, in.C), 0, 3, 1, 2), out, n)
}
