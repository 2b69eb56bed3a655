package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/tensor"
)

// must refuses a field of another type than the one that its number asks for.
func (f Field) must(typ protowire.Type) error {
	if f.Type != typ {
		return tensor.Damaged("byte %d: field %d is of type %d, not %d", f.At, f.Num, f.Type, typ)
	}
	return nil
}

// Varint is the field's number, as it is or negative.
func (f Field) Varint() (int64, error) {
	if err := f.must(protowire.VarintType); err != nil {
		return 0, err
	}
	return int64(f.Bits), nil
}

// Int is Varint of what is a size or a count: an error where it is negative or more than most.
func (f Field) Int(most int) (int, error) {
	n, err := f.Varint()
	if err == nil && (n < 0 || n > int64(most)) {
		return 0, tensor.Damaged("byte %d: field %d is %d, not 0 to %d", f.At, f.Num, n, most)
	}
	return int(n), err
}

// Bool is the field's truth.
func (f Field) Bool() (bool, error) { return f.Bits != 0, f.must(protowire.VarintType) }

// Float is the field's number, of 32 bits.
func (f Field) Float() (float32, error) {
	return math.Float32frombits(uint32(f.Bits)), f.must(protowire.Fixed32Type)
}

// Message is where the message lies that the field holds.
func (f Field) Message() (Range, error) { return f.In, f.must(protowire.BytesType) }

// Text reads what the field holds, at most so many bytes.
func (w *Walker) Text(f Field, most int64) (string, error) {
	if err := f.must(protowire.BytesType); err != nil {
		return "", err
	}
	if f.In.Len() > most {
		return "", tensor.Damaged("byte %d: field %d is a text of %d bytes, more than %d", f.At, f.Num, f.In.Len(),
			most)
	}
	if at := f.In.Off - w.place; at >= 0 && f.In.End-w.place <= int64(len(w.window)) {
		return string(w.window[at : at+f.In.Len()]), nil
	}
	b := make([]byte, f.In.Len())
	_, err := io.ReadFull(io.NewSectionReader(w.r, f.In.Off, f.In.Len()), b)
	return string(b), err
}

// Varints gives the varints of a repeated field to do: the field's own, or those packed in it.
func (w *Walker) Varints(f Field, do func(uint64) error) error {
	if f.Type == protowire.VarintType {
		return do(f.Bits)
	}
	if err := f.must(protowire.BytesType); err != nil {
		return err
	}
	for at := f.In.Off; at < f.In.End; {
		head, err := w.look(at, f.In.End)
		if err != nil {
			return err
		}
		v, n := protowire.ConsumeVarint(head)
		if n < 0 {
			return tensor.Damaged("byte %d: no number of field %d begins there", at, f.Num)
		}
		if err := do(v); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

// Ints appends the numbers of a repeated field to list, which may come to hold so many.
func (w *Walker) Ints(list []int64, f Field, most int) ([]int64, error) {
	err := w.Varints(f, func(v uint64) error {
		if len(list) == most {
			return tensor.Damaged("byte %d: field %d has more than %d numbers", f.At, f.Num, most)
		}
		list = append(list, int64(v))
		return nil
	})
	return list, err
}

// Floats appends the numbers of a repeated field, of 32 bits, to list, which may come to hold so many.
func (w *Walker) Floats(list []float32, f Field, most int) ([]float32, error) {
	n, err := f.Count(4)
	if err != nil {
		return nil, err
	}
	if n > int64(most-len(list)) {
		return nil, tensor.Damaged("byte %d: field %d has more than %d numbers", f.At, f.Num, most)
	}
	if f.Type == protowire.Fixed32Type {
		return append(list, math.Float32frombits(uint32(f.Bits))), nil
	}
	for at := f.In.Off; at < f.In.End; at += 4 {
		b, err := w.look(at, f.In.End)
		if err != nil {
			return nil, err
		}
		list = append(list, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return list, nil
}

// Count is how many numbers of so many bytes each, 4 or 8, a repeated field holds: one, or those packed in it.
func (f Field) Count(width int64) (int64, error) {
	fixed := protowire.Fixed32Type
	if width == 8 {
		fixed = protowire.Fixed64Type
	}
	if f.Type == fixed {
		return 1, nil
	}
	if err := f.must(protowire.BytesType); err != nil {
		return 0, err
	}
	if f.In.Len()%width != 0 {
		return 0, tensor.Damaged("byte %d: field %d has %d bytes, not a multiple of %d", f.At, f.Num, f.In.Len(),
			width)
	}
	return f.In.Len() / width, nil
}

// Numbers is where floating-point numbers lie: in the fields of one number, packed or one by one, of a message.
type Numbers struct {
	In    Range
	Num   protowire.Number // 0: In is no message, but the numbers themselves
	DType string           // of tensor.Decoders; where they stand one by one, of 4 or 8 bytes
}

// Fill reads exactly len(dst) numbers.
func (f *File) Fill(dst []float32, from Numbers) error {
	decode, width := tensor.Decoders[from.DType], tensor.Widths[from.DType]
	w, all := f.Walk(), len(dst)
	var buf []byte
	var one [8]byte
	put := func(b []byte) error {
		n := len(b) / int(width)
		if n > len(dst) || len(b)%int(width) != 0 {
			return tensor.Damaged("byte %d: more numbers than the %d there are to be", from.In.Off, all)
		}
		decode(dst[:n], b)
		dst = dst[n:]
		return nil
	}
	blocks := func(in Range) error {
		if buf == nil {
			buf = make([]byte, min(tensor.Chunk, (from.In.Len()+7)&^7))
		}
		return f.Blocks(in, buf, put)
	}
	if from.Num == 0 {
		return blocks(from.In)
	}
	err := w.Fields(from.In, func(field Field) error {
		switch {
		case field.Num != from.Num:
			return nil
		case field.Type == protowire.BytesType:
			return blocks(field.In)
		}
		for i := range one {
			one[i] = byte(field.Bits >> (8 * i))
		}
		return put(one[:width])
	})
	if err == nil && len(dst) > 0 {
		err = tensor.Damaged("byte %d: %d numbers, not %d", from.In.Off, all-len(dst), all)
	}
	return err
}

// Blocks gives what lies in a part of the file to do, through buf.
func (f *File) Blocks(in Range, buf []byte, do func([]byte) error) error {
	r := io.NewSectionReader(f.r, in.Off, in.Len())
	for left := in.Len(); left > 0; {
		b := buf[:min(int64(len(buf)), left)]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		if err := do(b); err != nil {
			return err
		}
		left -= int64(len(b))
	}
	return nil
}

// Shape makes dimensions of numbers in a file: an error where there are more than eight, or one is negative or too
// large for any file.
func Shape(dims []int64) ([]int, error) {
	if len(dims) > tensor.MaxDims {
		return nil, fmt.Errorf("%d dimensions, more than %d", len(dims), tensor.MaxDims)
	}
	shape := make([]int, len(dims))
	for i, d := range dims {
		if d < 0 || d > math.MaxInt32 {
			return nil, fmt.Errorf("dimension %d in shape %v", d, dims)
		}
		shape[i] = int(d)
	}
	return shape, nil
}
