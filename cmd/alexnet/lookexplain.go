package main

import (
	"fmt"
	"image"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// explainResult is what the documents of look occlusion, saliency and cam have in common.
type explainResult struct {
	Out   text.Raw               `json:"out"`
	Image text.Raw               `json:"image"`
	Class infer.ClassProbability `json:"class"` // whose map it is
	Best  infer.ClassProbability `json:"best"`  // the most probable one
}

// explaining is a net that is open, and what it is to be asked.
type explaining struct {
	c     *checkpoint.Checkpoint
	p     *infer.Predictor
	class int
	end   func()
}

// explain opens the net of what is to be explained, once it is known that the file can be written and that there is
// such a class. layer names the layer that is looked at, given the checkpoint; nil: none is.
func (o *lookOptions) explain(po infer.PredictOptions, layer func(*checkpoint.Checkpoint) (string, error),
	t *ui.Terminal, n noter,
) (e explaining, err error) {
	if _, err = newFile(o.out, o.force, t); err != nil {
		return e, err
	}
	if e.c, err = o.weights.load(t); err != nil {
		return e, err
	}
	if e.class, err = o.wanted(e.c); err == nil && layer != nil {
		po.Layers = []string{""}
		po.Layers[0], err = layer(e.c)
	}
	if err != nil {
		closeQuietly(e.c)
		return e, err
	}
	po.FP32 = true
	e.p, e.end, err = predictorOf(e.c, &o.device, po, t, n)
	return e, err
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
