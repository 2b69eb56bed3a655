package infer

import (
	"slices"
	"strings"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/model"
	"alexnet/internal/text"
)

// Kernels are the weights of a convolution in a checkpoint.
type Kernels struct {
	Layer   string
	Shape   [4]int    // (kernels, channels that a kernel reads, height, width)
	Weights []float32 // of that shape
	Columns int       // that the kernels lie in, as many in each, one column's after the other's
	Color   bool      // the channels are red, green and blue of the picture
}

// KernelsOf reads the weights of a convolution. They are the file's; the net is not opened. A layer that the net does
// not have, or one without kernels, is a *config.Error with the names of those that have some.
func KernelsOf(c *checkpoint.Checkpoint, layer string) (*Kernels, error) {
	a, err := archOf(c)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(a.Layers, func(l model.Layer) bool { return l.Name == layer })
	if at < 0 || a.Layers[at].Kind != config.Conv {
		return nil, noKernels(a, layer, at >= 0)
	}
	k := KernelsIn(a, at)
	for _, t := range c.Params { // which Fits has compared
		if t.Name == a.Params[a.Layers[at].Params[0]].Name {
			k.Weights, err = t.Values()
		}
	}
	return k, err
}

// KernelsIn are those of a convolution, by its number among the layers of a net, without their weights.
func KernelsIn(a *model.Arch, at int) *Kernels {
	l := &a.Layers[at]
	shape := [4]int(a.Params[l.Params[0]].Shape)
	return &Kernels{
		Layer: l.Name, Shape: shape, Columns: a.Shares(l),
		Color: a.Input.C == 3 && shape[1] == 3 &&
			!slices.ContainsFunc(a.Layers[:at], func(l model.Layer) bool { return l.Kind.Weighted() }),
	}
}

// archOf is a checkpoint's net, on no device, once it is known that the weights in the file are its.
func archOf(c *checkpoint.Checkpoint) (*model.Arch, error) {
	cfg, err := c.Page(nil)
	if err != nil {
		return nil, err
	}
	a, err := model.Of(cfg, len(c.Classes))
	if err != nil {
		return nil, &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	return a, c.Fits(SlotsOf(a))
}

// noKernels is the error of a layer that has none; there tells whether the net has it at all.
func noKernels(a *model.Arch, layer string, there bool) error {
	var all []string
	for i := range a.Layers {
		if a.Layers[i].Kind == config.Conv {
			all = append(all, a.Layers[i].Name)
		}
	}
	said := "the net has no layer " + text.Name(layer)
	if there {
		said = "layer " + text.Name(layer) + " has no kernels"
	}
	if near := text.Nearest(layer, all); near != "" {
		said += "; nearest: " + near
	}
	if len(all) == 0 {
		return config.Errorf("", "%s; no layer of the net has kernels", said)
	}
	return config.Errorf("", "%s; %s have kernels", said, strings.Join(all, ", "))
}

// Parts are the kernels of each column, as lists of their weights.
func (k *Kernels) Parts() [][][]float32 {
	n := k.Shape[1] * k.Shape[2] * k.Shape[3]
	all := slices.Collect(slices.Chunk(k.Weights, n))
	return slices.Collect(slices.Chunk(all, len(all)/k.Columns))
}

// ColorShare is how much of a kernel that reads red, green and blue, (3, height, width), depends on colour: the sum of
// (w - grey)^2 over the sum of w^2, where grey is the mean of the three weights at the same place. A kernel that sees
// only brightness has 0, one that sees none of it 1. Of a kernel of zeros, or one with what is no finite number, it is
// NaN.
func ColorShare(kernel []float32) float64 {
	n, off, sum := len(kernel)/3, 0.0, 0.0
	for i := range n {
		r, g, b := float64(kernel[i]), float64(kernel[n+i]), float64(kernel[2*n+i])
		grey := (r + g + b) / 3
		off += (r-grey)*(r-grey) + (g-grey)*(g-grey) + (b-grey)*(b-grey)
		sum += r*r + g*g + b*b
	}
	return off / sum
}
