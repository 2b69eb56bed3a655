package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
	pb "alexnet/internal/wire/wiretest"
)

func open(b []byte) (*Model, error) {
	m := &Model{file: wire.New("crafted", bytes.NewReader(b), int64(len(b)))}
	return m, m.file.At(m.read(files.OS))
}

// graph is a model of a graph of these fields.
func graph(fields ...[]byte) []byte { return append(pb.Number(1, 8), pb.Message(7, fields...)...) }

// weight is a graph with one, of a type, w.
func weight(dtype int64, fields ...[]byte) []byte {
	return graph(pb.Message(5, append([][]byte{pb.Number(2, dtype), pb.Text(8, "w")}, fields...)...))
}

// beside is a weight of two numbers in another file.
func beside(words ...string) []byte {
	parts := [][]byte{pb.Number(1, 2), pb.Number(14, 1)}
	for i := 0; i < len(words); i += 2 {
		parts = append(parts, pb.Message(13, pb.Text(1, words[i]), pb.Text(2, words[i+1])))
	}
	return weight(1, parts...)
}

// constant is a node that gives a weight.
func constant(op, out string, attr ...[]byte) []byte {
	value := pb.Message(5, append(attr, pb.Text(1, "value"))...)
	return pb.Message(1, pb.Text(1, "shape"), pb.Text(2, out), pb.Text(4, op), value)
}

// list is whole numbers, called shape.
func list(v ...int64) []byte {
	return pb.Message(5, pb.Number(1, int64(len(v))), pb.Number(2, 7), pb.Text(8, "shape"), pb.Varints(7, v...))
}

// Files that no sound program wrote: each is refused, and says why.
var hostile = map[string]struct {
	file []byte
	says string
}{
	"nothing": {nil, "not an ONNX file: there is no graph"},
	"text":    {[]byte("hello, world"), "not an ONNX file"},
	"a net of Caffe": {
		append(pb.Text(1, "AlexNet"), pb.Message(2)...), "not an ONNX file: byte 0: field 1",
	},
	"two graphs":           {append(graph(), graph()...), "a second graph"},
	"a graph too long":     {pb.Long(7, 1<<62, 1), "not an ONNX file: cut short: byte 0: field 7"},
	"a weight too long":    {graph(pb.Long(5, 1<<40, 1)), "1099511627776 bytes, and 1 are left"},
	"no type":              {weight(0, pb.Number(1, 1), pb.Floats(4, 1)), "it is of type 0"},
	"texts":                {weight(8, pb.Number(1, 1), pb.Text(6, "x")), "it is of type 8"},
	"a negative dimension": {weight(1, pb.Number(1, -1), pb.Floats(4, 1)), "dimension -1"},
	"a large one":          {weight(1, pb.Number(1, 1<<33), pb.Floats(4, 1)), "dimension 8589934592"},
	"a product over": {
		weight(1, pb.Varints(1, 1<<30, 1<<30, 1<<30), pb.Floats(4, 1)), "too large for any file",
	},
	"a product over to 0": {
		weight(1, pb.Varints(1, 1<<16, 1<<16, 1<<16, 1<<16), pb.Floats(4, 1)), "too large for any file",
	},
	"nine dimensions": {
		weight(1, pb.Varints(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), pb.Floats(4, 1)), "more than 8 numbers",
	},
	"odd bytes": {
		weight(1, pb.Number(1, 1), pb.Message(4, make([]byte, 5))), "5 bytes, not a multiple of 4",
	},
	"odd raw bytes": {
		weight(1, pb.Number(1, 1), pb.Message(9, make([]byte, 5))), "5 bytes in field 9, not the 4",
	},
	"too few numbers": {
		weight(1, pb.Varints(1, 2, 3), pb.Floats(4, 1)), "4 bytes in field 4, not the 24 of F32 of shape 2x3",
	},
	"no numbers": {weight(1, pb.Varints(1, 2, 3)), "0 bytes in field 0, not the 24"},
	"numbers twice": {
		weight(1, pb.Number(1, 1), pb.Message(9, make([]byte, 4)), pb.Message(9, make([]byte, 4))), "fields 9 and 9",
	},
	"numbers in two fields": {
		weight(1, pb.Number(1, 1), pb.Message(9, make([]byte, 4)), pb.Floats(4, 1)), "fields 9 and 4",
	},
	"floats that are doubles": {weight(11, pb.Number(1, 1), pb.Floats(4, 1, 2)), "16 bytes in field 4"},
	"doubles among floats": {
		weight(1, pb.Number(1, 2), pb.Message(10, make([]byte, 16))), "8 bytes in field 10",
	},
	"a part":               {weight(1, pb.Message(3)), "a part of a tensor"},
	"sparse":               {graph(pb.Message(15)), "sparse weights"},
	"a weight twice":       {graph(list(1), list(1)), `weight "shape" is there twice`},
	"a weight from a node": {graph(list(1), constant("ConstantOfShape", "shape")), "there twice"},
	"a constant of too many": {
		graph(list(1<<20, 1<<20), constant("ConstantOfShape", "w")), "more than 134217728",
	},
	"of less than none": {graph(list(-5), constant("ConstantOfShape", "w")), "dimension -5"},
	"an attribute of two kinds": {
		graph(pb.Message(1, pb.Message(5, pb.Number(3, 1), pb.Number(20, 1)))),
		"of kind 1 has a value of kind 2",
	},
	"a text where a number is": {
		graph(pb.Message(1, pb.Message(5, pb.Text(3, "x")))), "field 3 is of type 2, not 0",
	},
	"ints without an end": {
		graph(pb.Message(1, pb.Message(5, pb.Message(8, bytes.Repeat([]byte{0xff}, 11))))), "no number of field 8",
	},
	"a million nodes":   {graph(bytes.Repeat(pb.Message(1), 1_000_000)), "more than 5000 nodes"},
	"a million weights": {graph(bytes.Repeat(pb.Message(5), 1_000_000)), "more than 5000 weights"},
	"a million names": {
		graph(pb.Message(1, bytes.Repeat(pb.Message(1), 1_000_000))), "more than 50000 names",
	},
	"a million attributes": {
		graph(pb.Message(1, bytes.Repeat(pb.Message(5), 1_000_000))), "more than 10000 attributes",
	},
	"a million inputs": {graph(bytes.Repeat(pb.Message(11), 1_000_000)), "more than 10000 inputs"},
	"a million ints": {
		graph(pb.Message(1, pb.Message(5, pb.Message(8, make([]byte, 1_000_000))))), "more than 16 numbers",
	},
	"a million floats": {
		graph(pb.Message(1, pb.Message(5, pb.Message(7, make([]byte, 4_000_000))))), "more than 16 numbers",
	},
	"a million words":     {append(graph(), bytes.Repeat(pb.Message(14), 1_000_000)...), ""},
	"other folders":       {beside("location", "../w"), `"../w", which is not the name of a file beside`},
	"the root":            {beside("location", "/etc/passwd"), "not the name of a file beside"},
	"the folder itself":   {beside("location", "."), "not the name of a file beside"},
	"a folder of Windows": {beside("location", `..\w`), "not the name of a file beside"},
	"no place":            {beside(), "not the name of a file beside"},
	"another length":      {beside("location", "w", "length", "9"), `9 bytes in "w", not the 8`},
	"a negative place":    {beside("location", "w", "offset", "-9"), `"-9" is no place`},
	"a place beyond 2^64": {
		beside("location", "w", "offset", strings.Repeat("9", 30)), "is no place in a file",
	},
}

