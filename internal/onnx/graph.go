package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// reader reads a model. made is what a node's attribute "value" holds, by the node's place; the rest counts over the
// whole graph.
type reader struct {
	*wire.Walker
	m        *Model
	fsys     files.Reader
	hasGraph bool
	made     map[int]stored
	stored   []stored
	placed   map[string]int // where a weight stands
	names    int
	attrs    int
}

// read reads the model that the whole file is.
func (m *Model) read(fsys files.Reader) error {
	r := &reader{Walker: m.file.Walk(), m: m, fsys: fsys, made: map[int]stored{}, placed: map[string]int{}}
	m.Ints, m.Meta = map[string][]int64{}, map[string]string{}
	err := r.Fields(m.file.All(), r.modelField)
	if err == nil && !r.hasGraph {
		err = tensor.Damaged("there is no graph in it")
	}
	if err != nil {
		var bad *tensor.BadFile
		if !r.hasGraph && errors.As(err, &bad) && bad.Fault == tensor.Corrupt {
			bad.Fault, bad.Reason = tensor.OtherFormat, "not an ONNX file: "+bad.Reason
		}
		return err
	}
	if err := r.weights(); err != nil {
		return err
	}
	return r.fold()
}

// modelField reads a field of ModelProto.
func (r *reader) modelField(f wire.Field) (err error) {
	m := r.m
	switch f.Num {
	case 1: // the version of the format; a text, as Caffe's nets have there, is another kind of file
		_, err = f.Int(maxSize)
	case 2:
		m.Producer, err = r.Text(f, maxName)
	case 3:
		m.Version, err = r.Text(f, maxName)
	case 7:
		if r.hasGraph {
			return tensor.Damaged("byte %d: a second graph", f.At)
		}
		var in wire.Range
		if in, err = f.Message(); err == nil {
			r.hasGraph = true
			err = r.Fields(in, r.graphField)
		}
	case 8:
		err = r.opset(f)
	case 14:
		err = r.meta(f)
	}
	return err
}

// entry reads the texts 1 and 2 of the message that a field holds.
func (r *reader) entry(f wire.Field) (key, value string, err error) {
	in, err := f.Message()
	if err != nil {
		return "", "", err
	}
	err = r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			key, err = r.Text(f, maxName)
		case 2:
			value, err = r.Text(f, maxText)
		}
		return err
	})
	return key, value, err
}

func (r *reader) meta(f wire.Field) error {
	key, value, err := r.entry(f)
	if err == nil && len(r.m.Meta) == maxMeta {
		err = tensor.Damaged("byte %d: more than %d metadata", f.At, maxMeta)
	}
	r.m.Meta[key] = value
	return err
}

// opset reads an OperatorSetIdProto.
func (r *reader) opset(f wire.Field) error {
	in, err := f.Message()
	if err != nil {
		return err
	}
	domain, version := "", 0
	err = r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			domain, err = r.Text(f, maxName)
		case 2:
			version, err = f.Int(maxSize)
		}
		return err
	})
	if own(domain) {
		r.m.Opset = version
	}
	return err
}

// own tells whether a domain is that of ONNX's own operations.
func own(domain string) bool { return domain == "" || domain == "ai.onnx" }

// graphField reads a field of GraphProto.
func (r *reader) graphField(f wire.Field) (err error) {
	switch f.Num {
	case 1:
		return r.node(f)
	case 2:
		r.m.Name, err = r.Text(f, maxName)
	case 5:
		in, err := f.Message()
		if err != nil {
			return err
		}
		s, err := r.tensor(in)
		if err != nil {
			return err
		}
		return r.store(s)
	case 11:
		r.m.Inputs, err = r.value(r.m.Inputs, f)
	case 12:
		r.m.Outputs, err = r.value(r.m.Outputs, f)
	case 15:
		return &tensor.BadFile{
			Fault: tensor.OtherFormat, Reason: fmt.Sprintf("byte %d: sparse weights, which are not read", f.At),
		}
	}
	return err
}

// name reads one of the names of inputs and outputs.
func (r *reader) name(list []string, f wire.Field) ([]string, error) {
	if r.names++; r.names > maxNames {
		return nil, tensor.Damaged("byte %d: more than %d names of inputs and outputs", f.At, maxNames)
	}
	s, err := r.Text(f, maxName)
	return append(list, s), err
}

