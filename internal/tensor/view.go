package tensor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"alexnet/internal/text"
)

// MaxDims is how many dimensions a tensor of a foreign file has at most.
const MaxDims = 8

// repeats is how many numbers a View may have that are fewer in the file: a constant, spread over a layer's maps.
const repeats = 4096

// View is how a tensor lies in a row of numbers: not always one after the other. PyTorch keeps a transposed matrix as
// it was with other strides, Fortran counts the first dimension fastest. Places are in numbers, not in bytes.
type View struct {
	Offset int64   // of the first
	Shape  []int   // (out, in)
	Stride []int64 // from one to the next in each dimension: (in, 1) in row-major order
}

// RowMajor is a tensor whose numbers follow each other as they are counted here: the last dimension fastest.
func RowMajor(shape []int) View {
	v, n := View{Shape: shape, Stride: make([]int64, len(shape))}, int64(1)
	for i, d := range slices.Backward(shape) {
		v.Stride[i] = n
		n *= int64(d)
	}
	return v
}

// ColumnMajor counts the first dimension fastest, as Fortran does.
func ColumnMajor(shape []int) View {
	v, n := View{Shape: shape, Stride: make([]int64, len(shape))}, int64(1)
	for i, d := range shape {
		v.Stride[i] = n
		n *= int64(d)
	}
	return v
}

// Len is the number of elements.
func (v View) Len() int { return Tensor{Shape: v.Shape}.Len() }

// Check holds a view of count numbers to them: a *BadFile where it leaves them, runs backwards or overlaps itself, or
// is much larger than they are.
func (v View) Check(count int64) error {
	if len(v.Shape) > MaxDims || len(v.Shape) != len(v.Stride) {
		return Damaged("%d dimensions and %d strides", len(v.Shape), len(v.Stride))
	}
	n, err := Size(v.Shape, 1)
	if err != nil {
		return Damaged("%v", err)
	}
	if v.Offset < 0 || v.Offset > count {
		return Damaged("it begins at number %d of %d", v.Offset, count)
	}
	for _, s := range v.Stride {
		if s < 0 {
			return Damaged("a negative stride: %d", s)
		}
	}
	if n == 0 {
		return nil
	}
	last := uint64(v.Offset)
	for i, d := range v.Shape {
		hi, reach := bits.Mul64(uint64(d-1), uint64(v.Stride[i]))
		if hi != 0 || reach >= uint64(count) {
			last = uint64(count)
			break
		}
		last += reach // at most MaxDims+1 times 2^63 / MaxDims: checked at each step
		if last >= uint64(count) {
			break
		}
	}
	if last >= uint64(count) {
		return Damaged("shape %s with strides %v reaches beyond the %d numbers that there are", text.Shape(v.Shape),
			v.Stride, count)
	}
	if n > max(count, repeats) {
		return Damaged("shape %s of %d numbers", text.Shape(v.Shape), count)
	}
	return v.checkOverlap()
}

// checkOverlap refuses what would have to be read to and fro: windows over a signal, which no weights are.
func (v View) checkOverlap() error {
	reach := int64(0)
	for _, d := range slices.Backward(v.steps()) {
		if d.src != 0 && d.src <= reach {
			return Damaged("shape %s with strides %v overlaps itself", text.Shape(v.Shape), v.Stride)
		}
		reach += (d.n - 1) * d.src
	}
	return nil
}

// step is a dimension: n numbers, so far apart in the file and in the tensor.
type step struct{ n, src, dst int64 }

// steps are the dimensions in the order in which the file has them, the slowest first. Those that are as one, because
// each lies where the other ends, are one.
func (v View) steps() []step {
	var all []step
	for i, dst := range RowMajor(v.Shape).Stride {
		if v.Shape[i] != 1 {
			all = append(all, step{int64(v.Shape[i]), v.Stride[i], dst})
		}
	}
	slices.SortStableFunc(all, func(a, b step) int { return cmp.Compare(b.src, a.src) })
	var merged []step
	for _, s := range all {
		if k := len(merged) - 1; k >= 0 && merged[k].src == s.n*s.src && merged[k].dst == s.n*s.dst {
			merged[k] = step{merged[k].n * s.n, s.src, s.dst}
			continue
		}
		merged = append(merged, s)
	}
	if len(merged) == 0 {
		merged = []step{{1, 1, 1}}
	}
	return merged
}

