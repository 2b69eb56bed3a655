package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/figure"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/infer"
	"alexnet/internal/text"
	"alexnet/internal/ui"
)

// predictionsOptions are what look predictions was asked to draw.
type predictionsOptions struct {
	lookOptions
	errors bool
	seed   uint64
}

// predictionsResult is the document of look predictions --json.
type predictionsResult struct {
	Out      text.Raw         `json:"out"`
	Seed     uint64           `json:"seed"`
	LookedAt int              `json:"looked_at"` // pictures, to find these
	Pictures []answeredResult `json:"pictures"`
}

// answeredResult is one picture with its label and what the net says.
type answeredResult struct {
	Image       text.Raw                 `json:"image"`
	Label       *labelResult             `json:"label"` // null: it has none
	Right       *bool                    `json:"right"` // whether the most probable class is the label; null: no label
	Predictions []infer.ClassProbability `json:"predictions"`

	seen *image.RGBA
}

// labelResult is the class that a picture is said to be of.
type labelResult struct {
	Index *int     `json:"index"` // among the net's; null: the net lacks it
	Class text.Raw `json:"class"`
	Name  string   `json:"name,omitempty"` // of a class of ILSVRC2012, whose Class is its WNID
}

// Of the paper's figure 4, left: two rows of four pictures, five bars under each.
const (
	answersShown = 8
	answersARow  = 4
	answerBars   = 5
)

func newLookPredictionsCommand(t *ui.Terminal) *cobra.Command {
	o := predictionsOptions{lookOptions: newLook(true)}
	c := &cobra.Command{
		Use:   "predictions DIR|TAR|IMAGE...",
		Short: "Draw pictures with the five most probable classes, as in the paper's figure 4",
		Long: `Draw eight pictures as in the left part of the paper's figure 4: the picture as the net sees it, its
right label, and the five most probable classes as bars, a whole width being a probability of 1. The
right class's bar is red and hatched. Of a DIR or TAR with class folders the pictures that alexnet
eval would take are drawn from, by --seed; their folders are the labels. Pictures that are named, or
lie in no class folders, have no labels. --errors draws only from pictures whose most probable class
is not their label.`,
		Example: `  alexnet look predictions photos
  alexnet look predictions cifar10.tar --errors --seed 2 --out errors.png --weights runs/train2
  alexnet look predictions cat.jpg dog.jpg --out two.png --json | jq '.pictures[0].predictions[0]'`,
		Args: wantArgs("pictures, a folder or a tar", 0),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c, ".png"); err != nil {
				return err
			}
			if err := new(picturesOption).args(c, args); err != nil {
				return err
			}
			return runLookPredictions(c.Context(), o, args, t)
		},
	}
	o.addFlags(c)
	o.device.addFlags(c)
	f := c.Flags()
	f.BoolVar(&o.errors, "errors", false, "draw only pictures that the net gets wrong")
	f.Uint64Var(&o.seed, "seed", 1, "`N`, the number that the choice of pictures starts from")
	return c
}

func runLookPredictions(ctx context.Context, o predictionsOptions, args []string, t *ui.Terminal) error {
	if _, err := newFile(o.out, o.force, t); err != nil {
		return err
	}
	c, err := o.weights.load(t)
	if err != nil {
		return err
	}
	from, err := shownFrom(ctx, args, &o, c, t)
	if err != nil {
		closeQuietly(c)
		return err
	}
	defer from.close()
	bar := ui.NewProgress(t)
	rows := min(from.pictures.Len(), answersShown)
	if o.errors {
		rows = min(from.pictures.Len(), predictBatch)
	}
	p, end, err := predictorOf(c, &o.device, infer.PredictOptions{Batch: rows, FP32: true}, t, bar)
	if err != nil {
		return err
	}
	defer end()
	r := predictionsResult{Out: text.Raw(o.out), Seed: o.seed}
	bad, err := from.answers(ctx, p, o.errors, &r, bar)
	bar.Clear()
	switch {
	case err != nil:
		return err
	case len(r.Pictures) == 0 && bad.n == r.LookedAt:
		return advise(exitUnreadable, nextStep(bad.err()), errNoRows)
	case len(r.Pictures) == 0:
		return advise(exitFailed, "omit --errors, or name other pictures",
			fmt.Errorf("nothing to draw: the net gets %s right", text.Count(r.LookedAt-bad.n, "picture")))
	}
	page := drawAnswers(&r, from.labelled)
	page.Title = fmt.Sprintf("Answers of %s to %s", netName(c), text.Examples(args))
	if o.errors {
		page.Title = fmt.Sprintf("Wrong answers of %s to %s", netName(c), text.Examples(args))
		page.Notes = append(page.Notes, fmt.Sprintf("Looked at: %s, drawn with seed %d.",
			text.Count(r.LookedAt, "picture"), o.seed))
	}
	if err := o.write(ctx, page.Draw(), t); err != nil {
		return err
	}
	err = t.Result(r, func(w *bytes.Buffer) { printAnswers(w, &r, from.labelled) })
	if err != nil {
		return err
	}
	return bad.err()
}

