package interop

import (
	"cmp"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/onnx"
	"alexnet/internal/tensor"
)

// openONNX opens an .onnx file. Its graph is understood where it is a chain; a graph of another kind is listed, and
// fits no page.
func openONNX(fsys files.Reader, path string) (*Source, error) {
	m, err := onnx.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	s := &Source{Tensors: m.Weights, Meta: map[string]string{}, close: m.Close}
	for k, v := range m.Meta {
		s.Meta[k] = v
	}
	if s.Meta[formKey] != "" { // exported here: it says which net it is
		return s, nil
	}
	s.chain(&m.Graph)
	for _, in := range m.Inputs {
		if _, weight := m.Weight(in.Name); !weight && len(in.Shape) == 4 && in.Shape[2] > 0 {
			s.side = in.Shape[2]
		}
	}
	s.caffe = slices.ContainsFunc(s.layers, func(p pair) bool { return caffe2.MatchString(p.weight.Name) })
	s.bgr = s.caffe // the zoo's are Caffe's, converted
	return s, nil
}

// chain takes the nodes in order, as far as each works on what the one before it gives.
func (s *Source) chain(g *onnx.Graph) {
	at := "" // what the last node gave
	for i := 0; i < len(g.Nodes); i++ {
		n := &g.Nodes[i]
		if len(n.Inputs) == 0 || len(n.Outputs) == 0 || at != "" && n.Inputs[0] != at {
			if n.Op != "Shape" && n.Op != "Constant" {
				aside := config.Kind(n.Op + ", not in a chain")
				s.steps = append(s.steps, step{name: cmp.Or(n.Name, n.Op), kind: aside})
			}
			continue
		}
		at = n.Outputs[0]
		if does, is := stepOfONNX(n); is {
			s.steps = append(s.steps, does)
		}
		p, layer := pairOfONNX(g, n)
		if !layer {
			continue
		}
		if next := i + 1; n.Op == "MatMul" && next < len(g.Nodes) && g.Nodes[next].Op == "Add" {
			if b, ok := bias(g, &g.Nodes[next], at); ok {
				p.bias, at, i = &b, g.Nodes[next].Outputs[0], next
			}
		}
		s.layers = append(s.layers, p)
	}
}

// bias is the weight that an Add adds to what came before.
func bias(g *onnx.Graph, n *onnx.Node, to string) (t tensor.Tensor, ok bool) {
	if len(n.Inputs) != 2 || len(n.Outputs) == 0 {
		return t, false
	}
	other := n.Inputs[0]
	if other == to {
		other = n.Inputs[1]
	} else if n.Inputs[1] != to {
		return t, false
	}
	return g.Weight(other)
}

// pairOfONNX is the weight and bias of a convolution or a fully connected layer.
func pairOfONNX(g *onnx.Graph, n *onnx.Node) (p pair, ok bool) {
	if n.Op != "Conv" && n.Op != "Gemm" && n.Op != "MatMul" || len(n.Inputs) < 2 {
		return p, false
	}
	w, ok := g.Weight(n.Inputs[1])
	if !ok {
		return p, false
	}
	if (n.Op == "MatMul" || n.Op == "Gemm" && n.Int("transB", 0) == 0) && len(w.Shape) == 2 {
		w = permuted(w, 1, 0) // (in, out)
	}
	p = pair{name: w.Name, weight: &w}
	if name, _, named := split([]string{"", w.Name}); named {
		p.name = name
	}
	if len(n.Inputs) > 2 {
		if b, ok := g.Weight(n.Inputs[2]); ok {
			p.bias = &b
		}
	}
	return p, true
}

// stepOfONNX says what a node does; what does nothing when predicting is no step.
func stepOfONNX(n *onnx.Node) (s step, is bool) {
	s = step{name: cmp.Or(n.Name, n.Outputs[0]), kind: config.Kind(n.Op)}
	switch n.Op {
	case "Dropout", "Identity", "Flatten", "Reshape", "Softmax", "LogSoftmax":
		return s, false
	case "Conv":
		s.kind = config.Conv
		s.windowOf(n)
		s.facts["groups"] = float64(n.Int("group", 1))
	case "Gemm":
		if n.Float("alpha", 1) == 1 && n.Float("beta", 1) == 1 && n.Int("transA", 0) == 0 {
			s.kind = config.FC
		}
	case "MatMul":
		s.kind = config.FC
	case "Relu":
		s.kind, s.act = config.Activation, config.ReLU
	case "Tanh":
		s.kind, s.act = config.Activation, config.Tanh
	case "MaxPool", "AveragePool":
		if s.kind, s.pool = config.Pool, config.Max; n.Op == "AveragePool" {
			s.pool = config.Average
		}
		if s.windowOf(n); s.facts["size"] == 1 && s.facts["stride"] == 1 {
			return s, false // torchvision's averaging of 6x6 to 6x6
		}
	case "LRN":
		s.kind = config.LRN
		s.facts = map[string]float64{
			"size": float64(n.Int("size", 0)), "alpha": float64(n.Float("alpha", 1e-4)),
			"beta": float64(n.Float("beta", 0.75)), "k": float64(n.Float("bias", 1)), "columns": 1,
		}
	}
	return s, true
}

// windowOf notes what a node says of its window. Zeros that stand only after the map, or the mode for it, round up.
func (s *step) windowOf(n *onnx.Node) {
	pair := func(name string, otherwise int64) [2]int {
		v := n.Ints(name)
		if len(v) != 2 {
			return [2]int{int(otherwise), int(otherwise)}
		}
		return [2]int{int(v[0]), int(v[1])}
	}
	pads := n.Ints("pads")
	if len(pads) != 4 {
		pads = make([]int64, 4)
	}
	s.window(pair("kernel_shape", 0), pair("strides", 1), [2]int{int(pads[0]), int(pads[1])})
	if s.kind == config.Conv {
		s.facts["dilation"] = float64(max(pair("dilations", 1)[0], pair("dilations", 1)[1]))
	}
	s.round = config.Down
	if n.Int("ceil_mode", 0) == 1 || pads[2] > pads[0] && pads[3] > pads[1] {
		s.round = config.Up
	}
	if auto := n.Text("auto_pad", "NOTSET"); auto != "NOTSET" && auto != "VALID" || pads[2] < pads[0] ||
		s.pool == config.Average && n.Int("count_include_pad", 0) == 1 && slices.Max(pads) > 0 {
		s.facts["pad"] = -1 // as no page has it
	}
}
