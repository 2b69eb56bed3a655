package train

import (
	"context"
	"fmt"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/model"
)

// Kinds of mean, as data.mean names them.
const (
	meanImage   = "image"
	meanChannel = "channel"
)

// statistics goes over the training pictures once and settles how pictures become the net's input: their size, the mean
// that is subtracted, and the principal components of colour for the noise. With strict, the first unreadable picture
// ends it.
func statistics(ctx context.Context, cfg *config.Config, set *data.Set, strict bool, onBad func(*data.BadPicture)) (
	checkpoint.Preprocess, error,
) {
	prep := picture.Prep{Resize: cfg.Data.Resize, Channels: cfg.Model.Input.Channels}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s, err := data.ComputeStats(ctx, set, prep, cfg.Data.Workers, func(b *data.BadPicture) {
		onBad(b)
		if strict {
			cancel(b)
		}
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return checkpoint.Preprocess{}, err
	}
	p := checkpoint.Preprocess{
		Resize: prep.Resize, Height: s.Height, Width: s.Width, Crop: cfg.Model.Input.Size, Channels: s.Channels,
		MeanKind: string(cfg.Data.Mean), Mean: s.MeanImage, MeanShape: []int{s.Channels, s.Height, s.Width},
		Scale: Scale(cfg), Eigvec: s.Eigvec, Stdev: s.Stdev,
	}
	if cfg.Data.Mean == meanChannel {
		p.Mean, p.MeanShape = s.MeanChannel, []int{s.Channels}
	}
	return p, fits(&p, cfg.Model.Input)
}

// Scale is data.std as devices take it: what each channel is multiplied by; nil where the page has none.
func Scale(cfg *config.Config) []float32 {
	std := cfg.Data.Std
	if len(std) == 0 {
		return nil
	}
	scale := make([]float32, cfg.Model.Input.Channels)
	for c := range scale {
		scale[c] = float32(1 / std[min(c, len(std)-1)])
	}
	return scale
}

// fits tells whether the net's input can be cut out of the pictures.
func fits(p *checkpoint.Preprocess, in config.Input) error {
	if p.Height < in.Size || p.Width < in.Size {
		key, is := "model.input.size", in.Size
		if p.Resize > 0 {
			key, is = "data.resize", p.Resize
		}
		return config.Errorf(key, "is %d: the net's input of %dx%d does not fit into pictures of %dx%d", is, in.Size,
			in.Size, p.Width, p.Height)
	}
	if p.Channels != in.Channels {
		return config.Errorf("model.input.channels", "is %d, but the pictures are prepared with %d", in.Channels,
			p.Channels)
	}
	return nil
}

// prep is how files become pictures.
func prep(p *checkpoint.Preprocess) picture.Prep {
	return picture.Prep{Resize: p.Resize, Channels: p.Channels}
}

// input is how staged pictures become the net's input.
func input(p *checkpoint.Preprocess) model.Preprocess {
	return model.Preprocess{Height: p.Height, Width: p.Width, Mean: p.Mean, Scale: p.Scale}
}

// colors are the principal components for the loader's colour noise.
func colors(p *checkpoint.Preprocess) *data.Stats {
	return &data.Stats{Eigvec: p.Eigvec, Stdev: p.Stdev}
}

// loaderOptions are what training, validation and evaluation have in common.
func loaderOptions(p *checkpoint.Preprocess, crop, rows, workers int) data.LoaderOptions {
	return data.LoaderOptions{
		Batch: rows, Prep: prep(p), Height: p.Height, Width: p.Width, Crop: crop, Workers: workers,
	}
}

// Precision is that in which a trained net computes on devices: its configuration's, or fp32 and the reason where they
// lack that. Its weights are fp32 in any case.
func Precision(cfg *config.Config, devs []device.Device) (p device.Precision, lacking, err error) {
	if p, err = device.ParsePrecision(cfg.Train.Precision); err != nil {
		return p, nil, err
	}
	for _, d := range devs {
		if lacking = device.Supports(d, p); lacking != nil {
			return device.FP32, fmt.Errorf("%s: %w", d.Name(), lacking), nil
		}
	}
	return p, nil, nil
}
