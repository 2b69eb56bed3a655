package main

import (
	"fmt"
	"image"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/text"
)

// explainResult is what the documents of look occlusion, saliency and cam have in common.
type explainResult struct {
	Out   text.Raw               `json:"out"`
	Image text.Raw               `json:"image"`
	Class infer.ClassProbability `json:"class"` // whose map it is
	Best  infer.ClassProbability `json:"best"`  // the most probable one
}

// explained is what is said of every explanation.
func (o *lookOptions) explained(picture string, e infer.Explained) explainResult {
	return explainResult{text.Raw(o.out), text.Raw(picture), e.Class, e.Best}
}

// sentence says in a line what was drawn, for people.
func (r *explainResult) sentence(c *checkpoint.Checkpoint) string {
	s := fmt.Sprintf("%s: %s, %s", text.Name(r.Out), className(c, r.Class.Index), text.Percent(r.Class.Probability))
	if r.Class.Index != r.Best.Index {
		s += fmt.Sprintf("; most probable is %s, %s", className(c, r.Best.Index), text.Percent(r.Best.Probability))
	}
	return s
}

// note says the same under a picture.
func (r *explainResult) note(c *checkpoint.Checkpoint) string {
	s := fmt.Sprintf("The net sees %s in the picture with a probability of %s", className(c, r.Class.Index),
		text.Percent(r.Class.Probability))
	if r.Class.Index != r.Best.Index {
		s += fmt.Sprintf(", and %s, the most probable class, with %s", className(c, r.Best.Index),
			text.Percent(r.Best.Probability))
	}
	return s + "."
}

// panel is a picture beside others, with words under it.
type panel struct {
	image image.Image
	words string
}

// explainSide is how long a side of a panel is at least, pixels, and explainOpacity that of maps over pictures.
const (
	explainSide    = 224
	explainOpacity = .65
)

// explainZoom is how often each pixel of what the net sees is drawn, across and down.
func explainZoom(side int) int { return max((explainSide+side-1)/side, 1) }

// panels draws panels of one size side by side, each pixel a block.
func panels(side int, all ...panel) *figure.Canvas {
	g := figure.Grid{Columns: len(all), Width: side, Height: side, Gap: 12, Below: figure.Small.Height() + 4}
	size := g.Size(len(all))
	c := figure.New(size.X, size.Y)
	for i, p := range all {
		c.Pixels(g.Tile(i), p.image)
		c.Label(figure.Small, g.Under(i), p.words, figure.Ink)
	}
	return c
}

// inRows are numbers of a map as a document has them, row by row.
func inRows(values []float32, width int) [][]finite {
	var rows [][]finite
	for at := 0; at < len(values); at += width {
		rows = append(rows, finites(values[at:][:width]))
	}
	return rows
}
