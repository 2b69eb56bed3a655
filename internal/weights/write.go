package weights

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"alexnet/internal/atomicfile"
)

// chunk is how many bytes are converted and checked at a time: they stay in the cache between the two.
const chunk = 256 << 10

// Write makes a safetensors file of tensors, in their order, all F32, with meta and the checksums in its metadata. It appears at path whole
// or not at all; on an error what was at path is untouched. Fill of each tensor is called once, in order, with one buffer for all.
func Write(path string, meta map[string]string, tensors []Tensor) error {
	l, err := newLayout(meta, tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(path, func(f atomicfile.File) error { return encode(f, l, tensors) })
}

func encode(w io.WriterAt, l *layout, tensors []Tensor) error {
	longest := 0
	for _, t := range tensors {
		longest = max(longest, t.Len())
	}
	values, bytes := make([]float32, longest), make([]byte, chunk)
	out := io.NewOffsetWriter(w, int64(len(l.text)))
	for i, t := range tensors {
		v := values[:t.Len()]
		if err := t.Fill(v); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		crc, err := writeValues(out, v, bytes)
		if err != nil {
			return err
		}
		l.setSum(i, crc)
	}
	l.seal()
	_, err := w.WriteAt(l.text, 0)
	return err
}

// writeValues writes fp32 little endian and returns the CRC32C of the bytes.
func writeValues(w io.Writer, v []float32, buf []byte) (crc uint32, err error) {
	for len(v) > 0 {
		n := min(len(v), len(buf)/4)
		for i, x := range v[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], math.Float32bits(x))
		}
		crc = crc32.Update(crc, castagnoli, buf[:4*n])
		if _, err := w.Write(buf[:4*n]); err != nil {
			return 0, err
		}
		v = v[n:]
	}
	return crc, nil
}
