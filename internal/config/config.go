// Package config reads the pages that describe a net and its training: one YAML file each, embedded in the binary by
// name or given as a path. Reading is strict. A key that does not exist, a value of the wrong type or out of range is
// an error that gives file, line, column and the nearest valid name, because a misspelt learning rate that is silently
// ignored costs a day. Overrides (--set train.batch=32) go through the same checks as the page. What was read can be
// written out again, every default filled in, and loads to the same Config: that is what run folders and checkpoints
// keep.
//
// The package knows keys and ranges; whether the layers fit each other is for package model to say.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"alexnet/configs"
	"alexnet/internal/device"
	"alexnet/internal/text"
)

// Config is one page.
type Config struct {
	Model Model `yaml:"model"`
	Train Train `yaml:"train"`
	Data  Data  `yaml:"data"`
}

// Model is the net.
type Model struct {
	Columns int `yaml:"columns"` // parts that see each other only in layers with inputs: both; the paper's two GPUs
	Classes int `yaml:"classes"` // 0: follows the data
	// DefaultClasses is Classes where that is 0 and there is no data, as in a summary.
	DefaultClasses int     `yaml:"default_classes"`
	Act            Act     `yaml:"act"` // of the layers that name none: relu | tanh | none
	Input          Input   `yaml:"input"`
	Layers         []Layer `yaml:"layers"`
}

// Input is what the first layer sees: (Channels, Size, Size).
type Input struct {
	Channels int `yaml:"channels"` // 3, or 1 for grey
	Size     int `yaml:"size"`     // of the crop
}

// Layer is one layer. Which of the keys are legal depends on Kind. Kernels and Units count the whole net: 96 are 2
// columns of 48.
type Layer struct {
	Name string `yaml:"name"`
	Kind Kind   `yaml:"kind"` // conv | fc | lrn | pool | dropout | activation | softmax
	// conv, fc: own (each column reads itself) | both (reads every column: the exchange)
	Inputs  Inputs   `yaml:"inputs"`
	Kernels int      `yaml:"kernels"` // conv
	Units   int      `yaml:"units"`   // fc; 0 in the last layer: model.classes
	Pool    Pooling  `yaml:"pool"`    // pool: max | avg
	Size    int      `yaml:"size"`    // conv, pool: window; lrn: neighbours, itself included
	Stride  int      `yaml:"stride"`  // conv: 1 if absent; pool: size if absent
	Pad     int      `yaml:"pad"`     // conv, pool
	Round   Round    `yaml:"round"`   // conv, pool: output size rounded down | up
	Groups  int      `yaml:"groups"`  // conv: inside a column
	Act     Act      `yaml:"act"`     // conv, fc, activation: relu | tanh | none; "": model.act
	Init    Init     `yaml:"init"`    // conv, fc
	LR      *float64 `yaml:"lr"`      // conv, fc: times train.lr, for weights and biases
	// conv, fc: instead of train.bias_lr; for biases, times train.lr and this layer's lr
	BiasLR      *float64 `yaml:"bias_lr"`
	WeightDecay *float64 `yaml:"weight_decay"` // conv, fc: instead of train.weight_decay
	Freeze      bool     `yaml:"freeze"`       // conv, fc: the layer stays as it is, whatever its rates are
	Alpha       float64  `yaml:"alpha"`        // lrn, as are the next two: see device.LRN
	Beta        float64  `yaml:"beta"`
	K           float64  `yaml:"k"`
	Rate        float64  `yaml:"rate"` // dropout: share of units dropped
}

// Init is where a layer starts: weights from N(0, Std), every bias at Bias.
type Init struct {
	Std  float64 `yaml:"std"`
	Bias float64 `yaml:"bias"`
}

// Train is how the net is trained.
type Train struct {
	Epochs      int     `yaml:"epochs"`
	Batch       int     `yaml:"batch"`
	LR          float64 `yaml:"lr"`
	Momentum    float64 `yaml:"momentum"`
	WeightDecay float64 `yaml:"weight_decay"`
	BiasLR      float64 `yaml:"bias_lr"`    // times lr
	BiasDecay   float64 `yaml:"bias_decay"` // weight decay of biases
	Dropout     bool    `yaml:"dropout"`    // false: the net has no dropout layers, in training and when predicting
	Precision   string  `yaml:"precision"`  // fp32 | tf32 | bf16
	Seed        uint64  `yaml:"seed"`
	// CheckpointSteps is how many steps there are between checkpoints, besides those at the end of each epoch; 0: only
	// those. Absent (nil): at the end of each epoch, but not while the last one is young.
	CheckpointSteps *int     `yaml:"checkpoint_steps"`
	Schedule        Schedule `yaml:"schedule"`
	Augment         Augment  `yaml:"augment"`
}

