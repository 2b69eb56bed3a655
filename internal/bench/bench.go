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
	"alexnet/internal/text"
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
	Data                text.Raw `json:"data"` // "synthetic", or where the pictures are
	ImagesPerSecond     float64  `json:"images_per_second"`
	MillisecondsPerStep float64  `json:"milliseconds_per_step"`
	DataStall           float64  `json:"data_stall"` // share of the whole time
	// spent copying between devices, beside other work or not
	ExchangeMS  float64     `json:"exchange_milliseconds_per_step,omitempty"`
	ExchangeWay string      `json:"exchange_way,omitempty"` // see report.Metrics
	Layers      []LayerTime `json:"layers,omitempty"`
	Decoding    *Decoding   `json:"decoding,omitempty"` // in mode Data, where there is libjpeg-turbo
	// of the steps measured layer by layer, waits included
	LayersStepMS float64 `json:"layers_milliseconds_per_step,omitempty"`
	// where the devices can be measured
	Roofline *Roofline     `json:"roofline,omitempty"`
	Moves    *Moves        `json:"moves_per_step,omitempty"` // where they count them
	Memory   []step.Memory `json:"-"`
}

// Decoding is what libjpeg-turbo does with the same pictures, which lie in memory, and nothing else, on as many
// threads: on cores that nobody else uses no loader does more. The two take turns, so that beside other work a turn of
// the loader can be faster all the same: shares above 1 occur.
type Decoding struct {
	ImagesPerSecond float64   `json:"images_per_second"` // the median of the rounds
	Threads         int       `json:"threads"`
	Share           float64   `json:"share"`  // of it that the loader reaches: the median
	Shares          []float64 `json:"shares"` // of each round, sorted
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
	b := &measurement{Options: o, cfg: *o.Config, total: o.Warmup + o.Steps}
	if o.Layers {
		b.total *= 2
	}
	b.result = Result{
		Mode: o.Mode, Precision: o.Config.Train.Precision, Int8: o.Int8, Batch: o.Config.Train.Batch, Steps: o.Steps,
		Data: "synthetic",
	}
	classes := 0
	if o.Source != nil {
		classes, b.result.Data = len(o.Source.Classes), text.Raw(o.Source.Path)
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
	total    int       // steps to take, those of warmups included
	bare     []float64 // images a second of decoding alone, by round
	shares   []float64 // of that, the loader's
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
	for taken, barren := 0, 0; taken < b.Warmup+b.Steps; {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := s.Step()
		if err != nil {
			return err
		}
		b.take(t)
		if s.Skipped == 0 {
			taken, barren = taken+1, 0
		} else if barren += s.Skipped; barren >= b.Source.Train.Len() {
			return fmt.Errorf("%w: none of %d pictures can be read", data.ErrNoData, b.Source.Train.Len())
		}
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
	if feed, b.stop, err = b.feeder(ctx, &by, arch.Classes, step.Slots{Net: b.compiled}); err != nil {
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
	if _, err := step.CheckRoom(arch, b.Devices, []*model.Net{b.compiled}, []model.Options{o}); err != nil {
		return err
	}
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

const (
	// dataWarmup is more batches than the loader has ready at any time: a burst of them would pass for speed.
	dataWarmup = 4
	// dataRounds is how often the loader and decoding alone take turns at most, dataSteps the batches of a turn at
	// least.
	dataRounds = 25
	dataSteps  = 4
)

// data measures the loader alone, and in turn with it decoding alone. Every picture is read and decoded each time.
func (b *measurement) data(ctx context.Context) error {
	if b.Source == nil {
		return errors.New("bench of data needs data")
	}
	by, err := b.recipe(ctx)
	if err != nil {
		return err
	}
	rounds := min(dataRounds, max(b.Steps/dataSteps, 1))
	b.Warmup = max(b.Warmup, dataWarmup)
	b.total = b.Steps + rounds*b.Warmup
	bare, err := newDecoding(ctx, b.Source.Train, &by, b.cfg.Data.Workers)
	if err != nil {
		return err
	}
	next := uint64(0)
	for round := range rounds {
		rows, seconds := b.rows, 0.
		steps := b.Steps*(round+1)/rounds - b.Steps*round/rounds
		if next, seconds, err = b.load(ctx, &by, next, steps); err != nil {
			return err
		}
		if bare == nil {
			continue
		}
		rate, err := bare.run(ctx, b.rows-rows)
		if err != nil {
			return err
		}
		b.bare, b.shares = append(b.bare, rate), append(b.shares, float64(b.rows-rows)/seconds/rate)
	}
	return nil
}

// load measures a loader of its own for some batches, and gives the sample after the last.
func (b *measurement) load(ctx context.Context, by *recipe.Recipe, from uint64, steps int) (
	next uint64, seconds float64, err error,
) {
	l, err := b.loader(ctx, by, nil)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	l.Seek(from)
	last := time.Now()
	for n := range b.Warmup + steps {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		info, err := l.Next()
		if err != nil {
			return 0, 0, err
		}
		now := time.Now()
		b.advance()
		if n >= b.Warmup {
			took := now.Sub(last).Seconds()
			b.count(info.Rows, took, info.Wait.Seconds())
			seconds += took
		}
		last, next = now, info.First+uint64(info.Rows)
	}
	return next, seconds, nil
}

// take counts a step, if there is one: the first call of step has none to give yet.
func (b *measurement) take(t *step.Taken) {
	if t != nil {
		b.add(t.Rows, t.Seconds, t.Stall)
	}
}

func (b *measurement) add(rows int, seconds, stall float64) {
	b.advance()
	if b.seen > b.Warmup {
		b.count(rows, seconds, stall)
	}
}

// count takes a step into the result.
func (b *measurement) count(rows int, seconds, stall float64) {
	b.seconds, b.images = append(b.seconds, seconds), append(b.images, float64(rows)/seconds)
	b.rows, b.stall = b.rows+rows, b.stall+stall
}

// advance tells of one more step.
func (b *measurement) advance() {
	b.seen++
	if b.Progress != nil {
		b.Progress(b.seen, b.total)
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
		if len(b.bare) > 0 {
			slices.Sort(b.shares)
			b.result.Decoding = &Decoding{
				ImagesPerSecond: median(b.bare), Share: median(b.shares), Shares: b.shares,
				Threads: data.WorkerCount(b.cfg.Data.Workers),
			}
		}
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

// feeder gives the pictures, in these slots and until ctx ends, and what to call in the end.
func (b *measurement) feeder(ctx context.Context, by *recipe.Recipe, classes int, slots data.Slots) (
	step.Feeder, func(), error,
) {
	t := b.cfg.Train
	if b.Source == nil {
		return &synthetic{by: by, classes: classes, batch: t.Batch, seed: t.Seed, slots: slots}, func() {}, nil
	}
	l, err := b.loader(ctx, by, slots)
	if err != nil {
		return nil, nil, err
	}
	return l, l.Close, nil
}

// loader is that of a run.
func (b *measurement) loader(ctx context.Context, by *recipe.Recipe, slots data.Slots) (*data.Loader, error) {
	t := b.cfg.Train
	return data.NewLoader(ctx, b.Source.Train, data.LoaderOptions{
		Batch: t.Batch, Recipe: *by, Workers: b.cfg.Data.Workers, Seed: t.Seed, Train: b.Mode != Infer,
		Augment: t.Augment, Shuffle: b.cfg.Data.Shuffle, Window: b.cfg.Data.Window, NoCache: b.Mode == Data,
		Slots: slots,
	})
}
