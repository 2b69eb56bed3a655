package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"alexnet/internal/atomicfile"
	"alexnet/internal/files"
)

// chunk is how many bytes are converted and checked at a time: they stay in the cache between the two.
const chunk = 256 << 10

// Write makes a safetensors file of tensors, in their order, with meta and the checksums in its metadata. It appears at
// path whole or not at all; on an error what was at path is untouched. Fill of each tensor is called once, in order,
// with one buffer for all. F32 tensors lie at multiples of 4, as readers like them, where they come before those of
// F16.
func Write(fsys files.FS, path string, meta map[string]string, tensors []Tensor) error {
	l, err := newLayout(meta, tensors)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return atomicfile.Write(fsys, path, func(f atomicfile.File) error { return encode(f, l, tensors) })
}

// Encode writes to w, from its beginning, what Write puts into a file. On an error w holds a part of it.
func Encode(w io.WriterAt, meta map[string]string, tensors []Tensor) error {
	l, err := newLayout(meta, tensors)
	if err != nil {
		return err
	}
	return encode(w, l, tensors)
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
		crc, err := writeValues(out, t, v, bytes)
		if err != nil {
			return err
		}
		l.setSum(i, crc)
	}
	l.seal()
	_, err := w.WriteAt(l.text, 0)
	return err
}

// writeValues writes t's values little endian and returns the CRC32C of the bytes.
func writeValues(w io.Writer, t Tensor, v []float32, buf []byte) (crc uint32, err error) {
	encode, width := encoders[t.dtype()], int(widths[t.dtype()])
	for len(v) > 0 {
		n := min(len(v), len(buf)/width)
		b := buf[:width*n]
		if err := encode(b, v[:n]); err != nil {
			return 0, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		crc = crc32.Update(crc, castagnoli, b)
		if _, err := w.Write(b); err != nil {
			return 0, err
		}
		v = v[n:]
	}
	return crc, nil
}

// dtype is the type in the file to be written.
func (t Tensor) dtype() string { return cmp.Or(t.DType, "F32") }

// encoders convert float32 to the types that can be written.
var encoders = map[string]func(b []byte, v []float32) error{
	"F32": func(b []byte, v []float32) error {
		for i, x := range v {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
		}
		return nil
	},
	"F16": func(b []byte, v []float32) error {
		for i, x := range v {
			h, ok := toHalf(x)
			if !ok {
				return fmt.Errorf("%g is not a number that F16 can hold (at most 65504): write it as F32", x)
			}
			binary.LittleEndian.PutUint16(b[2*i:], h)
		}
		return nil
	},
}

// toHalf rounds to the nearest binary16, of two equally near to the even one; see half. Not ok: infinite, NaN, or it
// would become infinite.
func toHalf(x float32) (h uint16, ok bool) {
	bits := math.Float32bits(x)
	sign, abs := uint16(bits>>16)&(1<<15), bits&^(1<<31)
	const (
		tooLarge = 0x477ff000 // 65520, half way from the largest, 65504, to what would be the next
		normal   = 0x38800000 // 2^-14, the smallest that is not subnormal
	)
	switch {
	case abs >= tooLarge:
		return 0, false
	case abs < normal: // a multiple of 2^-24; 1024 of them are 2^-14, and 1024 is that number's pattern as well
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(abs))*(1<<24))), true
	}
	abs -= (127 - 15) << 23
	// half of the last bit kept, less one where it is even; a carry into the exponent is right
	abs += 1<<12 - 1 + abs>>13&1
	return sign | uint16(abs>>13), true
}
