package device

import (
	"errors"
	"fmt"
)

// Spec is one op of a Program: one of *Conv, *FC, *Activate, *LRN, *Pool, *Dropout, *SoftmaxLoss, *Send, *Recv.
// Backends switch over the type. No pattern matching is needed: bias and activation belong to Conv and FC.
type Spec interface {
	Base() *Op
	outputs() []Value
	check(*Program) error
}

// Op is what all specs have.
type Op struct {
	Name string // the layer's name, "conv1"
	// Conv and FC: the input's channels in column order, several values when columns lie on several devices; others:
	// one
	In  []Value
	Out Value
}

// Base returns the common part.
func (o *Op) Base() *Op        { return o }
func (o *Op) outputs() []Value { return []Value{o.Out} }

// Activation is applied to what Conv and FC give, or stands alone.
type Activation int

// Activations. The gradient is taken from the output: ReLU's is 0 where the output is 0.
const (
	Linear Activation = iota
	ReLU
	Tanh
)

func (a Activation) String() string { return [...]string{"linear", "relu", "tanh"}[a] }

// Conv is cross-correlation with bias and activation over the inputs' channels, concatenated in order.
// The weight is (kernels, channels/Groups, Kernel, Kernel), the bias (kernels).
type Conv struct {
	Op
	Weight, Bias        Param
	Kernel, Stride, Pad int
	Groups              int
	// output size rounded up; the pixels missing at the right and bottom are zero (the 2012 code's conv1)
	RoundUp bool
	Act     Activation
}

// FC multiplies the inputs, flattened C, H, W and concatenated in order, by a weight of (units, inputs).
//
// With Int8, in programs without gradients alone, each unit's weights are rounded to whole numbers of -127 .. 127 times
// a scale:
//
//	scale = max |w| / 127, q = w / scale rounded to the nearest, to even where two are as near
//
// in float32; q is 0 where scale is. Nothing else is: y = scale sum q x + b. The parameter keeps its weights as they
// are.
type FC struct {
	Op
	Weight, Bias Param
	Act          Activation
	Int8         bool
}

// Activate is an activation that stands alone.
type Activate struct {
	Op
	Act Activation
}

// LRN is local response normalisation across channels:
//
//	y[c] = x[c] (K + Alpha/Size sum over |j-c| <= Size/2 of x[j]^2)^-Beta
//
// a/n as in the 2012 code, Caffe, PyTorch, oneDNN and cuDNN; the paper prints a. The sum stops at the borders between
// Groups equal parts of the channels: on two GPUs no GPU saw the other's column, and one device must compute the same
// net. Size is odd.
type LRN struct {
	Op
	Size           int
	Alpha, Beta, K float32
	Groups         int
}

// PoolKind is max or average.
type PoolKind int

// Kinds of pooling. Ties of Max go to the first index (row by row). Avg divides by the pixels of the window that lie in
// the map.
const (
	Max PoolKind = iota
	Avg
)

func (k PoolKind) String() string { return [...]string{"max", "avg"}[k] }

// Pool takes windows of Window x Window, Stride apart (overlapping when smaller). Rounded up, windows are clipped at
// the right and bottom, and a last window that would start outside of the map is dropped (Caffe's rule, and PyTorch's).
type Pool struct {
	Op
	Kind                PoolKind
	Window, Stride, Pad int
	RoundUp             bool
}

// Dropout zeroes units in training and multiplies by 1-Rate in inference: the paper's form. Unit u (its logical number,
// FirstUnit plus the index within the device's share, counted C, H, W) of row r is dropped when philox.Dropout(seed,
// step, Stream, First+r, u) is below Rate*2^32.
type Dropout struct {
	Op
	Rate      float32
	Stream    uint32 // of the layer: philox.Stream(name)
	FirstUnit int
}

// SoftmaxLoss is softmax with cross-entropy. Out holds the probabilities, Stats three numbers a row: -log p of the
// label (natural logarithm), 1 if the label is not the most probable class, 1 if it is not among the five most probable
// (or fewer, with fewer classes). The label's rank is the number of classes with a larger logit, or an equal one and a
// lower number. Rows without a label have 0, 0, 0. The gradient of the logits is (p - onehot) / Pass.Divisor. A
// non-finite loss in a program without Train fails at once, in one with Train at Update.
type SoftmaxLoss struct {
	Op
	Stats Value // (3, 1, 1)
}

// Send copies In[0] to the other end of the Link; its Backward receives the gradient computed there and adds it (+=).
// Where the value has no local consumer, the Backward that comes first (that of its last Send) writes it (=). Out is
// None.
type Send struct {
	Op
	Link *Link
}

// Recv receives Out; its Backward sends Out's gradient home. In is empty.
type Recv struct {
	Op
	Link *Link
}

func (o *Send) outputs() []Value        { return nil }
func (o *SoftmaxLoss) outputs() []Value { return []Value{o.Out, o.Stats} }

// paramsOf are the parameters of an op.
func paramsOf(s Spec) []Param {
	switch s := s.(type) {
	case *Conv:
		return []Param{s.Weight, s.Bias}
	case *FC:
		return []Param{s.Weight, s.Bias}
	}
	return nil
}

