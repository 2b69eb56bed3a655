// Package recipe is the one description of how a file becomes the net's input: decoded, turned upright, made
// square by cutting or by squashing and resized, a crop taken from that, the mean subtracted, and what is left scaled.
//
// A page says part of it ([New]); the size of the pictures, the mean and the colours are measured on the training set
// (package data); a checkpoint keeps all of it, so that whoever uses the net treats pictures alike. Package data
// decodes and crops by it, package model hands what is left to the devices, package interop tells it to other programs.
//
// The package imports config, whose page it begins with, text, and nothing else of the program.
package recipe

import (
	"cmp"
	"fmt"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/text"
)

// Recipe is how a file becomes the net's input.
type Recipe struct {
	Resize int // pictures become squares with sides so long; 0: they keep their size
	// Fit says how. Empty: as config.CropFit does, which is never written out; files older than the key have it so.
	Fit config.Fit
	// Interpolation is how they are resized. Empty: config.Antialiased, likewise.
	Interpolation config.Interpolation
	Channels      int // 3: RGB, 1: luma
	// Exif says whether pictures are turned upright first. Empty: they are not; files older than the key have it so.
	Exif config.Exif
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
		Crop: cfg.Model.Input.Size, Channels: cfg.Model.Input.Channels, Exif: cfg.Data.Exif,
		MeanKind: cfg.Data.Mean,
	}
	if cfg.Data.Fit != config.CropFit {
		r.Fit = cfg.Data.Fit
	}
	if cfg.Data.Interpolation != config.Antialiased {
		r.Interpolation = cfg.Data.Interpolation
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

// Alike tells whether two recipes make the same pixels of a file and crop them alike. Mean, scale and colours are
// applied to these by the devices.
func (r *Recipe) Alike(o *Recipe) bool {
	return r.Resize == o.Resize && cmp.Or(r.Fit, config.CropFit) == cmp.Or(o.Fit, config.CropFit) &&
		cmp.Or(r.Interpolation, config.Antialiased) == cmp.Or(o.Interpolation, config.Antialiased) &&
		r.Channels == o.Channels && (r.Exif == config.ApplyExif) == (o.Exif == config.ApplyExif) &&
		r.Height == o.Height && r.Width == o.Width && r.Crop == o.Crop
}

// Pixels is the number of values of one picture, Height x Width x Channels.
func (r *Recipe) Pixels() int { return r.Height * r.Width * r.Channels }

// Centre is the upper left corner, y and x, of the crop from the middle of a picture.
func (r *Recipe) Centre() [2]int32 {
	return [2]int32{int32((r.Height - r.Crop) / 2), int32((r.Width - r.Crop) / 2)}
}

// What a recipe may say, wherever it comes from.
const (
	maxPixels  = 100_000_000 // of one picture: as many as a decoder takes
	maxFactor  = 2e6         // of scale, mean and colours: a page's data.std is at least 1e-6
	maxDecoder = 256         // letters
)

// Check holds every number to its range, the mean to its shape, and that to the channels and the size of the pictures.
func (r *Recipe) Check() error {
	if err := r.checkSizes(); err != nil {
		return err
	}
	if err := r.checkNumbers(); err != nil {
		return err
	}
	if len(r.MeanShape) == 0 && len(r.Mean) == 0 {
		return nil
	}
	n := int64(1)
	for _, d := range r.MeanShape {
		n *= int64(min(max(d, 0), maxPixels)) // two of these, and the next is refused
		if n > 3*maxPixels {
			break
		}
	}
	if len(r.MeanShape) == 0 || n != int64(len(r.Mean)) {
		return fmt.Errorf("a mean of %d numbers in shape %s", len(r.Mean), text.Shape(r.MeanShape))
	}
	return r.CheckMean(r.MeanShape)
}

// CheckMean holds the shape of a mean, which need not be there yet, to the channels and the size of the pictures.
func (r *Recipe) CheckMean(shape []int) error {
	if slices.Equal(shape, []int{r.Channels}) || slices.Equal(shape, []int{r.Channels, r.Height, r.Width}) {
		return nil
	}
	return fmt.Errorf("a mean of shape %s for pictures of %dx%dx%d", text.Shape(shape), r.Channels, r.Height, r.Width)
}

// checkSizes takes a recipe that says nothing yet, too.
func (r *Recipe) checkSizes() error {
	switch {
	case r.Resize < 0 || r.Resize > config.MaxSide:
		return fmt.Errorf("resize is %d, want 0 to %d", r.Resize, config.MaxSide)
	case r.Height < 0 || r.Width < 0 || (r.Height == 0) != (r.Width == 0):
		return fmt.Errorf("pictures of %dx%d", r.Width, r.Height)
	case r.Height > 0 && r.Width > maxPixels/r.Height:
		return fmt.Errorf("pictures of %dx%d, want at most %d pixels", r.Width, r.Height, maxPixels)
	case r.Crop < 0 || r.Height > 0 && r.Crop > min(r.Height, r.Width):
		return fmt.Errorf("crop is %d, want 0 to what pictures of %dx%d have", r.Crop, r.Width, r.Height)
	case r.Channels != 1 && r.Channels != 3 && (r.Channels != 0 || r.Height > 0):
		return fmt.Errorf("channels is %d, want 1 or 3", r.Channels)
	}
	return nil
}

func (r *Recipe) checkNumbers() error {
	if k := r.MeanKind; k != "" && k != config.MeanImage && k != config.MeanChannel {
		return fmt.Errorf("mean is %.20q, want %s or %s", k, config.MeanImage, config.MeanChannel)
	}
	if f := r.Fit; f != "" && f != config.CropFit && f != config.SquashFit {
		return fmt.Errorf("fit is %.20q, want %s or %s", f, config.CropFit, config.SquashFit)
	}
	if i := r.Interpolation; i != "" && i != config.Antialiased && i != config.TwoNearest {
		return fmt.Errorf("interpolation is %.20q, want %s or %s", i, config.Antialiased, config.TwoNearest)
	}
	if e := r.Exif; e != "" && e != config.ApplyExif && e != config.IgnoreExif {
		return fmt.Errorf("exif is %.20q, want %s or %s", e, config.ApplyExif, config.IgnoreExif)
	}
	if len(r.Decoder) > maxDecoder {
		return fmt.Errorf("decoder is %d letters, want at most %d", len(r.Decoder), maxDecoder)
	}
	if n := len(r.Scale); n != 0 && n != r.Channels {
		return fmt.Errorf("scale has %d numbers for %d channels", n, r.Channels)
	}
	for _, s := range r.Scale {
		if !(s > 0 && s <= maxFactor) { // refuses NaN too
			return fmt.Errorf("scale has %g, want above 0 and at most %g", s, float64(maxFactor))
		}
	}
	for _, m := range r.Mean {
		if !(m >= -maxFactor && m <= maxFactor) {
			return fmt.Errorf("the mean has %g, want 0 to 255", m)
		}
	}
	for k := range 3 {
		if d := r.Colors.Stdev[k]; !(d >= 0 && d <= maxFactor) {
			return fmt.Errorf("stdev has %g, want 0 to 255", d)
		}
		for c := range 3 {
			if x := r.Colors.Eigvec[c][k]; !(x >= -maxFactor && x <= maxFactor) {
				return fmt.Errorf("eigvec has %g, want -1 to 1", x)
			}
		}
	}
	return nil
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
	if r.Resize > 0 && (r.Height != r.Resize || r.Width != r.Resize) {
		return config.Errorf("data.resize", "is %d, but the pictures are said to be %dx%d", r.Resize, r.Width, r.Height)
	}
	if r.Channels != in.Channels {
		return config.Errorf("model.input.channels", "is %d, but the pictures are prepared with %d", in.Channels,
			r.Channels)
	}
	return nil
}