// gallery is pictures that some are to be shown of.
type gallery struct {
	pictures *data.Pictures // in the order in which they are taken
	label    func(i int) *labelResult
	labelled bool
	close    func()
}

// shownFrom finds the pictures that were named: of a data set those that eval takes, by the seed, otherwise single
// pictures as they stand, by the seed where they are more than are shown.
func shownFrom(
	ctx context.Context, args []string, o *predictionsOptions, c *checkpoint.Checkpoint, t *ui.Terminal,
) (*gallery, error) {
	if !slices.ContainsFunc(args, func(p string) bool { return !isPlace(p) }) {
		source, set, err := evalData(ctx, data.At(args...), "", c, t)
		var e *data.SourceError
		switch {
		case err == nil:
			return shownOf(source, set, o, c)
		case !errors.As(err, &e) || e.Problem != data.NoClassFolders:
			return nil, err
		}
	}
	if o.errors {
		return nil, usageError("alexnet look predictions --errors DIR, of pictures in class folders",
			"--errors: pictures outside of class folders have no labels, so that nothing tells which are wrong")
	}
	return single(ctx, args, o.seed, t)
}

// isPlace tells whether a path may lead to labelled pictures: a folder, a tar, a place in a store.
func isPlace(p string) bool {
	info, err := os.Stat(p)
	return files.Remote(p) || isTar(p) || err == nil && info.IsDir()
}

// shownOf are the pictures of a set, whose classes are found among the net's.
func shownOf(source *data.Source, set *data.Set, o *predictionsOptions, c *checkpoint.Checkpoint) (*gallery, error) {
	places := data.Places(c.Classes, source.Classes)
	if o.errors { // a class that the net lacks is wrong whatever the net says
		all := set
		if set = set.Only(func(label int32) bool { return places[label] >= 0 }); set.Len() == 0 {
			defer closeQuietly(source)
			return nil, &infer.OtherClasses{Path: c.Path, Own: c.Classes, Data: classesOf(source, all)}
		}
	}
	order := data.Drawn(set.Len(), o.seed)
	return &gallery{
		pictures: set.Pictures(order), labelled: true, close: func() { closeQuietly(source) },
		label: func(i int) *labelResult {
			class := set.Label(order[i])
			l := &labelResult{Class: text.Raw(source.Classes[class])}
			if name := imagenet.Name(string(l.Class)); name != string(l.Class) {
				l.Name = name
			}
			if at := int(places[class]); at >= 0 {
				l.Index = &at
			}
			return l
		},
	}, nil
}

// classesOf are the classes that a set has pictures of.
func classesOf(source *data.Source, set *data.Set) (classes []string) {
	for i, n := range set.Counts(len(source.Classes)) {
		if n > 0 {
			classes = append(classes, source.Classes[i])
		}
	}
	return classes
}

// single are pictures without labels, named or in folders and tars.
func single(ctx context.Context, args []string, seed uint64, t *ui.Terminal) (*gallery, error) {
	s := &gallery{label: func(int) *labelResult { return nil }, close: func() {}}
	if slices.ContainsFunc(args, isTar) {
		all, err := data.ByFileName(ctx, pictureFiles, args)
		if err != nil {
			return nil, err
		}
		s.pictures, s.close = all, func() { closeQuietly(all) }
		if all.Len() > answersShown {
			s.pictures = all.Choose(data.Drawn(all.Len(), seed))
		}
		return s, nil
	}
	paths, err := (&picturesOption{recursive: true}).gather(ctx, args, t)
	if err != nil {
		return nil, err
	}
	s.pictures = data.Files(pictureFiles, paths)
	if len(paths) > answersShown {
		s.pictures = s.pictures.Choose(data.Drawn(len(paths), seed))
	}
	return s, nil
}

// answers asks the net about pictures until there are as many as are shown, and puts these into r. It tells of those
// that cannot be read.
func (s *gallery) answers(
	ctx context.Context, p *infer.Predictor, wrongOnly bool, r *predictionsResult, bar *ui.Progress,
) (*unread, error) {
	bad, done := &unread{command: "alexnet look predictions"}, func(int) {}
	if wrongOnly {
		done = pace(bar, "predicting", s.pictures.Len())
	}
	for v, err := range p.Views(ctx, s.pictures, answerBars) {
		if err != nil {
			return bad, err
		}
		i := r.LookedAt
		r.LookedAt++
		done(r.LookedAt)
		if v.Err != nil {
			bad.add(v.Err, bar)
			continue
		}
		a := answeredResult{Image: text.Raw(v.Image), Label: s.label(i), Predictions: v.Predictions, seen: v.Seen}
		if a.Label != nil {
			right := a.Label.Index != nil && v.Predictions[0].Index == *a.Label.Index
			a.Right = &right
		}
		if wrongOnly && *a.Right {
			continue
		}
		if r.Pictures = append(r.Pictures, a); len(r.Pictures) == answersShown {
			break
		}
	}
	return bad, ctx.Err()
}

