package infer

import (
	"context"
	"math"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
)

// A square is a seventh of the picture's side, so two that overlap by half, one after the other, make 13 places across.
const (
	squaresAcross = 7
	placesAcross  = 2*squaresAcross - 1
)

// OcclusionBatch is a PredictOptions.Batch for Occlude: the picture itself and 13 x 13 covered ones are two batches.
const OcclusionBatch = (1 + placesAcross*placesAcross) / 2

// Occlusion says what becomes of an answer where the picture is covered (Zeiler, Fergus, "Visualizing and understanding
// convolutional networks", ECCV 2014, figure 7).
type Occlusion struct {
	Explained
	Square int // side of the square that covers, in pixels of Seen
	// At is where squares begin, across as well as down: the one in row i and column j of the maps at y At[i], x At[j].
	At          []int
	Probability []float32          // (len(At), len(At)) of Class
	Winners     []ClassProbability // (len(At), len(At)): the most probable class
}

// Occlude asks for each place of a square what the net sees in the picture if the square covers it: a seventh of the
// side, 13 across and as many down, each half over the one before; in a picture of 224, squares of 32 every 16. (An
// input of less than 13 has fewer places.) The square has the colour of the mean that the net subtracts, in whole
// levels; of a net that subtracts none, that of the picture's own mean. progress is told how many of the pictures, the
// uncovered one among them, are done; nil: nobody is.
func (p *Predictor) Occlude(ctx context.Context, image string, class int, progress func(done, total int)) (
	*Occlusion, error,
) {
	s, err := p.subject(ctx, image, class)
	if err != nil {
		return nil, err
	}
	o := &Occlusion{Square: max(1, int(math.Round(float64(s.recipe.Crop)/squaresAcross)))}
	o.At = places(s.recipe.Crop - o.Square)
	prob, err := s.covered(ctx, o, progress)
	if err != nil {
		return nil, err
	}
	classes := s.arch.Classes
	o.Explained = s.explained(class, prob[:classes])
	for place := range len(o.At) * len(o.At) {
		there := prob[(1+place)*classes:][:classes]
		o.Probability = append(o.Probability, there[o.Class.Index])
		o.Winners = append(o.Winners, s.best(there))
	}
	return o, nil
}

// places are up to 13 numbers from 0 to last, evenly, rounded down.
func places(last int) []int {
	at := make([]int, min(placesAcross, last+1))
	for i := range at[1:] {
		at[i+1] = (i + 1) * last / (len(at) - 1)
	}
	return at
}

// covered gives the probabilities (1 + places, classes) of the picture and of it with the square at each place. While
// the devices compute a batch the next is put together.
func (s *subject) covered(ctx context.Context, o *Occlusion, progress func(done, total int)) ([]float32, error) {
	total, classes := 1+len(o.At)*len(o.At), s.arch.Classes
	prob, color := make([]float32, total*classes), s.meanColor()
	var before device.Ticket
	for done := 0; done < total; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := min(s.rows, total-done)
		b := s.stage(rows)
		for r := range rows {
			if place := done + r - 1; place >= 0 {
				s.cover(b, r, o.At[place/len(o.At)], o.At[place%len(o.At)], o.Square, color)
			}
		}
		s.net.Forward(b, model.Pass{Rows: rows, Divisor: 1})
		ticket := s.net.Probabilities(prob[done*classes:][:rows*classes])
		if before != nil {
			if err := before.Wait(); err != nil {
				return nil, err
			}
		}
		if before, done = ticket, done+rows; progress != nil {
			progress(done, total)
		}
	}
	return prob, s.net.Sync()
}

// cover paints a square of the crop in a row of a batch.
func (s *subject) cover(b *device.Batch, row, y, x, side int, color []uint8) {
	line := s.recipe.Width * len(color)
	first := len(s.pixels)*row + (int(b.Crop[row][0])+y)*line + (int(b.Crop[row][1])+x)*len(color)
	for i := range side {
		for j := range side {
			copy(b.Pixels[first+i*line+j*len(color):], color)
		}
	}
}

// meanColor is the net's mean, or the picture's, one number a channel.
func (s *subject) meanColor() []uint8 {
	sums, n := make([]float64, s.recipe.Channels), 0
	switch mean := s.recipe.Mean; {
	case len(mean) > 0: // a number for each pixel of a channel, or one
		n = len(mean) / len(sums)
		for i, v := range mean {
			sums[i/n] += float64(v)
		}
	default:
		seen := data.CentreOf(s.pixels, &s.recipe)
		n = s.recipe.Crop * s.recipe.Crop
		for i := range n {
			for c := range sums {
				sums[c] += float64(seen.Pix[4*i+c])
			}
		}
	}
	color := make([]uint8, len(sums))
	for c, sum := range sums {
		color[c] = uint8(math.Round(min(max(sum/float64(n), 0), 255)))
	}
	return color
}
