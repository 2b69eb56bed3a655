// Package bench measures speed: of training and inference steps, of each layer of a net, of reading pictures.
//
// Training steps are those of a run, taken by the same [step.Stepper], of generated noise or of real pictures. Layer by
// layer a net is measured with a wait after each part, and held against what the devices could do at most (a roofline)
// and what they say that they moved.
//
// It joins model, data and step, and knows devices only through their contract: it imports no backend, and not the
// training loop.
package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/schedule"
	"alexnet/internal/step"
)

// Modes of measuring.
const (
	Train = "train" // the training loop's step: dropout, checks, update and all
	Infer = "infer" // forward
	Data  = "data"  // decoding and augmenting pictures, no net
)

// Options say what is measured.
type Options struct {
	Config  *config.Config
	Devices []device.Device // not for Data
	Source  *data.Source    // nil: synthetic pictures, already in memory; Data needs one
	Mode    string
	Steps   int  // measured; 0: 20
	Warmup  int  // taken before and not measured
	Int8    bool // int8 weights in fully connected layers, as device.FC says; for Infer
	// Layers measures as many steps again, layer by layer; not for Data.
	Layers bool

	Progress func(done, total int) // steps, those of the warmup included
}

// Result holds medians over the steps; in mode Data means, for there batches become ready in bursts.
type Result struct {
	Mode                string   `json:"mode"`
	Devices             []string `json:"devices,omitempty"`
	Precision           string   `json:"precision,omitempty"`
	Int8                bool     `json:"int8,omitempty"` // weights of fully connected layers
	Batch               int      `json:"batch"`
	Steps               int      `json:"steps"`
	Data                string   `json:"data"` // "synthetic", or where the pictures are
	ImagesPerSecond     float64  `json:"images_per_second"`
	MillisecondsPerStep float64  `json:"milliseconds_per_step"`
	DataStall           float64  `json:"data_stall"` // share of the whole time
	// spent copying between devices, beside other work or not
	ExchangeMS  float64     `json:"exchange_milliseconds_per_step,omitempty"`
	ExchangeWay string      `json:"exchange_way,omitempty"` // see report.Metrics
	Layers      []LayerTime `json:"layers,omitempty"`
	// of the steps measured layer by layer, waits included
	LayersStepMS float64 `json:"layers_milliseconds_per_step,omitempty"`
	// where the devices can be measured
	Roofline *Roofline     `json:"roofline,omitempty"`
	Moves    *Moves        `json:"moves_per_step,omitempty"` // where they count them
	Memory   []step.Memory `json:"-"`
}

// defaultSteps are measured where nothing is said.
const defaultSteps = 20

// Run measures steps. Weights start from the seed and the mean is a constant: neither changes the time. The time of a
// step runs from the end of the one before it to its own, with the next one already under way, as in a run; only the
// last has none after it.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Steps == 0 {
		o.Steps = defaultSteps
	}
	b := &measurement{Options: o, cfg: *o.Config}
	b.result = Result{
		Mode: o.Mode, Precision: o.Config.Train.Precision, Int8: o.Int8, Batch: o.Config.Train.Batch, Steps: o.Steps,
		Data: "synthetic",
	}
	classes := 0
	if o.Source != nil {
		classes, b.result.Data = len(o.Source.Classes), o.Source.Path
	}
	var err error
	if b.cfg.Model, err = b.cfg.Model.ForClasses(classes); err != nil {
		return nil, err
	}
	switch o.Mode {
	case Train, Infer:
		err = b.net(ctx)
	case Data:
		err = b.data(ctx)
	default:
		err = fmt.Errorf("mode %q is not one of %s, %s, %s", o.Mode, Train, Infer, Data)
	}
	if err != nil {
		return nil, err
	}
	b.finish()
	return &b.result, nil
}

// measurement is one under way.
type measurement struct {
	Options
	cfg      config.Config
	result   Result
	model    *model.Model
	compiled *model.Net
	stop     func() // of the feeder
	seconds  []float64
	images   []float64 // a second, by step
	speed    *speed    // of the devices, for layers
	rows     int
	stall    float64
	seen     int
}

// net measures training or inference steps.
func (b *measurement) net(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, b.close()) }()
	p, err := device.ParsePrecision(b.cfg.Train.Precision)
	if err != nil {
		return err
	}
	if b.Layers { // before the net takes the devices' memory
		if b.speed, err = measure(b.Devices, p); err != nil {
			return err
		}
	}
	s, err := b.open(ctx, p)
	if err != nil {
		return err
	}
	for range b.Warmup + b.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := s.Step()
		if err != nil {
			return err
		}
		b.take(t)
	}
	last, err := s.Drain()
	if err != nil {
		return err
	}
	b.take(last)
	b.exchange()
	if !b.Layers {
		return nil
	}
	return b.layers(ctx, s)
}

// exchange notes what copying between the devices took, the mean of all steps.
func (b *measurement) exchange() {
	for _, x := range b.compiled.Exchange() {
		b.result.ExchangeMS += x.Time.Seconds() * 1e3 / float64(b.seen)
		b.result.ExchangeWay = x.Way
	}
}

