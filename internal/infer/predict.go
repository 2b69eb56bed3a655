package infer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"alexnet/internal/checkpoint"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/model"
)

// PredictOptions say which net looks at pictures.
type PredictOptions struct {
	Checkpoint *checkpoint.Checkpoint
	Devices    []device.Device
	Files      files.Reader // that pictures are read through
	Batch      int          // rows of the net, the most pictures at once; 0: 1
	Layers     []string     // whose outputs are to be read with Features
	Strict     bool         // an unreadable picture ends Predict and Features at once, with its *data.BadPicture
}

// Predictor is a checkpoint's net, ready to look at pictures in files. Pictures are prepared as the checkpoint says:
// its size, centre crop, its mean.
type Predictor struct {
	net    *inference
	fsys   files.Reader
	strict bool
}

// NewPredictor opens the net on the devices, which stay the caller's. A layer that the net does not have is a
// *config.Error.
func NewPredictor(o PredictOptions) (*Predictor, error) {
	n, err := open(o.Checkpoint, o.Devices, func(int) int { return max(o.Batch, 1) },
		model.Options{Keep: o.Layers})
	if err != nil {
		return nil, err
	}
	return &Predictor{n, o.Files, o.Strict}, nil
}

// Close frees the net.
func (p *Predictor) Close() error { return p.net.close() }

// Prediction is what the net sees in one picture.
type Prediction struct {
	Image       string             `json:"image"`
	Predictions []ClassProbability `json:"predictions"` // most probable first; equally probable ones by number
	Err         error              `json:"-"`           // *data.BadPicture: the picture could not be read
}

// ClassProbability is one class.
type ClassProbability struct {
	Index       int     `json:"index"`
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

// Predict names the `top` most probable classes of each picture, in the order given. An unreadable picture has its Err
// set and stops nothing, unless PredictOptions.Strict.
func (p *Predictor) Predict(ctx context.Context, images []string, top int) ([]Prediction, error) {
	classes := p.net.arch.Classes
	prob := make([]float32, p.net.rows*classes)
	all := make([]Prediction, len(images))
	for i, name := range images {
		all[i].Image = name
	}
	err := p.each(ctx, images, func(rows []int) error {
		dst := prob[:len(rows)*classes]
		if err := p.net.net.Probabilities(dst).Wait(); err != nil {
			return err
		}
		for r, i := range rows {
			all[i].Predictions = p.net.topClasses(dst[r*classes:][:classes], top)
		}
		return nil
	}, func(i int, bad *data.BadPicture) { all[i].Err = bad })
	return all, err
}

// each runs readable pictures through the net, a batch at a time, and calls done with the numbers of the pictures in
// the rows. While the devices compute a batch the next is decoded.
func (p *Predictor) each(ctx context.Context, images []string, done func(rows []int) error,
	bad func(int, *data.BadPicture),
) error {
	var b *device.Batch
	rows, next := make([]int, 0, p.net.rows), 0
	for pic, err := range data.DecodeFiles(ctx, p.fsys, images, &p.net.recipe, p.net.rows) {
		var unreadable *data.BadPicture
		switch {
		case errors.As(err, &unreadable) && !p.strict:
			bad(next, unreadable)
		case err != nil:
			return err
		default:
			if b == nil {
				b = p.net.net.Stage()
			}
			p.net.put(b, len(rows), pic.Pixels)
			rows = append(rows, next)
		}
		next++
		if b == nil || len(rows) < p.net.rows && next < len(images) {
			continue
		}
		p.net.net.Forward(b, model.Pass{Rows: len(rows), Divisor: 1})
		if err := done(rows); err != nil {
			return err
		}
		b, rows = nil, rows[:0]
	}
	return p.net.net.Sync()
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
		best = append(best, ClassProbability{i, n.class(i), float64(prob[i])})
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
