package caffe

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	pb "alexnet/internal/wire/wiretest"
)

// Numbers and shapes in each way that a blob can have them, and what of the shape the layer keeps.
func TestBlobs(t *testing.T) {
	old := func(num, channels, height, width int64) []byte {
		return slices.Concat(pb.Number(1, num), pb.Number(2, channels), pb.Number(3, height), pb.Number(4, width))
	}
	double := binary.LittleEndian.AppendUint64(nil, math.Float64bits(1.5))
	double = binary.LittleEndian.AppendUint64(double, math.Float64bits(-2))
	both := []float32{1.5, -2}
	floats := pb.Floats(5, both...)
	for name, c := range map[string]struct {
		kind  string
		blobs [][]byte
		name  string
		shape []int
	}{
		"of a shape":   {"InnerProduct", [][]byte{dims(1, 2), floats}, "l.weight", []int{1, 2}},
		"of old":       {"InnerProduct", [][]byte{old(1, 1, 1, 2), floats}, "l.weight", []int{1, 2}},
		"of a kernel":  {"Convolution", [][]byte{old(1, 1, 1, 2), floats}, "l.weight", []int{1, 1, 1, 2}},
		"old and new":  {"Scale", [][]byte{old(1, 1, 2, 1), dims(7), floats}, "l.0", []int{1, 1, 2, 1}},
		"doubles":      {"Scale", [][]byte{dims(2), pb.Message(8, double)}, "l.0", []int{2}},
		"one by one":   {"Scale", [][]byte{dims(2), pb.Float(5, 1.5), pb.Float(5, -2)}, "l.0", []int{2}},
		"in two parts": {"Scale", [][]byte{pb.Floats(5, 1.5), dims(2), pb.Floats(5, -2)}, "l.0", []int{2}},
		"with diffs": {
			"Scale",
			[][]byte{dims(2), pb.Floats(6, 7, 8, 9), floats, pb.Message(9, double)},
			"l.0",
			[]int{2},
		},
	} {
		n, err := open(pb.Message(100, pb.Text(1, "l"), pb.Message(7, c.blobs...), pb.Text(2, c.kind)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := n.Layers[0].Blobs[0]
		v, err := b.Values()
		if err != nil || !slices.Equal(v, both) || !slices.Equal(b.Shape, c.shape) || b.Name != c.name {
			t.Errorf("%s: %s %v %v, %v", name, b.Name, b.Shape, v, err)
		}
	}
}

// The numbers of V1's types, as caffe.proto has them in V1LayerParameter.LayerType, and V2's words for them.
func TestV1Types(t *testing.T) {
	want := map[string]int64{
		"": 0, "AbsVal": 35, "Accuracy": 1, "ArgMax": 30, "BNLL": 2, "Concat": 3, "ContrastiveLoss": 37,
		"Convolution": 4, "Data": 5, "Deconvolution": 39, "Dropout": 6, "DummyData": 32, "EuclideanLoss": 7,
		"Eltwise": 25, "Exp": 38,
		"Flatten": 8, "HDF5Data": 9, "HDF5Output": 10, "HingeLoss": 28, "Im2col": 11, "ImageData": 12,
		"InfogainLoss": 13, "InnerProduct": 14, "LRN": 15, "MemoryData": 29, "MultinomialLogisticLoss": 16, "MVN": 34,
		"Pooling": 17, "Power": 26, "ReLU": 18, "Sigmoid": 19, "SigmoidCrossEntropyLoss": 27, "Silence": 36,
		"Softmax": 20, "SoftmaxWithLoss": 21, "Split": 22, "Slice": 33, "TanH": 23, "WindowData": 24, "Threshold": 31,
	}
	for word, number := range want {
		n, err := open(pb.Message(2, pb.Number(5, number)))
		if err != nil || n.Layers[0].Type != word {
			t.Errorf("%d: %+v, %v, want %q", number, n, err, word)
		}
	}
	if len(want) != len(v1Types) {
		t.Errorf("%d types, not %d", len(v1Types), len(want))
	}
}

// Sizes are given once for both directions, or for each, and what is left out has caffe.proto's default.
func TestParameters(t *testing.T) {
	n, err := open(slices.Concat(
		pb.Text(1, "net"), pb.Number(4, 10), pb.Number(4, 3), pb.Number(4, 227), pb.Number(4, 225),
		pb.Message(100, pb.Message(106, pb.Number(1, 8), pb.Number(11, 3), pb.Number(12, 5), pb.Varints(6, 2, 4),
			pb.Number(3, 1), pb.Number(18, 2), pb.Number(2, 0))),
		pb.Message(100, pb.Message(121, pb.Number(1, 1), pb.Number(12, 1), pb.Number(5, 2), pb.Number(6, 3),
			pb.Number(7, 4), pb.Number(8, 5), pb.Number(9, 6), pb.Number(10, 7))),
		pb.Message(100, pb.Message(118)), pb.Message(100, pb.Message(108)), pb.Message(100, pb.Message(106)),
		pb.Message(100, pb.Message(118, pb.Number(4, 1), pb.Float(5, 2))),
		pb.Message(100, pb.Message(123, pb.Float(1, 0.25))), pb.Message(100, pb.Message(117, pb.Number(6, 1))),
		pb.Message(100, pb.Message(100, pb.Float(1, 0.5), pb.Number(3, 227), pb.Text(4, "m"), pb.Float(5, 104))),
	))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(n.Input, []int{10, 3, 227, 225}) {
		t.Errorf("input %v", n.Input)
	}
	one, l := [2]int{1, 1}, n.Layers
	if got := *l[0].Convolution; got != (Convolution{1, [2]int{3, 5}, [2]int{2, 4}, one, [2]int{2, 2}}) {
		t.Errorf("%+v", got)
	}
	if got := *l[1].Pooling; got != (Pooling{"average", [2]int{2, 3}, [2]int{4, 5}, [2]int{6, 7}, true}) {
		t.Errorf("%+v", got)
	}
	if got := *l[2].LRN; got != (LRN{5, 1, 0.75, 1, false}) {
		t.Errorf("%+v", got)
	}
	if got := *l[4].Convolution; got != (Convolution{1, [2]int{}, one, [2]int{}, one}) {
		t.Errorf("%+v", got)
	}
	if got := *l[5].LRN; got != (LRN{5, 1, 0.75, 2, true}) {
		t.Errorf("%+v", got)
	}
	if *l[6].ReLU != (ReLU{0.25}) || !l[7].InnerProduct.Transpose {
		t.Errorf("%+v, %+v", l[6].ReLU, l[7].InnerProduct)
	}
	d := l[8].Transform
	if d.Scale != 0.5 || d.Crop != 227 || d.MeanFile != "m" || !slices.Equal(d.Mean, []float32{104}) {
		t.Errorf("%+v", d)
	}
	for name, file := range map[string][]byte{
		"input_shape":   append(pb.Message(8, pb.Varints(1, 1, 3, 5, 5)), pb.Message(100)...),
		"a layer Input": pb.Message(100, pb.Message(143, pb.Message(1, pb.Varints(1, 1, 3, 5, 5)))),
		"two, the first": slices.Concat(pb.Message(8, pb.Varints(1, 1, 3, 5, 5)), pb.Message(8, pb.Varints(1, 7)),
			pb.Message(100)),
	} {
		n, err := open(file)
		if err != nil || !slices.Equal(n.Input, []int{1, 3, 5, 5}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
