package interop

import (
	"cmp"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/device"
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
	var in device.Shape
	for _, v := range m.Inputs {
		if _, weight := m.Weight(v.Name); !weight && len(v.Shape) == 4 {
			if in = (device.Shape{C: v.Shape[1], H: v.Shape[2], W: v.Shape[3]}); in.H > 0 {
				s.side = in.H
			}
		}
	}
	s.chain(&m.Graph, in)
	s.caffe = slices.ContainsFunc(s.layers, func(p pair) bool { return caffe2.MatchString(p.weight.Name) })
	s.bgr = s.caffe // the zoo's are Caffe's, converted
	return s, nil
}

// chain takes the nodes in order, as far as each works on what the one before it gives. in is a picture's shape; what
// is free in it is not above 0.
func (s *Source) chain(g *onnx.Graph, in device.Shape) {
	c := chain{Graph: g, size: in}
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
		if does, is := c.step(n); is {
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

// chain is how far a chain of nodes has come.
type chain struct {
	*onnx.Graph
	size    device.Shape // of a picture's map; what is not known of it is not above 0
	columns int          // above 1: the map's channels are so many pictures, until they are joined again
	flat    bool         // what comes is a list of units
}

// step says what a node does, with what stands before it.
func (c *chain) step(n *onnx.Node) (s step, is bool) {
	switch n.Op {
	case "Flatten", "Reshape":
		s = step{name: cmp.Or(n.Name, n.Outputs[0]), kind: config.Kind(n.Op + " to a shape that no layer has")}
		return s, !c.reshape(n)
	case "Conv":
		if w, ok := c.weightOf(n); ok && len(w.Shape) == 4 {
			defer func() { c.size.C = w.Shape[0] }()
		}
	case "Gemm", "MatMul":
		c.flat, c.size = true, device.Shape{}
	}
	s, is = stepOfONNX(n)
	switch s.kind {
	case config.Conv, config.Pool:
		if c.flat || c.columns > 1 {
			s.kind += " of what is no map"
		}
		if c.size.H, c.size.W = s.windowOf(n, c.size); n.Op == "Conv" {
			s.facts["groups"] = float64(n.Int("group", 1))
		}
		if n.Op != "Conv" && s.facts["size"] == 1 && s.facts["stride"] == 1 && s.facts["pad"] == 0 {
			is = false // torchvision's averaging of 6x6 to 6x6
		}
	case config.LRN:
		if c.flat {
			s.kind += " of what is no map"
		}
		s.facts["columns"] = float64(max(c.columns, 1))
	case config.FC:
		if c.columns > 1 {
			s.kind += " of columns"
		}
	}
	return s, is
}

func (c *chain) weightOf(n *onnx.Node) (t tensor.Tensor, ok bool) {
	if len(n.Inputs) < 2 {
		return t, false
	}
	return c.Weight(n.Inputs[1])
}

// reshape follows a Flatten or Reshape: to a list of all units, or of the channels into columns, around normalisation,
// and back.
func (c *chain) reshape(n *onnx.Node) (ok bool) {
	if n.Op == "Flatten" {
		c.flat, ok = true, c.columns <= 1 && n.Int("axis", 1) == 1
		return ok
	}
	if len(n.Inputs) < 2 {
		return false
	}
	to, size := c.Ints[n.Inputs[1]], c.size
	switch {
	case len(to) == 2 && c.columns <= 1: // of each picture all
		units := int64(size.C) * int64(size.H) * int64(size.W)
		if c.flat || min(size.C, size.H, size.W) < 1 {
			units = to[1]
		}
		c.flat = true
		return to[1] == -1 && to[0] >= 0 || to[1] == units && units > 0
	case len(to) != 4 || to[0] != -1 || c.flat || int64(size.H) != to[2] || int64(size.W) != to[3] || to[1] < 1:
		return false
	case c.columns > 1:
		ok = to[1] == int64(size.C)
		c.columns = 1
		return ok
	}
	c.columns = size.C / int(to[1])
	return int64(c.columns)*to[1] == int64(size.C)
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
	case "Dropout", "Identity", "Softmax", "LogSoftmax":
		return s, false
	case "Conv":
		s.kind = config.Conv
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
	case "LRN":
		s.kind = config.LRN
		s.facts = map[string]float64{
			"size": float64(n.Int("size", 0)), "alpha": float64(n.Float("alpha", 1e-4)),
			"beta": float64(n.Float("beta", 0.75)), "k": float64(n.Float("bias", 1)),
		}
	}
	return s, true
}

// windowOf notes what a node says of its window over a map, and gives the size of what comes out; what is not known is
// not above 0. Zeros after the map are as those before it, or what sizes that are rounded down or up make of these.
func (s *step) windowOf(n *onnx.Node, in device.Shape) (h, w int) {
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
	size, stride, begin := pair("kernel_shape", 0), pair("strides", 1), [2]int{int(pads[0]), int(pads[1])}
	s.window(size, stride, begin)
	s.facts["dilation"] = float64(max(pair("dilations", 1)[0], pair("dilations", 1)[1]))
	up := n.Int("ceil_mode", 0) == 1
	var out [2]int
	var rounds [2]config.Round
	for d, of := range [2]int{in.H, in.W} {
		out[d], rounds[d] = s.rounded(of, size[d], stride[d], begin[d], int(pads[2+d]), up)
	}
	if s.round = rounds[0]; s.round == "" {
		s.round = rounds[1]
	}
	other := rounds[1] != "" && rounds[1] != s.round
	if auto := n.Text("auto_pad", "NOTSET"); auto != "NOTSET" && auto != "VALID" || other || s.round == never ||
		s.pool == config.Average && n.Int("count_include_pad", 0) == 1 && slices.Max(pads) > 0 {
		s.facts["pad"] = -1 // as no page has it
	}
	return out[0], out[1]
}

// never is no rounding that a page has.
const never config.Round = "never"

// rounded is the size of a window's output and how a page rounds it: of a map of a size that is not known only where
// the zeros after it are as many as those before it. Where down and up give the same, the rounding is empty.
func (s *step) rounded(in, size, stride, begin, end int, up bool) (out int, round config.Round) {
	if round = config.Down; up {
		round = config.Up
	}
	switch {
	case stride < 1 || size < 1 || min(begin, end) < 0 || max(begin, end) > 1<<20:
		return 0, never
	case in < 1 && begin == end:
		return 0, round
	case in < 1:
		return 0, never
	}
	of := device.PoolSize
	if s.kind == config.Conv {
		of = device.ConvSize
	}
	if out = (in+begin+end-size)/stride + 1; up {
		out = (in+begin+end-size+stride-1)/stride + 1
		if (out-1)*stride >= in+begin {
			out--
		}
	}
	lower, upper := of(in, size, stride, begin, false), of(in, size, stride, begin, true)
	switch {
	case in+begin+end < size || out != lower && out != upper:
		return out, never
	case lower == upper:
		return out, ""
	case out == lower:
		return out, config.Down
	}
	return out, config.Up
}
