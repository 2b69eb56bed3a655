package config

import "slices"

// Kind is what a layer does.
type Kind string

// Kinds of layer.
const (
	Conv       Kind = "conv"
	FC         Kind = "fc"
	LRN        Kind = "lrn"
	Pool       Kind = "pool"
	Dropout    Kind = "dropout"
	Activation Kind = "activation"
	Softmax    Kind = "softmax"
)

var kinds = []Kind{Conv, FC, LRN, Pool, Dropout, Activation, Softmax}

// Weighted tells whether layers of the kind have weights and biases.
func (k Kind) Weighted() bool { return k == Conv || k == FC }

// LastWeighted is the number of the last layer with weights, -1 where there is none.
func LastWeighted(layers []Layer) int {
	for i, l := range slices.Backward(layers) {
		if l.Kind.Weighted() {
			return i
		}
	}
	return -1
}

// Act is what is done to each output of a layer; empty: what model.act says.
type Act string

// Activations.
const (
	ReLU   Act = "relu"
	Tanh   Act = "tanh"
	Linear Act = "none"
)

// Inputs says which columns a layer reads.
type Inputs string

// Own is a layer whose columns each read themselves, Both one whose columns read all: the exchange.
const (
	Own  Inputs = "own"
	Both Inputs = "both"
)

// Pooling is what is made of a window.
type Pooling string

// Poolings.
const (
	Max     Pooling = "max"
	Average Pooling = "avg"
)

// Round says what an output size that is not a whole number becomes.
type Round string

// Roundings.
const (
	Down Round = "down"
	Up   Round = "up"
)

// ScheduleKind is a way to change the learning rate.
type ScheduleKind string

// Kinds of schedule.
const (
	Constant    ScheduleKind = "constant"
	Steps       ScheduleKind = "steps"
	Plateau     ScheduleKind = "plateau"
	Authors2012 ScheduleKind = "authors2012"
)

// Mean is what is subtracted from pictures.
type Mean string

// MeanImage is a number for each pixel, MeanChannel one a channel.
const (
	MeanImage   Mean = "image"
	MeanChannel Mean = "channel"
)

// Fit is how pictures become square where data.resize is not 0.
type Fit string

// CropFit brings the shorter side to data.resize and cuts out the centre; SquashFit brings both sides there, whatever
// that does to the picture's proportions, as Caffe's tools do.
const (
	CropFit   Fit = "crop"
	SquashFit Fit = "squash"
)

// Interpolation is what a pixel of a resized picture is made of.
type Interpolation string

// Antialiased is the mean of all pixels that it covers, weighted by a triangle: Pillow's bilinear. TwoNearest is
// between the two nearest each way, however much smaller the picture becomes: OpenCV's INTER_LINEAR.
const (
	Antialiased Interpolation = "antialiased"
	TwoNearest  Interpolation = "linear"
)

// Exif is what is done about the orientation that a camera has noted in a picture's EXIF data.
type Exif string

// ApplyExif turns pictures upright, IgnoreExif leaves them as they are stored.
const (
	ApplyExif  Exif = "apply"
	IgnoreExif Exif = "ignore"
)

// Shuffle is how training pictures are put into an order, another in each epoch.
type Shuffle string

// FullShuffle takes each picture from anywhere. WindowShuffle puts the shards of a prepared set into an order, and
// takes pictures from some of them at a time.
const (
	FullShuffle   Shuffle = "full"
	WindowShuffle Shuffle = "window"
)

// Crop is where the net's input is cut out of a training picture.
type Crop string

// Crops.
const (
	RandomCrop Crop = "random"
	CenterCrop Crop = "center"
)
