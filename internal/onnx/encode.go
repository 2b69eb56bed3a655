package onnx

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/tensor"
)

// The versions that Encode writes, if not another opset. 13 is of 2020: whatever reads ONNX today reads it.
const (
	writtenIR    = 8
	writtenOpset = 13
)

// Encode writes a graph to w as an .onnx file, from its beginning to its end: all but the weights' numbers first, to
// know every length, and then Fill of each weight once, in order, with one buffer for all. Weights are written as F32
// or, where their DType says so, as F16. On an error w holds a part of it.
func Encode(w io.Writer, g *Graph) error {
	parts, err := g.parts()
	if err != nil {
		return err
	}
	var graph int64 // bytes
	for _, p := range parts {
		graph += p.size()
	}
	head := appendVarint(nil, 1, writtenIR)
	head = appendText(head, 2, g.Producer)
	head = appendText(head, 3, g.Version)
	head = protowire.AppendTag(head, 7, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(graph))
	tail := appendMessage(nil, 8, appendVarint(nil, 2, int64(cmp.Or(g.Opset, writtenOpset))))
	for _, k := range slices.Sorted(maps.Keys(g.Meta)) {
		tail = appendMessage(tail, 14, appendText(appendText(nil, 1, k), 2, g.Meta[k]))
	}
	if total := graph + int64(len(head)+len(tail)); total > math.MaxInt32 {
		return fmt.Errorf("%d bytes are more than the 2 GB that a protobuf message can have", total)
	}
	parts = append([]part{{head: head}}, append(parts, part{head: tail})...)
	return write(w, parts)
}

// part is a stretch of the file: bytes, and then a weight's numbers where there is one.
type part struct {
	head   []byte
	weight *tensor.Tensor
	bytes  int64 // of the numbers
}

func (p part) size() int64 { return int64(len(p.head)) + p.bytes }

// parts is the graph, in GraphProto's order.
func (g *Graph) parts() ([]part, error) {
	var nodes, ends []byte
	for _, n := range g.Nodes {
		b, err := n.encode()
		if err != nil {
			return nil, err
		}
		nodes = appendMessage(nodes, 1, b)
	}
	nodes = appendText(nodes, 2, g.Name)
	for i, v := range slices.Concat(g.Inputs, g.Outputs) {
		if _, can := tensor.Encoders[cmp.Or(v.DType, "F32")]; !can {
			return nil, fmt.Errorf("%s: cannot be of %s", v.Name, v.DType)
		}
		num := protowire.Number(11)
		if i >= len(g.Inputs) {
			num = 12
		}
		ends = appendMessage(ends, num, v.encode())
	}
	for _, name := range slices.Sorted(maps.Keys(g.Ints)) {
		nodes = appendMessage(nodes, 5, encodeInts(name, g.Ints[name]))
	}
	all, seen := []part{{head: nodes}}, map[string]bool{}
	for i := range g.Weights {
		p, err := weightPart(&g.Weights[i])
		if err != nil {
			return nil, err
		}
		name := g.Weights[i].Name
		if _, list := g.Ints[name]; list || seen[name] || name == "" {
			return nil, fmt.Errorf("a weight's name %q is empty, or used twice", name)
		}
		seen[name] = true
		all = append(all, p)
	}
	return append(all, part{head: ends}), nil
}

// typeNumber is TensorProto's number of a type that can be written.
func typeNumber(dtype string) int64 {
	if dtype == "F16" {
		return 10
	}
	return 1
}

