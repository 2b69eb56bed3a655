package interop

import (
	"fmt"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/onnx"
	"alexnet/internal/recipe"
	"alexnet/internal/tensor"
)

// meanTensor and scaleTensor are what the graph knows the mean and the scale by, where it does what comes before the
// net; npz files have the mean under the same name.
const (
	meanTensor  = "preprocess.mean"
	scaleTensor = "preprocess.scale"
)

// graphBuilder adds nodes to a graph, each to what the one before it gave.
type graphBuilder struct {
	onnx.Graph
	arch *model.Arch
	at   string          // what the last node gave
	half map[string]bool // weights that are stored as F16
}

// add adds a node that works on what the last one gave, and on weights.
func (b *graphBuilder) add(op, out string, attrs []onnx.Attr, weights ...string) {
	inputs := []string{b.at}
	for _, w := range weights {
		inputs = append(inputs, b.weight(w))
	}
	b.Nodes = append(b.Nodes, onnx.Node{Op: op, Name: out, Inputs: inputs, Outputs: []string{out}, Attrs: attrs})
	b.at = out
}

// weight is the name of a weight as F32: one that is stored as F16 is converted once, when the net is loaded.
func (b *graphBuilder) weight(name string) string {
	if !b.half[name] {
		return name
	}
	full := name + ".f32"
	b.Nodes = append(b.Nodes, onnx.Node{
		Op: "Cast", Name: full, Inputs: []string{name}, Outputs: []string{full}, Attrs: []onnx.Attr{number("to", 1)},
	})
	return full
}

func number(name string, n int) onnx.Attr {
	return onnx.Attr{Name: name, Kind: onnx.Int, Int: int64(n)}
}

func numbers(name string, n ...int) onnx.Attr {
	a := onnx.Attr{Name: name, Kind: onnx.Ints}
	for _, v := range n {
		a.Ints = append(a.Ints, int64(v))
	}
	return a
}

func real(name string, x float64) onnx.Attr {
	return onnx.Attr{Name: name, Kind: onnx.Float, Float: float32(x)}
}

// prepare subtracts the mean and multiplies, as the recipe says: then the input is a picture of 0..255, cropped.
func (b *graphBuilder) prepare(r *recipe.Recipe) {
	if len(r.MeanShape) > 0 {
		mean := meanTensor
		shape := r.MeanShape
		if !r.HasMeanImage() {
			shape = []int{r.Channels, 1, 1}
		}
		b.Weights = append(b.Weights, tensor.Of(mean, shape, r.Mean))
		if r.HasMeanImage() && (r.Height != r.Crop || r.Width != r.Crop) {
			mean = b.centre(r)
		}
		b.add("Sub", "less", nil, mean)
	}
	if len(r.Scale) > 0 {
		b.Weights = append(b.Weights, tensor.Of(scaleTensor, []int{r.Channels, 1, 1}, r.Scale))
		b.add("Mul", "scaled", nil, scaleTensor)
	}
}

// centre is the part of the mean image where the centre crop lies.
func (b *graphBuilder) centre(r *recipe.Recipe) string {
	at := r.Centre()
	y, x := int64(at[0]), int64(at[1])
	b.Ints["crop.from"], b.Ints["crop.axes"] = []int64{y, x}, []int64{1, 2}
	b.Ints["crop.to"] = []int64{y + int64(r.Crop), x + int64(r.Crop)}
	const out = meanTensor + ".crop"
	b.Nodes = append(b.Nodes, onnx.Node{
		Op: "Slice", Name: out, Inputs: []string{meanTensor, "crop.from", "crop.to", "crop.axes"},
		Outputs: []string{out},
	})
	return out
}

// layers adds all of the net.
func (b *graphBuilder) layers() error {
	flat := false // what comes is (batch, units), not (batch, C, H, W)
	for i := range b.arch.Layers {
		l := &b.arch.Layers[i]
		switch l.Kind {
		case config.Conv:
			b.conv(l)
		case config.FC:
			b.fc(l, &flat)
		case config.Pool:
			op := map[config.Pooling]string{config.Max: "MaxPool", config.Average: "AveragePool"}[l.Pool]
			b.add(op, l.Name, window(l))
		case config.LRN:
			b.lrn(l)
		case config.Activation:
			b.activate(l.Name, l.Act)
		case config.Softmax:
			b.flatten(&flat)
			b.add("Softmax", "prob", []onnx.Attr{number("axis", 1)})
		case config.Dropout: // does nothing: the weights after it are those of the inverted form
		default:
			return fmt.Errorf("layer %s: no operation for %s", l.Name, l.Kind)
		}
	}
	return nil
}