// node reads a NodeProto.
func (r *reader) node(f wire.Field) error {
	in, err := f.Message()
	if err != nil {
		return err
	}
	if len(r.m.Nodes) == maxNodes {
		return tensor.Damaged("byte %d: more than %d nodes", f.At, maxNodes)
	}
	var n Node
	var domain string
	var value *stored
	err = r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			n.Inputs, err = r.name(n.Inputs, f)
		case 2:
			n.Outputs, err = r.name(n.Outputs, f)
		case 3:
			n.Name, err = r.Text(f, maxName)
		case 4:
			n.Op, err = r.Text(f, maxName)
		case 5:
			err = r.attr(&n, &value, f)
		case 7:
			domain, err = r.Text(f, maxName)
		}
		return err
	})
	if err != nil {
		return tensor.In(fmt.Sprintf("node %d, %.64q", len(r.m.Nodes)+1, n.Name), err)
	}
	if !own(domain) {
		n.Op = domain + "." + n.Op
	}
	if value != nil {
		r.made[len(r.m.Nodes)] = *value
	}
	r.m.Nodes = append(r.m.Nodes, n)
	return nil
}

// attr reads an AttributeProto. A tensor goes to value where it is called so, which Constant and ConstantOfShape have;
// one with a graph or texts is left out.
func (r *reader) attr(n *Node, value **stored, f wire.Field) error {
	in, err := f.Message()
	if err != nil {
		return err
	}
	if r.attrs++; r.attrs > maxAttrs {
		return tensor.Damaged("byte %d: more than %d attributes", f.At, maxAttrs)
	}
	var a Attr
	var t *stored
	kind := 0
	err = r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			a.Name, err = r.Text(f, maxName)
		case 2:
			a.Kind = Float
			a.Float, err = f.Float()
		case 3:
			a.Kind = Int
			a.Int, err = f.Varint()
		case 4:
			a.Kind = Text
			a.Text, err = r.Text(f, maxName)
		case 5:
			if t != nil {
				return tensor.Damaged("byte %d: a second tensor", f.At)
			}
			var in wire.Range
			if in, err = f.Message(); err == nil {
				var s stored
				s, err = r.tensor(in)
				t = &s
			}
		case 7:
			a.Kind = Floats
			a.Floats, err = r.Floats(a.Floats, f, maxList)
		case 8:
			a.Kind = Ints
			a.Ints, err = r.Ints(a.Ints, f, maxList)
		case 20:
			kind, err = f.Int(maxSize)
		}
		return err
	})
	if err == nil {
		err = a.settle(Kind(kind))
	}
	switch {
	case err != nil:
		return tensor.In(fmt.Sprintf("attribute %.64q", a.Name), err)
	case t != nil && a.Name == "value":
		*value = t
	case a.Kind != 0:
		n.Attrs = append(n.Attrs, a)
	}
	return nil
}

// settle holds the attribute to the kind that the file says it is of; 0: it does not say. Without a value it is 0, or
// empty: writers leave these out.
func (a *Attr) settle(kind Kind) error {
	switch kind {
	case Float, Int, Text, Floats, Ints:
		if a.Kind != 0 && a.Kind != kind {
			return tensor.Damaged("one of kind %d has a value of kind %d", kind, a.Kind)
		}
		a.Kind = kind
	}
	return nil
}

// value reads a ValueInfoProto.
func (r *reader) value(list []Value, f wire.Field) ([]Value, error) {
	in, err := f.Message()
	if err != nil {
		return nil, err
	}
	if r.names++; r.names > maxNames || len(list) > 2*maxWeights {
		return nil, tensor.Damaged("byte %d: more than %d inputs and outputs", f.At, 2*maxWeights)
	}
	var v Value
	err = r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			v.Name, err = r.Text(f, maxName)
		case 2: // TypeProto: tensor_type
			err = r.inner(f, 1, func(f wire.Field) error { return r.tensorType(&v, f) })
		}
		return err
	})
	if err != nil {
		return nil, tensor.In(fmt.Sprintf("input or output %.64q", v.Name), err)
	}
	return append(list, v), nil
}

// inner gives do each field of a number, of the message that a field holds.
func (r *reader) inner(f wire.Field, num int, do func(wire.Field) error) error {
	in, err := f.Message()
	if err != nil {
		return err
	}
	return r.Fields(in, func(f wire.Field) error {
		if int(f.Num) == num {
			return do(f)
		}
		return nil
	})
}

// tensorType reads a TypeProto.Tensor.
func (r *reader) tensorType(v *Value, f wire.Field) error {
	in, err := f.Message()
	if err != nil {
		return err
	}
	return r.Fields(in, func(f wire.Field) (err error) {
		switch f.Num {
		case 1:
			var n int
			n, err = f.Int(maxSize)
			v.DType = typeName(n)
		case 2: // TensorShapeProto: dim
			if v.Shape == nil {
				v.Shape = []int{} // of a single number there is a shape too
			}
			err = r.inner(f, 1, func(f wire.Field) error { return r.dim(v, f) })
		}
		return err
	})
}

