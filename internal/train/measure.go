package train

import (
	"cmp"
	"context"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/recipe"
)

// measure goes over the training pictures, or a sample of them, once and completes the page's recipe: the pictures'
// size, the mean that is subtracted, and the principal components of colour for the noise. With strict, the first
// unreadable picture ends it; without, a *TooManyBad as soon as there are more than data.bad_share allows.
func (t *trainer) measure(ctx context.Context) (*data.Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg, set := &t.cfg, t.o.Source.Train
	sample, keep := cfg.Data.MeanPictures, t.o.Keep
	if t.looking {
		keep = nil // nothing is written
		if sample == 0 || sample > lookedAt {
			sample = lookedAt
		}
	}
	pictures := set.Len()
	if sample > 0 {
		pictures = min(pictures, sample)
	}
	if t.looking {
		t.looked = pictures
	}
	phase := Phase{What: meanOf(cfg), Of: "picture"}
	defer t.progress.Phase(Phase{})
	var first error // that ends it
	found := 0
	s, err := data.Measure(ctx, set, recipe.New(cfg), data.MeasureOptions{
		Workers: cfg.Data.Workers, Sample: sample, Seed: cfg.Train.Seed, Keep: keep,
		Progress: func(done, total int) {
			phase.Done, phase.All = done, total
			t.progress.Phase(phase)
		},
		OnBad: func(b *data.BadPicture) {
			t.onBad(b)
			found++
			switch {
			case first != nil:
				return
			case t.o.Strict:
				first = b
			case tooMany(found, pictures, cfg.Data.BadShare):
				first = &TooManyBad{
					Bad: found, Pictures: pictures, Share: cfg.Data.BadShare, Names: namesOf(set.Bad()),
					Data: t.whereData(),
				}
			default:
				return
			}
			cancel()
		},
	})
	return s, cmp.Or(first, err)
}

// meanOf is what a page calls the mean.
func meanOf(cfg *config.Config) string {
	if cfg.Data.Mean == config.MeanChannel {
		return "mean colour"
	}
	return "mean image"
}

// enoughBad is how many unreadable pictures no share is too small for.
const enoughBad = 20

// tooMany tells whether so many unreadable ones of a number of pictures are more than a share allows.
func tooMany(bad, pictures int, share float64) bool {
	return bad > enoughBad && float64(bad) > share*float64(pictures)
}

func namesOf(bad []*data.BadPicture) []string {
	names := make([]string, len(bad))
	for i, b := range bad {
		names[i] = b.Name
	}
	return names
}
