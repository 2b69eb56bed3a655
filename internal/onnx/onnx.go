// Package onnx reads and writes nets of ONNX, the format that most programs can read: a graph of operations, each with
// names for what it is given and what it gives, and the weights under their names, all in one protobuf message.
//
// Reading keeps the graph as it is, but for what computes no more than weights: Constant, ConstantOfShape and Identity
// of weights become weights. Numbers are streamed when they are asked for, from the file itself or from one beside it
// (.onnx.data), which must lie in the same folder. Graphs within graphs (If, Loop) are passed over, and there is
// nothing that computes: which net it is, is the caller's business. So is which graph a net becomes: written is what
// the caller gives, in opset 13 unless it says another, and IR version 8 (2021), streamed too, for all lengths are
// known before.
//
// Numbers of fields are those of onnx/onnx.proto of https://github.com/onnx/onnx, operations those of its
// docs/Operators.md. Of the program the package imports files, tensor, text and wire.
package onnx

import (
	"errors"
	"math"
	"slices"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// Graph is a net: what it is given, what is done with it, in order, and what comes out.
type Graph struct {
	Name     string
	Producer string  // "pytorch"
	Version  string  // of the producer
	Opset    int     // the version of the operations; 0: 13, where it is to be written
	Inputs   []Value // that nodes read and that are no weights
	Outputs  []Value
	Nodes    []Node
	// Weights are floating-point numbers under the names that nodes know them by, and whatever else is not among Ints.
	Weights []tensor.Tensor
	Ints    map[string][]int64 // lists of few whole numbers, such as Reshape is given
	Meta    map[string]string  // metadata_props
}

// Value is what a net is given, or what comes out.
type Value struct {
	Name  string
	DType string // "F32", also where it is empty
	Shape []int  // -1 where it is free, such as the number of pictures; nil where the file does not say
}

// Node is an operation.
type Node struct {
	Op      string // "Conv"; of others than ONNX's own with their domain: "com.microsoft.FusedConv"
	Name    string // may be empty
	Inputs  []string
	Outputs []string
	Attrs   []Attr
}

// Attr is an attribute of a Node: one of the values, as Kind tells.
type Attr struct {
	Name   string
	Kind   Kind
	Int    int64
	Float  float32
	Text   string
	Ints   []int64
	Floats []float32
}

// Kind is what an attribute's value is, as AttributeProto numbers it.
type Kind int

// The kinds of attributes that are known.
const (
	Float  Kind = 1
	Int    Kind = 2
	Text   Kind = 3
	Floats Kind = 6
	Ints   Kind = 7
)

// attr is an attribute of a name and a kind, or one without a value.
func (n *Node) attr(name string, kind Kind) (Attr, bool) {
	i := slices.IndexFunc(n.Attrs, func(a Attr) bool { return a.Name == name && a.Kind == kind })
	if i < 0 {
		return Attr{}, false
	}
	return n.Attrs[i], true
}

// Int is an attribute, or otherwise where the node has no such whole number.
func (n *Node) Int(name string, otherwise int64) int64 {
	if a, ok := n.attr(name, Int); ok {
		return a.Int
	}
	return otherwise
}

// Float is an attribute, or otherwise where the node has no such number.
func (n *Node) Float(name string, otherwise float32) float32 {
	if a, ok := n.attr(name, Float); ok {
		return a.Float
	}
	return otherwise
}

// Text is an attribute, or otherwise where the node has no such text.
func (n *Node) Text(name, otherwise string) string {
	if a, ok := n.attr(name, Text); ok {
		return a.Text
	}
	return otherwise
}

// Ints is an attribute, nil where the node has no such whole numbers.
func (n *Node) Ints(name string) []int64 {
	a, _ := n.attr(name, Ints)
	return a.Ints
}

// Weight is the tensor of that name.
func (g *Graph) Weight(name string) (t tensor.Tensor, ok bool) {
	i := slices.IndexFunc(g.Weights, func(t tensor.Tensor) bool { return t.Name == name })
	if i < 0 {
		return t, false
	}
	return g.Weights[i], true
}

// Model is an .onnx file, open: the weights can be read until Close.
type Model struct {
	Graph
	file *wire.File
	data map[string]*wire.File // those beside it, by name
}

// Open opens an .onnx file and reads all but the numbers of its weights. One that is damaged, or another kind of file,
// is a *tensor.BadFile; one whose weights lie in a file that is missing is a *NoData.
func Open(fsys files.Reader, path string) (*Model, error) {
	f, err := wire.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	m := &Model{file: f, data: map[string]*wire.File{}}
	if err := m.read(fsys); err != nil {
		if missing := (*NoData)(nil); errors.As(err, &missing) {
			return nil, errors.Join(missing, m.Close())
		}
		return nil, errors.Join(f.At(err), m.Close())
	}
	return m, nil
}

// Close closes the file, and those beside it.
func (m *Model) Close() error {
	err := m.file.Close()
	for _, f := range m.data {
		err = errors.Join(err, f.Close())
	}
	return err
}

// types are TensorProto's types of numbers, as safetensors calls them.
var types = map[int]string{
	1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32",
	13: "U64", 16: "BF16", 17: "F8_E4M3", 19: "F8_E5M2",
}

// What a graph may have. What is kept of a node or a weight takes more memory than the file needs for an empty one.
const (
	maxNodes   = 5_000
	maxWeights = 5_000
	maxNames   = 50_000 // of inputs and outputs
	maxAttrs   = 10_000
	maxList    = 16   // numbers in an attribute
	maxInts    = 64   // numbers in one of the graph's Ints
	maxName    = 1024 // bytes
	maxMeta    = 1_000
	maxText    = 4 << 20 // bytes of one of the metadata
	maxFiles   = 16      // beside the file
	maxMade    = 1 << 27 // numbers in what ConstantOfShape makes: a file of a hundred bytes may ask for any
	maxSize    = math.MaxInt32
)