// dim reads a TensorShapeProto.Dimension.
func (r *reader) dim(v *Value, f wire.Field) error {
	if len(v.Shape) == tensor.MaxDims {
		return tensor.Damaged("byte %d: more than %d dimensions", f.At, tensor.MaxDims)
	}
	d := -1
	err := r.inner(f, 1, func(f wire.Field) error {
		n, err := f.Varint()
		if n >= 0 && n <= maxSize { // programs write -1, or 0, for a free one
			d = int(n)
		}
		return err
	})
	v.Shape = append(v.Shape, d)
	return err
}

// typeName is what a type of numbers is called.
func typeName(n int) string {
	if name, ok := types[n]; ok {
		return name
	}
	return fmt.Sprintf("type %d", n)
}

// fold turns what computes no more than weights into weights, and leaves out of the inputs those that are weights, as
// IR versions before 4 list them, or that no node reads.
func (r *reader) fold() error {
	m := r.m
	nodes := m.Nodes[:0]
	for i, n := range m.Nodes {
		done, err := r.constant(n, i)
		if err != nil {
			return tensor.In(fmt.Sprintf("node %d, %.64q", i+1, n.Name), err)
		}
		if !done {
			nodes = append(nodes, n)
		}
	}
	m.Nodes = nodes
	read := map[string]bool{}
	for _, n := range nodes {
		for _, name := range n.Inputs {
			read[name] = true
		}
	}
	inputs := m.Inputs[:0]
	for _, v := range m.Inputs {
		if read[v.Name] && !r.known(v.Name) {
			inputs = append(inputs, v)
		}
	}
	m.Inputs = inputs
	return nil
}

// constant makes a weight of what a node gives, where that follows from weights alone. i is its place in the file.
func (r *reader) constant(n Node, i int) (done bool, err error) {
	if len(n.Outputs) != 1 {
		return false, nil
	}
	out := n.Outputs[0]
	value, has := r.made[i]
	switch {
	case n.Op == "Constant" && has:
		value.name = out
		return true, r.weight(value)
	case n.Op == "Constant" && len(n.Attrs) == 1:
		return r.plain(out, n.Attrs[0])
	case n.Op == "ConstantOfShape" && len(n.Inputs) == 1:
		shape, there := r.m.Ints[n.Inputs[0]]
		if !there {
			return false, nil
		}
		return r.filled(out, shape, value, has)
	case n.Op == "Identity" && len(n.Inputs) == 1:
		return r.again(out, n.Inputs[0])
	}
	return false, nil
}

// plain makes a weight of a Constant that has its numbers as an attribute (opset 12).
func (r *reader) plain(name string, a Attr) (done bool, err error) {
	switch a.Name {
	case "value_int":
		return true, r.ints(name, []int64{a.Int})
	case "value_ints":
		return true, r.ints(name, a.Ints)
	case "value_float":
		return true, r.add(ofFloats(name, nil, []float32{a.Float}))
	case "value_floats":
		return true, r.add(ofFloats(name, []int{len(a.Floats)}, a.Floats))
	}
	return false, nil
}

func ofFloats(name string, shape []int, v []float32) tensor.Tensor {
	t := tensor.Of(name, shape, v)
	t.DType = "F32"
	return t
}

// again makes a weight under another name.
func (r *reader) again(name, of string) (done bool, err error) {
	if list, ok := r.m.Ints[of]; ok {
		return true, r.ints(name, list)
	}
	i, ok := r.place(of)
	if !ok {
		return false, nil
	}
	t := r.m.Weights[i]
	t.Name = name
	return true, r.add(t)
}

// filled makes a weight of one number again and again.
func (r *reader) filled(name string, dims []int64, value stored, has bool) (done bool, err error) {
	shape, err := wire.Shape(dims)
	if err != nil {
		return false, tensor.Damaged("%v", err)
	}
	if n, err := tensor.Size(shape, 1); err != nil || n > maxMade {
		return false, tensor.Damaged("shape %v is of more than %d numbers", shape, maxMade)
	}
	v := [1]float32{}
	if has {
		t, err := r.make(value)
		if err != nil {
			return false, err
		}
		if t.Len() != 1 || strings.HasPrefix(value.dtype, "I") {
			return false, nil
		}
		if err := t.Fill(v[:]); err != nil {
			return false, err
		}
	}
	fill := func(dst []float32) error {
		for i := range dst {
			dst[i] = v[0]
		}
		return nil
	}
	return true, r.add(tensor.Tensor{Name: name, Shape: shape, DType: cmp.Or(value.dtype, "F32"), Fill: fill})
}
