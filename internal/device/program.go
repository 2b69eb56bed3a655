package device

import (
	"errors"
	"fmt"
	"slices"
)

// Value numbers a tensor in Program.Values.
type Value int

// None marks an absent value.
const None Value = -1

// Shape is that of one row of a value: channels, height, width. Fully connected values are (units, 1, 1).
type Shape struct{ C, H, W int }

// Len is the number of elements in one row.
func (s Shape) Len() int { return s.C * s.H * s.W }

func (s Shape) String() string { return fmt.Sprintf("%dx%dx%d", s.C, s.H, s.W) }

// ValueInfo names a value and gives its shape.
type ValueInfo struct {
	Name  string // "pool2", "pool2@1" for what came from device 1
	Shape Shape
}

// Input says how a Batch becomes the program's input value:
//
//	x[c,i,j] = (pixel[c, crop.y+i, crop.x+j'] - mean + color[c]) * scale[c]
//
// where j' counts from the right if the row is flipped. The mean of an image is taken where the pixel is (cropped and
// flipped alike).
type Input struct {
	Value         Value     // shape (Channels, crop height, crop width)
	Channels      int       // 1 or 3
	Height, Width int       // of the pictures in a Batch
	Mean          []float32 // Channels x Height x Width (a mean image), Channels (a mean colour), or none (0)
	Scale         []float32 // Channels, or none (1)
}

// PictureBytes is what the pixels of one row take.
func (in *Input) PictureBytes() int { return in.Height * in.Width * in.Channels }

// Program is one device's share of the model.
type Program struct {
	Values    []ValueInfo
	Input     Input
	Ops       []Spec // in forward order; Backward is called in the reverse order
	Params    Params
	Precision Precision
	Rows      int  // largest batch; fewer rows run on the same net
	Train     bool // with gradients, dropout and update
	// Frozen is how many of the first ops run forward only, in a program that trains: no parameter up to there ever
	// learns. Their Backward is not called, parameters of theirs have neither gradient nor momentum and stay as they
	// are, and what they write has no gradient. Both ends of a link are among them, or neither.
	Frozen int
	// also the gradient of the input value (saliency); legal without Train: then parameters get no gradient
	InputGrad bool
	Keep      []Value // values to be read later: neither reused nor fused away, gradients included where there are any
}

// Kept tells whether v is to be readable after the pass.
func (p *Program) Kept(v Value) bool {
	for _, k := range p.Keep {
		if k == v {
			return true
		}
	}
	return false
}

// Learns tells whether a parameter has gradient and momentum: in a program that trains, all but those of frozen ops.
func (p *Program) Learns(id Param) bool {
	for _, spec := range p.Ops[:p.Frozen] {
		if slices.Contains(paramsOf(spec), id) {
			return false
		}
	}
	return p.Train
}

// IsLoss tells whether v is what a SoftmaxLoss gives: always readable, without a gradient.
func (p *Program) IsLoss(v Value) bool {
	for _, s := range p.Ops {
		if l, ok := s.(*SoftmaxLoss); ok && (l.Out == v || l.Stats == v) {
			return true
		}
	}
	return false
}

// CheckPass refuses a pass over b that would read beyond memory: rows, rates or crops. Backends call it in Begin.
func (p *Program) CheckPass(b *Batch, pass *Pass) error {
	if b == nil {
		return errors.New("no batch")
	}
	if pass.Rows < 1 || pass.Rows > p.Rows {
		return fmt.Errorf("%d rows, of at most %d", pass.Rows, p.Rows)
	}
	if specs := len(p.Params.Specs()); p.Train && (len(pass.LR) != specs || len(pass.Decay) != specs) {
		return fmt.Errorf("%d learning rates and %d decays for %d parameters", len(pass.LR), len(pass.Decay), specs)
	}
	in, s := p.Input, p.Values[p.Input.Value].Shape
	if have := b.rows(&in); have < pass.Rows {
		return fmt.Errorf("%d rows, of a batch with room for %d", pass.Rows, have)
	}
	for r, at := range b.Crop[:pass.Rows] {
		if at[0] < 0 || at[1] < 0 || int(at[0])+s.H > in.Height || int(at[1])+s.W > in.Width {
			return fmt.Errorf("row %d: the crop at %d, %d leaves the picture of %dx%d", r, at[0], at[1], in.Height,
				in.Width)
		}
	}
	return nil
}

// rows is how many rows of pictures the batch has room for.
func (b *Batch) rows(in *Input) int {
	return min(len(b.Pixels)/in.PictureBytes(), len(b.Labels), len(b.Crop), len(b.Flip), len(b.Color))
}

