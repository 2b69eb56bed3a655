package step

import (
	"fmt"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/model"
)

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

// Fits tells whether the net's input can be cut out of the pictures.
func Fits(p *checkpoint.Preprocess, in config.Input) error {
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

// Prep is how files become pictures.
func Prep(p *checkpoint.Preprocess) picture.Prep {
	return picture.Prep{Resize: p.Resize, Channels: p.Channels}
}

// Input is how staged pictures become the net's input.
func Input(p *checkpoint.Preprocess) model.Preprocess {
	return model.Preprocess{Height: p.Height, Width: p.Width, Mean: p.Mean, Scale: p.Scale}
}

// Colors are the principal components for the loader's colour noise.
func Colors(p *checkpoint.Preprocess) *data.Stats {
	return &data.Stats{Eigvec: p.Eigvec, Stdev: p.Stdev}
}

// LoaderOptions are what training, validation and evaluation have in common.
func LoaderOptions(p *checkpoint.Preprocess, crop, rows, workers int) data.LoaderOptions {
	return data.LoaderOptions{
		Batch: rows, Prep: Prep(p), Height: p.Height, Width: p.Width, Crop: crop, Workers: workers,
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
