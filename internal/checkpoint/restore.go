package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// Slot is where a tensor of a checkpoint goes: a parameter of a model.
type Slot struct {
	Name  string // "conv1.weight", also for its momentum
	Shape []int
	// Store takes the values, in row-major order; src is the caller's again when it returns.
	Store func(src []float32) error
}

// Mismatch is a sound checkpoint of another net: a tensor is missing, is one too many, or has another shape.
type Mismatch struct {
	Path   string
	Tensor string
	File   []int // shape in the file; nil: not there
	Net    []int // shape in the net; nil: not there
	Kind   Difference
	Names  []string // with OtherClasses, those of the file's classes, where it has them
}

// Difference is what a Mismatch comes down to.
type Difference int

// The differences between a file and a net.
const (
	OtherNet     Difference = iota // other layers, or layers of other sizes
	OtherClasses                   // the nets differ only in the number of classes, as far as was looked
	NoMomentum                     // the file has none: it is not one that training goes on from
)

func (e *Mismatch) Error() string {
	what := ""
	switch {
	case e.File == nil:
		what = fmt.Sprintf("holds no %s, the net has one of %s", e.Tensor, text.Shape(e.Net))
	case e.Net == nil:
		what = fmt.Sprintf("holds %s of %s, the net has none", e.Tensor, text.Shape(e.File))
	default:
		what = fmt.Sprintf("%s is %s in the file and %s in the net", e.Tensor, text.Shape(e.File),
			text.Shape(e.Net))
	}
	return e.Path + ": " + what + ": " + e.why()
}

func (e *Mismatch) why() string {
	switch e.Kind {
	case NoMomentum:
		return "there is no momentum in it"
	case OtherClasses:
		names := ""
		if len(e.Names) > 0 {
			names = " (" + text.Examples(e.Names) + ")"
		}
		return fmt.Sprintf("the file is for %d classes%s, this net for %d", e.File[0], names, e.Net[0])
	default:
		return "it is another net"
	}
}

// Restore copies the checkpoint into a net: params from Params and, where momentum is not nil, momentum from Momentum,
// by name. Before it stores anything it compares all names and shapes, and fails with a *Mismatch where file and net
// are not the same.
func (c *Checkpoint) Restore(params, momentum []Slot) error {
	if err := c.compare(c.Params, params, ""); err != nil {
		return err
	}
	if momentum != nil {
		if err := c.compare(c.Momentum, momentum, momentumOf); err != nil {
			return err
		}
	}
	longest := 0
	for _, s := range slices.Concat(params, momentum) {
		longest = max(longest, tensor.Tensor{Shape: s.Shape}.Len())
	}
	buf := make([]float32, longest)
	if err := copyAll(c.Params, params, buf); err != nil {
		return err
	}
	return copyAll(c.Momentum, momentum, buf)
}

// Fits compares only names and shapes: a *Mismatch tells the first difference between the file's parameters and a
// net's. The slots need no Store.
func (c *Checkpoint) Fits(params []Slot) error { return c.compare(c.Params, params, "") }

func copyAll(from []tensor.Tensor, to []Slot, buf []float32) error {
	for _, s := range to {
		t := from[find(from, s.Name)]
		v := buf[:t.Len()]
		if err := t.Fill(v); err != nil {
			return err
		}
		if err := s.Store(v); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func find(in []tensor.Tensor, name string) int {
	return slices.IndexFunc(in, func(t tensor.Tensor) bool { return t.Name == name })
}

// compare finds the first difference between the tensors of a file and those of a net.
func (c *Checkpoint) compare(file []tensor.Tensor, net []Slot, prefix string) error {
	for _, s := range net {
		i := find(file, s.Name)
		if i < 0 {
			m := &Mismatch{Path: c.Path, Tensor: prefix + s.Name, Net: s.Shape}
			if len(file) == 0 && prefix == momentumOf {
				m.Kind = NoMomentum
			}
			return m
		}
		if !slices.Equal(file[i].Shape, s.Shape) {
			m := &Mismatch{Path: c.Path, Tensor: prefix + s.Name, File: file[i].Shape, Net: s.Shape}
			if differInClasses(file, i, s) {
				m.Kind, m.Names = OtherClasses, c.Classes
			}
			return m
		}
	}
	for _, t := range file {
		if !slices.ContainsFunc(net, func(s Slot) bool { return s.Name == t.Name }) {
			return &Mismatch{Path: c.Path, Tensor: prefix + t.Name, File: t.Shape}
		}
	}
	return nil
}

// differInClasses tells a different number of classes, the usual case of a run that starts from a file, from a
// different net: tensor i is of the last layer, and only its first dimension is another.
func differInClasses(file []tensor.Tensor, i int, s Slot) bool {
	t, last := file[i], file[len(file)-1]
	return layerOf(t.Name) == layerOf(last.Name) && len(t.Shape) > 0 && len(s.Shape) > 0 &&
		slices.Equal(t.Shape[1:], s.Shape[1:])
}

// layerOf is "fc8" of "fc8.weight".
func layerOf(param string) string {
	name, _, _ := strings.Cut(param, ".")
	return name
}
