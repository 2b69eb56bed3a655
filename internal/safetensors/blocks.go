package safetensors

import (
	"context"

	"alexnet/internal/tensor"
)

// Blocks is Verify, and gives what it reads to do, a block at a time: how many bytes these are and, of floating-point
// tensors, the numbers, which are do's until it returns.
func (r *Reader) Blocks(ctx context.Context, i int, do func(bytes int, v []float32)) error {
	info := r.Tensors[i]
	decode, width := tensor.Decoders[info.DType], int(tensor.Widths[info.DType])
	buf := make([]float32, tensor.Chunk)
	err := r.scan(info, func(b []byte) error {
		var v []float32
		if decode != nil {
			v = buf[:len(b)/width]
			decode(v, b)
		}
		do(len(b), v)
		return context.Cause(ctx)
	})
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	return tensor.At(r.path, err)
}
