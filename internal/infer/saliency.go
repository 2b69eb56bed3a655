package infer

import (
	"context"
	"math"

	"alexnet/internal/model"
	"alexnet/internal/philox"
)

// SaliencyBatch is the most noisy copies of a picture that are worth computing at once: a PredictOptions.Batch.
const SaliencyBatch = 32

// noiseShare is the noise's standard deviation, as a share of the distance between a picture's lowest and highest
// level: within the 10 to 20% that Smilkov et al. recommend.
const noiseShare = .15

// Saliency says how much each pixel matters to a class's logit (Simonyan, Vedaldi, Zisserman, "Deep inside
// convolutional networks", 2013, arXiv 1312.6034).
type Saliency struct {
	Explained
	Side int
	// Map is |d logit / d pixel|, of a pixel's colours the largest, (Side, Side): logit a level of 0..255.
	Map []float32
	// Copies is how many noisy copies Map is the mean of; 0: of the picture itself, without noise.
	Copies int
	Sigma  float64 // standard deviation of the noise, in levels
}

// Saliency computes the map of a picture, or with copies the mean of the maps of so many copies of it, each with normal
// noise of its own, drawn from seed (Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv
// 1706.03825; magnitudes are averaged, as maps of magnitudes are shown). The noise is 15% of the distance between the
// lowest and the highest level that the net sees; it is added to the input after mean and scale, so that nothing is
// rounded or cut off. The class is that of the picture without noise. Of PredictOptions it needs Gradients. progress is
// told how many copies are done; nil: nobody is.
func (p *Predictor) Saliency(ctx context.Context, image string, class, copies int, seed uint64,
	progress func(done, total int),
) (*Saliency, error) {
	s, e, err := p.ask(ctx, image, class)
	if err != nil {
		return nil, err
	}
	m := &Saliency{Explained: e, Side: s.recipe.Crop, Copies: copies}
	sum := make([]float64, m.Side*m.Side)
	if copies == 0 {
		err = s.addSaliency(e.Class.Index, 1, sum)
	} else {
		m.Sigma = noiseShare * levels(e)
		err = s.smooth(ctx, m, seed, sum, progress)
	}
	if err != nil {
		return nil, err
	}
	m.Map = make([]float32, len(sum))
	for i, v := range sum {
		m.Map[i] = float32(v / float64(max(copies, 1)))
	}
	return m, s.net.Sync()
}

// levels is the distance between the lowest and the highest level that the net sees.
func levels(e Explained) float64 {
	low, high := uint8(255), uint8(0)
	for i, v := range e.Seen.Pix {
		if i%4 < 3 { // not the opacity
			low, high = min(low, v), max(high, v)
		}
	}
	return float64(high) - float64(low)
}

// smooth adds the maps of noisy copies to sum. The picture was the last pass.
func (s *subject) smooth(ctx context.Context, m *Saliency, seed uint64, sum []float64, progress func(done, total int),
) error {
	whole := s.arch.Input.Len()
	clean, noisy := make([]float32, whole), make([]float32, min(s.rows, m.Copies)*whole)
	if err := s.net.Fetch("input", false, clean); err != nil {
		return err
	}
	for done := 0; done < m.Copies; {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := min(s.rows, m.Copies-done)
		s.net.Begin(s.stage(rows), model.Pass{Rows: rows, Divisor: 1})
		for r := range rows {
			s.addNoise(noisy[r*whole:][:whole], clean, m.Sigma, seed, done+r)
		}
		if err := s.net.Store("input", false, noisy[:rows*whole]); err != nil {
			return err
		}
		for i := range s.net.Plan().Order {
			s.net.ForwardStep(i)
		}
		if err := s.addSaliency(m.Class.Index, rows, sum); err != nil {
			return err
		}
		if done += rows; progress != nil {
			progress(done, m.Copies)
		}
	}
	return nil
}

// addNoise makes copy number n: sigma, which is in levels, is scaled as levels are. Counter: (element/4, 0, 0, copy),
// normal element%4.
func (s *subject) addNoise(dst, clean []float32, sigma float64, seed uint64, n int) {
	key, channel := philox.Key(seed, philox.PurposeNoise), s.arch.Input.H*s.arch.Input.W
	for i := 0; i < len(dst); i += 4 {
		four := philox.Normals(philox.Block(key, [4]uint32{uint32(i / 4), 0, 0, uint32(n)}))
		for j := i; j < min(i+4, len(dst)); j++ {
			dst[j] = clean[j] + float32(sigma*four[j-i]*s.scale(j/channel))
		}
	}
}

// scale is what a level of a channel is in the net's input.
func (s *subject) scale(channel int) float64 {
	if s.recipe.Scale == nil {
		return 1
	}
	return float64(s.recipe.Scale[channel])
}

// addSaliency adds the maps of the last pass's rows to sum.
func (s *subject) addSaliency(class, rows int, sum []float64) error {
	if err := s.backward(class, rows); err != nil {
		return err
	}
	whole, channel := s.arch.Input.Len(), s.arch.Input.H*s.arch.Input.W
	grad := make([]float32, rows*whole)
	if err := s.net.Fetch("input", true, grad); err != nil {
		return err
	}
	for r := range rows {
		for i := range channel {
			most := 0.0
			for c := range s.arch.Input.C {
				most = max(most, math.Abs(float64(grad[r*whole+c*channel+i]))*s.scale(c))
			}
			sum[i] += most
		}
	}
	return nil
}