// Fill reads the numbers of a view that was checked, of a type that has a Decoder, into dst. r gives all numbers from
// the first on; it is read forward only, and where it can seek gaps are left out.
func (v View) Fill(dst []float32, r io.Reader, dtype string) error {
	if len(dst) != v.Len() {
		return fmt.Errorf("%d values for shape %s", len(dst), text.Shape(v.Shape))
	}
	decode, known := Decoders[dtype]
	if !known {
		return &BadFile{Fault: OtherType, Reason: fmt.Sprintf("it is of type %s, which is not floating-point", dtype)}
	}
	if len(dst) == 0 {
		return nil
	}
	steps := v.steps()
	w := &window{r: r, decode: decode, width: Widths[dtype], end: v.Offset + 1}
	for _, s := range steps {
		w.end += (s.n - 1) * s.src
	}
	outer, inner := steps[:len(steps)-1], steps[len(steps)-1]
	at := make([]int64, len(outer)) // of each outer dimension
	for src, d := v.Offset, int64(0); ; {
		if err := w.run(dst[d:], src, inner); err != nil {
			return err
		}
		i := len(outer) - 1
		for ; i >= 0; i-- { // as an odometer counts
			src, d = src+outer[i].src, d+outer[i].dst
			if at[i]++; at[i] < outer[i].n {
				break
			}
			at[i], src, d = 0, src-outer[i].n*outer[i].src, d-outer[i].n*outer[i].dst
		}
		if i < 0 {
			return nil
		}
	}
}

// window is the numbers from first on that were read last.
type window struct {
	r      io.Reader
	decode func(dst []float32, b []byte)
	width  int64
	end    int64 // no number from here on is wanted
	first  int64
	values []float32
	bytes  []byte
	next   int64 // number that r gives next
}

// windowLen is how many numbers are read at a time: 64 KiB of fp32.
const windowLen = 1 << 14

// run copies the numbers of one step, from number src on.
func (w *window) run(dst []float32, src int64, s step) error {
	for k := int64(0); k < s.n; {
		values, err := w.at(src + k*s.src)
		switch {
		case err != nil:
			return err
		case s.src == 0:
			for ; k < s.n; k++ {
				dst[k*s.dst] = values[0]
			}
		case s.src == 1 && s.dst == 1:
			k += int64(copy(dst[k:s.n], values))
		default:
			for j := int64(0); j < int64(len(values)) && k < s.n; j += s.src {
				dst[k*s.dst] = values[j]
				k++
			}
		}
	}
	return nil
}

var errBackwards = errors.New("a view runs backwards") // Check was not called

// at gives the numbers from i on, as many as are at hand.
func (w *window) at(i int64) ([]float32, error) {
	if n := i - w.first; n >= 0 && n < int64(len(w.values)) {
		return w.values[n:], nil
	}
	if i < w.next || i >= w.end {
		return nil, errBackwards
	}
	if err := skip(w.r, (i-w.next)*w.width); err != nil {
		return nil, err
	}
	n := min(windowLen, w.end-i)
	if w.bytes == nil {
		w.bytes, w.values = make([]byte, n*w.width), make([]float32, n)
	}
	w.first, w.next, w.values = i, i+n, w.values[:n]
	if _, err := io.ReadFull(w.r, w.bytes[:n*w.width]); err != nil {
		return nil, err
	}
	w.decode(w.values, w.bytes[:n*w.width])
	return w.values, nil
}

func skip(r io.Reader, n int64) error {
	if n == 0 {
		return nil
	}
	if s, can := r.(io.Seeker); can {
		_, err := s.Seek(n, io.SeekCurrent)
		return err
	}
	_, err := io.CopyN(io.Discard, r, n)
	return err
}
