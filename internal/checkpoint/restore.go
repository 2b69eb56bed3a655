package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

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
	Path string
	Pair        // the first difference
	All  []Pair // all there are, in the net's order and then the file's
	Kind Difference
	// with OtherClasses, the names of the file's classes, where it has them
	Names []string
}

// Pair is a tensor of a file beside that of a net.
type Pair struct {
	Tensor string
	File   []int // shape in the file; nil: not there
	Net    []int // shape in the net; nil: not there
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
		return "it is another net" + e.sides()
	}
}

// sides lists what differs, file and net side by side, a line each; nothing where there is but one difference, which
// was told.
func (e *Mismatch) sides() string {
	if len(e.All) < 2 {
		return ""
	}
	const most = 40 // more than the paper's net has
	lines := [][3]string{{"", "file", "net"}}
	for _, p := range e.All[:min(most, len(e.All))] {
		lines = append(lines, [3]string{text.Name(p.Tensor), shapeOrNone(p.File), shapeOrNone(p.Net)})
	}
	var wide [2]int
	for _, l := range lines {
		for i := range wide {
			wide[i] = max(wide[i], utf8.RuneCountInString(l[i]))
		}
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "\n%-*s  %-*s  %s", wide[0], l[0], wide[1], l[1], l[2])
	}
	if more := len(e.All) - most; more > 0 {
		fmt.Fprintf(&b, "\nand %d more", more)
	}
	return b.String()
}

func shapeOrNone(shape []int) string {
	if shape == nil {
		return "-"
	}
	return text.Shape(shape)
}

// Restore copies the checkpoint into a net: params from Params and, where momentum is not nil, momentum from Momentum,
// by name. Momentum of parameters that are not among the slots is left alone. Before it stores anything it compares all
// names and shapes, and fails with a *Mismatch where file and net are not the same.
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

// FitsMomentum is Fits of the momentum, and of the slots that have any.
func (c *Checkpoint) FitsMomentum(momentum []Slot) error {
	return c.compare(c.Momentum, momentum, momentumOf)
}

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

// compare finds the differences between the tensors of a file and those of a net.
func (c *Checkpoint) compare(file []tensor.Tensor, net []Slot, prefix string) error {
	m := &Mismatch{Path: c.Path}
	if len(file) == 0 && prefix == momentumOf && len(net) > 0 {
		m.Kind, m.Pair = NoMomentum, Pair{Tensor: prefix + net[0].Name, Net: net[0].Shape}
		return m
	}
	classes, wanted := true, make(map[string]bool, len(net))
	for _, s := range net {
		wanted[s.Name] = true
		i := find(file, s.Name)
		switch {
		case i < 0:
			classes = false
			m.All = append(m.All, Pair{prefix + s.Name, nil, s.Shape})
		case !slices.Equal(file[i].Shape, s.Shape):
			classes = classes && differInClasses(file, i, s)
			m.All = append(m.All, Pair{prefix + s.Name, file[i].Shape, s.Shape})
		}
	}
	for _, t := range file {
		if !wanted[t.Name] && (prefix != momentumOf || !c.idle(t)) {
			classes = false
			m.All = append(m.All, Pair{prefix + t.Name, t.Shape, nil})
		}
	}
	if len(m.All) == 0 {
		return nil
	}
	if m.Pair = m.All[0]; classes {
		m.Kind, m.Names = OtherClasses, c.Classes
	}
	return m
}

// idle tells of momentum that a net may leave alone: of a parameter that does not learn, for which older versions wrote
// zeros.
func (c *Checkpoint) idle(momentum tensor.Tensor) bool {
	i := find(c.Params, momentum.Name)
	return i >= 0 && slices.Equal(c.Params[i].Shape, momentum.Shape)
}

// Without is the checkpoint without a layer's parameters and their momentum. It reads c's file, which stays c's to
// close.
func (c *Checkpoint) Without(layer string) *Checkpoint {
	rest := *c
	other := func(t tensor.Tensor) bool { return LayerOf(t.Name) == layer }
	rest.Params = slices.DeleteFunc(slices.Clone(c.Params), other)
	rest.Momentum = slices.DeleteFunc(slices.Clone(c.Momentum), other)
	rest.file = nil
	return &rest
}

// LastLayer is the layer of the last parameters in the file; empty: there are none.
func (c *Checkpoint) LastLayer() string {
	if len(c.Params) == 0 {
		return ""
	}
	return LayerOf(c.Params[len(c.Params)-1].Name)
}

// differInClasses tells a different number of classes, the usual case of a run that starts from a file, from a
// different net: tensor i is of the last layer, and only its first dimension is another.
func differInClasses(file []tensor.Tensor, i int, s Slot) bool {
	t, last := file[i], file[len(file)-1]
	return LayerOf(t.Name) == LayerOf(last.Name) && len(t.Shape) > 0 && len(s.Shape) > 0 &&
		slices.Equal(t.Shape[1:], s.Shape[1:])
}

// LayerOf is "fc8" of "fc8.weight".
func LayerOf(param string) string {
	name, _, _ := strings.Cut(param, ".")
	return name
}
