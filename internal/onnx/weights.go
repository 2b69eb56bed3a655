package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/tensor"
	"alexnet/internal/text"
	"alexnet/internal/wire"
)

// The fields of TensorProto that may hold its numbers.
const (
	floatData  = 4
	int32Data  = 5
	int64Data  = 7
	rawData    = 9
	doubleData = 10
)

// stored is what a TensorProto says of its numbers.
type stored struct {
	name  string
	dtype string
	dims  []int64
	in    wire.Range

	field    protowire.Number // that has the numbers; 0: none
	count    int64            // numbers in it, or bytes of rawData
	external bool             // they lie in a file beside
	location string
	offset   string
	length   string
}

// tensor reads all of a TensorProto but its numbers, which it counts.
func (r *reader) tensor(in wire.Range) (s stored, err error) {
	s.in = in
	s.dtype = typeName(0)
	err = r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			s.dims, err = r.Ints(s.dims, f, tensor.MaxDims)
		case 2:
			var n int
			n, err = f.Int(maxSize)
			s.dtype = typeName(n)
		case 3:
			err = tensor.Damaged("byte %d: a part of a tensor, which is not read", f.At)
		case floatData, int32Data, int64Data, rawData, doubleData:
			err = r.counted(&s, f)
		case 8:
			s.name, err = r.Text(f, maxName)
		case 13:
			err = r.external(&s, f)
		case 14:
			var n int
			n, err = f.Int(1)
			s.external = n == 1
		}
		return err
	})
	return s, tensor.In(fmt.Sprintf("tensor %.64q", s.name), err)
}

// counted counts the numbers in a field that holds some.
func (r *reader) counted(s *stored, f wire.Field) error {
	if s.field != 0 && (s.field != f.Num || f.Num == rawData) {
		return tensor.Damaged("byte %d: numbers in fields %d and %d", f.At, s.field, f.Num)
	}
	s.field = f.Num
	n, err := int64(0), error(nil)
	switch f.Num {
	case floatData:
		n, err = f.Count(4)
	case doubleData:
		n, err = f.Count(8)
	case rawData:
		_, err = f.Message()
		n = f.In.Len()
	default:
		err = r.Varints(f, func(uint64) error { n++; return nil })
	}
	s.count += n
	return err
}

// external reads a word about where the numbers lie.
func (r *reader) external(s *stored, f wire.Field) error {
	key, value, err := r.entry(f)
	switch key {
	case "location":
		s.location = value
	case "offset":
		s.offset = value
	case "length":
		s.length = value
	}
	return err
}

// store keeps what is said of a weight until all is known.
func (r *reader) store(s stored) error {
	if len(r.stored) == maxWeights {
		return tensor.Damaged("byte %d: more than %d weights", s.in.Off, maxWeights)
	}
	r.stored = append(r.stored, s)
	return nil
}

// weights makes the graph's weights of what is said of them.
func (r *reader) weights() error {
	for _, s := range r.stored {
		if err := r.weight(s); err != nil {
			return err
		}
	}
	r.stored = nil
	return nil
}

// place is where a weight of a name stands.
func (r *reader) place(name string) (i int, ok bool) {
	i, ok = r.placed[name]
	return i, ok
}

// known tells whether a name is that of a weight.
func (r *reader) known(name string) bool {
	_, list := r.m.Ints[name]
	_, ok := r.place(name)
	return list || ok
}

// fits refuses a weight under a name that another has, or one too many.
func (r *reader) fits(name string) error {
	switch {
	case r.known(name):
		return tensor.Damaged("weight %.64q is there twice", name)
	case len(r.m.Weights)+len(r.m.Ints) >= 2*maxWeights:
		return tensor.Damaged("more than %d weights", 2*maxWeights)
	}
	return nil
}

func (r *reader) ints(name string, list []int64) error {
	err := r.fits(name)
	r.m.Ints[name] = list
	return err
}

func (r *reader) add(t tensor.Tensor) error {
	err := r.fits(t.Name)
	r.placed[t.Name] = len(r.m.Weights)
	r.m.Weights = append(r.m.Weights, t)
	return err
}

// weight adds what was read to the graph: to the Ints where it is a list of few whole numbers.
func (r *reader) weight(s stored) error {
	t, err := r.make(s)
	if err != nil {
		return err
	}
	if n := t.Len(); (s.dtype == "I64" || s.dtype == "I32") && len(s.dims) < 2 && n <= maxInts && !s.external {
		list, err := r.list(s, n)
		if err != nil {
			return err
		}
		return r.ints(s.name, list)
	}
	return r.add(t)
}

// make makes a tensor of what is said of it.
func (r *reader) make(s stored) (t tensor.Tensor, err error) {
	bad := func(format string, a ...any) error {
		return tensor.In(fmt.Sprintf("tensor %.64q", s.name), tensor.Damaged(format, a...))
	}
	shape, err := wire.Shape(s.dims)
	if err != nil {
		return t, bad("%v", err)
	}
	width := tensor.Widths[s.dtype]
	if width == 0 {
		return t, bad("it is of %s, which is not known", s.dtype)
	}
	size, err := tensor.Size(shape, width)
	if err != nil {
		return t, bad("%v", err)
	}
	t = tensor.Tensor{Name: s.name, Shape: shape, DType: s.dtype}
	from, f := wire.Numbers{In: s.in, Num: s.field, DType: s.dtype}, r.File
	got := s.count
	switch {
	case s.external:
		if from.In, f, err = r.beside(s, size); err != nil {
			return t, tensor.In(fmt.Sprintf("tensor %.64q", s.name), err)
		}
		from.Num, got = 0, size
	case s.field == 0:
		from.In = wire.Range{} // there are none
	case s.field != rawData:
		got *= width
	}
	if got != size || !s.external && s.field != 0 && s.field != rawData && !holds(s) {
		return t, bad("%d bytes in field %d, not the %d of %s of shape %s", got, s.field, size, s.dtype,
			text.Shape(shape))
	}
	t.Fill = r.fill(s, t, f, from)
	return t, nil
}

