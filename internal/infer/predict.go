package infer

import (
	"context"
	"errors"
	"fmt"
	"image"
	"iter"
	"slices"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/imagenet"
	"alexnet/internal/model"
	"alexnet/internal/text"
)

// PredictOptions say which net looks at pictures.
type PredictOptions struct {
	Checkpoint *checkpoint.Checkpoint
	Devices    []device.Device
	Files      files.Reader  // that pictures are read through
	Batch      int           // rows of the net, the most pictures at once; 0: 1
	Layers     []string      // whose outputs are to be read with Features
	FP32       bool          // compute in fp32, whatever the checkpoint's configuration says
	Patience   data.Patience // with files that cannot be read for no fault of theirs
	Strict     bool          // an unreadable picture ends Predict and Features, with its *data.BadPicture
}

// Predictor is a checkpoint's net, ready to look at pictures in files. Pictures are prepared as the checkpoint says:
// its size, centre crop, its mean.
type Predictor struct {
	net      *inference
	fsys     files.Reader
	patience data.Patience
	strict   bool
}

// NewPredictor opens the net on the devices, which stay the caller's. A layer that the net does not have is a
// *config.Error.
func NewPredictor(o PredictOptions) (*Predictor, error) {
	n, err := open(o.Checkpoint, o.Devices, func(int) int { return max(o.Batch, 1) }, o.FP32,
		model.Options{Keep: o.Layers})
	if err != nil {
		return nil, err
	}
	return &Predictor{n, o.Files, o.Patience, o.Strict}, nil
}

// Close frees the net.
func (p *Predictor) Close() error { return p.net.close() }

// Prediction is what the net sees in one picture.
type Prediction struct {
	Image       string
	Predictions []ClassProbability // most probable first; equally probable ones by number
	Err         *data.BadPicture   // the picture could not be read; nil: it could
}

// ClassProbability is one class.
type ClassProbability struct {
	Index       int      `json:"index"`
	Class       text.Raw `json:"class"`          // as training knew it: a folder's name
	Name        string   `json:"name,omitempty"` // of a class of ILSVRC2012, whose Class is its WNID
	Probability float64  `json:"probability"`
}

// Predict is [Predictor.PredictAll] of files by their paths.
func (p *Predictor) Predict(ctx context.Context, images []string, top int) iter.Seq2[Prediction, error] {
	return p.PredictAll(ctx, data.Files(p.fsys, images), top)
}

// PredictAll names the `top` most probable classes of each picture. The answers come in the order given, a batch's as
// soon as that is computed; that of an unreadable picture has only its Err, and the next follows, unless
// PredictOptions.Strict. An error is the last that comes: with Strict a *data.BadPicture, after the answers to the
// pictures before it; where not the picture failed but a disk or a share, longer than PredictOptions.Patience, a
// *data.SourceFault; ctx's as soon as that has ended; or the devices'.
func (p *Predictor) PredictAll(ctx context.Context, images *data.Pictures, top int) iter.Seq2[Prediction, error] {
	return func(yield func(Prediction, error) bool) {
		classes := p.net.arch.Classes
		prob := make([]float32, p.net.rows*classes)
		err := p.each(ctx, images, func(rows int) error {
			return p.net.net.Probabilities(prob[:rows*classes]).Wait()
		}, func(i, row int, bad *data.BadPicture) bool {
			a := Prediction{Image: images.Name(i), Err: bad}
			if bad == nil {
				a.Predictions = p.net.topClasses(prob[row*classes:][:classes], top)
			}
			return yield(a, nil)
		})
		if err != nil {
			yield(Prediction{}, err)
		}
	}
}

// View is a picture as the net sees it, and what the net sees in it.
type View struct {
	Prediction
	Seen *image.RGBA // nil: the picture could not be read
}

// Views is PredictAll with the pictures, for whoever shows them.
func (p *Predictor) Views(ctx context.Context, images *data.Pictures, top int) iter.Seq2[View, error] {
	return func(yield func(View, error) bool) {
		classes := p.net.arch.Classes
		prob := make([]float32, p.net.rows*classes)
		var seen []*image.RGBA
		err := p.eachSeen(ctx, images, func(pixels []uint8) {
			seen = append(seen, data.CentreOf(pixels, &p.net.recipe))
		}, func(rows int) error {
			return p.net.net.Probabilities(prob[:rows*classes]).Wait()
		}, func(i, row int, bad *data.BadPicture) bool {
			v := View{Prediction: Prediction{Image: images.Name(i), Err: bad}}
			if bad == nil {
				v.Predictions, v.Seen = p.net.topClasses(prob[row*classes:][:classes], top), seen[0]
				seen = seen[1:]
			}
			return yield(v, nil)
		})
		if err != nil {
			yield(View{}, err)
		}
	}
}