// ConvSize is a convolution's output size: (in + 2 pad - kernel) / stride + 1, rounded down or up.
func ConvSize(in, kernel, stride, pad int, up bool) int {
	n := in + 2*pad - kernel
	if n < 0 {
		return 0
	}
	if up {
		n += stride - 1
	}
	return n/stride + 1
}

// PoolSize is pooling's output size: as ConvSize, but rounded up no window starts at or beyond in+pad.
func PoolSize(in, window, stride, pad int, up bool) int {
	n := ConvSize(in, window, stride, pad, up)
	if up && n > 0 && (n-1)*stride >= in+pad {
		n--
	}
	return n
}

func (o *Conv) check(p *Program) error {
	if len(o.In) == 0 || o.Kernel < 1 || o.Stride < 1 || o.Pad < 0 || o.Groups < 1 {
		return fmt.Errorf("convolution with %d inputs, kernel %d, stride %d, pad %d, groups %d", len(o.In), o.Kernel,
			o.Stride, o.Pad, o.Groups)
	}
	in := p.Values[o.In[0]].Shape
	for _, v := range o.In[1:] {
		s := p.Values[v].Shape
		if s.H != in.H || s.W != in.W {
			return fmt.Errorf("inputs of %v and %v", in, s)
		}
		in.C += s.C
	}
	out := p.Values[o.Out].Shape
	if in.C%o.Groups != 0 || out.C%o.Groups != 0 || out.C == 0 {
		return fmt.Errorf("%d channels to %d do not split into %d groups", in.C, out.C, o.Groups)
	}
	if len(o.In) > 1 && o.Groups != 1 {
		return errors.New("several inputs need one group")
	}
	if err := p.wantParam(o.Weight, out.C, in.C/o.Groups, o.Kernel, o.Kernel); err != nil {
		return err
	}
	if err := p.wantParam(o.Bias, out.C); err != nil {
		return err
	}
	return p.want(o.Out, Shape{
		out.C, ConvSize(in.H, o.Kernel, o.Stride, o.Pad, o.RoundUp),
		ConvSize(in.W, o.Kernel, o.Stride, o.Pad, o.RoundUp),
	})
}

func (o *FC) check(p *Program) error {
	if len(o.In) == 0 {
		return errors.New("no input")
	}
	if o.Int8 && (p.Train || p.InputGrad) {
		return errors.New("int8 weights in a program with gradients: compile another one on the same Params, without " +
			"Train and InputGrad")
	}
	n := 0
	for _, v := range o.In {
		n += p.Values[v].Shape.Len()
	}
	units := p.Values[o.Out].Shape.C
	if err := p.wantParam(o.Weight, units, n); err != nil {
		return err
	}
	if err := p.wantParam(o.Bias, units); err != nil {
		return err
	}
	return p.want(o.Out, Shape{units, 1, 1})
}

func (o *Op) single() error {
	if len(o.In) != 1 {
		return fmt.Errorf("%d inputs, want one", len(o.In))
	}
	return nil
}

func (o *Op) sameShape(p *Program) error {
	if err := o.single(); err != nil {
		return err
	}
	return p.want(o.Out, p.Values[o.In[0]].Shape)
}

func (o *Activate) check(p *Program) error { return o.sameShape(p) }

func (o *LRN) check(p *Program) error {
	if o.Size < 1 || o.Size%2 == 0 || o.Groups < 1 {
		return fmt.Errorf("normalisation over %d channels in %d groups", o.Size, o.Groups)
	}
	if err := o.sameShape(p); err != nil {
		return err
	}
	if c := p.Values[o.Out].Shape.C; c%o.Groups != 0 {
		return fmt.Errorf("%d channels do not split into %d groups", c, o.Groups)
	}
	return nil
}

func (o *Pool) check(p *Program) error {
	if o.Window < 1 || o.Stride < 1 || o.Pad < 0 || 2*o.Pad > o.Window {
		return fmt.Errorf("pooling with window %d, stride %d, pad %d", o.Window, o.Stride, o.Pad)
	}
	if err := o.single(); err != nil {
		return err
	}
	in := p.Values[o.In[0]].Shape
	return p.want(o.Out, Shape{
		in.C, PoolSize(in.H, o.Window, o.Stride, o.Pad, o.RoundUp),
		PoolSize(in.W, o.Window, o.Stride, o.Pad, o.RoundUp),
	})
}

func (o *Dropout) check(p *Program) error {
	if !(o.Rate >= 0 && o.Rate < 1) { // refuses NaN too
		return fmt.Errorf("dropout rate %g", o.Rate)
	}
	return o.sameShape(p)
}

func (o *SoftmaxLoss) check(p *Program) error {
	if err := o.sameShape(p); err != nil {
		return err
	}
	if s := p.Values[o.Out].Shape; s.H != 1 || s.W != 1 {
		return fmt.Errorf("softmax over a map, %v", s)
	}
	return p.want(o.Stats, Shape{3, 1, 1})
}

func (o *Send) check(p *Program) error {
	if err := o.single(); err != nil {
		return err
	}
	return o.Link.fits(p.Values[o.In[0]].Shape)
}

func (o *Recv) check(p *Program) error {
	if len(o.In) != 0 {
		return errors.New("a Recv reads only from its link")
	}
	return o.Link.fits(p.Values[o.Out].Shape)
}
