package npy

import (
	"archive/zip"
	"cmp"
	"fmt"
	"io"

	"alexnet/internal/tensor"
)

// Metadata is what the text is called that EncodeArchive writes before the arrays.
const Metadata = "metadata.json"

// EncodeArchive writes tensors, in their order, as an .npz that numpy.load opens: a zip of arrays, not compressed, each
// called as its tensor, F32 or F16 as its DType says. meta, where there is any, goes before them as metadata.json. One
// tensor at a time is in memory. The bytes are the same for the same tensors, and on an error w holds a part of them.
func EncodeArchive(w io.Writer, meta []byte, tensors []tensor.Tensor) error {
	longest := 0
	for _, t := range tensors {
		longest = max(longest, t.Len())
	}
	values := make([]float32, longest)
	z := zip.NewWriter(w)
	if len(meta) > 0 {
		f, err := z.CreateHeader(&zip.FileHeader{Name: Metadata, Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := f.Write(meta); err != nil {
			return err
		}
	}
	for _, t := range tensors {
		if err := encodeMember(z, t, values[:t.Len()]); err != nil {
			return err
		}
	}
	return z.Close()
}

// codes are the types that can be written, in NumPy's words.
var codes = map[string]string{"F32": "<f4", "F16": "<f2"}

func encodeMember(z *zip.Writer, t tensor.Tensor, v []float32) error {
	code, can := codes[cmp.Or(t.DType, "F32")]
	if !can {
		return fmt.Errorf("tensor %s: cannot be written as %s; F32 and F16 can", t.Name, t.DType)
	}
	if err := t.Fill(v); err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	f, err := z.CreateHeader(&zip.FileHeader{Name: t.Name + ".npy", Method: zip.Store})
	if err != nil {
		return err
	}
	if _, err := f.Write(header(code, t.Shape)); err != nil {
		return err
	}
	return t.Encode(f, v)
}
