package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"math"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/figure"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// mapsOptions are what look maps was asked to draw.
type mapsOptions struct {
	lookOptions
	layer           string
	each, strongest bool
}

// mapsResult is the document of look maps --json.
type mapsResult struct {
	Out   text.Raw     `json:"out"`
	Image text.Raw     `json:"image"`
	Layer string       `json:"layer"`
	Shape []int        `json:"shape"` // maps, height, width
	Shown int          `json:"shown"` // maps in the picture
	Scale *scaleResult `json:"scale"` // null: each map has its own
	Maps  []mapResult  `json:"maps"`  // in the picture, in its order
}

// mapResult is one map.
type mapResult struct {
	Map      int      `json:"map"`
	Strength finite   `json:"strength"` // mean magnitude; null: it holds what is no finite number
	Values   []finite `json:"values"`   // row by row
}

func newLookMapsCommand(t *ui.Terminal) *cobra.Command {
	o := mapsOptions{lookOptions: newLook(true)}
	c := &cobra.Command{
		Use:   "maps IMAGE --layer NAME",
		Short: "Draw what a layer makes of a picture, map by map",
		Long: `Draw every map of a layer for one picture, numbered, beside the picture as the net sees it. Layers:
those of alexnet features. Of a fully connected layer there is a tile for each unit, row by row. All
maps have one scale; with --each every map has its own. With --strongest those whose numbers are
largest, by their mean magnitude, come first. Where not all maps fit, the picture says how many do.

` + onePictureHelp,
		Example: `  alexnet look maps cat.jpg --layer conv1
  alexnet look maps cat.jpg --layer conv4 --strongest --each --out conv4.png
  alexnet look maps cat.jpg --layer conv1.pre --out pre.png --json | jq '.maps[0].strength'`,
	}
	o.ofOnePicture(c, func(ctx context.Context, picture string) error {
		if o.layer == "" {
			return usageError("alexnet look maps IMAGE --layer conv1", "look maps needs --layer")
		}
		return runLookMaps(ctx, o, picture, t)
	})
	f := c.Flags()
	f.StringVar(&o.layer, "layer", "", "the layer's `NAME`")
	f.BoolVar(&o.each, "each", false, "give each map a scale of its own")
	f.BoolVar(&o.strongest, "strongest", false, "begin with the maps of the largest numbers")
	return c
}

func runLookMaps(ctx context.Context, o mapsOptions, picture string, t *ui.Terminal) error {
	bar := ui.NewProgress(t)
	l, err := o.open(infer.PredictOptions{}, func(*checkpoint.Checkpoint) (string, error) { return o.layer, nil }, t,
		bar)
	if err != nil {
		return err
	}
	defer l.end()
	m, err := l.p.Maps(ctx, picture, o.layer)
	bar.Clear()
	if err != nil {
		return unreadPicture(err, picture)
	}
	d := mapsDrawing{m: m, layer: o.layer, each: o.each, order: inOrder(m.Count), room: mapsPixels}
	if o.strongest {
		d.order = m.Order()
	}
	r := mapsResult{
		Out: text.Raw(o.out), Image: text.Raw(picture), Layer: o.layer, Shape: []int{m.Count, m.Height, m.Width},
	}
	page := d.page()
	page.Title = fmt.Sprintf("%s of %s, %s", text.Name(o.layer), pictureName(picture), netName(l.c))
	if err := o.write(ctx, page.Draw(), t); err != nil {
		return err
	}
	r.Maps, r.Shown = d.results(), d.shown
	if page.Scale != nil {
		r.Scale = &scaleResult{page.Scale.Low, page.Scale.High}
	}
	return t.Result(r, func(w *bytes.Buffer) {
		what := text.Count(m.Count, "map") + fmt.Sprintf(" of %dx%d", m.Height, m.Width)
		if m.Height*m.Width == 1 {
			what = text.Count(m.Count, "unit")
		}
		if d.shown < m.Count {
			what += fmt.Sprintf(", %s shown", text.Grouped(int64(d.shown)))
		}
		fmt.Fprintf(w, "%s: %s, %s\n", text.Name(r.Out), text.Name(r.Layer), what)
	})
}

// pictureName is how a picture is called above a drawing.
func pictureName(path string) string {
	if path == files.Stdin {
		return "standard input"
	}
	return text.Name(path)
}

