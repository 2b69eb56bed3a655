package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// filtersOptions are what look filters was asked to draw.
type filtersOptions struct {
	lookOptions
	layer string
	each  bool
}

// filtersResult is the document of look filters --json.
type filtersResult struct {
	Out     text.Raw           `json:"out"`
	Layer   string             `json:"layer"`
	Shape   [4]int             `json:"shape"` // kernels, channels that one reads, height, width
	Columns int                `json:"columns"`
	Shown   int                `json:"shown"` // kernels in the picture
	Scale   *scaleResult       `json:"scale"` // null: each kernel has its own
	Color   *infer.ColorReport `json:"color"` // null: the layer does not see red, green and blue
	Kernels []kernelResult     `json:"kernels"`
}

// kernelResult is one kernel in the picture.
type kernelResult struct {
	Kernel  int      `json:"kernel"`
	Column  int      `json:"column"` // from 1
	Weights []finite `json:"weights"`
}

// scaleResult is what the darkest and the lightest colour of a picture stand for.
type scaleResult struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

func newLookFiltersCommand(t *ui.Terminal) *cobra.Command {
	o := filtersOptions{lookOptions: newLook(false)}
	c := &cobra.Command{
		Use:   "filters",
		Short: "Draw a layer's kernels, as in the paper's figure 3",
		Long: `Draw the kernels of a convolution as in the paper's figure 3: 16 a row, one column's kernels above
the other's. Those of conv1 are in colour, a weight of zero mid-grey; a kernel of a later layer is a
block of grey tiles, one for each map that it reads. All kernels have one scale; with --each every
kernel has its own.

With kernels that see colours comes the column report. A kernel's colour share is the sum of
(w - grey)^2 over the sum of w^2, where grey is the mean of its weights for red, green and blue at
the same place: 0 for one that sees only brightness. Of each column the median and a histogram are
told, and of two columns the AUC (the probability that a kernel of the first depends on colour more
than one of the second: .5 is no difference) and how often columns dealt by chance would be as far
apart. The paper found one column without colour and one with, in every run.`,
		Example: `  alexnet look filters
  alexnet look filters --weights builtin --each --out each.png
  alexnet look filters --layer conv4 --out conv4.png
  alexnet look filters --json --force | jq .color.auc`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c, ".png"); err != nil {
				return err
			}
			return runLookFilters(c.Context(), o, t)
		},
	}
	o.addFlags(c)
	c.Flags().StringVar(&o.layer, "layer", "conv1", "the convolution's `NAME`")
	c.Flags().BoolVar(&o.each, "each", false, "give each kernel a scale of its own")
	return c
}

func runLookFilters(ctx context.Context, o filtersOptions, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	c, err := o.weights.load(t)
	if err != nil {
		return err
	}
	defer closeQuietly(c)
	k, err := infer.KernelsOf(c, o.layer)
	if err != nil {
		return err
	}
	r := filtersResult{
		Out: text.Raw(o.out), Layer: k.Layer, Shape: k.Shape, Columns: k.Columns, Color: k.ColorReport(),
	}
	page, err := drawFilters(c, k, o.each, &r)
	if err != nil {
		return err
	}
	if err := o.write(ctx, page.Draw(), t); err != nil {
		return err
	}
	return t.Result(r, func(w *bytes.Buffer) { printFilters(w, &r) })
}

// drawFilters lays the kernels out, and tells in r how.
func drawFilters(c *checkpoint.Checkpoint, k *infer.Kernels, each bool, r *filtersResult) (*figure.Page, error) {
	f := figure.Kernels{
		Weights: k.Weights, Count: k.Shape[0], Channels: k.Shape[1], Size: k.Shape[2], Columns: k.Columns,
		Color: k.Color, Each: each,
	}
	if r.Shown = f.Shown() * k.Columns; r.Shown == 0 {
		return nil, fmt.Errorf("kernels of %s are too large to be drawn", text.Shape(k.Shape[1:]))
	}
	page := &figure.Page{
		Title: fmt.Sprintf("Kernels of %s, %s", text.Name(k.Layer), netName(c)), Bodies: []image.Image{f.Mosaic()},
	}
	page.Notes = append(page.Notes, filtersNote(k, r.Shown))
	for column, part := range k.Parts() {
		for i, w := range part[:f.Shown()] {
			r.Kernels = append(r.Kernels, kernelResult{column*len(part) + i, column + 1, finites(w)})
		}
	}
	if each {
		page.Notes = append(page.Notes, "Each kernel has its own scale: zero is mid-grey, and its largest weight, of "+
			"either sign, black or white.")
	} else {
		s := f.Scale()
		page.Scale, page.Of, r.Scale = &s, "weight; zero is mid-grey", &scaleResult{s.Low, s.High}
		if k.Color {
			page.Of = "weight of red, of green and of blue; zero is mid-grey"
		}
	}
	if r.Color != nil {
		page.Bodies = append(page.Bodies, drawColors(r.Color))
		page.Notes = append(page.Notes, strings.Join(colorWords(r.Color), "\n"))
	}
	return page, nil
}

