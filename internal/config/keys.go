package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/device"
	"alexnet/internal/text"
)

// spec is what is known of a key. Which keys a kind of layer has, what values are refused and what the documentation
// says have it from here.
type spec struct {
	name    string // "train.lr"; a layer's is "model.*.lr"
	kinds   []Kind // of layers that have it; nil: it is not a layer's
	values  allowed
	unit    string // "" where the meaning says it, or there is none
	follows string // the key whose value it has where no page gives it one, or that value; "": what defaults say
	meaning string
}

var (
	weighted = []Kind{Conv, FC}
	windowed = []Kind{Conv, Pool}

	rates  = between(0, maxFactor)
	counts = between(1, 1<<20)
)

// specs are all keys, in the order of a page, and so those of each kind of layer.
var specs = []spec{
	{
		"model.columns", nil, between(1, 64), "columns", "",
		"Parts of the net that see each other only in layers with inputs: both. The paper's net has two, one on " +
			"each GPU.",
	},
	{
		"model.classes", nil, between(2, MaxClasses).orZero("follow the data"), "classes", "",
		"Classes that the net tells apart. Where it is given, the data must have as many.",
	},
	{
		"model.default_classes", nil, between(2, MaxClasses), "classes", "",
		"What model.classes is where that is 0 and there is no data, as in a summary.",
	},
	{
		"model.act", nil, words(ReLU, Tanh, Linear), "", "",
		"The activation of the layers that name none of their own.",
	},
	{"model.input.channels", nil, between(1, 3).onlyOdd(), "", "", "3 for colour, 1 for grey."},
	{
		"model.input.size", nil, between(1, MaxSide), "pixels", "",
		"The side of the square that the first layer sees, cut out of the picture.",
	},
	{
		"model.layers", nil,
		allowed{},
		"", "",
		"The layers in order, each {name: ..., kind: ..., ...}; the last is softmax. model.NAME=off as an override " +
			"removes one.",
	},
	{
		"model.*.name", kinds,
		allowed{},
		"", "",
		"The layer's name, in files of weights too: lower-case letters, digits and _, a letter first, at most " +
			strconv.Itoa(maxName) + " of them.",
	},
	{"model.*.kind", kinds, words(kinds...), "", "", "What the layer does. It decides which other keys there are."},
	{
		"model.*.inputs", weighted, words(Own, Both), "", "",
		"own: each column reads itself. both: each reads all columns, the exchange.",
	},
	{"model.*.kernels", []Kind{Conv}, counts, "kernels", "", "Maps that come out, of all columns together."},
	{
		"model.*.units",
		[]Kind{FC},
		between(1, 1<<24), "units", "model.classes",
		"Numbers that come out, of all columns together. Only the last layer with weights may omit it.",
	},
	{
		"model.*.pool",
		[]Kind{Pool},
		words(Max, Average), "", "",
		"What is made of a window: its largest number, or the mean.",
	},
	{"model.*.size", windowed, between(1, MaxSide), "pixels", "", "The side of the window."},
	{
		"model.*.size",
		[]Kind{LRN},
		between(1, MaxSide-1).onlyOdd(), "maps", "",
		"Neighbours that a map is normalised over, itself included.",
	},
	{"model.*.stride", []Kind{Conv}, between(1, MaxSide), "pixels", "", "How far the window moves."},
	{
		"model.*.stride",
		[]Kind{Pool},
		between(1, MaxSide), "pixels", "model.*.size",
		"How far the window moves.",
	},
	{"model.*.pad", []Kind{Conv}, between(0, MaxSide), "pixels", "", "Zeros around the map, on each side."},
	{
		"model.*.pad",
		[]Kind{Pool},
		between(0, MaxSide/2), "pixels", "",
		"What a window may reach over the edge, on each side: at most half of size.",
	},
	{
		"model.*.round", windowed, words(Down, Up), "", "",
		"Where the windows do not come out even: down omits the last pixels, up lets a last window reach over the " +
			"edge.",
	},
	{
		"model.*.groups",
		[]Kind{Conv},
		counts, "groups", "",
		"Parts of a column that do not see each other.",
	},
	{
		"model.*.act", weighted, words(ReLU, Tanh, Linear), "", "model.act",
		"What is done to each number that comes out.",
	},
	{"model.*.act", []Kind{Activation}, words(ReLU, Tanh), "", "model.act", "What is done to each number."},
	{
		"model.*.init.std", weighted, rates, "", "",
		"The standard deviation of the weights at the start; their mean is 0.",
	},
	{"model.*.init.bias", weighted, between(-maxFactor, maxFactor), "", "", "Every bias at the start."},
	{
		"model.*.lr", weighted, rates, "times train.lr", "1",
		"A factor of the learning rate, not the rate itself: with 0.1 the layer learns at a tenth of train.lr, with " +
			"0 it " +
			"stays as it is.",
	},
	{
		"model.*.bias_lr", weighted, rates, "times train.lr", "train.bias_lr",
		"A factor of the biases' learning rate, which is multiplied by the layer's lr as well.",
	},
	{
		"model.*.weight_decay", weighted, rates, "", "train.weight_decay",
		"Weight decay of the layer's weights.",
	},
	{
		"model.*.freeze", weighted,
		allowed{},
		"", "",
		"true: the layer stays as it is, as with lr: 0, and its own rates are kept. A new run from the weights of " +
			"another does not take this over.",
	},
	{
		"model.*.alpha",
		[]Kind{LRN},
		rates, "", "",
		"Each number is divided by (k + alpha/size * sum of the neighbours' squares) to the power of beta.",
	},
	{"model.*.beta", []Kind{LRN}, rates, "", "", "See alpha."},
	{"model.*.k", []Kind{LRN}, between(minFactor, maxFactor), "", "", "See alpha."},
	{
		"model.*.rate",
		[]Kind{Dropout},
		fraction, "", "",
		"The share of units that are dropped in a training step. When predicting, all are multiplied by 1 - rate.",
	},

	{"train.epochs", nil, between(1, MaxEpochs), "epochs", "", "How often training goes over all training pictures."},
	{
		"train.batch", nil, between(1, 1<<16), "pictures", "",
		"Pictures in a step. Half the batch usually wants half the learning rate.",
	},
	{
		"train.lr", nil, between(0, maxRate).over(), "", "",
		"The learning rate at the start: v = momentum v - weight_decay lr w - lr gradient; w = w + v.",
	},
	{"train.momentum", nil, fraction, "", "", "The share of the last change v that goes into the next; see train.lr."},
	{
		"train.weight_decay", nil, rates, "", "",
		"How much weights shrink in each step, times the learning rate. Layers may have their own.",
	},
	{
		"train.bias_lr", nil, rates, "times train.lr", "",
		"A factor: biases learn at so many times the learning rate. Layers may have their own.",
	},
	{"train.bias_decay", nil, rates, "", "", "Weight decay of the biases."},
	{
		"train.dropout", nil,
		allowed{},
		"", "",
		"false: the net's dropout layers do nothing, neither in training nor when predicting.",
	},
	{
		"train.precision", nil, words(device.PrecisionNames()...), "", "",
		"The numbers that the device computes with. Weights and their updates are fp32 in each.",
	},
	{
		"train.seed", nil,
		allowed{},
		"", "",
		"The number that all draws start from: weights, order of pictures, crops, dropout, what is held out.",
	},
	{
		"train.checkpoint_steps", nil, between(0, maxSteps), "steps", "",
		"Steps between two checkpoints; 0: one at the end of each epoch. Not set: one at the end of each epoch, " +
			"unless the last is less than a minute old.",
	},
	{
		"train.schedule.kind", nil, words(Constant, Steps, Plateau, Authors2012), "", "",
		"How the learning rate falls. constant: not at all. steps: after the epochs of train.schedule.epochs. " +
			"plateau: " +
			"when the validation error stops falling. authors2012: as the paper's authors did by hand, in 93 epochs.",
	},
	{
		"train.schedule.factor", nil, between(0, 1).over().under(), "", "",
		"steps, plateau: what the learning rate is multiplied by at each drop.",
	},
	{
		"train.schedule.patience", nil, between(1, MaxEpochs), "epochs", "",
		"plateau: epochs without a lower validation error before the rate drops.",
	},
	{
		"train.schedule.drops", nil, between(0, maxDrops), "drops", "",
		"plateau: the rate drops at most this many times.",
	},
	{
		"train.schedule.epochs", nil, between(1, MaxEpochs), "epochs", "",
		"steps: the epochs after which the rate drops, as in [30, 60, 80], rising, at most " +
			strconv.Itoa(maxDrops) + " of them.",
	},
	{
		"train.augment.crop", nil, words(RandomCrop, CenterCrop), "", "",
		"Where a training picture is cut.",
	},
	{"train.augment.flip", nil, allowed{}, "", "", "Whether every second training picture, at random, is mirrored."},
	{
		"train.augment.color", nil, rates, "", "",
		"The standard deviation of the colour noise along the principal components of the pictures' colours; 0: none.",
	},

	{
		"data.val_share", nil, fraction, "", "",
		"The share of each class that is held out for validation where the data has no val/.",
	},
	{
		"data.resize", nil, between(0, MaxSide), "pixels", "",
		"Pictures become squares with sides of this, by data.fit; 0 keeps the size. Not less than model.input.size.",
	},
	{
		"data.fit", nil, words(CropFit, SquashFit), "", "",
		"How pictures become square: the shorter side is brought to data.resize and the middle is cut out, or both " +
			"sides are brought there, as Caffe's tools do.",
	},
	{
		"data.interpolation", nil, words(Antialiased, TwoNearest), "", "",
		"What pixels of resized pictures are made of: all pixels that they cover (Pillow's bilinear), or only the " +
			"two nearest each way (OpenCV's INTER_LINEAR, which Caffe's tools take).",
	},
	{
		"data.exif", nil, words(ApplyExif, IgnoreExif), "", "",
		"Whether pictures are turned as the camera noted it in their EXIF data.",
	},
	{
		"data.mean", nil, words(MeanImage, MeanChannel), "", "",
		"What is subtracted: the mean of the training pictures at each pixel, or one number a channel.",
	},
	{
		"data.mean_pictures", nil, between(0, maxPictures), "pictures", "",
		"How many training pictures the mean and the colours are taken from, drawn by train.seed; 0: all.",
	},
	{
		"data.std", nil, between(minFactor, maxFactor), "of 0..255", "",
		"What is left after the mean is divided by this: a list of one number, or of one a channel. Empty: not " +
			"divided.",
	},
	{
		"data.workers", nil, between(0, 1024), "threads", "",
		"How many prepare pictures; 0: as many as GOMAXPROCS, one a processor.",
	},
	{
		"data.retry", nil, between(0, maxRetry.Seconds()), "", "",
		"How long reading is tried again where the disk or share fails, not the picture; 0: not at all.",
	},
	{
		"data.shuffle", nil, words(FullShuffle, WindowShuffle), "", "",
		"The order of the training pictures in an epoch, drawn from train.seed and its number. full: any after any. " +
			"window: shards are put into an order, and some of them mixed at a time, for disks that seek and s3://; " +
			"only prepared sets have shards.",
	},
	{
		"data.window", nil, between(1, 1<<16), "shards", "",
		"window: how many shards are mixed at a time. As many again are read meanwhile.",
	},
	{
		"data.cache", nil, between(0, 1e6), "GB", "",
		"How much of what s3:// gave is kept in the cache folder, for all runs together; 0: nothing.",
	},
	{
		"data.bad_share", nil, between(0, 1), "", "",
		"A run ends when a larger share of the training pictures, and more than 20, cannot be read in an epoch.",
	},
}

