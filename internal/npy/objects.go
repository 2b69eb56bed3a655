package npy

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"alexnet/internal/pickle"
	"alexnet/internal/tensor"
)

// ndarray is an array in a pickle: numpy.core.multiarray._reconstruct makes it, and BUILD says what it is.
type ndarray struct {
	objects []any // of an array of objects
	view    tensor.View
	dtype   string
	data    any // string, *pickle.Raw or *latin1: see bytes
}

// dtype is what numpy.dtype makes, and BUILD gives its order of bytes.
type dtype struct {
	kind  string
	width uint64
	order string
}

// latin1 are bytes that Python 3 wrote as text, for Python 2: each is the character of its number, in UTF-8.
type latin1 struct{ *pickle.Raw }

// Names that a pickle may use without calling them.
type name string

// readObjects reads an array of Python's objects, of which one is usual: a dict of layers.
func readObjects(r io.ReaderAt, size int64, h *heading) (*Archive, error) {
	machine := &pickle.Machine{Global: global, Left: pickle.Room(size)}
	v, next, err := machine.Load(r, h.length, size)
	if err != nil {
		return nil, err
	}
	if next != size {
		return nil, tensor.Damaged("%d bytes after the end of its pickle", size-next)
	}
	top, is := v.(*ndarray)
	if !is || top.objects == nil {
		return nil, tensor.Damaged("its pickle is not the array of objects that its header says")
	}
	var whole any = &pickle.List{Items: top.objects}
	if len(top.objects) == 1 {
		whole = top.objects[0]
	}
	_, dict := whole.(*pickle.Dict)
	a := &Archive{Dict: dict}
	seen := map[string]bool{}
	return a, machine.Walk(whole, func(path string, leaf any) error {
		x, is := leaf.(*ndarray)
		if !is || x.objects != nil || x.data == nil {
			return tensor.Damaged("%s is not an array of numbers", path)
		}
		if path = parameter(path); seen[path] {
			return tensor.Damaged("%s is there twice", path)
		}
		seen[path] = true
		machine.Left -= pickle.PerTensor // Walk looks at it
		a.Tensors = append(a.Tensors, tensor.Tensor{
			Name: path, Shape: x.view.Shape, DType: x.dtype, Fill: func(dst []float32) error { return x.fill(dst, r) },
		})
		return nil
	})
}

// parameter gives the parts of a layer, [weights, biases] or {weights, biases}, the names that they have elsewhere.
func parameter(path string) string {
	for from, to := range map[string]string{".0": ".weight", ".1": ".bias", ".weights": ".weight", ".biases": ".bias"} {
		if layer, is := strings.CutSuffix(path, from); is {
			return layer + to
		}
	}
	return path
}

// global looks a name up: these are all that a pickle of arrays may use.
func global(module, what string, _ []any) (any, error) {
	switch module + "." + what {
	case "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct":
		return pickle.Func(func(pickle.Tuple) (any, error) { return &ndarray{}, nil }), nil
	case "numpy.ndarray":
		return name(what), nil
	case "numpy.dtype":
		return pickle.Func(newDtype), nil
	case "_codecs.encode":
		return pickle.Func(encode), nil
	}
	return nil, &tensor.BadFile{
		Fault:  tensor.OtherType,
		Reason: fmt.Sprintf("it holds %s.%s, which is neither an array nor a plain value", module, what),
	}
}

// newDtype makes numpy.dtype("f4", align, copy).
func newDtype(args pickle.Tuple) (any, error) {
	if len(args) > 0 {
		if s, is := args[0].(string); is && len(s) >= 2 && len(s) <= 3 && s[1] >= '1' && s[1] <= '9' {
			d := &dtype{kind: s[:1], width: uint64(s[1] - '0')}
			if len(s) == 3 {
				d.width = 10*d.width + uint64(s[2]-'0')
			}
			return d, nil
		}
	}
	return nil, tensor.Damaged("a numpy.dtype of another kind than a number's")
}

// Build takes (version, order of bytes, ...).
func (d *dtype) Build(state any) error {
	t, is := state.(pickle.Tuple)
	if is && len(t) >= 2 {
		if d.order, is = t[1].(string); is && len(d.order) == 1 {
			return nil
		}
	}
	return tensor.Damaged("a numpy.dtype without an order of bytes")
}

