// Package recipe is the one description of how a file becomes the net's input: decoded, resized by its shorter side,
// its centre square cut out, a crop taken from that, the mean subtracted, and what is left scaled.
//
// A page says part of it ([New]); the size of the pictures, the mean and the colours are measured on the training set
// (package data); a checkpoint keeps all of it, so that whoever uses the net treats pictures alike. Package data
// decodes and crops by it, package model hands what is left to the devices, package interop tells it to other programs.
//
// The package imports config, whose page it begins with, text, and nothing else of the program.
package recipe

import (
	"fmt"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/text"
)

// Recipe is how a file becomes the net's input.
type Recipe struct {
	Resize   int // the shorter side is made so long, then the centre square is cut out; 0: pictures keep their size
	Channels int // 3: RGB, 1: luma
	// Height and Width are those of the pictures after Resize, of which all have one size; 0: not known yet.
	Height, Width int
	Crop          int // side of the square that the net sees
	// MeanKind says what Mean is: one number for each pixel of a picture, or one a channel. Empty: there is none.
	MeanKind config.Mean
	Mean     []float32 // 0..255, row by row
	// MeanShape is Mean's: (Channels, Height, Width) or (Channels); no dimensions: there is no mean.
	MeanShape []int
	Scale     []float32 // (Channels): what is left after the mean is multiplied by it; nil: 1
	Colors    Colors    // for the colour noise of training
	// Decoder is what decoded the JPEGs that the net was trained on: two decoders differ by some levels in many pixels.
	// Empty: there were none, or the file does not say.
	Decoder string
}

// Colors are the principal components of a training set's colours: column k of Eigvec is a unit eigenvector of the
// covariance of its pixels' RGB, its largest component positive, and Stdev[k] the root of its eigenvalue in units of
// 0..255, ascending (19.72, 37.09, 121.78 on ImageNet). Zero with one channel.
type Colors struct {
	Eigvec [3][3]float64
	Stdev  [3]float64
}

// New is what a page says before any picture was looked at. Height and Width are known only where pictures are resized.
func New(cfg *config.Config) Recipe {
	r := Recipe{
		Resize: cfg.Data.Resize, Height: cfg.Data.Resize, Width: cfg.Data.Resize,
		Crop: cfg.Model.Input.Size, Channels: cfg.Model.Input.Channels, MeanKind: cfg.Data.Mean,
	}
	if std := cfg.Data.Std; len(std) > 0 { // one number a channel, or one for all
		r.Scale = make([]float32, r.Channels)
		for c := range r.Scale {
			r.Scale[c] = float32(1 / std[min(c, len(std)-1)])
		}
	}
	return r
}

// Sized is r for pictures whose size nobody has looked at: as large as the net's input where they are not resized.
func (r Recipe) Sized() Recipe {
	if r.Height == 0 {
		r.Height, r.Width = r.Crop, r.Crop
	}
	return r
}

// For is r for a net: with the crop that the net sees. Errors are those of Fits.
func (r Recipe) For(in config.Input) (Recipe, error) {
	r.Crop = in.Size
	return r, r.Fits(in)
}

// Pixels is the number of values of one picture, Height x Width x Channels.
func (r *Recipe) Pixels() int { return r.Height * r.Width * r.Channels }

// Centre is the upper left corner, y and x, of the crop from the middle of a picture.
func (r *Recipe) Centre() [2]int32 {
	return [2]int32{int32((r.Height - r.Crop) / 2), int32((r.Width - r.Crop) / 2)}
}

// Check holds the mean to its shape, and that to the channels and the size of the pictures.
func (r *Recipe) Check() error {
	n := 1
	for _, d := range r.MeanShape {
		n *= d
	}
	switch {
	case len(r.MeanShape) == 0 && len(r.Mean) == 0:
		return nil
	case len(r.MeanShape) == 0, n != len(r.Mean):
		return fmt.Errorf("a mean of %d numbers in shape %s", len(r.Mean), text.Shape(r.MeanShape))
	case slices.Equal(r.MeanShape, []int{r.Channels}), slices.Equal(r.MeanShape, []int{r.Channels, r.Height, r.Width}):
		return nil
	}
	return fmt.Errorf("a mean of shape %s for pictures of %dx%dx%d", text.Shape(r.MeanShape), r.Channels, r.Height,
		r.Width)
}

// ShapeOfMean is the shape of a mean of r's kind, whether r has it yet or not: see MeanShape.
func (r *Recipe) ShapeOfMean() []int {
	if r.MeanKind == config.MeanChannel {
		return []int{r.Channels}
	}
	return []int{r.Channels, r.Height, r.Width}
}

// HasMeanImage tells whether the mean has a number for each pixel.
func (r *Recipe) HasMeanImage() bool { return len(r.MeanShape) == 3 }

// Fits tells whether the net's input can be cut out of the pictures. What it returns is a *config.Error about the key
// that is too large or too small.
func (r *Recipe) Fits(in config.Input) error {
	if r.Height < in.Size || r.Width < in.Size {
		key, is := "model.input.size", in.Size
		if r.Resize > 0 {
			key, is = "data.resize", r.Resize
		}
		return config.Errorf(key, "is %d: the net's input of %dx%d does not fit into pictures of %dx%d",
			is, in.Size, in.Size, r.Width, r.Height)
	}
	if r.Channels != in.Channels {
		return config.Errorf("model.input.channels", "is %d, but the pictures are prepared with %d", in.Channels,
			r.Channels)
	}
	return nil
}
