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
	PrepPage      PrepFrom = "page"      // a page of the user's does; the mean is what such weights are used with
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

// prepare makes the recipe, and completes the page by what of it is said there. What the file has of numbers comes
// before what a page of the user's says, and that before how such weights are used.
func (s *Source) prepare(m *match, mean *Mean) (r recipe.Recipe, from PrepFrom, err error) {
	from = s.prepFrom(m)
	public := recipe.Public{}
	if s.describes() {
		public, err = s.public()
	} else {
		public.Mean, err = s.meanOf(m, from)
		s.completes(m)
	}
	if err != nil {
		return r, from, err
	}
	m.page.Data.Mean = config.MeanChannel
	r = recipe.New(m.page).Sized()
	if r.MeanKind, r.Mean = "", public.Mean; len(r.Mean) > 0 {
		r.MeanKind, r.MeanShape = config.MeanChannel, []int{len(r.Mean)}
	}
	if s.describes() {
		r.Scale = inverse(public.Std)
	}
	given := mean
	if mean == nil && public.MeanImage == meanTensor { // in the file
		mean = s.meanInside()
	}
	if mean != nil {
		err = s.setMean(&r, m.page, mean)
	}
	if err == nil {
		err = s.check(&r, given)
	}
	return r, from, err
}

// check says of a recipe that cannot be which file it is from.
func (s *Source) check(r *recipe.Recipe, mean *Mean) error {
	err := r.Check()
	switch {
	case err == nil:
		return nil
	case mean != nil:
		return &NoMean{mean.Path, err.Error()}
	case s.describes():
		return &BadExport{s.Path, fmt.Errorf("preprocess: %w", err)}
	}
	return &tensor.BadFile{Path: s.Path, Fault: tensor.Corrupt, Reason: "how pictures are prepared: " + err.Error()}
}

// prepFrom is where the preparation is known from.
func (s *Source) prepFrom(m *match) PrepFrom {
	switch {
	case s.describes(), len(s.mean) > 0, s.scales():
		return PrepFile
	case m.byPath:
		return PrepPage
	case m.ofImageNet():
		return PrepPublished
	}
	return PrepUnknown
}

// describes tells whether it is a file that was exported here, which says how pictures are prepared.
func (s *Source) describes() bool { return s.Meta["preprocess"] != "" && s.Meta[formKey] != "" }

// scales tells whether the file multiplies what is left after the mean.
func (s *Source) scales() bool { return s.scale != 0 && s.scale != 1 }

// ofImageNet tells whether the net's pictures are taken to be those of ILSVRC2012: in colour, of 224 or 227 pixels.
func (m *match) ofImageNet() bool {
	size := m.page.Model.Input.Size
	return m.arch.Input.C == 3 && (size == 224 || size == 227)
}

// completes puts into the page what the file, or how such weights are used, says of it; in one of the user's only what
// the file says.
func (s *Source) completes(m *match) {
	d := &m.page.Data
	switch {
	case m.byPath:
	case m.ofImageNet() && s.caffe:
		d.Std, d.Fit, d.Interpolation = nil, config.SquashFit, config.TwoNearest
	case m.ofImageNet():
		d.Std, d.Fit, d.Interpolation = torchStd, config.CropFit, config.Antialiased
	default:
		d.Std = nil
	}
	if s.scales() {
		d.Std = []float64{1 / float64(s.scale)}
	}
}

// meanOf is the mean of the channels: the file's, or that which such weights are used with; nil where neither is known.
// A file that only scales has none, but for the image that it names.
func (s *Source) meanOf(m *match, from PrepFrom) ([]float32, error) {
	channels := m.arch.Input.C
	switch n := len(s.mean); {
	case n == 1:
		return slices.Repeat(s.mean, channels), nil
	case n > 0 && n != channels:
		return nil, &MeanSize{s.Path, []int{n}, channels, m.arch.Input.H, m.arch.Input.W}
	case n > 0:
		mean := slices.Clone(s.mean)
		if s.bgr && n == 3 {
			slices.Reverse(mean)
		}
		return mean, nil
	case from == PrepFile && s.meanFile == "", !m.ofImageNet():
		return nil, nil
	case s.caffe:
		return caffeMean, nil
	}
	return torchMean, nil
}

// meanImage is the file of a mean image that the source names; empty: it names none, or has the image.
func (s *Source) meanImage() (string, error) {
	if !s.describes() || s.meanInside() != nil {
		return s.meanFile, nil
	}
	p, err := s.public()
	return p.MeanImage, err
}

// public is what an exported file says of pictures.
func (s *Source) public() (p recipe.Public, err error) {
	if err := json.Unmarshal([]byte(s.Meta["preprocess"]), &p); err != nil {
		return p, &BadExport{s.Path, fmt.Errorf("preprocess: %w", err)}
	}
	if s.bgr && len(p.Mean) == 3 && len(p.Std) == 3 {
		slices.Reverse(p.Mean)
		slices.Reverse(p.Std)
	}
	return p, nil
}

// meanInside is the mean image among the tensors of an exported file, nil where there is none.
func (s *Source) meanInside() *Mean {
	for _, t := range s.Tensors {
		if t.Name == meanTensor {
			return &Mean{Path: s.Path, Tensor: t, BGR: s.bgr}
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
	if t.Len() == r.Channels { // 3x1x1
		for len(t.Shape) > 1 && t.Shape[len(t.Shape)-1] == 1 {
			t = reshaped(t, t.Shape[:len(t.Shape)-1]...)
		}
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
