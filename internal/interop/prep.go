package interop

import (
	"encoding/json"
	"fmt"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/recipe"
	"alexnet/internal/tensor"
	"alexnet/internal/text"
)

// PrepFrom says where it is known from how pictures become the net's input.
type PrepFrom string

// How pictures are prepared is in the files of few programs.
const (
	PrepFile      PrepFrom = "file"      // it says so itself
	PrepPublished PrepFrom = "published" // not in the file; it is how such weights are used
	PrepUnknown   PrepFrom = "unknown"   // nothing is subtracted and nothing divided
)

// Numbers of ILSVRC2012's training pictures as RGB of 0..255. Weights of Caffe are used with the mean of
// ilsvrc_2012_mean.npy, those of torchvision with its own.
var (
	caffeMean = []float32{122.67891434, 116.66876762, 104.0069879317889}
	torchMean = []float32{0.485 * 255, 0.456 * 255, 0.406 * 255}
	torchStd  = []float64{58.395, 57.12, 57.375} // 255 x .229, .224, .225
)

// Mean is a mean as a file has it: of (3) or (1), or an image of (C, H, W).
type Mean struct {
	Path   string
	Tensor tensor.Tensor
	BGR    bool // its colours are in the order of Caffe
}

// MeanSize is a mean that does not fit the pictures of the net.
type MeanSize struct {
	Path          string
	Shape         []int
	Channels      int
	Height, Width int // of the pictures that it would be subtracted from
}

func (e *MeanSize) Error() string {
	return fmt.Sprintf("%s: a mean of %s: pictures are %s before the net's crop is cut out of them", e.Path,
		text.Shape(e.Shape), text.Shape([]int{e.Channels, e.Height, e.Width}))
}

// prepare makes the recipe, and completes the page by what of it is said there.
func (s *Source) prepare(m *match, mean *Mean) (r recipe.Recipe, from PrepFrom, err error) {
	from = s.prepFrom(m)
	var public recipe.Public
	switch {
	case from == PrepFile:
		if public, err = s.public(); err != nil {
			return r, from, err
		}
	case from == PrepPublished && s.caffe:
		public.Mean = caffeMean
		m.page.Data.Fit, m.page.Data.Interpolation = config.SquashFit, config.TwoNearest
		if s.mean != nil {
			public.Mean = s.mean
		}
		if s.scale > 0 && s.scale != 1 {
			m.page.Data.Std = []float64{1 / float64(s.scale)}
		}
	case from == PrepPublished:
		public.Mean = torchMean
		m.page.Data.Std = torchStd
		m.page.Data.Fit, m.page.Data.Interpolation = config.CropFit, config.Antialiased
	}
	m.page.Data.Mean = config.MeanChannel
	r = recipe.New(m.page).Sized()
	if r.MeanKind, r.Mean = "", public.Mean; len(r.Mean) > 0 {
		r.MeanKind, r.MeanShape = config.MeanChannel, []int{len(r.Mean)}
	}
	if from == PrepFile {
		r.Scale = inverse(public.Std)
	}
	if mean == nil && public.MeanImage == meanTensor { // in the file
		mean = s.meanInside()
	}
	if mean != nil {
		err = s.setMean(&r, m.page, mean)
	}
	if err == nil {
		err = r.Check()
	}
	return r, from, err
}

// prepFrom is where the preparation is known from. Nets of colour and 224 or 227 pixels are ILSVRC2012's, and so is
// their mean.
func (s *Source) prepFrom(m *match) PrepFrom {
	switch size := m.page.Model.Input.Size; {
	case s.Meta["preprocess"] != "" && s.Meta[formKey] != "":
		return PrepFile
	case m.arch.Input.C == 3 && (size == 224 || size == 227):
		return PrepPublished
	}
	return PrepUnknown
}

// public is what an exported file says of pictures.
func (s *Source) public() (p recipe.Public, err error) {
	if err := json.Unmarshal([]byte(s.Meta["preprocess"]), &p); err != nil {
		return p, &BadExport{s.Path, fmt.Errorf("preprocess: %w", err)}
	}
	return p, nil
}

// meanInside is the mean image among the tensors of an exported file, nil where there is none.
func (s *Source) meanInside() *Mean {
	for _, t := range s.Tensors {
		if t.Name == meanTensor {
			return &Mean{Path: s.Path, Tensor: t}
		}
	}
	return nil
}

// inverse is the scale for standard deviations; nil where all are 1.
func inverse(std []float32) []float32 {
	if !slices.ContainsFunc(std, func(s float32) bool { return s != 1 }) {
		return nil
	}
	scale := make([]float32, len(std))
	for i := range scale {
		scale[i] = 1 / std[i]
	}
	return scale
}

// setMean puts the mean of a file in place of the other. An image tells how large pictures are that are not resized.
func (s *Source) setMean(r *recipe.Recipe, page *config.Config, mean *Mean) error {
	t := finite(mean.Path, mean.Tensor, 1)
	for len(t.Shape) > 1 && t.Shape[0] == 1 && len(t.Shape) != 3 { // 1x3x256x256
		t = reshaped(t, t.Shape[1:]...)
	}
	if r.Resize == 0 && len(t.Shape) == 3 && min(t.Shape[1], t.Shape[2]) >= r.Crop {
		r.Height, r.Width = t.Shape[1], t.Shape[2]
	}
	if r.CheckMean(t.Shape) != nil {
		return &MeanSize{mean.Path, mean.Tensor.Shape, r.Channels, r.Height, r.Width}
	}
	if mean.BGR && r.Channels == 3 {
		t = turned(t, 0)
	}
	v, err := t.Values()
	if err != nil {
		return err
	}
	r.Mean, r.MeanShape, r.MeanKind = v, t.Shape, config.MeanChannel
	if len(t.Shape) == 3 {
		r.MeanKind = config.MeanImage
	}
	page.Data.Mean = r.MeanKind
	return nil
}