// open makes the net and the stepper: a run's, with the rates of the first epoch.
func (b *measurement) open(ctx context.Context, p device.Precision) (*step.Stepper, error) {
	by, err := b.recipe(ctx)
	if err != nil {
		return nil, err
	}
	arch, err := model.New(b.cfg.Model, b.cfg.Train.Dropout)
	if err != nil {
		return nil, err
	}
	if err := b.build(arch, &by, p); err != nil {
		return nil, err
	}
	var feed step.Feeder
	if feed, b.stop, err = b.feeder(&by, arch.Classes, step.Slots{Net: b.compiled}); err != nil {
		return nil, err
	}
	s := step.New(b.compiled, feed, b.cfg.Train.Batch)
	s.Pass.Seed, s.Pass.Momentum = b.cfg.Train.Seed, float32(b.cfg.Train.Momentum)
	s.Pass.LR, s.Pass.Decay = make([]float32, len(arch.Params)), make([]float32, len(arch.Params))
	schedule.At(b.cfg.Train.Schedule, schedule.Plateau{}, 0).Apply(arch, b.cfg.Train, s.Pass.LR, s.Pass.Decay)
	return s, nil
}

func (b *measurement) build(arch *model.Arch, by *recipe.Recipe, p device.Precision) (err error) {
	if b.model, err = model.Open(arch, b.Devices); err != nil {
		return err
	}
	o := model.Options{
		Rows: b.cfg.Train.Batch, Train: b.Mode == Train, Precision: p, Int8: b.Int8, Input: *by,
	}
	if b.Source != nil {
		o.Slots = data.SlotCount // as in a run
	}
	if b.compiled, err = b.model.Compile(o); err != nil {
		return err
	}
	for _, d := range b.Devices {
		b.result.Devices = append(b.result.Devices, d.Name())
	}
	b.result.Memory = step.MemoryOf(b.Devices, b.compiled)
	if err := b.compiled.Alloc(); err != nil {
		return err
	}
	return b.model.Init(b.cfg.Train.Seed)
}

func (b *measurement) close() (err error) {
	if b.stop != nil {
		b.stop()
	}
	if b.compiled != nil {
		err = errors.Join(err, b.compiled.Close())
	}
	if b.model != nil {
		err = errors.Join(err, b.model.Close())
	}
	return err
}

// dataWarmup is more batches than the loader has ready at any time: a burst of them would pass for speed.
const dataWarmup = 4

// data measures the loader alone. Every picture is read and decoded each time.
func (b *measurement) data(ctx context.Context) error {
	if b.Source == nil {
		return errors.New("bench of data needs data")
	}
	b.Warmup = max(b.Warmup, dataWarmup)
	by, err := b.recipe(ctx)
	if err != nil {
		return err
	}
	feed, done, err := b.feeder(&by, b.cfg.Model.Classes, nil)
	if err != nil {
		return err
	}
	defer done()
	last := time.Now()
	for len(b.seconds) < b.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := feed.Next()
		if err != nil {
			return err
		}
		now := time.Now()
		b.add(info.Rows, now.Sub(last).Seconds(), info.Wait.Seconds())
		last = now
	}
	return nil
}

// take counts a step, if there is one: the first call of step has none to give yet.
func (b *measurement) take(t *step.Taken) {
	if t != nil {
		b.add(t.Rows, t.Seconds, t.Stall)
	}
}

func (b *measurement) add(rows int, seconds, stall float64) {
	b.advance()
	if b.seen <= b.Warmup {
		return
	}
	b.seconds, b.images = append(b.seconds, seconds), append(b.images, float64(rows)/seconds)
	b.rows, b.stall = b.rows+rows, b.stall+stall
}

// advance tells of one more step.
func (b *measurement) advance() {
	b.seen++
	total := b.Warmup + b.Steps
	if b.Layers {
		total *= 2
	}
	if b.Progress != nil {
		b.Progress(b.seen, total)
	}
}

func (b *measurement) finish() {
	total := 0.0
	for _, s := range b.seconds {
		total += s
	}
	b.result.ImagesPerSecond = median(b.images)
	b.result.MillisecondsPerStep = 1000 * median(b.seconds)
	if b.Mode == Data {
		b.result.ImagesPerSecond = float64(b.rows) / total
		b.result.MillisecondsPerStep = 1000 * total / float64(len(b.seconds))
	}
	b.result.DataStall = b.stall / total
}

// median of at least one number.
func median(x []float64) float64 {
	s := slices.Clone(x)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// recipe is of the configuration's shape and cost, with grey for a mean and ImageNet's spread of colours along the
// axes: statistics of real pictures would take a pass over all of them.
func (b *measurement) recipe(ctx context.Context) (recipe.Recipe, error) {
	r := recipe.New(&b.cfg).Sized()
	r.Colors = recipe.Colors{
		Eigvec: [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, Stdev: [3]float64{19.72, 37.09, 121.78},
	}
	if b.Source != nil {
		var err error
		if r.Height, r.Width, err = b.Source.Train.PictureSize(ctx, &r); err != nil {
			return r, err
		}
	}
	r.MeanShape = r.ShapeOfMean()
	n := 1
	for _, d := range r.MeanShape {
		n *= d
	}
	r.Mean = slices.Repeat([]float32{128}, n)
	return r, r.Fits(b.cfg.Model.Input)
}

// feeder gives the pictures, in these slots, and what to call in the end.
func (b *measurement) feeder(by *recipe.Recipe, classes int, slots data.Slots) (step.Feeder, func(), error) {
	t := b.cfg.Train
	if b.Source == nil {
		return &synthetic{by: by, classes: classes, batch: t.Batch, seed: t.Seed, slots: slots}, func() {}, nil
	}
	l, err := data.NewLoader(b.Source.Train, data.LoaderOptions{
		Batch: t.Batch, Recipe: *by, Workers: b.cfg.Data.Workers, Seed: t.Seed, Train: b.Mode != Infer,
		Augment: t.Augment, NoCache: b.Mode == Data, Slots: slots,
	})
	if err != nil {
		return nil, nil, err
	}
	return l, l.Close, nil
}
