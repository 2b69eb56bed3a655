package infer

import (
	"context"
	"fmt"
	"image"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
)

// MostProbable is a class to be explained: the one that the net finds most probable.
const MostProbable = -1

// Explained is the answer that [Predictor.Occlude], [Predictor.Saliency] or [Predictor.GradCAM] explain. Their maps are
// of what the net sees of the picture, its centre crop.
type Explained struct {
	Class ClassProbability // whose map it is
	Best  ClassProbability // the most probable one of the picture
	Seen  *image.RGBA      // the crop, before mean and scale
}

// subject is the picture that a net is asked about.
type subject struct {
	*inference
	pixels []uint8 // (Height, Width, Channels) as the recipe has them
}

// subject decodes a picture, about a class of which the net is to be asked. One that cannot be read is a
// *data.BadPicture.
func (p *Predictor) subject(ctx context.Context, image string, class int) (*subject, error) {
	if classes := p.net.arch.Classes; class < MostProbable || class >= classes {
		return nil, fmt.Errorf("there is no class %d among %d, counted from 0", class, classes)
	}
	s := &subject{inference: p.net}
	for pic, err := range data.Files(p.fsys, []string{image}).Decode(ctx, &p.net.recipe, 1, p.patience) {
		if err != nil {
			return nil, err
		}
		s.pixels = append(s.pixels, pic.Pixels...)
	}
	return s, nil
}

// stage puts the picture into so many rows of a batch.
func (s *subject) stage(rows int) *device.Batch {
	b := s.net.Stage()
	for r := range rows {
		s.put(b, r, s.pixels)
	}
	return b
}

// explained is what is explained, given the picture's probabilities.
func (s *subject) explained(class int, prob []float32) Explained {
	e := Explained{Best: s.best(prob), Seen: data.CentreOf(s.pixels, &s.recipe)}
	e.Class = e.Best
	if class != MostProbable {
		e.Class = s.answer(class, prob)
	}
	return e
}

// ask is subject, and runs the picture through the net, in its first row. It explains nothing yet.
func (p *Predictor) ask(ctx context.Context, image string, class int) (*subject, Explained, error) {
	s, err := p.subject(ctx, image, class)
	if err != nil {
		return nil, Explained{}, err
	}
	s.net.Forward(s.stage(1), model.Pass{Rows: 1, Divisor: 1})
	prob := make([]float32, s.arch.Classes)
	if err := s.net.Probabilities(prob).Wait(); err != nil {
		return nil, Explained{}, err
	}
	return s, s.explained(class, prob), nil
}

// backward enqueues what computes the gradients of a class's logit in each of the last pass's rows.
func (s *subject) backward(class, rows int) error {
	dlogits := make([]float32, rows*s.arch.Classes)
	for r := range rows {
		dlogits[r*s.arch.Classes+class] = 1
	}
	return s.net.BackwardLogits(dlogits)
}