// inOrder is 0 to n-1.
func inOrder(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// mapsDrawing is maps on their way onto a page.
type mapsDrawing struct {
	m     *infer.Maps
	layer string
	each  bool
	order []int // of the maps
	room  int   // pixels that they may take, about
	shown int   // of these
}

// Sizes of maps in pixels.
const (
	mapSide    = 64 // about
	mapsWide   = 1200
	mapsPixels = 1 << 24 // in all, about
	unitSide   = 10
)

// page draws the picture and the maps.
func (d *mapsDrawing) page() *figure.Page {
	s := mapScale(d.m.Values)
	page := &figure.Page{Bodies: []image.Image{enlarged(d.m.Seen, seenZoom(d.m.Seen.Rect.Dx()))}}
	if d.m.Height*d.m.Width == 1 {
		units, columns := d.units(s)
		page.Bodies, page.Scale, page.Of = append(page.Bodies, units), &s, d.scaleWords(s)
		page.Notes = append(page.Notes, fmt.Sprintf("%s, %d a row.", text.Count(d.m.Count, "unit"), columns))
		page.Notes = append(page.Notes, d.left("units")...)
		return page
	}
	page.Bodies = append(page.Bodies, d.mosaic(s))
	switch {
	case d.each:
		page.Notes = append(page.Notes, "Each map has its own scale: zero is black and its largest number white; "+
			"in one with numbers below zero that is grey, with blue below and red above.")
	default:
		page.Scale, page.Of = &s, d.scaleWords(s)
	}
	page.Notes = append(page.Notes, d.left("maps")...)
	if d.m.Columns > 1 {
		page.Notes = append(page.Notes, fmt.Sprintf("Maps up to %d are column 1's, those from %d on the other's.",
			d.m.Count/d.m.Columns-1, d.m.Count/d.m.Columns))
	}
	return page
}

// left says that not all are shown.
func (d *mapsDrawing) left(what string) []string {
	if d.shown == d.m.Count {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d %s shown.", d.shown, d.m.Count, what)}
}

// mapScale is from 0 to the largest number, in grey, or where some are below 0 as far on both sides of it.
func mapScale(values []float32) figure.Scale {
	s := figure.Range(values, figure.Grey)
	if s.Low < 0 {
		return figure.Around(values, figure.BlueRed)
	}
	if s.Low = 0; s.High == 0 { // of a dead map, which is black
		s.High = 1
	}
	return s
}

// scaleWords say what a scale of mapScale is of.
func (d *mapsDrawing) scaleWords(s figure.Scale) string {
	of := "activation"
	switch d.layer {
	case "input":
		of = "what the net reads"
	case "prob":
		of = "probability"
	}
	if s.Low < 0 {
		of += "; blue is below zero"
	}
	return of
}

// mosaic draws the maps with their numbers under them, as many as fit.
func (d *mapsDrawing) mosaic(all figure.Scale) *figure.Canvas {
	h, w := d.m.Height, d.m.Width
	zoom := max(mapSide/max(h, w), 1)
	g := figure.Grid{Width: w * zoom, Height: h * zoom, Gap: 4, Below: figure.Small.Height()}
	g.Columns = max(mapsWide/(g.Width+g.Gap), 1)
	d.shown = min(d.m.Count, max(d.room/((g.Width+g.Gap)*(g.Height+g.Below+g.Gap)), 1))
	size := g.Size(d.shown)
	c := figure.New(size.X, size.Y)
	for at, i := range d.order[:d.shown] {
		values := d.m.Map(i)
		s := all
		if d.each {
			s = mapScale(values)
		}
		c.Pixels(g.Tile(at), figure.Field{Width: w, Height: h, Values: values}.Image(s))
		c.Label(figure.Small, g.Under(at), fmt.Sprint(i), figure.Faint)
	}
	return c
}

// units draws a tile for each unit, row by row, and tells how many are in a row.
func (d *mapsDrawing) units(s figure.Scale) (c *figure.Canvas, columns int) {
	d.shown = min(d.m.Count, max(d.room/(unitSide*unitSide), 1))
	g := figure.Grid{
		Columns: max(min(int(math.Ceil(math.Sqrt(float64(d.shown)*2))), mapsWide/unitSide), 1),
		Width:   unitSide, Height: unitSide,
	}
	size := g.Size(d.shown)
	c = figure.New(size.X, size.Y)
	for at, i := range d.order[:d.shown] {
		c.Fill(g.Tile(at), s.Color(float64(d.m.Values[i])))
	}
	return c, g.Columns
}

// seenSide is how long a side of a picture is drawn at least, pixels.
const seenSide = 160

// enlarged is a picture as the net sees it, each of its pixels a square of so many.
func enlarged(seen *image.RGBA, zoom int) *figure.Canvas {
	c := figure.New(zoom*seen.Rect.Dx(), zoom*seen.Rect.Dy())
	c.Pixels(c.Rect, seen)
	return c
}

// results are the numbers of the maps that are shown.
func (d *mapsDrawing) results() []mapResult {
	all := make([]mapResult, 0, d.shown)
	for _, i := range d.order[:d.shown] {
		all = append(all, mapResult{i, finite(d.m.Strength(i)), finites(d.m.Map(i))})
	}
	return all
}

// seenZoom makes a picture of that side about seenSide wide.
func seenZoom(side int) int { return max((seenSide+side-1)/side, 1) }
