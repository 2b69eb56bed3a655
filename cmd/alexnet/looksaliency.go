package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"slices"

	"github.com/spf13/cobra"

	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// saliencyOptions are what look saliency was asked to draw.
type saliencyOptions struct {
	lookOptions
	smooth int
	seed   uint64
}

// mostCopies is the most noisy copies that anybody has use for.
const mostCopies = 10_000

// saliencyResult is the document of look saliency --json.
type saliencyResult struct {
	explainResult
	Copies int        `json:"copies"` // 0: of the picture itself
	Sigma  float64    `json:"sigma"`  // of their noise, in levels of 0..255
	Seed   uint64     `json:"seed"`
	Map    [][]finite `json:"map"` // |d logit / d level|, by rows of what the net sees
}

func newLookSaliencyCommand(t *ui.Terminal) *cobra.Command {
	o := saliencyOptions{lookOptions: newLook(true)}
	c := &cobra.Command{
		Use:   "saliency IMAGE",
		Short: "Draw how much each pixel matters to an answer",
		Long: `Draw the gradient of a class's logit by each pixel: its magnitude, of the three colours the
largest. With --smooth N it is the mean over N copies of the picture with normal noise of 15% of the
distance between its darkest and lightest level (SmoothGrad), which says less of single pixels and
more of what is there; some 50 copies do.

` + onePictureHelp,
		Example: `  alexnet look saliency cat.jpg
  alexnet look saliency cat.jpg --smooth 50 --out smooth.png
  alexnet look saliency cat.jpg --class 3 --out three.png --json | jq .class`,
	}
	o.ofOnePicture(c, func(ctx context.Context, picture string) error {
		if o.smooth < 0 || o.smooth > mostCopies {
			return usageError(c.CommandPath()+" --help", "--smooth %d: want 0 to %d", o.smooth, mostCopies)
		}
		return runLookSaliency(ctx, o, picture, t)
	})
	o.addClass(c)
	f := c.Flags()
	f.IntVar(&o.smooth, "smooth", 0, "average over `N` copies with noise (0: the picture itself)")
	f.Uint64Var(&o.seed, "seed", 1, "`N` that the noise is drawn from")
	return c
}

func runLookSaliency(ctx context.Context, o saliencyOptions, picture string, t *ui.Terminal) error {
	bar := ui.NewProgress(t)
	po := infer.PredictOptions{Batch: min(o.smooth, infer.SaliencyBatch), Gradients: true}
	e, err := o.open(po, nil, t, bar)
	if err != nil {
		return err
	}
	defer e.end()
	m, err := e.p.Saliency(ctx, picture, e.class, o.smooth, o.seed, bar.Counter("noisy copies"))
	bar.Clear()
	if err != nil {
		return unreadPicture(err, picture)
	}
	r := saliencyResult{
		explainResult: o.explained(picture, m.Explained), Copies: m.Copies, Sigma: m.Sigma, Seed: o.seed,
		Map: inRows(m.Map, m.Side),
	}
	page := saliencyPage(m)
	page.Title = fmt.Sprintf("Saliency of %s, %s", pictureName(picture), netName(e.c))
	page.Notes = append([]string{r.note(e.c)}, page.Notes...)
	if m.Copies > 0 {
		page.Notes = append(page.Notes, fmt.Sprintf("Noisy copies averaged: %s, with normal noise of %.3g levels, "+
			"seed %d.", text.Grouped(int64(m.Copies)), m.Sigma, o.seed))
	}
	if err := o.write(ctx, page.Draw(), t); err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) { fmt.Fprintln(w, r.sentence(e.c)) })
}

// saliencyPage draws the picture and the map.
func saliencyPage(m *infer.Saliency) *figure.Page {
	seen := enlarged(m.Seen, explainZoom(m.Seen.Rect.Dx()))
	sorted := slices.Sorted(slices.Values(m.Map))
	// a few pixels are many times as large as the others
	scale := figure.Scale{High: float64(sorted[len(sorted)*99/100]), Colors: figure.Heat}
	field := figure.Field{Width: m.Side, Height: m.Side, Values: m.Map}
	return &figure.Page{
		Bodies: []image.Image{panels(seen.Rect.Dx(), panel{seen, "what the net sees"},
			panel{field.Image(scale), "saliency"})},
		Scale: &scale,
		Of:    "|d logit / d level|",
		Notes: []string{"Of a pixel's colours it is the largest. One pixel in a hundred is beyond the scale."},
	}
}
