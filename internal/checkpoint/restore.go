package checkpoint

import (
	"fmt"
	"slices"
	"strings"

	"alexnet/internal/safetensors"
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
	File   []int  // shape in the file; nil: not there
	Net    []int  // shape in the net; nil: not there
	Advice string // what to do next
}

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
	return e.Path + ": " + what + "; " + e.Advice
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
		longest = max(longest, safetensors.Tensor{Shape: s.Shape}.Len())
	}
	buf := make([]float32, longest)
	if err := copyAll(c.Params, params, buf); err != nil {
		return err
	}
	return copyAll(c.Momentum, momentum, buf)
}

// Fits compares names and shapes alone: a *Mismatch tells the first difference between the file's parameters and a
// net's. The slots need no Store.
func (c *Checkpoint) Fits(params []Slot) error { return c.compare(c.Params, params, "") }

func copyAll(from []safetensors.Tensor, to []Slot, buf []float32) error {
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

func find(in []safetensors.Tensor, name string) int {
	return slices.IndexFunc(in, func(t safetensors.Tensor) bool { return t.Name == name })
}

// compare finds the first difference between the tensors of a file and those of a net.
func (c *Checkpoint) compare(file []safetensors.Tensor, net []Slot, prefix string) error {
	for _, s := range net {
		i := find(file, s.Name)
		if i < 0 {
			return &Mismatch{
				Path: c.Path, Tensor: prefix + s.Name, Net: s.Shape, Advice: c.adviceMissing(len(file), prefix),
			}
		}
		if !slices.Equal(file[i].Shape, s.Shape) {
			return &Mismatch{
				Path: c.Path, Tensor: prefix + s.Name, File: file[i].Shape, Net: s.Shape,
				Advice: c.adviceShape(file, i, s),
			}
		}
	}
	for _, t := range file {
		if !slices.ContainsFunc(net, func(s Slot) bool { return s.Name == t.Name }) {
			return &Mismatch{Path: c.Path, Tensor: prefix + t.Name, File: t.Shape, Advice: c.adviceConfig()}
		}
	}
	return nil
}

func (c *Checkpoint) adviceMissing(n int, prefix string) string {
	if n == 0 && prefix == momentumOf {
		return "there is no momentum in it, so no run can go on from it: resume from checkpoints/last.safetensors, " +
			"or begin a new run from these weights with --init"
	}
	return c.adviceConfig()
}

// adviceShape tells a different number of classes, the usual case of --init, from a different net.
func (c *Checkpoint) adviceShape(file []safetensors.Tensor, i int, s Slot) string {
	t, last := file[i], file[len(file)-1]
	if layer(t.Name) != layer(last.Name) || len(t.Shape) == 0 || len(s.Shape) == 0 ||
		!slices.Equal(t.Shape[1:], s.Shape[1:]) {
		return c.adviceConfig()
	}
	return fmt.Sprintf("the file is for %d classes%s, this net for %d: give data with the classes of the file, or "+
		"begin without it (no --init)", t.Shape[0], c.examples(), s.Shape[0])
}

// examples is " (cat, dog, ...)", or nothing.
func (c *Checkpoint) examples() string {
	if len(c.Classes) == 0 {
		return ""
	}
	return " (" + text.Examples(c.Classes) + ")"
}

func (c *Checkpoint) adviceConfig() string {
	return "it is another net: use the configuration that the file carries (alexnet weights show " + c.Path +
		"), or another file"
}

// layer is "fc8" of "fc8.weight".
func layer(param string) string {
	name, _, _ := strings.Cut(param, ".")
	return name
}