// Build takes (version, shape, dtype, whether in Fortran's order, data).
func (a *ndarray) Build(state any) error {
	t, is := state.(pickle.Tuple)
	if !is || len(t) != 5 {
		return tensor.Damaged("a numpy.ndarray without shape, type and data")
	}
	dims, sized := t[1].(pickle.Tuple)
	d, typed := t[2].(*dtype)
	fortran, ordered := t[3].(bool)
	if n, is := t[3].(int64); is { // Python 2
		fortran, ordered = n != 0, true
	}
	if !sized || !typed || !ordered || len(dims) > tensor.MaxDims {
		return tensor.Damaged("a numpy.ndarray without shape, type and data")
	}
	shape := make([]int64, len(dims))
	for i, d := range dims {
		if shape[i], is = d.(int64); !is {
			return tensor.Damaged("a numpy.ndarray without shape")
		}
	}
	var err error
	if a.view, err = layout(shape, fortran); err != nil {
		return err
	}
	if list, is := t[4].(*pickle.List); is && d.kind == "O" {
		if len(list.Items) != a.view.Len() {
			return tensor.Damaged("an array of %d objects with %d", a.view.Len(), len(list.Items))
		}
		a.objects = list.Items
		return nil
	}
	if a.dtype, err = typeOf(d.order, d.kind, d.width); err != nil {
		return err
	}
	a.data = t[4]
	return a.check()
}

// check holds the bytes to the shape.
func (a *ndarray) check() error {
	want := int64(a.view.Len()) * tensor.Widths[a.dtype]
	least, most := int64(0), int64(0) // bytes that there may be
	switch d := a.data.(type) {
	case string:
		least, most = int64(len(d)), int64(len(d))
	case *pickle.Raw:
		least, most = d.Len, d.Len
	case *latin1: // one or two for each: how many, fill finds out
		least, most = (d.Len+1)/2, d.Len
	default:
		return tensor.Damaged("a numpy.ndarray without bytes")
	}
	if want < least || want > most {
		return tensor.Damaged("an array of %d bytes has %d", want, most)
	}
	return nil
}

// encode makes _codecs.encode(text, "latin1").
func encode(args pickle.Tuple) (any, error) {
	if len(args) != 2 || args[1] != any("latin1") && args[1] != any("latin-1") {
		return nil, tensor.Damaged("a text in another code than latin1")
	}
	switch s := args[0].(type) {
	case string:
		b := make([]byte, 0, len(s))
		for _, r := range s {
			if r > 0xff {
				return nil, tensor.Damaged("a text that is not latin1")
			}
			b = append(b, byte(r))
		}
		return string(b), nil
	case *pickle.Raw:
		return &latin1{s}, nil
	}
	return nil, tensor.Damaged("something else than a text is encoded")
}

// fill reads the numbers.
func (a *ndarray) fill(dst []float32, file io.ReaderAt) error {
	switch d := a.data.(type) {
	case string:
		return a.view.Fill(dst, strings.NewReader(d), a.dtype)
	case *pickle.Raw:
		return a.view.Fill(dst, io.NewSectionReader(file, d.Off, d.Len), a.dtype)
	case *latin1:
		r := &decoder{r: io.NewSectionReader(file, d.Off, d.Len)}
		if err := a.view.Fill(dst, r, a.dtype); err != nil {
			return err
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return tensor.Damaged("its bytes are more than its shape's")
		}
	}
	return nil
}

// decoder makes bytes of text whose characters are numbered as the bytes.
type decoder struct {
	r    io.Reader
	buf  [32 << 10]byte
	left []byte // of buf, not decoded
}

func (d *decoder) Read(p []byte) (n int, err error) {
	if len(d.left) == 0 || !utf8.FullRune(d.left) {
		kept := copy(d.buf[:], d.left)
		n, err := io.ReadFull(d.r, d.buf[kept:])
		if d.left = d.buf[:kept+n]; n == 0 {
			if kept > 0 && err == io.EOF {
				err = errLatin1
			}
			return 0, err
		}
	}
	for n < len(p) && len(d.left) > 0 && utf8.FullRune(d.left) {
		r, size := utf8.DecodeRune(d.left)
		if r > 0xff || size > 2 || r == utf8.RuneError {
			return n, errLatin1
		}
		p[n], d.left = byte(r), d.left[size:]
		n++
	}
	return n, nil
}

var errLatin1 = tensor.Damaged("its bytes are written as a text that is not latin1")