// layerKeys are the keys that a kind of layer has besides name and kind, in the order in which they are written out.
var layerKeys = func() map[Kind][]string {
	keys := map[Kind][]string{}
	for _, k := range kinds {
		keys[k] = []string{}
	}
	for _, s := range specs {
		key, _, _ := strings.Cut(strings.TrimPrefix(s.name, "model.*."), ".")
		for _, k := range s.kinds {
			if key != "name" && key != "kind" && !slices.Contains(keys[k], key) {
				keys[k] = append(keys[k], key)
			}
		}
	}
	return keys
}()

// specOf is what is known of a key, of this layer where it is a layer's; nil where nothing is.
func specOf(key string, l *Layer) *spec {
	if l != nil {
		key = "model." + everyLayer + strings.TrimPrefix(key, "model."+l.Name)
	}
	i := slices.IndexFunc(specs, func(s spec) bool {
		return s.name == key && (l == nil || slices.Contains(s.kinds, l.Kind))
	})
	if i < 0 {
		return nil
	}
	return &specs[i]
}

// open tells whether no page gave a layer's key a value, so that it has another's.
func (s *spec) open(v reflect.Value) bool {
	return s.follows != "" && v.IsZero() && v.Kind() != reflect.Int || s.follows == "model.classes" && v.IsZero()
}

