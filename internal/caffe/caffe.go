// Package caffe reads what Caffe wrote: nets with their weights (.caffemodel) and mean images (.binaryproto).
//
// Both are protobuf messages, without any mark that says so. A net is a NetParameter: layers in the order in which they
// are computed, each with its blobs, the weights and then the biases. There are two kinds of layers, V1 of 2014 and V2
// of 2015, which differ in their numbers and in the words for what a layer does; here both have those of V2. A blob has
// its dimensions in one of two ways, as a shape or as the older num, channels, height and width, in which the weights
// of a fully connected layer are 1x1x4096x9216: leading ones that the layer has no use for are dropped. Diffs, which
// are as large as the weights, are passed over. Nothing of a file of 244 MB is read before its numbers are asked for,
// but for the few bytes between them.
//
// Numbers of fields are those of src/caffe/proto/caffe.proto of https://github.com/BVLC/caffe; the words for V1's types
// are those of UpgradeV1LayerType in src/caffe/util/upgrade_proto.cpp.
//
// What a net means, and which of ours it is, is the caller's business: of the program the package imports files,
// tensor, text and wire.
package caffe

import (
	"errors"

	"alexnet/internal/files"
	"alexnet/internal/tensor"
	"alexnet/internal/wire"
)

// Net is a .caffemodel, open.
type Net struct {
	Name   string // "AlexNet"
	V1     bool   // of 2014
	Input  []int  // the shape of what it is given, such as (10, 3, 227, 227); nil where the file does not say
	Layers []Layer
	file   *wire.File
}

// Layer is a layer of a net. The parameters are nil where the file has none.
type Layer struct {
	Name string // "conv1"
	Type string // "Convolution", "InnerProduct", "ReLU", "LRN", "Pooling", "Dropout", "Softmax", ..
	// Blobs are weights, then biases, where the layer has them: "conv1.weight" (96, 3, 11, 11), "conv1.bias" (96),
	// "fc6.weight" (4096, 9216); those of other layers than Convolution, Deconvolution and InnerProduct are called
	// "scale.0", "scale.1", .. They can be read while the Net is open.
	Blobs []tensor.Tensor

	Convolution  *Convolution
	InnerProduct *InnerProduct
	Pooling      *Pooling
	LRN          *LRN
	ReLU         *ReLU
	Transform    *Transform
}

// Convolution is a ConvolutionParameter. Pairs are height and width.
type Convolution struct {
	Group                         int
	Kernel, Stride, Pad, Dilation [2]int
}

// InnerProduct is an InnerProductParameter.
type InnerProduct struct {
	Transpose bool // the weights are (in, out)
}

// Pooling is a PoolingParameter. Pairs are height and width. Caffe rounds up.
type Pooling struct {
	Method              string // "max", "average", "stochastic"
	Kernel, Stride, Pad [2]int
	Global              bool // over all of each channel
}

// LRN is an LRNParameter: (K + Alpha/Size * sum of squares)^Beta.
type LRN struct {
	Size           int
	Alpha, Beta, K float32
	Within         bool // within a channel, not across channels
}

// ReLU is a ReLUParameter.
type ReLU struct {
	Slope float32 // of what is negative
}

// Transform is a TransformationParameter: how pictures were prepared.
type Transform struct {
	Crop     int // pixels; 0: none
	Scale    float32
	MeanFile string
	Mean     []float32 // of each channel, blue first
}

// Open opens a .caffemodel and reads all but the numbers. One that is damaged, or another kind of file, is a
// *tensor.BadFile; one that is too old is [ErrV0].
func Open(fsys files.Reader, path string) (*Net, error) {
	f, err := wire.Open(fsys, path)
	if err != nil {
		return nil, err
	}
	n, err := read(f)
	if err != nil {
		return nil, errors.Join(f.At(err), f.Close())
	}
	return n, nil
}

// Close closes the file.
func (n *Net) Close() error { return n.file.Close() }