// holds tells whether a field other than rawData is the one for a type of numbers.
func holds(s stored) bool {
	switch s.dtype {
	case "F32":
		return s.field == floatData
	case "F64":
		return s.field == doubleData
	case "I64":
		return s.field == int64Data
	case "U64", "U32":
		return false
	}
	return s.field == int32Data // half precision too: its bits
}

// fill is the Fill of a tensor whose numbers lie in a file.
func (r *reader) fill(s stored, t tensor.Tensor, f *wire.File, from wire.Numbers) func([]float32) error {
	name, n := s.name, t.Len()
	return func(dst []float32) error {
		if len(dst) != n {
			return fmt.Errorf("%s: %d values for shape %s", name, len(dst), text.Shape(t.Shape))
		}
		if tensor.Decoders[from.DType] == nil {
			return f.At(&tensor.BadFile{
				Fault:  tensor.OtherType,
				Reason: fmt.Sprintf("tensor %s is of type %s, which is not floating-point", name, from.DType),
			})
		}
		if from.Num == int32Data {
			return f.At(tensor.In(name, halves(f, dst, from)))
		}
		return f.At(tensor.In(name, f.Fill(dst, from)))
	}
}

// halves reads numbers of 16 bits, each of which is a varint of its bits.
func halves(f *wire.File, dst []float32, from wire.Numbers) error {
	w, decode, i := f.Walk(), tensor.Decoders[from.DType], 0
	var b [2]byte
	return w.Fields(from.In, func(field wire.Field) error {
		if field.Num != from.Num {
			return nil
		}
		return w.Varints(field, func(v uint64) error {
			if i == len(dst) || v > 1<<16-1 {
				return tensor.Damaged("byte %d: no number of 16 bits, or more than the %d there are to be", field.At,
					len(dst))
			}
			binary.LittleEndian.PutUint16(b[:], uint16(v))
			decode(dst[i:i+1], b[:])
			i++
			return nil
		})
	})
}

// list reads n whole numbers.
func (r *reader) list(s stored, n int) (list []int64, err error) {
	list = make([]int64, 0, n)
	width := int(tensor.Widths[s.dtype])
	err = r.Fields(s.in, func(f wire.Field) error {
		switch {
		case f.Num != s.field:
			return nil
		case f.Num != rawData:
			var err error
			list, err = r.Ints(list, f, n)
			return err
		}
		return r.Blocks(f.In, make([]byte, 8), func(b []byte) error {
			for ; len(b) >= width; b = b[width:] {
				if width == 8 {
					list = append(list, int64(binary.LittleEndian.Uint64(b)))
				} else {
					list = append(list, int64(int32(binary.LittleEndian.Uint32(b))))
				}
			}
			return nil
		})
	})
	return list, err
}

// NoData is a file whose weights lie in another one, which is not there.
type NoData struct {
	Path string // of the net
	Data string // of the file that has to lie beside it
}

func (e *NoData) Error() string {
	return fmt.Sprintf("%s: its weights lie in %s, and there is no such file", e.Path, text.Name(e.Data))
}

// beside is where the numbers of a tensor lie in a file in the same folder: one that is opened now, if it is not open.
func (r *reader) beside(s stored, size int64) (in wire.Range, f *wire.File, err error) {
	if s.location == "" || s.location == "." || s.location == ".." || strings.ContainsAny(s.location, "/\\\x00") {
		return in, nil, tensor.Damaged("its numbers lie in %.64q, which is not the name of a file beside this one",
			s.location)
	}
	offset, err := place(s.offset, 0)
	if err != nil {
		return in, nil, err
	}
	length, err := place(s.length, size)
	if err != nil {
		return in, nil, err
	}
	if length != size {
		return in, nil, tensor.Damaged("%d bytes in %.64q, not the %d of its shape", length, s.location, size)
	}
	if f = r.m.data[s.location]; f == nil {
		if len(r.m.data) == maxFiles {
			return in, nil, tensor.Damaged("the weights lie in more than %d files", maxFiles)
		}
		dir, _ := filepath.Split(r.Path()) // with the separator, as the path of an object needs it
		f, err = wire.Open(r.fsys, dir+s.location)
		if errors.Is(err, fs.ErrNotExist) {
			return in, nil, &NoData{r.Path(), dir + s.location}
		}
		if err != nil {
			return in, nil, fmt.Errorf("its weights lie in another file: %w", err)
		}
		r.m.data[s.location] = f
	}
	if offset > f.Size() || size > f.Size()-offset {
		return in, nil, tensor.Damaged("bytes %d to %d of %.64q, which has %d", offset, uint64(offset)+uint64(size),
			s.location, f.Size())
	}
	return wire.Range{Off: offset, End: offset + size}, f, nil
}

// place is the number that a text is, or otherwise where there is none.
func place(s string, otherwise int64) (int64, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, tensor.Damaged("%.64q is no place in a file", s)
	}
	return n, nil
}
