package interop

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"alexnet/internal/caffe"
	"alexnet/internal/config"
	"alexnet/internal/files"
	"alexnet/internal/npy"
	"alexnet/internal/tensor"
)

// openCaffe opens a .caffemodel, whose layers stand in the order in which they are computed.
func openCaffe(fsys files.Reader, path string) (*Source, error) {
	n, err := caffe.Open(fsys, path)
	if errors.Is(err, caffe.ErrV0) {
		return nil, &OtherForm{Path: path, Form: CaffeV0}
	}
	if err != nil {
		return nil, err
	}
	version := "V2"
	if n.V1 {
		version = "V1"
	}
	s := &Source{
		Meta: map[string]string{"name": n.Name, "version": version}, caffe: true, bgr: true, close: n.Close,
	}
	var words []string
	for i := range n.Layers {
		l := &n.Layers[i]
		words = append(words, l.Name+" "+l.Type)
		s.Tensors = append(s.Tensors, l.Blobs...)
		if t := l.Transform; t != nil {
			if err := s.transform(path, t); err != nil {
				return nil, errors.Join(err, n.Close())
			}
		}
		if slices.Contains(notComputed, l.Type) {
			continue
		}
		s.steps = append(s.steps, stepOfCaffe(l))
		if len(l.Blobs) > 0 {
			s.layers = append(s.layers, pairOfCaffe(l))
		}
	}
	s.Meta["layers"] = strings.Join(words, ", ")
	if len(n.Input) == 4 {
		s.side = n.Input[2]
	}
	return s, nil
}

// notComputed are kinds of layers that do nothing when predicting, or stand after what is compared.
var notComputed = []string{
	"Data", "Input", "ImageData", "HDF5Data", "MemoryData", "DummyData", "WindowData", "Dropout", "Split", "Silence",
	"Softmax", "SoftmaxWithLoss", "Accuracy", "Flatten",
}

// transform takes what the net was given in training.
func (s *Source) transform(path string, t *caffe.Transform) error {
	if scale := float64(t.Scale); !(scale > 0) || math.IsInf(scale, 0) {
		return &tensor.BadFile{
			Path: path, Fault: tensor.Corrupt, Reason: fmt.Sprintf("pictures are multiplied by %g", scale),
		}
	}
	if t.Crop > 0 {
		s.side = t.Crop
	}
	if len(t.Mean) > 0 {
		s.mean = t.Mean
	}
	s.scale, s.meanFile = t.Scale, cmp.Or(t.MeanFile, s.meanFile)
	return nil
}

func pairOfCaffe(l *caffe.Layer) pair {
	p := pair{name: l.Name, weight: &l.Blobs[0]}
	if l.InnerProduct != nil && l.InnerProduct.Transpose && len(l.Blobs[0].Shape) == 2 {
		t := permuted(l.Blobs[0], 1, 0)
		p.weight = &t
	}
	if len(l.Blobs) > 1 {
		p.bias = &l.Blobs[1]
	}
	return p
}

// stepOfCaffe says what a layer does. Convolutions round down, pooling up.
func stepOfCaffe(l *caffe.Layer) step {
	s := step{name: l.Name, kind: config.Kind(l.Type)}
	switch {
	case l.Type == "Convolution":
		s.kind, s.round = config.Conv, config.Down
		if c := l.Convolution; c != nil {
			s.window(c.Kernel, c.Stride, c.Pad)
			s.facts["groups"], s.facts["dilation"] = float64(c.Group), float64(max(c.Dilation[0], c.Dilation[1]))
		}
	case l.Type == "InnerProduct":
		s.kind = config.FC
	case l.Type == "ReLU" && (l.ReLU == nil || l.ReLU.Slope == 0):
		s.kind, s.act = config.Activation, config.ReLU
	case l.Type == "TanH":
		s.kind, s.act = config.Activation, config.Tanh
	case l.Type == "Pooling" && (l.Pooling == nil || !l.Pooling.Global):
		s.kind, s.round = config.Pool, config.Up
		if p := l.Pooling; p != nil {
			s.pool = map[string]config.Pooling{"max": config.Max, "average": config.Average}[p.Method]
			if s.window(p.Kernel, p.Stride, p.Pad); s.pool == config.Average && s.facts["pad"] != 0 {
				s.facts["pad"] = -1 // its zeros are counted there
			}
		}
	case l.Type == "LRN" && (l.LRN == nil || !l.LRN.Within):
		s.kind, s.facts = config.LRN, map[string]float64{"columns": 1}
		if n := l.LRN; n != nil {
			s.facts = map[string]float64{
				"size": float64(n.Size), "alpha": float64(n.Alpha), "beta": float64(n.Beta), "k": float64(n.K),
				"columns": 1,
			}
		}
	}
	return s
}

// window notes what a window says; one that is not square is none that a page has.
func (s *step) window(size, stride, pad [2]int) {
	s.facts = map[string]float64{}
	for key, v := range map[string][2]int{"size": size, "stride": stride, "pad": pad} {
		s.facts[key] = float64(v[0])
		if v[0] != v[1] {
			s.facts[key] = -1
		}
	}
}

// OpenMean reads the mean that the source's net was trained with: a .binaryproto of Caffe's, in which colours are BGR,
// or an array of NumPy's, whose colours are in the order of the source's. Where [Source.SetBGR] told the order, both
// have it. A file that is neither is a *NoMean.
func (s *Source) OpenMean(fsys files.Reader, path string) (*Mean, error) {
	form, err := FormOf(fsys, path)
	switch {
	case err != nil:
		return nil, err
	case form != NPY:
		m, err := openBinaryproto(fsys, path)
		if m != nil {
			m.BGR = s.bgr || !s.told
		}
		if bad := (*tensor.BadFile)(nil); errors.As(err, &bad) && bad.Fault != tensor.Pointer {
			err = &NoMean{path, bad.Reason}
		}
		return m, err
	}
	a, err := npy.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	defer a.Close() //nolint:errcheck // only read
	if a.Dict || len(a.Tensors) != 1 {
		return nil, &NoMean{path, "a dict of arrays, not a mean"}
	}
	t := a.Tensors[0]
	if t.Len() > maxMean {
		return nil, &MeanSize{Path: path, Shape: t.Shape, Channels: 3}
	}
	v, err := t.Values()
	if err != nil {
		return nil, err
	}
	return &Mean{Path: path, Tensor: tensor.Of("mean", t.Shape, v), BGR: s.bgr}, nil
}

// NoMean is a file that holds no mean.
type NoMean struct {
	Path   string
	Reason string
}

func (e *NoMean) Error() string { return e.Path + ": " + e.Reason }

// maxMean is the most numbers of a mean: no picture has more pixels.
const maxMean = 3 * 100_000_000

func openBinaryproto(fsys files.Reader, path string) (*Mean, error) {
	m, err := caffe.OpenMean(fsys, path)
	if err != nil {
		return nil, err
	}
	if m.Len() > maxMean {
		m.Close() //nolint:errcheck,gosec // only read
		return nil, &MeanSize{Path: path, Shape: m.Shape, Channels: 3}
	}
	v, err := m.Values()
	if err != nil {
		m.Close() //nolint:errcheck,gosec // only read
		return nil, err
	}
	return &Mean{Path: path, Tensor: tensor.Of("mean", m.Shape, v)}, m.Close()
}
