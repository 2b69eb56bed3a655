package train

import (
	"cmp"
	"context"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/step"
)

// statistics goes over the training pictures once and settles how pictures become the net's input: their size, the mean
// that is subtracted, and the principal components of colour for the noise. With strict, the first unreadable picture
// ends it.
func statistics(ctx context.Context, cfg *config.Config, set *data.Set, strict bool, onBad func(*data.BadPicture)) (
	checkpoint.Preprocess, error,
) {
	prep := picture.Prep{Resize: cfg.Data.Resize, Channels: cfg.Model.Input.Channels}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first error // unreadable, with strict
	s, err := data.ComputeStats(ctx, set, prep, cfg.Data.Workers, func(b *data.BadPicture) {
		onBad(b)
		if strict && first == nil {
			first = b
			cancel()
		}
	})
	if err := cmp.Or(first, err); err != nil {
		return checkpoint.Preprocess{}, err
	}
	p := checkpoint.Preprocess{
		Resize: prep.Resize, Height: s.Height, Width: s.Width, Crop: cfg.Model.Input.Size, Channels: s.Channels,
		MeanKind: string(cfg.Data.Mean), Mean: s.MeanImage, MeanShape: []int{s.Channels, s.Height, s.Width},
		Scale: step.Scale(cfg), Eigvec: s.Eigvec, Stdev: s.Stdev,
	}
	if cfg.Data.Mean == config.MeanChannel {
		p.Mean, p.MeanShape = s.MeanChannel, []int{s.Channels}
	}
	return p, step.Fits(&p, cfg.Model.Input)
}