// window is the window of a layer. Of a map that is rounded up, the pads at the end are what its last window lacks.
func window(l *model.Layer) []onnx.Attr {
	end := func(in, out int) int { return max(l.Pad, (out-1)*l.Stride+l.Size-in-l.Pad) }
	down, right := end(l.In.H, l.Out.H), end(l.In.W, l.Out.W)
	return []onnx.Attr{
		numbers("kernel_shape", l.Size, l.Size), numbers("strides", l.Stride, l.Stride),
		numbers("pads", l.Pad, l.Pad, down, right),
	}
}

func (b *graphBuilder) conv(l *model.Layer) {
	w := b.arch.Params[l.Params[0]]
	attrs := append(window(l), number("group", l.In.C/w.Shape[1]))
	b.add("Conv", l.Name, attrs, w.Name, b.arch.Params[l.Params[1]].Name)
	b.activate(l.Name+".act", l.Act)
}

// fc reads all columns, or each its own: then it is a convolution in groups over the whole map.
func (b *graphBuilder) fc(l *model.Layer, flat *bool) {
	w, bias := b.arch.Params[l.Params[0]], b.arch.Params[l.Params[1]].Name
	if groups := l.In.Len() / w.Shape[1]; groups > 1 {
		if *flat {
			b.shaped(l.Name+".map", l.In.C, 1, 1)
		}
		b.reshape(w.Name, w.Shape[0], l.In.C/groups, l.In.H, l.In.W)
		b.add("Conv", l.Name, []onnx.Attr{
			numbers("kernel_shape", l.In.H, l.In.W), numbers("strides", 1, 1), numbers("pads", 0, 0, 0, 0),
			number("group", groups),
		}, w.Name, bias)
		*flat = false
	} else {
		b.flatten(flat)
		b.add("Gemm", l.Name, []onnx.Attr{number("transB", 1)}, w.Name, bias)
	}
	b.activate(l.Name+".act", l.Act)
}

// reshape gives a weight other dimensions; its numbers stay where they are.
func (b *graphBuilder) reshape(name string, shape ...int) {
	for i := range b.Weights {
		if b.Weights[i].Name == name {
			b.Weights[i].Shape = shape
		}
	}
}

func (b *graphBuilder) flatten(flat *bool) {
	if !*flat {
		b.add("Flatten", b.at+".flat", []onnx.Attr{number("axis", 1)})
		*flat = true
	}
}

func (b *graphBuilder) lrn(l *model.Layer) {
	columns := b.arch.Columns
	if !l.Columns() {
		columns = 1
	}
	if columns > 1 {
		b.shaped(l.Name+".columns", l.In.C/columns, l.In.H, l.In.W)
	}
	b.add("LRN", l.Name, []onnx.Attr{
		number("size", l.Size), real("alpha", l.Alpha), real("beta", l.Beta), real("bias", l.K),
	})
	if columns > 1 {
		b.shaped(l.Name+".joined", l.In.C, l.In.H, l.In.W)
	}
}

// shaped adds a Reshape to maps of a shape; the number of pictures follows.
func (b *graphBuilder) shaped(out string, c, h, w int) {
	shape := out + ".shape"
	b.Ints[shape] = []int64{-1, int64(c), int64(h), int64(w)}
	b.add("Reshape", out, nil, shape)
}

func (b *graphBuilder) activate(out string, act config.Act) {
	switch act {
	case config.ReLU:
		b.add("Relu", out, nil)
	case config.Tanh:
		b.add("Tanh", out, nil)
	}
}

// graph is the export's net as a graph of ONNX, with what comes before it where that is asked for. Its input "pictures"
// is (batch, C, S, S), its output "prob" (batch, classes).
//
// Columns lie side by side, as on one device: what reads its own column is a convolution in groups, or, where it is
// fully connected, one over the whole map; normalisation stops at the border of a column because the columns become
// pictures before it and channels after it. Maps that are rounded up have zeros after their last row and column, as
// pads: the other way to write that, ceil_mode, programs compute differently.
func (e *Export) graph(a *model.Arch, c *checkpoint.Checkpoint, prepared bool) (*onnx.Graph, error) {
	in := a.Input
	b := &graphBuilder{arch: a, at: "pictures", half: map[string]bool{}, Graph: onnx.Graph{
		Name: "alexnet", Producer: "alexnet", Opset: 13, Meta: e.meta, Weights: e.tensors, Ints: map[string][]int64{},
		Inputs:  []onnx.Value{{Name: "pictures", Shape: []int{-1, in.C, in.H, in.W}}},
		Outputs: []onnx.Value{{Name: "prob", Shape: []int{-1, a.Classes}}},
	}}
	for _, t := range e.tensors {
		b.half[t.Name] = t.DType == "F16"
	}
	if prepared {
		b.prepare(&c.Recipe)
	}
	return &b.Graph, b.layers()
}
