package train

import (
	"fmt"
	"slices"
	"strconv"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/infer"
	"alexnet/internal/text"
)

// Head is what a run that starts from a file makes of its last layer with weights, the one whose outputs are the
// classes.
type Head struct {
	Layer string
	Start HeadStart

	rows []int32 // with HeadReordered: of the file, by class of the data
	why  string  // with HeadNew
}

// HeadStart is where the last layer's weights come from.
type HeadStart string

// The starts. Classes are the same where their keys are; see data.Places.
const (
	HeadKept      HeadStart = "kept"      // the file's: the classes are the same in the same order, or have no names
	HeadReordered HeadStart = "reordered" // the file's, a class's row where the data has the class
	HeadNew       HeadStart = "new"       // the seed's, as in a net that starts from nothing: the classes are others
)

func (h *Head) String() string {
	switch h.Start {
	case HeadReordered:
		return h.Layer + " goes on with the file's weights, its classes put into the order of the data"
	case HeadNew:
		return h.Layer + " starts anew: " + h.why
	default:
		return h.Layer + " goes on with the file's weights"
	}
}

// FrozenHead is a last layer that would start anew and never learn: what it says of a picture would be drawn.
type FrozenHead struct {
	Layer string
	Path  string // of the file that the run starts from
	Why   string // its last layer cannot be taken
}

func (e *FrozenHead) Error() string {
	return fmt.Sprintf("%s starts anew (%s), and its rate is 0: it would stay as it is drawn", e.Layer, e.Why)
}

// headOf finds what to make of the last layer of a file. The net must be the file's in all other layers.
func (t *trainer) headOf(c *checkpoint.Checkpoint) *Head {
	h := &Head{Layer: t.arch.Params[len(t.arch.Params)-1].Layer, Start: HeadKept}
	classes := t.o.Source.Classes
	switch rows := data.Places(c.Classes, classes); {
	case slices.Equal(c.Classes, classes), len(c.Classes) == 0, unnamed(c) && len(c.Classes) == len(classes):
	case !permutes(rows, len(c.Classes)):
		h.Start, h.why = HeadNew, otherClasses(c, classes)
	case !slices.IsSorted(rows):
		h.Start, h.rows = HeadReordered, rows
	}
	if h.Start != HeadNew && c.Fits(infer.SlotsOf(t.arch)) != nil {
		h.Start, h.why = HeadNew, fmt.Sprintf("in %s the last layer has another shape", text.Name(c.Path))
		if last := c.LastLayer(); last != h.Layer {
			h.why = fmt.Sprintf("in %s the last layer is %s", text.Name(c.Path), text.Name(last))
		}
	}
	return h
}

// unnamed tells of weights that were drawn for no data: their classes have only numbers.
func unnamed(c *checkpoint.Checkpoint) bool {
	for i, name := range c.Classes {
		if name != strconv.Itoa(i) {
			return false
		}
	}
	return c.Step == 0 && c.Data.Fingerprint == ""
}

// permutes tells that rows are all numbers below n, each once.
func permutes(rows []int32, n int) bool {
	sorted := slices.Sorted(slices.Values(rows))
	for i, r := range sorted {
		if int(r) != i {
			return false
		}
	}
	return len(sorted) == n
}

func otherClasses(c *checkpoint.Checkpoint, classes []string) string {
	if own := len(c.Classes); own != len(classes) {
		return fmt.Sprintf("%s is for %s (%s), the data has %d (%s)", text.Name(c.Path), text.Classes(own),
			text.Examples(c.Classes), len(classes), text.Examples(classes))
	}
	return fmt.Sprintf("the %s of %s (%s) are others than those of the data (%s)", text.Classes(len(classes)),
		text.Name(c.Path), text.Examples(c.Classes), text.Examples(classes))
}

// restore copies the file's parameters into the slots of a net, but those of a last layer that starts anew: they are
// left alone.
func (h *Head) restore(c *checkpoint.Checkpoint, slots []checkpoint.Slot) error {
	switch h.Start {
	case HeadNew:
		c, slots = h.body(c, slots)
	case HeadReordered:
		for i := range slots {
			if s := &slots[i]; checkpoint.LayerOf(s.Name) == h.Layer {
				s.Store = h.reordered(s.Store)
			}
		}
	}
	return c.Restore(slots, nil)
}

// body is the file and the net without the last layer of each.
func (h *Head) body(c *checkpoint.Checkpoint, slots []checkpoint.Slot) (*checkpoint.Checkpoint, []checkpoint.Slot) {
	return c.Without(c.LastLayer()), slices.DeleteFunc(slots, func(s checkpoint.Slot) bool {
		return checkpoint.LayerOf(s.Name) == h.Layer
	})
}

// reordered stores a tensor whose first dimension is the classes, in the data's order.
func (h *Head) reordered(store func([]float32) error) func([]float32) error {
	return func(src []float32) error {
		dst, row := make([]float32, 0, len(src)), len(src)/len(h.rows)
		for _, r := range h.rows {
			dst = append(dst, src[int(r)*row:][:row]...)
		}
		return store(dst)
	}
}