// filtersNote says what stands where.
func filtersNote(k *infer.Kernels, shown int) string {
	all, each := k.Shape[0], k.Shape[0]/k.Columns
	note := fmt.Sprintf("%s of %dx%d", text.Count(all, "kernel"), k.Shape[2], k.Shape[3])
	if shown < all {
		note = fmt.Sprintf("%s of %s of %dx%d are shown", text.Grouped(int64(shown)), text.Count(all, "kernel"),
			k.Shape[2], k.Shape[3])
	}
	if !k.Color {
		note += fmt.Sprintf(", each a block with a tile for each of the %s that it reads",
			text.Count(k.Shape[1], "map"))
	}
	if k.Columns > 1 && shown == all {
		note += fmt.Sprintf("; first the %d of column 1, under them those of the other column", each)
	} else if k.Columns > 1 {
		note += fmt.Sprintf("; first %d of column 1, under them as many of the other column", shown/k.Columns)
	}
	return note + "."
}

// Sizes of the column report's histograms, pixels.
const (
	colorsWidth  = 440
	colorsHeight = 64
)

// drawColors draws each column's histogram of colour shares under what it is of, the median marked.
func drawColors(r *infer.ColorReport) *figure.Canvas {
	g := figure.Grid{
		Columns: 1, Width: colorsWidth, Height: colorsHeight, Gap: figure.Body.Height(),
	}
	size, above := g.Size(len(r.Columns)), image.Pt(0, 2*g.Gap) // of which one is for the first head
	c := figure.New(size.X, size.Y+above.Y)
	for i, column := range r.Columns {
		h := figure.Histogram{Low: 0, High: 1, Counts: column.Histogram, Mark: math.NaN()}
		if column.Median != nil {
			h.Mark = *column.Median
		}
		at := g.Tile(i).Add(above)
		c.Words(figure.Body, 0, at.Min.Y-g.Gap, colorHead(r, i), figure.Ink)
		c.Photo(at, h.Draw(g.Width, g.Height))
	}
	return c
}

// colorHead says what a histogram is of.
func colorHead(r *infer.ColorReport, i int) string {
	of := "all kernels"
	if len(r.Columns) > 1 {
		of = fmt.Sprintf("column %d", i+1)
	}
	if m := r.Columns[i].Median; m != nil {
		return fmt.Sprintf("Colour share in %s: median %.2f of %s", of, *m,
			text.Count(r.Columns[i].Kernels, "kernel"))
	}
	return fmt.Sprintf("Colour share in %s: none has one", of)
}

// colorWords are the column report's lines.
func colorWords(r *infer.ColorReport) (lines []string) {
	switch {
	case len(r.Columns) == 1:
		lines = append(lines, "One column: there is no other to compare it with.")
	case r.AUC == nil:
		lines = append(lines, "A column without colour shares cannot be compared.")
	default:
		lines = append(lines, fmt.Sprintf("Between the columns: AUC %.2f; columns dealt by chance are as far apart "+
			"with p = %s (%s permutations).", *r.AUC, text.Plain(*r.P, 2), text.Grouped(int64(r.Rounds))))
	}
	without := 0
	for _, c := range r.Columns {
		for _, s := range c.Shares {
			if s == nil {
				without++
			}
		}
	}
	if without > 0 {
		lines = append(lines, "Without a colour share, being all zeros or not finite: "+
			text.Count(without, "kernel")+".")
	}
	return lines
}

// printFilters writes what was drawn for people.
func printFilters(w *bytes.Buffer, r *filtersResult) {
	fmt.Fprintf(w, "%s: %s of %s, %s", text.Name(r.Out), text.Count(r.Shape[0], "kernel"), text.Name(r.Layer),
		text.Shape(r.Shape[1:]))
	if r.Shown < r.Shape[0] {
		fmt.Fprintf(w, ", %s shown", text.Grouped(int64(r.Shown)))
	}
	fmt.Fprintln(w)
	if r.Color == nil {
		return
	}
	for i := range r.Color.Columns {
		fmt.Fprintln(w, colorHead(r.Color, i))
	}
	for _, line := range colorWords(r.Color) {
		fmt.Fprintln(w, line)
	}
}
