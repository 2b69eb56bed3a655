package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"slices"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// occlusionResult is the document of look occlusion --json. Squares begin at y At[i], x At[j] of what the net sees;
// Probability and Winners have a row for each i.
type occlusionResult struct {
	explainResult
	Square      int                        `json:"square"` // its side in pixels
	At          []int                      `json:"at"`
	Probability [][]finite                 `json:"probability"` // of the class
	Winners     [][]infer.ClassProbability `json:"winners"`     // the most probable class
}

func newLookOcclusionCommand(t *ui.Terminal) *cobra.Command {
	o := newLook(true)
	c := &cobra.Command{
		Use:   "occlusion IMAGE",
		Short: "Draw what becomes of an answer where the picture is covered",
		Long: `Cover the picture with a square of the mean colour, a seventh of its side, at 13 x 13 places that
overlap by half, and draw the probability of a class and the most probable class at each place. Where
the probability falls, the net saw what it names.

` + onePictureHelp,
		Example: `  alexnet look occlusion cat.jpg
  alexnet look occlusion cat.jpg --class 3 --out three.png
  alexnet look occlusion cat.jpg --out cat.png --json | jq '.probability[6][6]'`,
	}
	o.ofOnePicture(c, func(ctx context.Context, picture string) error { return runLookOcclusion(ctx, o, picture, t) })
	o.addClass(c)
	return c
}

func runLookOcclusion(ctx context.Context, o lookOptions, picture string, t *ui.Terminal) error {
	bar := ui.NewProgress(t)
	e, err := o.open(infer.PredictOptions{Batch: infer.OcclusionBatch}, nil, t, bar)
	if err != nil {
		return err
	}
	defer e.end()
	m, err := e.p.Occlude(ctx, picture, e.class, bar.Counter("covering"))
	bar.Clear()
	if err != nil {
		return unreadPicture(err, picture)
	}
	n := len(m.At)
	r := occlusionResult{
		explainResult: o.explained(picture, m.Explained), Square: m.Square, At: m.At,
		Probability: inRows(m.Probability, n), Winners: slices.Collect(slices.Chunk(m.Winners, n)),
	}
	page := occlusionPage(e.c, m)
	page.Title = fmt.Sprintf("Occlusion of %s, %s", pictureName(picture), netName(e.c))
	page.Notes = append([]string{r.note(e.c)}, page.Notes...)
	if err := o.write(ctx, page.Draw(), t); err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) {
		fmt.Fprintf(w, "%s; covered %s\n", r.sentence(e.c), lowest(m))
	})
}

// lowest says how far the probability falls, and where.
func lowest(m *infer.Occlusion) string {
	at := slices.Index(m.Probability, slices.Min(m.Probability))
	return fmt.Sprintf("at %d, %d from the upper left, %s", m.At[at%len(m.At)], m.At[at/len(m.At)],
		text.Percent(float64(m.Probability[at])))
}

// winnerColors are those of the classes that are most probable somewhere, the most frequent first; further ones share
// the last.
var winnerColors = []color.RGBA{
	figure.Blue, figure.Vermillion, figure.Pink, figure.Green, figure.Lilac, figure.Red, figure.Faint,
}

// occlusionPage draws the picture, the probabilities over it, and the most probable classes with their colours.
func occlusionPage(c *checkpoint.Checkpoint, m *infer.Occlusion) *figure.Page {
	side := m.Seen.Rect.Dx()
	seen := enlarged(m.Seen, explainZoom(m.Seen.Rect.Dx()))
	scale := figure.Range(m.Probability, figure.Heat)
	over := figure.Field{Width: side, Height: side, Values: make([]float32, side*side)}
	order, counts := winners(m)
	won := image.NewRGBA(m.Seen.Rect)
	for y := range side {
		for x := range side {
			place := placeOf(m, y)*len(m.At) + placeOf(m, x)
			over.Values[y*side+x] = m.Probability[place]
			won.SetRGBA(x, y, winnerColor(order, m.Winners[place].Index))
		}
	}
	name := className(c, m.Class.Index)
	return &figure.Page{
		Bodies: []image.Image{
			panels(seen.Rect.Dx(), panel{seen, "what the net sees"}, panel{
				over.Over(seen, scale, explainOpacity), "probability of " + name,
			}, panel{won, "most probable class"}),
			winnersLegend(c, order, counts),
		},
		Scale: &scale,
		Of:    "probability with the square there",
		Notes: []string{fmt.Sprintf("The square has a side of %d of the %d pixels and the mean colour; a place is "+
			"coloured by the square whose middle is nearest.", m.Square, side)},
	}
}

// placeOf is which of the places has its middle nearest to a row or column.
func placeOf(m *infer.Occlusion, pixel int) int {
	best := 0
	for i, at := range m.At {
		if abs(2*at+m.Square-1-2*pixel) < abs(2*m.At[best]+m.Square-1-2*pixel) {
			best = i
		}
	}
	return best
}

func abs(i int) int { return max(i, -i) }

// winners are the classes that are most probable somewhere, most places first, and how many each has.
func winners(m *infer.Occlusion) (order []int, counts map[int]int) {
	counts = map[int]int{}
	for _, w := range m.Winners {
		if counts[w.Index]++; counts[w.Index] == 1 {
			order = append(order, w.Index)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	return order, counts
}

func winnerColor(order []int, class int) color.RGBA {
	return winnerColors[min(slices.Index(order, class), len(winnerColors)-1)]
}

// winnersLegend names the colours of the most probable classes.
func winnersLegend(c *checkpoint.Checkpoint, order []int, counts map[int]int) *figure.Canvas {
	const width = 640
	line := figure.Body.Height() + 2
	shown := min(len(order), len(winnerColors))
	m := figure.New(width, shown*line)
	for i, class := range order[:shown] {
		words := fmt.Sprintf("%s is most probable at %s", className(c, class), text.Count(counts[class], "place"))
		if i == shown-1 && len(order) > shown {
			words = fmt.Sprintf("another of %d classes", len(order)-shown+1)
		}
		m.Fill(image.Rect(0, i*line+2, line-4, (i+1)*line-2), winnerColors[i])
		m.Words(figure.Body, line+4, i*line, figure.Body.Cut(words, width-line-4), figure.Ink)
	}
	return m
}