// Check refuses a program that breaks the rules every backend builds on: each value is written by one op (or is the
// input) before it is read; shapes agree with the op's own arithmetic; parameters have the shapes that the ops need,
// and belong to one op each; and a value has at most one consumer besides Sends, which stand before it, so that its
// gradient is written once and then only added to by Sends. Backends call it first in Compile.
func (p *Program) Check() error {
	if p.Rows < 1 {
		return fmt.Errorf("program of %d rows", p.Rows)
	}
	if p.Params == nil {
		return errors.New("program without Params")
	}
	written := make([]bool, len(p.Values))
	consumer := make([]string, len(p.Values))
	user := map[Param]string{}
	if p.Frozen < 0 || p.Frozen > len(p.Ops) || p.Frozen > 0 && (!p.Train || p.InputGrad) {
		return fmt.Errorf("%d of %d ops are frozen, in a program that trains: %v, with a gradient of the input: %v",
			p.Frozen, len(p.Ops), p.Train, p.InputGrad)
	}
	if err := p.checkInput(); err != nil {
		return err
	}
	for _, v := range p.Values {
		if v.Shape.C < 1 || v.Shape.H < 1 || v.Shape.W < 1 {
			return fmt.Errorf("value %s is empty: %v", v.Name, v.Shape)
		}
	}
	written[p.Input.Value] = true
	for i, spec := range p.Ops {
		op := spec.Base()
		for _, v := range spec.outputs() {
			if int(v) < 0 || int(v) >= len(p.Values) || written[v] {
				return fmt.Errorf("op %d (%s) writes value %d, which is not free", i, op.Name, v)
			}
		}
		for _, v := range op.In {
			if int(v) < 0 || int(v) >= len(p.Values) || !written[v] {
				return fmt.Errorf("op %d (%s) reads value %d before it is written", i, op.Name, v)
			}
			_, send := spec.(*Send)
			if send && consumer[v] != "" {
				return fmt.Errorf("op %d (%s) stands after %s, which reads the same value and would overwrite the "+
					"gradient that came home", i, op.Name, consumer[v])
			}
			if send {
				continue
			}
			if consumer[v] != "" {
				return fmt.Errorf("value %s has two consumers, %s and %s: only Sends may share a value",
					p.Values[v].Name, consumer[v], op.Name)
			}
			consumer[v] = op.Name
		}
		if err := spec.check(p); err != nil {
			return fmt.Errorf("op %d (%s): %w", i, op.Name, err)
		}
		for _, id := range paramsOf(spec) {
			if user[id] != "" {
				return fmt.Errorf("parameter %s belongs to %s and to %s", p.Params.Specs()[id].Name, user[id], op.Name)
			}
			user[id] = op.Name
		}
		for _, v := range spec.outputs() {
			written[v] = true
		}
	}
	return nil
}

func (p *Program) checkInput() error {
	in := p.Input
	if int(in.Value) < 0 || int(in.Value) >= len(p.Values) {
		return errors.New("program without input value")
	}
	if in.Channels != 1 && in.Channels != 3 {
		return fmt.Errorf("pictures of %d channels, want 1 or 3", in.Channels)
	}
	s := p.Values[in.Value].Shape
	if s.C != in.Channels || s.H > in.Height || s.W > in.Width {
		return fmt.Errorf("input %v does not fit into pictures of %dx%dx%d", s, in.Channels, in.Height, in.Width)
	}
	if n := len(in.Mean); n != 0 && n != in.Channels && n != in.Channels*in.Height*in.Width {
		return fmt.Errorf("mean of %d numbers for pictures of %dx%dx%d", n, in.Channels, in.Height, in.Width)
	}
	if n := len(in.Scale); n != 0 && n != in.Channels {
		return fmt.Errorf("scale of %d numbers for %d channels", n, in.Channels)
	}
	return nil
}

func (p *Program) want(v Value, s Shape) error {
	if got := p.Values[v].Shape; got != s {
		return fmt.Errorf("output %s is %v, want %v", p.Values[v].Name, got, s)
	}
	return nil
}

func (p *Program) wantParam(id Param, shape ...int) error {
	specs := p.Params.Specs()
	if int(id) < 0 || int(id) >= len(specs) {
		return fmt.Errorf("parameter %d of %d", id, len(specs))
	}
	got := specs[id]
	ok := len(got.Shape) == len(shape)
	for i := 0; ok && i < len(shape); i++ {
		ok = got.Shape[i] == shape[i]
	}
	if !ok {
		return fmt.Errorf("parameter %s is %v, want %v", got.Name, got.Shape, shape)
	}
	return nil
}
