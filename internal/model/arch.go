// Package model turns a page of package config into a net that runs: it resolves shapes, spreads the columns over one
// or two devices, and writes one device.Program for each.
//
// Columns are architecture, devices are placement. On one device a single tensor holds all columns side by side, and a
// layer that reads only its own column is a grouped convolution; on as many devices as columns each holds one, and what
// the other columns must see crosses as a Send and a Recv before the layers that say `inputs: both`. The two are the
// same net: same weights, same draws, same names.
//
// The package imports the contract (device) and never a backend; it holds no arithmetic besides shapes and the initial
// weights.
package model

import (
	"fmt"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/device"
)

// Arch is a net with its shapes resolved, on no device yet.
type Arch struct {
	Columns, Classes int
	Input            device.Shape // (channels, size, size)
	Layers           []Layer      // in order; without the dropout layers where dropout is off
	Params           []ParamInfo
	lowest           int // number of the lowest layer with weights that ever learns; see Learns
}

// Layer is one layer; shapes are of the whole net, all columns together, for one picture.
type Layer struct {
	config.Layer
	In, Out  device.Shape
	MACs     int64 // forward multiply-adds a picture
	Params   []int // weight and bias in Arch.Params, or none
	from, to placement
}

// placement says where a value lies.
type placement int

const (
	shared  placement = iota // whole on every device: the picture, and what is made of it before the first kernels
	columns                  // each column its share
	home                     // whole on device 0: the last layer with weights and all after it, as in the 2012 code
)

// ParamInfo is one weight or bias tensor of the whole net, in logical order, merged over columns along its first
// dimension.
type ParamInfo struct {
	Name  string // "conv1.weight", "conv1.bias"
	Shape []int  // conv (kernels, channels a kernel sees, height, width), fc (units, inputs a unit sees), bias (n)
	Layer string
	Bias  bool
	Std   float64 // weights start at N(0, Std)
	Value float64 // biases start here
	LR    float64 // multiplies the learning rate, besides BiasLR
	// BiasLR replaces train.bias_lr; nil, and for weights: what train says.
	BiasLR *float64
	Decay  *float64 // replaces train.weight_decay; nil, and for biases: what train says
}

// Len is the number of elements.
func (p *ParamInfo) Len() int { return device.ParamSpec{Shape: p.Shape}.Len() }

// Of resolves the net of a page for data of so many classes (0: no data at hand), with or without its dropout layers as
// the page says. Errors are *config.Error.
func Of(page *config.Config, classes int) (*Arch, error) {
	m, err := page.Model.ForClasses(classes)
	if err != nil {
		return nil, err
	}
	return New(m, page.Train.Dropout)
}

// New resolves a net. Classes must be set (config.Model.ForClasses). With dropout false the dropout layers are left
// out, in training and when predicting: the paper's form multiplies by 1-rate when predicting, which would be wrong for
// weights that never saw a mask. Errors are *config.Error.
func New(cfg config.Model, dropout bool) (*Arch, error) {
	if cfg.Classes < 2 {
		return nil, config.Errorf("model.classes", "is %d, must be at least 2", cfg.Classes)
	}
	if cfg.Classes > config.MaxClasses { // those of the data, which no page said
		return nil, config.Errorf("model.classes", "is %d, must be at most %d", cfg.Classes, config.MaxClasses)
	}
	a := &Arch{
		Columns: cfg.Columns, Classes: cfg.Classes, Input: device.Shape{
			C: cfg.Input.Channels, H: cfg.Input.Size, W: cfg.Input.Size,
		},
	}
	last, sum := config.LastWeighted(cfg.Layers), sizes{}
	shape, at := a.Input, shared
	for i, c := range cfg.Layers {
		if c.Kind == config.Dropout && !dropout {
			continue
		}
		l := Layer{Layer: c, In: shape, from: at, to: at}
		if c.Kind.Weighted() {
			l.to = columns
			if i == last {
				l.to = home
			}
		}
		if l.Act == "" {
			l.Act = cfg.Act
		}
		if err := a.resolve(&l); err != nil {
			return nil, err
		}
		if err := sum.add(a, &l); err != nil {
			return nil, err
		}
		a.Layers = append(a.Layers, l)
		shape, at = l.Out, l.to
	}
	a.lowest = max(0, slices.IndexFunc(a.Layers, func(l Layer) bool {
		return len(l.Params) > 0 && a.Params[l.Params[0]].LR != 0
	}))
	return a, a.checkEnd(shape)
}

// Learns tells whether a parameter has a gradient and momentum in a net that trains: not where it and all below it have
// a rate of 0 (`lr: 0` or `freeze: true` of a layer), of which no gradient is computed. Where nothing learns all have.
func (a *Arch) Learns(param int) bool { return a.layerLearns(a.Params[param].Layer) }

func (a *Arch) layerLearns(name string) bool {
	return slices.IndexFunc(a.Layers, func(l Layer) bool { return l.Name == name }) >= a.lowest
}

// Frozen are the layers with weights of which no gradient is computed.
func (a *Arch) Frozen() (names []string) {
	for i := range a.Layers[:a.lowest] {
		if l := &a.Layers[i]; len(l.Params) > 0 {
			names = append(names, l.Name)
		}
	}
	return names
}

func (a *Arch) checkEnd(out device.Shape) error {
	n := len(a.Layers)
	if n == 0 || a.Layers[n-1].Kind != config.Softmax || len(a.Params) == 0 {
		return config.Errorf("model.layers", "must hold a conv or fc layer and end with softmax")
	}
	if want := (device.Shape{C: a.Classes, H: 1, W: 1}); out != want {
		return config.Errorf("model."+a.Layers[n-1].Name, "gets %v, must get %v, one number a class", out, want)
	}
	return nil
}

