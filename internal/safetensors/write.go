package safetensors

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"io"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
	"alexnet/internal/tensor"
)

// Write makes a safetensors file of tensors, in their order, with meta and the checksums in its metadata. It appears at
// path whole or not at all; on an error what was at path is untouched. Fill of each tensor is called once, in order,
// with one buffer for all. F32 tensors lie at multiples of 4, as readers like them, where they come before those of
// F16.
func Write(fsys files.FS, path string, meta map[string]string, tensors []tensor.Tensor) error {
	l, err := newLayout(meta, tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(fsys, path, func(f atomicfile.File) error { return encode(f, l, tensors) })
}

// Encode writes to w, from its beginning, what Write puts into a file. On an error w holds a part of it.
func Encode(w io.WriterAt, meta map[string]string, tensors []tensor.Tensor) error {
	l, err := newLayout(meta, tensors)
	if err != nil {
		return err
	}
	return encode(w, l, tensors)
}

// Bytes is what Encode writes.
func Bytes(meta map[string]string, tensors []tensor.Tensor) ([]byte, error) {
	var m atomicfile.Memory
	err := Encode(&m, meta, tensors)
	return m.Bytes, err
}

func encode(w io.WriterAt, l *layout, tensors []tensor.Tensor) error {
	longest := 0
	for _, t := range tensors {
		longest = max(longest, t.Len())
	}
	values := make([]float32, longest)
	out := io.NewOffsetWriter(w, int64(len(l.text)))
	for i, t := range tensors {
		v := values[:t.Len()]
		if err := t.Fill(v); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		crc := crc32.New(castagnoli)
		if err := t.Encode(io.MultiWriter(crc, out), v); err != nil {
			return err
		}
		l.setSum(i, crc.Sum32())
	}
	l.seal()
	_, err := w.WriteAt(l.text, 0)
	return err
}

// dtype is the type in the file to be written.
func dtype(t tensor.Tensor) string { return cmp.Or(t.DType, "F32") }
