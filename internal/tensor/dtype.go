package tensor

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
)

// Widths are the bytes of an element, by type. The names are those of safetensors.
var Widths = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}

// Size is the bytes of a tensor whose elements have width bytes: an error where no file can hold them.
func Size(shape []int, width int64) (int64, error) {
	n := uint64(width)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", shape)
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v is too large for any file", shape)
		}
		n = lo
	}
	return int64(n), nil
}

// Decoders convert the floating-point types, little endian, to float32: b has len(dst) elements.
var Decoders = map[string]func(dst []float32, b []byte){
	"F32": func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	},
	"F64": func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
		}
	},
	"BF16": func(dst []float32, b []byte) { // the upper half of a float32
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		}
	},
	"F16": func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = half(binary.LittleEndian.Uint16(b[2*i:]))
		}
	},
}

// half is IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 of fraction.
func half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24, exact in float32
		x := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(x))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// NotHalf is a number that cannot be written as F16: infinite, NaN, or too large.
type NotHalf struct{ Value float32 }

func (e *NotHalf) Error() string {
	return fmt.Sprintf("%g is not a number that F16 can hold (at most 65504)", e.Value)
}

// Encoders convert float32 to the types that can be written, little endian. Numbers that a type cannot hold are a
// *NotHalf.
var Encoders = map[string]func(b []byte, v []float32) error{
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
				return &NotHalf{x}
			}
			binary.LittleEndian.PutUint16(b[2*i:], h)
		}
		return nil
	},
}

// Chunk is how many bytes are converted, checked and written at a time: they stay in the cache between these.
const Chunk = 256 << 10

// Encode writes v, which Fill gave, to w in the type that DType says, Chunk bytes at a time. The writer's errors are
// given back as they are; others name the tensor.
func (t Tensor) Encode(w io.Writer, v []float32) error {
	dtype := cmp.Or(t.DType, "F32")
	encode, can := Encoders[dtype]
	if !can {
		return fmt.Errorf("tensor %s: cannot be written as %s; F32 and F16 can", t.Name, dtype)
	}
	width := int(Widths[dtype])
	buf := make([]byte, min(Chunk, len(v)*width))
	for part := range slices.Chunk(v, Chunk/width) {
		b := buf[:len(part)*width]
		if err := encode(b, part); err != nil {
			return fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
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
