package infer

import (
	"context"
	"image"
	"iter"

	"alexnet/internal/data"
)

// Feature is a layer's output for one picture.
type Feature struct {
	Image  string
	Values []float32        // as FeatureShape says; good until the next is asked for
	Seen   *image.RGBA      // by FeaturesSeen: the picture as the net sees it
	Err    *data.BadPicture // the picture could not be read; nil: it could
}

// FeatureShape is the shape of a layer's output for one picture: (C, H, W), or (units) of fully connected layers and
// probabilities. layer is one of PredictOptions.Layers, or "input", which is what the first layer sees.
func (p *Predictor) FeatureShape(layer string) ([]int, error) {
	s, err := p.net.net.Shape(layer)
	switch {
	case err != nil:
		return nil, err
	case s.H*s.W > 1:
		return []int{s.C, s.H, s.W}, nil
	}
	return []int{s.C}, nil
}

// Features is [Predictor.FeaturesAll] of files by their paths.
func (p *Predictor) Features(ctx context.Context, images []string, layer string) iter.Seq2[Feature, error] {
	return p.FeaturesAll(ctx, data.Files(p.fsys, images), layer)
}

// FeaturesAll reads the output of a layer for each picture. They come, and end, as the answers of PredictAll do.
func (p *Predictor) FeaturesAll(
	ctx context.Context, images *data.Pictures, layer string,
) iter.Seq2[Feature, error] {
	return p.features(ctx, images, layer, func([]uint8) {}, func() *image.RGBA { return nil })
}

// FeaturesSeen is FeaturesAll with the pictures, for whoever shows them.
func (p *Predictor) FeaturesSeen(
	ctx context.Context, images *data.Pictures, layer string,
) iter.Seq2[Feature, error] {
	var seen []*image.RGBA
	return p.features(ctx, images, layer, func(pixels []uint8) {
		seen = append(seen, data.CentreOf(pixels, &p.net.recipe))
	}, func() *image.RGBA {
		first := seen[0]
		seen = seen[1:]
		return first
	})
}

// features is both: shown gets the pixels of each picture that can be read before it is computed, and seen gives what
// is to be said of it afterwards.
func (p *Predictor) features(
	ctx context.Context, images *data.Pictures, layer string, shown func(pixels []uint8), seen func() *image.RGBA,
) iter.Seq2[Feature, error] {
	return func(yield func(Feature, error) bool) {
		shape, err := p.net.net.Shape(layer)
		if err != nil {
			yield(Feature{}, err)
			return
		}
		n := shape.Len()
		values := make([]float32, p.net.rows*n)
		err = p.eachSeen(ctx, images, shown, func(rows int) error {
			return p.net.net.Fetch(layer, false, values[:rows*n])
		}, func(i, row int, bad *data.BadPicture) bool {
			f := Feature{Image: images.Name(i), Err: bad}
			if bad == nil {
				f.Values, f.Seen = values[row*n:][:n], seen()
			}
			return yield(f, nil)
		})
		if err != nil {
			yield(Feature{}, err)
		}
	}
}
