package pth

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"alexnet/internal/pickle"
	"alexnet/internal/tensor"
)

// dtypes are PyTorch's classes of storages and what they hold.
var dtypes = map[string]string{
	"FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "DoubleStorage": "F64",
	"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
	"BoolStorage": "BOOL",
}

// storage is a row of numbers in the file.
type storage struct {
	key   string
	dtype string
	count int64
	// read gives the numbers from the first on to do; whole says that it wants all of them.
	read func(whole bool, do func(io.Reader) error) error
}

// slot is a storage, or in the older form a part of one.
type slot struct {
	*storage
	offset, count int64
}

// array is a tensor.
type array struct {
	slot
	view tensor.View
}

// class is what a class of storages stands for: the type of what they hold.
type class string

// object is the pickle of a file, and the storages that it names.
type object struct {
	pickle.Machine
	find     func(s *storage) error // fills in read, or sees that it can be done later
	storages map[string]*storage
}

func newObject(size int64, find func(*storage) error) *object {
	o := &object{find: find, storages: map[string]*storage{}}
	o.Machine = pickle.Machine{Global: global, Persistent: o.persistent, Left: pickle.Room(size)}
	return o
}

// global looks a name up: these are all that a file's pickle may name.
func global(module, name string, below []any) (any, error) {
	switch {
	case module == "torch" && dtypes[name] != "":
		return class(dtypes[name]), nil
	case module == "collections" && name == "OrderedDict":
		return pickle.Func(orderedDict), nil
	case module == "torch._utils" && (name == "_rebuild_tensor" || name == "_rebuild_tensor_v2"):
		return pickle.Func(rebuildTensor), nil
	case module == "torch._utils" && name == "_rebuild_parameter":
		return pickle.Func(rebuildParameter), nil
	}
	kind := OtherGlobal
	// The older form has the source of modules beside it: ('module', class, file, source).
	source := len(below) > 0 && below[len(below)-1] == any("module")
	if len(below) == 0 || source || strings.HasPrefix(module, "torch.nn.") ||
		strings.HasPrefix(module, "torchvision.models.") {
		kind = WholeModel
	}
	return nil, &Refused{Kind: kind, Name: module + "." + name}
}

// orderedDict makes collections.OrderedDict(), or as Python 2 writes it OrderedDict([[key, value], ...]).
func orderedDict(args pickle.Tuple) (any, error) {
	d := &pickle.Dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, is := args[0].(*pickle.List)
	if !is || len(args) != 1 {
		return nil, tensor.Damaged("an OrderedDict of something else than pairs")
	}
	for _, p := range pairs.Items {
		pair, is := p.(pickle.Tuple)
		if l, too := p.(*pickle.List); too {
			pair, is = l.Items, true
		}
		if !is || len(pair) != 2 {
			return nil, tensor.Damaged("an OrderedDict of something else than pairs")
		}
		d.Items = append(d.Items, pickle.Item{Key: pair[0], Value: pair[1]})
	}
	return d, nil
}

// rebuildTensor makes a tensor: (storage, offset, shape, strides) and, since 0.4, whether it learns and what hooks it
// has.
func rebuildTensor(args pickle.Tuple) (any, error) {
	if len(args) < 4 || len(args) > 7 {
		return nil, tensor.Damaged("a tensor of %d parts", len(args))
	}
	s, is := args[0].(slot)
	offset, at := args[1].(int64)
	shape, sized := numbers(args[2])
	strides, strided := numbers(args[3])
	if !is || !at || !sized || !strided {
		return nil, tensor.Damaged("a tensor without a storage, an offset, a shape or strides")
	}
	a := array{slot: s, view: tensor.View{Offset: offset, Shape: make([]int, len(shape)), Stride: strides}}
	for i, d := range shape {
		a.view.Shape[i] = int(d)
	}
	if err := a.view.Check(s.count); err != nil {
		return nil, tensor.In("a tensor in storage "+s.key, err)
	}
	return a, nil
}

// numbers are those of a shape.
func numbers(v any) ([]int64, bool) {
	t, is := v.(pickle.Tuple)
	if !is || len(t) > tensor.MaxDims {
		return nil, false
	}
	n := make([]int64, len(t))
	for i := range t {
		if n[i], is = t[i].(int64); !is {
			return nil, false
		}
	}
	return n, true
}