// each visits every key with its value, in the order of the page, of layers (l; else nil) those that their kinds have.
func (c *Config) each(visit func(key string, v reflect.Value, l *Layer)) {
	var walk func(v reflect.Value, path string, keys []string, l *Layer)
	walk = func(v reflect.Value, path string, keys []string, l *Layer) {
		for _, name := range keys {
			f, _ := fieldOf(v, name)
			key := joinKey(path, name)
			layers, isLayers := f.Interface().([]Layer)
			switch {
			case isLayers:
				for i := range layers {
					l := &layers[i]
					walk(reflect.ValueOf(l).Elem(), "model."+l.Name, append([]string{"kind"}, layerKeys[l.Kind]...), l)
				}
			case f.Kind() == reflect.Struct:
				walk(f, key, keysOf(f.Type()), l)
			default:
				visit(key, f, l)
			}
		}
	}
	v := reflect.ValueOf(c).Elem()
	walk(v, "", keysOf(v.Type()), nil)
}

// keysOf are the keys of a struct, in order.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// fieldOf is the field with a key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	i := slices.Index(keysOf(v.Type()), key)
	if i < 0 {
		return reflect.Value{}, false
	}
	return v.Field(i), true
}

// unknown words the complaint about a key that is not among the valid ones.
func unknown(path string, valid []string) *Error {
	parent, key := splitKey(path)
	msg := "is not a key"
	if n := text.Nearest(key, valid); n != "" {
		msg += "; nearest: " + joinKey(parent, n)
	} else if len(valid) > 0 {
		msg += "; there are " + strings.Join(valid, ", ")
	}
	return Errorf(path, "%s", msg)
}

func joinKey(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

func splitKey(path string) (parent, key string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}