// resolve gives a layer its output shape, cost and parameters.
func (a *Arch) resolve(l *Layer) error {
	switch l.Kind {
	case config.Conv:
		return a.conv(l)
	case config.FC:
		return a.fc(l)
	case config.Pool:
		up := l.Round == config.Up
		l.Out = device.Shape{
			C: l.In.C, H: device.PoolSize(l.In.H, l.Size, l.Stride, l.Pad, up),
			W: device.PoolSize(l.In.W, l.Size, l.Stride, l.Pad, up),
		}
		return l.fits()
	}
	l.Out = l.In
	return nil
}

func (l *Layer) fits() error {
	if l.Out.H < 1 || l.Out.W < 1 {
		return config.Errorf("model."+l.Name+".size", "is %d, does not fit into maps of %dx%d with pad %d", l.Size,
			l.In.H, l.In.W, l.Pad)
	}
	return nil
}

func (a *Arch) conv(l *Layer) error {
	up := l.Round == config.Up
	l.Out = device.Shape{
		C: l.Kernels, H: device.ConvSize(l.In.H, l.Size, l.Stride, l.Pad, up),
		W: device.ConvSize(l.In.W, l.Size, l.Stride, l.Pad, up),
	}
	if err := l.fits(); err != nil {
		return err
	}
	seen, err := a.seen(l, ".kernels", l.Kernels)
	if err != nil {
		return err
	}
	if l.Groups > 1 && a.Columns > 1 && !l.own() {
		return config.Errorf("model."+l.Name+".groups",
			"is %d; groups divide a column, and this layer reads more than its own", l.Groups)
	}
	if seen%l.Groups != 0 || l.Kernels/a.Shares(l)%l.Groups != 0 {
		return config.Errorf("model."+l.Name+".groups",
			"is %d, must divide the %d channels and the %d kernels of a column", l.Groups, seen, l.Kernels/a.Shares(l))
	}
	a.params(l, l.Kernels, seen/l.Groups, l.Size, l.Size)
	return nil
}

func (a *Arch) fc(l *Layer) error {
	if l.Units == 0 {
		l.Units = a.Classes
	}
	l.Out = device.Shape{C: l.Units, H: 1, W: 1}
	seen, err := a.seen(l, ".units", l.Units)
	if err != nil {
		return err
	}
	a.params(l, l.Units, seen*l.In.H*l.In.W)
	return nil
}

// own tells that the layer reads its own column alone: what one device does as a grouped convolution.
func (l *Layer) own() bool { return l.from == columns && l.Inputs != config.Both }

// Columns tells whether the layer's input lies in columns that do not see each other, as far as the net has several.
func (l *Layer) Columns() bool { return l.from == columns }

// Shares is the number of equal parts that the layer's output has, one a column after the other: Columns, or 1 from the
// last layer with weights on, which is on one device whole.
func (a *Arch) Shares(l *Layer) int {
	if l.to == columns {
		return a.Columns
	}
	return 1
}

// seen is the number of channels that a column of the layer reads, after checking that the layer divides into columns.
func (a *Arch) seen(l *Layer, key string, outputs int) (int, error) {
	if outputs%a.Shares(l) != 0 {
		return 0, config.Errorf("model."+l.Name+key, "is %d, does not divide into %d columns", outputs, a.Columns)
	}
	if !l.own() || a.Columns == 1 {
		return l.In.C, nil
	}
	if l.to == home {
		return 0, config.Errorf("model."+l.Name+".inputs",
			"is own, must be both: the last layer with weights lies whole on one device and reads every column")
	}
	return l.In.C / a.Columns, nil
}

// params adds the layer's weight, of (outputs, seen...), and bias.
func (a *Arch) params(l *Layer, outputs int, seen ...int) {
	lr := 1.0
	if l.LR != nil {
		lr = *l.LR
	}
	if l.Freeze {
		lr = 0
	}
	l.Params = []int{len(a.Params), len(a.Params) + 1}
	w := ParamInfo{
		Name: l.Name + ".weight", Layer: l.Name, Shape: append([]int{outputs}, seen...), Std: l.Init.Std, LR: lr,
		Decay: l.WeightDecay,
	}
	b := ParamInfo{
		Name: l.Name + ".bias", Layer: l.Name, Shape: []int{outputs}, Bias: true, Value: l.Init.Bias, LR: lr,
		BiasLR: l.BiasLR,
	}
	a.Params = append(a.Params, w, b)
	l.MACs = product(append([]int{l.Out.H, l.Out.W}, w.Shape...)...)
}

// CheckDevices tells whether the net can be spread over n devices: one, or one a column; else it is a *DevicesError.
func (a *Arch) CheckDevices(n int) error {
	if n == 1 || n == a.Columns && len(a.Params) > 2 {
		return nil
	}
	return &DevicesError{Devices: n, Columns: a.Columns}
}

// DevicesError is a net that cannot be spread over so many devices.
type DevicesError struct {
	Devices int
	Columns int // of the net; where they are as many, it has but one layer with weights
}

func (e *DevicesError) Error() string {
	what := fmt.Sprintf("%d columns and", e.Columns)
	switch e.Columns {
	case 1:
		what = "one column and"
	case e.Devices:
		what = "one layer with weights, which"
	}
	return fmt.Sprintf("the net has %s cannot be spread over %d devices", what, e.Devices)
}