// rebuildParameter makes a parameter, which here is its tensor.
func rebuildParameter(args pickle.Tuple) (any, error) {
	if len(args) == 0 {
		return nil, tensor.Damaged("a parameter without a tensor")
	}
	a, is := args[0].(array)
	if !is {
		return nil, tensor.Damaged("a parameter without a tensor")
	}
	return a, nil
}

// persistent finds a storage: ('storage', class, key, device, count), and in the older form which part of it. On which
// device it was does not matter.
func (o *object) persistent(id any) (any, error) {
	t, is := id.(pickle.Tuple)
	if !is || len(t) < 5 || t[0] != any("storage") {
		return nil, tensor.Damaged("an object outside of the pickle that is no storage")
	}
	dtype, is := t[1].(class)
	key, too := t[2].(string)
	count, counted := t[4].(int64)
	if !is || !too || !counted || count < 0 {
		return nil, tensor.Damaged("a storage without a type, a key or a length")
	}
	s := o.storages[key]
	if s == nil {
		if _, err := tensor.Size([]int{int(count)}, tensor.Widths[string(dtype)]); err != nil {
			return nil, tensor.Damaged("storage %s: %v", key, err)
		}
		s = &storage{key: key, dtype: string(dtype), count: count}
		if err := o.find(s); err != nil {
			return nil, err
		}
		o.storages[key] = s
	}
	if s.dtype != string(dtype) || s.count != count {
		return nil, tensor.Damaged("storage %s is of %d %s, and then of %d %s", key, s.count, s.dtype, count, dtype)
	}
	whole := slot{storage: s, count: count}
	if len(t) == 5 || t[5] == nil {
		return whole, nil
	}
	return whole.part(t[5])
}

// part is the view of a storage that the older form has: (key, offset, count).
func (s slot) part(view any) (any, error) {
	t, is := view.(pickle.Tuple)
	if !is || len(t) != 3 {
		return nil, tensor.Damaged("storage %s: a part of it that is not told", s.key)
	}
	offset, at := t[1].(int64)
	count, counted := t[2].(int64)
	if !at || !counted || offset < 0 || count < 0 || offset > s.count || count > s.count-offset {
		return nil, tensor.Damaged("storage %s of %d numbers: a part of it reaches beyond", s.key, s.count)
	}
	s.offset, s.count = offset, count
	return s, nil
}

// fill reads a tensor.
func (a array) fill(dst []float32) error {
	v := a.view
	v.Offset += a.offset
	return a.read(int64(v.Len()) >= a.storage.count/2, func(r io.Reader) error { return v.Fill(dst, r, a.dtype) })
}

// collect takes the tensors and the plain values out of the object.
func (o *object) collect(f *File, v any) error {
	f.Scalars = map[string]string{}
	seen := map[string]bool{}
	return o.Walk(v, func(path string, leaf any) error {
		if seen[path] {
			return tensor.Damaged("%s is there twice", path)
		}
		seen[path] = true
		if s, is := leaf.(slot); is {
			leaf = array{slot: s, view: tensor.RowMajor([]int{int(s.count)})}
		}
		if a, is := leaf.(array); is {
			o.Left -= pickle.PerTensor // Walk looks at it
			f.Tensors = append(f.Tensors, tensor.Tensor{
				Name: path, Shape: a.view.Shape, DType: a.dtype,
				Fill: func(dst []float32) error { return tensor.In("tensor "+path, a.fill(dst)) },
			})
			return nil
		}
		word, plain := scalar(leaf)
		if !plain {
			return tensor.Damaged("%s is neither a tensor nor a plain value", path)
		}
		f.Scalars[path] = word
		return nil
	})
}

// scalar is a plain value in Python's words.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "None", true
	case bool:
		return map[bool]string{true: "True", false: "False"}[v], true
	case int64:
		return strconv.FormatInt(v, 10), true
	case *big.Int:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case string:
		return v, true
	case pickle.Row:
		return fmt.Sprintf("(%d values)", int(v)), true
	case *pickle.Raw:
		return fmt.Sprintf("(%d bytes)", v.Len), true
	}
	return "", false
}