// Schedule changes the learning rate.
type Schedule struct {
	Kind     ScheduleKind `yaml:"kind"`     // constant | steps | plateau | authors2012
	Factor   float64      `yaml:"factor"`   // steps, plateau: of each drop
	Patience int          `yaml:"patience"` // plateau: epochs without a better validation error before a drop
	Drops    int          `yaml:"drops"`    // plateau: at most so many
	Epochs   []int        `yaml:"epochs"`   // steps: where it drops
}

// Augment is how training pictures vary.
type Augment struct {
	Crop  Crop    `yaml:"crop"`  // random | center
	Flip  bool    `yaml:"flip"`  // left and right, every second picture
	Color float64 `yaml:"color"` // standard deviation of the PCA colour noise; 0: none
}

// Data is how pictures are read.
type Data struct {
	ValShare float64 `yaml:"val_share"` // held out where the data has no val/
	Resize   int     `yaml:"resize"`    // side of the square that pictures become; 0 keeps the size
	Fit      Fit     `yaml:"fit"`       // how they become square: crop | squash
	// Interpolation is what pixels of resized pictures are made of: antialiased | linear
	Interpolation Interpolation `yaml:"interpolation"`
	Exif          Exif          `yaml:"exif"` // pictures are turned as their EXIF data says: apply | ignore
	Mean          Mean          `yaml:"mean"` // subtracted: image | channel
	// MeanPictures is how many training pictures mean and colours are taken from; 0, or as many as there are: all.
	MeanPictures int `yaml:"mean_pictures"`
	// Std divides what is left after the mean was subtracted: one number a channel, or one for all; empty: nothing is
	// divided, and the net sees the scale of 0..255.
	Std     []float64 `yaml:"std"`
	Workers int       `yaml:"workers"` // 0: as many as GOMAXPROCS
	// Retry is how long a reading is tried again where not the picture but what it comes from fails; 0: not at all.
	Retry time.Duration `yaml:"retry"`
	// Shuffle is the order of the training pictures in an epoch: full | window
	Shuffle Shuffle `yaml:"shuffle"`
	Window  int     `yaml:"window"` // shards that are mixed at a time, where Shuffle is WindowShuffle
	// Cache is how much of the disk blocks of a remote source may take, in GB; 0: nothing is kept.
	Cache float64 `yaml:"cache"`
	// BadShare is the share of the training pictures that may be unreadable in an epoch; beyond it a run ends.
	BadShare float64 `yaml:"bad_share"`
}

// DataRetry is what data.retry is where no page is at hand.
const DataRetry = 5 * time.Minute

// DataCache is what data.cache is where no page is at hand.
const DataCache = 10

// ForClasses is the model for data of so many classes (0: no data at hand). Where the page or an override gives
// model.classes, the two must agree, or it is a *ClassesError.
func (m Model) ForClasses(data int) (Model, error) {
	switch {
	case m.Classes == 0 && data == 0:
		m.Classes = m.DefaultClasses
	case m.Classes == 0:
		m.Classes = data
	case data != 0 && m.Classes != data:
		return m, &ClassesError{Model: m.Classes, Data: data}
	}
	return m, nil
}

// Still are the layers with weights that never learn: those that are frozen, or whose rate is 0.
func (m *Model) Still() []string {
	names := []string{}
	for i := range m.Layers {
		if l := &m.Layers[i]; l.Kind.Weighted() && (l.Freeze || l.LR != nil && *l.LR == 0) {
			names = append(names, l.Name)
		}
	}
	return names
}

// ClassesError is a model for another number of classes than the data has. Of 0 it would follow the data.
type ClassesError struct{ Model, Data int }

func (e *ClassesError) Error() string {
	return fmt.Sprintf("model.classes is %d, but the data has %d classes", e.Model, e.Data)
}

// Error is a mistake of the user's: in a page, in an override, or in how a net was put together.
type Error struct {
	Source       string // file name, or the override, as "train.lr=x"; "" where unknown
	Override     bool   // Source is an override
	Line, Column int    // 1-based; 0 where unknown
	Key          string // "train.lr"; "" where the message names none
	Msg          string
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Key != "" {
		s = e.Key + " " + s
	}
	switch {
	case e.Source == "":
		return s
	case e.Line == 0:
		return e.Source + ": " + s
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.Source, e.Line, e.Column, s)
}

// at says where an error is, as p does.
func (e *Error) at(p Error) {
	e.Source, e.Override, e.Line, e.Column = p.Source, p.Override, p.Line, p.Column
}