// Sizes of an answer, pixels.
const (
	answerWidth = 224
	answerSide  = 192 // of the picture
	answerGap   = 20
	labelLines  = 2
	barTall     = 20
	barGap      = 3
)

// drawAnswers lays pictures, labels and bars out.
func drawAnswers(r *predictionsResult, labelled bool) *figure.Page {
	name := figure.Small.Height()
	label := labelLines*figure.Body.Height() + barGap
	g := figure.Grid{
		Columns: answersARow, Width: answerWidth, Height: answerSide, Gap: answerGap,
		Below: name + label + answerBars*(barTall+barGap),
	}
	if !labelled {
		g.Below -= label
	}
	size := g.Size(len(r.Pictures))
	c := figure.New(size.X, size.Y)
	for i := range r.Pictures {
		a, at, y := &r.Pictures[i], g.Tile(i), g.Under(i).Min.Y
		left := at.Min.X + (answerWidth-answerSide)/2
		drawSeen(c, image.Rect(left, at.Min.Y, left+answerSide, at.Max.Y), a.seen)
		line := image.Rect(at.Min.X, y, at.Max.X, y+name)
		c.Label(figure.Small, line, text.Name(path.Base(filepath.ToSlash(string(a.Image)))), figure.Faint)
		y += name
		if labelled {
			a.drawLabel(c, image.Rect(at.Min.X, y, at.Max.X, y+label))
			y += label
		}
		for _, p := range a.Predictions {
			a.drawBar(c, image.Rect(at.Min.X, y, at.Max.X, y+barTall), p)
			y += barTall + barGap
		}
	}
	page := &figure.Page{Bodies: []image.Image{c}, Notes: []string{
		"Bars are probabilities; a whole width is 1.",
	}}
	if labelled {
		page.Notes[0] += " The right class's bar is red and hatched."
	}
	return page
}

// drawSeen draws a picture, blocks for pixels where it is small.
func drawSeen(c *figure.Canvas, r image.Rectangle, seen *image.RGBA) {
	if 2*seen.Rect.Dx() <= r.Dx() {
		c.Pixels(r, seen)
		return
	}
	c.Photo(r, seen)
}

// drawLabel writes the right label.
func (a *answeredResult) drawLabel(c *figure.Canvas, r image.Rectangle) {
	words := text.Name(imagenet.Name(string(a.Label.Class)))
	if a.Label.Index == nil {
		words += " (the net lacks this class)"
	}
	lines := figure.Body.Wrap(words, r.Dx(), labelLines)
	for i, line := range lines {
		y := r.Min.Y + i*figure.Body.Height()
		c.Label(figure.Body, image.Rect(r.Min.X, y, r.Max.X, y+figure.Body.Height()), line, figure.Ink)
	}
}

// drawBar draws the bar of a class, with its name and its probability in figures.
func (a *answeredResult) drawBar(c *figure.Canvas, r image.Rectangle, p infer.ClassProbability) {
	c.Frame(r, 1, figure.Line)
	if a.Label != nil && a.Label.Index != nil && *a.Label.Index == p.Index {
		c.Hatch(c.Bar(r, p.Probability, figure.Pink), figure.Red)
	} else {
		c.Bar(r, p.Probability, figure.Lilac)
	}
	const pad = 4
	y, share := r.Min.Y+(r.Dy()-figure.Body.Height())/2, text.Percent(p.Probability)
	c.Before(figure.Body, r.Max.X-pad, y, share, figure.Ink)
	room := r.Dx() - figure.Body.Width(share) - 3*pad
	c.Words(figure.Body, r.Min.X+pad, y, figure.Body.Cut(text.Name(imagenet.Name(string(p.Class))), room), figure.Ink)
}

// printAnswers writes what was drawn for people.
func printAnswers(w *bytes.Buffer, r *predictionsResult, labelled bool) {
	fmt.Fprintf(w, "%s: %s", text.Name(r.Out), text.Count(len(r.Pictures), "picture"))
	right := 0
	for _, a := range r.Pictures {
		if a.Right != nil && *a.Right {
			right++
		}
	}
	switch {
	case labelled && right == 0 && r.LookedAt > len(r.Pictures):
		fmt.Fprintf(w, ", all wrong, of %s looked at", text.Grouped(int64(r.LookedAt)))
	case labelled:
		fmt.Fprintf(w, ", %d right", right)
	}
	fmt.Fprintln(w)
}