func TestHostile(t *testing.T) {
	for name, c := range hostile {
		_, err := open(c.file)
		var bad *tensor.BadFile
		if c.says == "" && err == nil {
			continue
		}
		if !errors.As(err, &bad) || bad.Path != "crafted" || !strings.Contains(bad.Reason, c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
}

// What is read of a crafted file takes twice the file and 16 MB at most, those that are read to their end among them.
func TestHostileAllocation(t *testing.T) {
	attr := pb.Message(5, pb.Text(1, "a"), pb.Varints(8, make([]int64, maxList)...))
	relu := pb.Message(1, pb.Text(4, "Relu"), pb.Text(1, "x"), pb.Text(2, "y"), attr)
	var weights, ints, words []byte
	for i := range maxWeights {
		name := pb.Text(8, fmt.Sprintf("weight%d", i))
		weights = append(weights, pb.Message(5, name, pb.Number(2, 1), pb.Number(1, 0))...)
		list := pb.Varints(7, make([]int64, maxInts)...)
		ints = append(ints, pb.Message(5, name, pb.Number(2, 7), pb.Number(1, maxInts), list)...)
	}
	input := pb.Message(11, pb.Message(2, pb.Message(1, pb.Message(2, bytes.Repeat(pb.Message(1), 8)))))
	for i := range maxMeta {
		words = append(words, pb.Message(14, pb.Text(1, string(rune(i))), pb.Text(2, "x"))...)
	}
	all := map[string][]byte{
		"nested graphs":        graph(pb.Nested(7, 20_000)),
		"nested in all":        pb.Nested(7, 20_000),
		"graphs in attributes": graph(pb.Message(1, pb.Message(5, pb.Nested(6, 20_000)))),
		"many nodes":           graph(bytes.Repeat(relu, maxNodes)),
		"many attributes":      graph(pb.Message(1, bytes.Repeat(attr, maxAttrs))),
		"many tensors":         graph(pb.Message(1, bytes.Repeat(pb.Message(5, pb.Message(5)), maxAttrs))),
		"many weights":         graph(weights),
		"many lists":           graph(ints),
		"many words":           append(graph(), words...),
		"many inputs":          graph(bytes.Repeat(input, 2*maxWeights)),
		"one by one":           weight(1, pb.Number(1, 1_000_000), bytes.Repeat(pb.Float(4, 1), 1_000_000)),
		"halves":               weight(10, pb.Number(1, 1_000_000), bytes.Repeat(pb.Varints(5, 1), 1_000_000)),
	}
	for name, c := range hostile {
		all[name] = c.file
	}
	for name, file := range all {
		pb.Little(t, name, file, func() { _, _ = open(file) }) // an error or none: TestHostile asks
	}
}

// Numbers in a file beside are found where they are said to be, and nowhere else.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	numbers := put("w", pb.Floats(1, 0, 7, 8, 0)[2:])
	net := put("net.onnx", beside("location", "w", "offset", "4", "length", "8"))
	m, err := Open(files.OS, net)
	if err != nil {
		t.Fatal(err)
	}
	v, err := m.Weights[0].Values()
	if err != nil || len(v) != 2 || v[0] != 7 || v[1] != 8 {
		t.Errorf("%v, %v", v, err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	var bad *tensor.BadFile
	for _, offset := range []string{"9", "16", "17", "9223372036854775807"} {
		put("net.onnx", beside("location", "w", "offset", offset))
		_, err := Open(files.OS, net)
		if !errors.As(err, &bad) || !strings.Contains(bad.Reason, `of "w", which has 16`) {
			t.Errorf("offset %s: %v", offset, err)
		}
	}
	put("net.onnx", beside("location", "w"))
	if err := os.Remove(numbers); err != nil {
		t.Fatal(err)
	}
	var missing *NoData
	if _, err := Open(files.OS, net); !errors.As(err, &missing) || *missing != (NoData{net, numbers}) {
		t.Error(err)
	}
	if err := os.Mkdir(numbers, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(files.OS, net); !errors.As(err, &bad) || bad.Path != numbers {
		t.Error(err)
	}
}

// Among the inputs are neither weights nor what no node reads.
func TestInputs(t *testing.T) {
	m, err := open(graph(pb.Message(1, pb.Text(1, "x"), pb.Text(1, "shape"), pb.Text(2, "y"), pb.Text(4, "Reshape")),
		list(1), pb.Message(11, pb.Text(1, "left")), pb.Message(11, pb.Text(1, "x")),
		pb.Message(11, pb.Text(1, "shape"))))
	if err != nil || len(m.Inputs) != 1 || m.Inputs[0].Name != "x" {
		t.Errorf("%v, %v", m.Inputs, err)
	}
}

// Whatever the type, numbers come back; whole numbers say that they are none.
func TestTypes(t *testing.T) {
	raw := func(b ...byte) []byte { return pb.Message(9, b) }
	number := [][]byte{pb.Number(1, 2), pb.Number(2, 1), pb.Floats(4, 1, -2)}
	doubles := pb.Message(10, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0})
	attribute := pb.Message(1, pb.Text(2, "w"), pb.Text(4, "Constant"),
		pb.Message(5, pb.Text(1, "value_floats"), pb.Floats(7, 1, -2)))
	for name, file := range map[string][]byte{
		"floats":        weight(1, pb.Number(1, 2), pb.Floats(4, 1, -2)),
		"one by one":    weight(1, pb.Number(1, 2), pb.Float(4, 1), pb.Float(4, -2)),
		"raw":           weight(1, pb.Number(1, 2), pb.Floats(9, 1, -2)),
		"halves":        weight(10, pb.Number(1, 2), pb.Varints(5, 0x3c00, 0xc000)),
		"a half each":   weight(10, pb.Number(1, 2), pb.Number(5, 0x3c00), pb.Number(5, 0xc000)),
		"raw halves":    weight(10, pb.Number(1, 2), raw(0, 0x3c, 0, 0xc0)),
		"bfloat16":      weight(16, pb.Number(1, 2), raw(0x80, 0x3f, 0, 0xc0)),
		"doubles":       weight(11, pb.Number(1, 2), doubles),
		"of attributes": graph(attribute),
		"of a constant": graph(constant("Constant", "w", pb.Message(5, number...))),
		"by another name": graph(pb.Message(1, pb.Text(1, "v"), pb.Text(2, "w"), pb.Text(4, "Identity")),
			pb.Message(5, append(number, pb.Text(8, "v"))...)),
	} {
		m, err := open(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		w, ok := m.Weight("w")
		if !ok {
			t.Errorf("%s: %+v", name, m.Graph)
			continue
		}
		if v, err := w.Values(); err != nil || len(v) != 2 || v[0] != 1 || v[1] != -2 || len(m.Nodes) > 0 {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	m, err := open(weight(7, pb.Number(1, 100), pb.Message(9, make([]byte, 800))))
	if err != nil {
		t.Fatal(err)
	}
	var bad *tensor.BadFile
	if _, err := m.Weights[0].Values(); !errors.As(err, &bad) || bad.Fault != tensor.OtherType {
		t.Error(err)
	}
	m, err = open(graph(list(1, -1, math.MinInt64), constant("ConstantOfShape", "w")))
	if err == nil || len(m.Ints["shape"]) != 3 {
		t.Errorf("%v, %v", m.Ints, err)
	}
}