// Errorf makes an Error about a key.
func Errorf(key, format string, args ...any) *Error {
	return &Error{Key: key, Msg: fmt.Sprintf(format, args...)}
}

// Names are the embedded pages.
func Names() []string {
	files, err := fs.Glob(configs.FS, "*.yaml")
	if err != nil {
		panic(err) // a malformed pattern: it is constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return files
}

// Load reads an embedded page by name, or a file, and applies overrides ("train.batch=32", "model.conv4=off"), in
// order. Every failure is an *Error.
func Load(nameOrPath string, sets []string) (*Config, error) {
	file, page, err := read(nameOrPath)
	if err != nil {
		return nil, err
	}
	return parse(file, page, sets)
}

// read is an embedded page, or a file; file is what errors call it.
func read(nameOrPath string) (file string, page []byte, err error) {
	if slices.Contains(Names(), nameOrPath) {
		file = nameOrPath + ".yaml"
		page, err = configs.FS.ReadFile(file)
		return file, page, err
	}
	if page, err = readPage(nameOrPath); err != nil {
		err = notFound(nameOrPath, err)
	}
	return nameOrPath, page, err
}

func notFound(name string, err error) error {
	if looksLikePath := path.Ext(name) != "" || strings.ContainsAny(name, `/\`); looksLikePath ||
		!errors.Is(err, fs.ErrNotExist) {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return &Error{Source: name, Msg: fmt.Sprintf("cannot read the configuration: %v", err)}
	}
	msg := fmt.Sprintf("no configuration is called %q", name)
	if n := text.Nearest(name, Names()); n != "" {
		msg += "; nearest: " + n
	}
	return &Error{Msg: msg + "; there are " + strings.Join(Names(), ", ") + "; the path of a YAML file works too"}
}

// Parse reads a page that is at hand, as a checkpoint keeps it. A key that such a page lacks is younger than the page,
// and is what the program did before there was the key: data.exif is ignore.
func Parse(yaml []byte, sets []string) (*Config, error) {
	c := defaults()
	c.Data.Exif = IgnoreExif
	return newDecoder("configuration").config(c, yaml, sets)
}

func parse(source string, page []byte, sets []string) (*Config, error) {
	return newDecoder(source).config(defaults(), page, sets)
}

// config reads a page into c, which has the defaults, and applies overrides to it.
func (d *decoder) config(c *Config, page []byte, sets []string) (*Config, error) {
	if err := d.page(page, c); err != nil {
		return nil, err
	}
	wrong, blame := validate(c), "" // blame: the override since which something has been wrong
	for _, s := range sets {
		if err := d.set(c, s); err != nil {
			return nil, err
		}
		before := wrong
		if wrong = validate(c); before == nil && wrong != nil {
			blame = s
		}
	}
	if wrong == nil {
		for _, s := range sets {
			if e := unfollowed(c, s); e != nil {
				return nil, e
			}
		}
		return c, nil
	}
	d.locate(wrong)
	if blame != "" && !wrong.Override { // the key itself stands in the page, or nowhere
		wrong.at(placeOf(blame))
	}
	return nil, wrong
}

// defaults are the paper's, where it gives a number.
func defaults() *Config {
	return &Config{
		Model: Model{Columns: 1, DefaultClasses: 1000, Act: Linear, Input: Input{Channels: 3, Size: 224}},
		Train: Train{
			Epochs: 90, Batch: 128, LR: 0.01, Momentum: 0.9, WeightDecay: 0.0005, BiasLR: 2, Dropout: true,
			Precision: device.FP32.String(), Seed: 1,
			Schedule: Schedule{Kind: Plateau, Factor: 0.1, Patience: 5, Drops: 3},
			Augment:  Augment{Crop: RandomCrop, Flip: true, Color: 0.1},
		},
		Data: Data{
			ValShare: 0.1, Resize: 256, Fit: CropFit, Interpolation: Antialiased, Exif: ApplyExif,
			Mean: MeanImage, Retry: DataRetry, Shuffle: FullShuffle,
			Window: 16, Cache: DataCache, BadShare: 0.01,
		},
	}
}

// layerDefaults are those of one kind.
func layerDefaults(kind Kind) Layer {
	l := Layer{Kind: kind}
	switch kind {
	case Conv:
		l.Inputs, l.Stride, l.Round, l.Groups, l.Init = Own, 1, Down, 1, Init{Std: 0.01}
	case FC:
		l.Inputs, l.Init = Own, Init{Std: 0.01}
	case LRN:
		l.Size, l.Alpha, l.Beta, l.K = 5, 1e-4, 0.75, 2
	case Pool:
		l.Pool, l.Round = Max, Down
	case Dropout:
		l.Rate = 0.5
	}
	return l
}