// weightPart is an initializer: a TensorProto whose last field is rawData.
func weightPart(t *tensor.Tensor) (p part, err error) {
	dtype := cmp.Or(t.DType, "F32")
	if _, can := tensor.Encoders[dtype]; !can {
		return p, fmt.Errorf("weight %s: cannot be written as %s", t.Name, dtype)
	}
	bytes, err := tensor.Size(t.Shape, tensor.Widths[dtype])
	if err != nil {
		return p, fmt.Errorf("weight %s: %w", t.Name, err)
	}
	var b []byte
	for _, d := range t.Shape {
		b = appendVarint(b, 1, int64(d))
	}
	b = appendVarint(b, 2, typeNumber(dtype))
	b = appendText(b, 8, t.Name)
	b = protowire.AppendTag(b, rawData, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(bytes))
	head := protowire.AppendTag(nil, 5, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(int64(len(b))+bytes))
	return part{head: append(head, b...), weight: t, bytes: bytes}, nil
}

// encodeInts is a TensorProto of whole numbers.
func encodeInts(name string, list []int64) []byte {
	var raw []byte
	for _, v := range list {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	b := appendVarint(nil, 1, int64(len(list)))
	b = appendVarint(b, 2, 7)
	return appendMessage(appendText(b, 8, name), rawData, raw)
}

// encode is the node's NodeProto.
func (n *Node) encode() ([]byte, error) {
	var b []byte
	for _, s := range n.Inputs {
		b = appendMessage(b, 1, []byte(s)) // an input that is left out has an empty name
	}
	for _, s := range n.Outputs {
		b = appendMessage(b, 2, []byte(s))
	}
	b = appendText(appendText(b, 3, n.Name), 4, n.Op)
	for _, a := range n.Attrs {
		v := appendText(nil, 1, a.Name)
		switch a.Kind {
		case Float:
			v = appendFloat(v, 2, a.Float)
		case Int:
			v = appendVarint(v, 3, a.Int)
		case Text:
			v = appendMessage(v, 4, []byte(a.Text))
		case Floats:
			for _, x := range a.Floats {
				v = appendFloat(v, 7, x)
			}
		case Ints:
			for _, x := range a.Ints {
				v = appendVarint(v, 8, x)
			}
		default:
			return nil, fmt.Errorf("node %s: attribute %s has no kind", n.Name, a.Name)
		}
		b = appendMessage(b, 5, appendVarint(v, 20, int64(a.Kind)))
	}
	return b, nil
}

// encode is the value's ValueInfoProto. A free dimension has a name: "batch" the first, "dim1" and so on the others.
func (v Value) encode() []byte {
	var shape []byte
	for i, d := range v.Shape {
		var dim []byte
		switch {
		case d >= 0:
			dim = appendVarint(nil, 1, int64(d))
		case i == 0:
			dim = appendText(nil, 2, "batch")
		default:
			dim = appendText(nil, 2, fmt.Sprintf("dim%d", i))
		}
		shape = appendMessage(shape, 1, dim)
	}
	t := appendVarint(nil, 1, typeNumber(v.DType))
	if v.Shape != nil {
		t = appendMessage(t, 2, shape)
	}
	return appendMessage(appendText(nil, 1, v.Name), 2, appendMessage(nil, 1, t))
}

func appendVarint(b []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), uint64(v))
}

func appendFloat(b []byte, num protowire.Number, v float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(b, num, protowire.Fixed32Type), math.Float32bits(v))
}

func appendMessage(b []byte, num protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), content)
}

// appendText is appendMessage of a text; an empty one is left out, as the format's own writers do.
func appendText(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendMessage(b, num, []byte(s))
}

// write writes the parts, one after the other.
func write(w io.Writer, parts []part) error {
	longest := 0
	for _, p := range parts {
		if p.weight != nil {
			longest = max(longest, p.weight.Len())
		}
	}
	values := make([]float32, longest)
	for _, p := range parts {
		if _, err := w.Write(p.head); err != nil {
			return err
		}
		if p.weight == nil {
			continue
		}
		v := values[:p.weight.Len()]
		if err := p.weight.Fill(v); err != nil {
			return fmt.Errorf("weight %s: %w", p.weight.Name, err)
		}
		if err := p.weight.Encode(w, v); err != nil {
			return err
		}
	}
	return nil
}