// each runs readable pictures through the net, a batch at a time, and calls read for what a batch gave, with the number
// of its rows. Then it yields the pictures up to there, in the order given: the number of each, and the row that it is
// in or why it could not be read. While the devices compute a batch the next is decoded. The error is nil after a
// yield that returns false.
func (p *Predictor) each(ctx context.Context, images *data.Pictures, read func(rows int) error,
	yield func(i, row int, bad *data.BadPicture) bool,
) error {
	return p.eachSeen(ctx, images, func([]uint8) {}, read, yield)
}

// eachSeen is each, and shows the pixels of each picture that was read, in order, before it is computed.
func (p *Predictor) eachSeen(ctx context.Context, images *data.Pictures, seen func(pixels []uint8),
	read func(rows int) error, yield func(i, row int, bad *data.BadPicture) bool,
) error {
	g := group{p: p, read: read, yield: yield}
	for pic, err := range images.Decode(ctx, &p.net.recipe, p.net.rows, p.patience) {
		var bad *data.BadPicture
		switch {
		case errors.As(err, &bad) && p.strict:
			if more, failed := g.finish(); failed != nil || !more {
				return failed
			}
			return err
		case bad == nil && err != nil:
			return err
		}
		if bad == nil {
			seen(pic.Pixels)
		}
		if g.add(pic.Pixels, bad); len(g.bad) == p.net.rows {
			if more, err := g.finish(); err != nil || !more {
				return err
			}
		}
	}
	if more, err := g.finish(); err != nil || !more {
		return err
	}
	return p.net.net.Sync()
}

// group are pictures that are answered together: as many as a batch has rows, those that cannot be read included, so
// that however many there are of these, no more wait.
type group struct {
	p     *Predictor
	read  func(rows int) error
	yield func(i, row int, bad *data.BadPicture) bool
	first int // the number of the first
	bad   []*data.BadPicture
	batch *device.Batch // nil: none is in a row yet
	rows  int
}

func (g *group) add(pixels []uint8, bad *data.BadPicture) {
	g.bad = append(g.bad, bad)
	if bad != nil {
		return
	}
	if g.batch == nil {
		g.batch = g.p.net.net.Stage()
	}
	g.p.net.put(g.batch, g.rows, pixels)
	g.rows++
}

// finish computes and yields what there is, and tells whether more is wanted.
func (g *group) finish() (more bool, err error) {
	if g.rows > 0 {
		g.p.net.net.Forward(g.batch, model.Pass{Rows: g.rows, Divisor: 1})
		if err := g.read(g.rows); err != nil {
			return false, err
		}
	}
	row := 0
	for i, bad := range g.bad {
		if !g.yield(g.first+i, row, bad) {
			return false, nil
		}
		if bad == nil {
			row++
		}
	}
	g.first += len(g.bad)
	g.bad, g.batch, g.rows = g.bad[:0], nil, 0
	return true, nil
}

// put copies a picture into a row of the batch, centre crop, no label.
func (n *inference) put(b *device.Batch, row int, pixels []uint8) {
	copy(b.Pixels[row*len(pixels):], pixels)
	b.Labels[row], b.Flip[row], b.Color[row] = -1, false, [3]float32{}
	b.Crop[row] = n.recipe.Centre()
}

// topClasses gives the classes with the highest probabilities.
func (n *inference) topClasses(prob []float32, top int) []ClassProbability {
	order := make([]int, len(prob))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case prob[a] > prob[b]:
			return -1
		case prob[a] < prob[b]:
			return 1
		}
		return 0
	})
	best := make([]ClassProbability, 0, max(top, 0))
	for _, i := range order[:min(max(top, 0), len(order))] {
		c := ClassProbability{Index: i, Class: text.Raw(n.class(i)), Probability: float64(prob[i])}
		if name := imagenet.Name(string(c.Class)); name != string(c.Class) {
			c.Name = name
		}
		best = append(best, c)
	}
	return best
}

// class is the name of a class, or its number where the checkpoint has no names.
func (n *inference) class(i int) string {
	if i < len(n.classes) {
		return n.classes[i]
	}
	return fmt.Sprint(i)
}
