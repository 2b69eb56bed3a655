package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"slices"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// camOptions are what look cam was asked to draw.
type camOptions struct {
	lookOptions
	layer string
}

// camResult is the document of look cam --json.
type camResult struct {
	explainResult
	Layer string     `json:"layer"`
	Map   [][]finite `json:"map"` // by rows of the layer's maps
}

func newLookCAMCommand(t *ui.Terminal) *cobra.Command {
	o := camOptions{lookOptions: newLook(true)}
	c := &cobra.Command{
		Use:   "cam IMAGE",
		Short: "Draw where a layer's maps speak for an answer (Grad-CAM)",
		Long: `Draw Grad-CAM: the maps of a layer, each times the mean gradient of a class's logit by it, added up,
and what is below zero left out. Layers are those that have maps, so no fully connected ones; the
last convolution says most.

` + onePictureHelp,
		Example: `  alexnet look cam cat.jpg
  alexnet look cam cat.jpg --class 3 --layer conv4 --out three.png
  alexnet look cam cat.jpg --out cat.png --json | jq .map`,
	}
	o.ofOnePicture(c, func(ctx context.Context, picture string) error { return runLookCAM(ctx, o, picture, t) })
	o.addClass(c)
	c.Flags().StringVar(&o.layer, "layer", "", "the layer's `NAME` (default: the last convolution, the paper's conv5)")
	return c
}

func runLookCAM(ctx context.Context, o camOptions, picture string, t *ui.Terminal) error {
	bar := ui.NewProgress(t)
	e, err := o.open(infer.PredictOptions{Gradients: true}, func(c *checkpoint.Checkpoint) (string, error) {
		return infer.CAMLayer(c, o.layer)
	}, t, bar)
	if err != nil {
		return err
	}
	defer e.end()
	m, err := e.p.GradCAM(ctx, picture, e.class, e.layer)
	bar.Clear()
	if err != nil {
		return unreadPicture(err, picture)
	}
	r := camResult{explainResult: o.explained(picture, m.Explained), Layer: m.Layer, Map: inRows(m.Map, m.Width)}
	page := camPage(e.c, m)
	page.Title = fmt.Sprintf("Grad-CAM of %s, %s, %s", text.Name(m.Layer), pictureName(picture), netName(e.c))
	page.Notes = append([]string{r.note(e.c)}, page.Notes...)
	if err := o.write(ctx, page.Draw(), t); err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) { fmt.Fprintf(w, "%s; %s\n", r.sentence(e.c), text.Name(m.Layer)) })
}

// camPage draws the picture, and the map over it.
func camPage(c *checkpoint.Checkpoint, m *infer.CAM) *figure.Page {
	seen := enlarged(m.Seen, explainZoom(m.Seen.Rect.Dx()))
	scale := figure.Scale{High: float64(slices.Max(m.Map)), Colors: figure.Heat}
	field := figure.Field{Width: m.Width, Height: m.Height, Values: m.Map}
	name := className(c, m.Class.Index)
	p := &figure.Page{
		Bodies: []image.Image{panels(seen.Rect.Dx(), panel{seen, "what the net sees"},
			panel{field.Over(seen, scale, explainOpacity), "speaks for " + name})},
		Scale: &scale,
		Of:    "Grad-CAM",
		Notes: []string{fmt.Sprintf("Maps of %dx%d, stretched over the picture.", m.Height, m.Width)},
	}
	if scale.High == 0 {
		p.Notes = append(p.Notes, "Nothing in them speaks for "+name+".")
	}
	return p
}
