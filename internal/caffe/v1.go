package caffe

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"

	"alexnet/internal/wire"
)

// ErrV0 is a net in the format before V1.
var ErrV0 = errors.New("a net of Caffe's first format (V0, 2013), which is not read")

// v1Fields are the numbers of V1LayerParameter's fields, and those of the same in LayerParameter.
var v1Fields = map[protowire.Number]protowire.Number{
	4: 1, 6: 7, // name, blobs
	10: 106, 17: 117, 18: 118, 19: 121, 30: 123, 36: 100, // the parameters that are read
}

// v1Types are the words of V2 for V1's types. 0 is that of a layer without a type.
var v1Types = [...]string{
	"", "Accuracy", "BNLL", "Concat", "Convolution", "Data", "Dropout", "EuclideanLoss", "Flatten", "HDF5Data", // 9
	"HDF5Output", "Im2col", "ImageData", "InfogainLoss", "InnerProduct", "LRN", "MultinomialLogisticLoss", "Pooling",
	"ReLU", "Sigmoid", "Softmax", "SoftmaxWithLoss", "Split", "TanH", "WindowData", "Eltwise", "Power", // 26
	"SigmoidCrossEntropyLoss", "HingeLoss", "MemoryData", "ArgMax", "Threshold", "DummyData", "Slice", "MVN", "AbsVal",
	"Silence", "ContrastiveLoss", "Exp", "Deconvolution", // 39
}

// v1Field tells which field of LayerParameter one of V1LayerParameter is, 0 where it is none of those that are read.
func (r *reader) v1Field(l *Layer, f wire.Field) (protowire.Number, error) {
	switch f.Num {
	case 1: // a V0LayerParameter
		return 0, ErrV0
	case 5:
		t, err := f.Int(len(v1Types) - 1)
		l.Type = v1Types[min(t, len(v1Types)-1)]
		return 0, err
	}
	return v1Fields[f.Num], nil
}
