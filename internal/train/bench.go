package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/philox"
)

// Modes of Bench.
const (
	BenchTrain = "train" // the training loop's step: dropout, checks, update and all
	BenchInfer = "infer" // forward
	BenchData  = "data"  // decoding and augmenting pictures, no net
)

// BenchOptions say what Bench measures.
type BenchOptions struct {
	Config  *config.Config
	Devices []device.Device // not for BenchData
	Source  *data.Source    // nil: synthetic pictures, already in memory; BenchData needs one
	Mode    string
	Steps   int  // measured; 0: 20
	Warmup  int  // taken before and not measured
	Int8    bool // int8 weights in fully connected layers, as device.FC says; for BenchInfer
	// Layers measures as many steps again, layer by layer; not for BenchData.
	Layers bool

	Progress func(done, total int) // steps, those of the warmup included
}

// BenchResult holds medians over the steps; in mode BenchData means, for there batches become ready in bursts.
type BenchResult struct {
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
	Roofline *Roofline      `json:"roofline,omitempty"`
	Moves    *Moves         `json:"moves_per_step,omitempty"` // where they count them
	Memory   []DeviceMemory `json:"-"`
}

// benchSteps are measured where nothing is said.
const benchSteps = 20

// Bench measures steps. Weights start from the seed and the mean is a constant: neither changes the time. The time of a
// step runs from the end of the one before it to its own, with the next one already under way, as in Run; only the last
// has none behind it.
func Bench(ctx context.Context, o BenchOptions) (*BenchResult, error) {
	if o.Steps == 0 {
		o.Steps = benchSteps
	}
	b := &bench{BenchOptions: o, cfg: *o.Config}
	b.result = BenchResult{
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
	case BenchTrain, BenchInfer:
		err = b.net(ctx)
	case BenchData:
		err = b.data(ctx)
	default:
		err = fmt.Errorf("mode %q is not one of %s, %s, %s", o.Mode, BenchTrain, BenchInfer, BenchData)
	}
	if err != nil {
		return nil, err
	}
	b.finish()
	return &b.result, nil
}

// bench is a measurement under way.
type bench struct {
	BenchOptions
	cfg      config.Config
	result   BenchResult
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
func (b *bench) net(ctx context.Context) (err error) {
	defer closeInto(&err, b.close)
	if err := b.probe(); err != nil {
		return err
	}
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	for range b.Warmup + b.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := s.step()
		if err != nil {
			return err
		}
		b.take(t)
	}
	last, err := s.drain()
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
func (b *bench) exchange() {
	for _, x := range b.compiled.Exchange() {
		b.result.ExchangeMS += x.Time.Seconds() * 1e3 / float64(b.seen)
		b.result.ExchangeWay = x.Way
	}
}

// probe measures the devices before the net takes their memory.
func (b *bench) probe() error {
	p, err := device.ParsePrecision(b.cfg.Train.Precision)
	if err == nil && b.Layers {
		b.speed, err = measure(b.Devices, p)
	}
	return err
}

// open makes the net and the stepper: Run's, with the rates of the first epoch.
func (b *bench) open(ctx context.Context) (*stepper, error) {
	pre, err := b.preprocess(ctx)
	if err != nil {
		return nil, err
	}
	arch, err := model.New(b.cfg.Model, b.cfg.Train.Dropout)
	if err != nil {
		return nil, err
	}
	if err := b.build(arch, &pre); err != nil {
		return nil, err
	}
	var feed feeder
	if feed, b.stop, err = b.feeder(&pre, arch.Classes); err != nil {
		return nil, err
	}
	s := newStepper(b.compiled, feed, b.cfg.Train.Batch)
	s.pass.Seed, s.pass.Momentum = b.cfg.Train.Seed, float32(b.cfg.Train.Momentum)
	s.pass.LR, s.pass.Decay = make([]float32, len(arch.Params)), make([]float32, len(arch.Params))
	start := &schedule{cfg: b.cfg.Train.Schedule}
	start.at(0).apply(arch, b.cfg.Train, s.pass.LR, s.pass.Decay)
	return s, nil
}

func (b *bench) build(arch *model.Arch, pre *checkpoint.Preprocess) error {
	p, err := device.ParsePrecision(b.cfg.Train.Precision)
	if err != nil {
		return err
	}
	if b.model, err = model.Open(arch, b.Devices); err != nil {
		return err
	}
	o := model.Options{
		Rows: b.cfg.Train.Batch, Train: b.Mode == BenchTrain, Precision: p, Int8: b.Int8, Input: input(pre),
	}
	if b.compiled, err = b.model.Compile(o); err != nil {
		return err
	}
	for _, d := range b.Devices {
		b.result.Devices = append(b.result.Devices, d.Name())
	}
	b.result.Memory = memoryOf(b.Devices, b.compiled)
	if err := b.compiled.Alloc(); err != nil {
		return err
	}
	return b.model.Init(b.cfg.Train.Seed)
}

func (b *bench) close() (err error) {
	if b.stop != nil {
		b.stop()
	}
	if b.compiled != nil {
		closeInto(&err, b.compiled.Close)
	}
	if b.model != nil {
		closeInto(&err, b.model.Close)
	}
	return err
}

// dataWarmup is more batches than the loader has ready at any time: a burst of them would pass for speed.
const dataWarmup = 4

// data measures the loader alone. Every picture is read and decoded each time.
func (b *bench) data(ctx context.Context) error {
	if b.Source == nil {
		return errors.New("bench of data needs data")
	}
	b.Warmup = max(b.Warmup, dataWarmup)
	pre, err := b.preprocess(ctx)
	if err != nil {
		return err
	}
	feed, done, err := b.feeder(&pre, b.cfg.Model.Classes)
	if err != nil {
		return err
	}
	defer done()
	n := b.cfg.Train.Batch
	batch := device.NewBatch(0, n, device.Input{}, make([]uint8, n*pre.Height*pre.Width*pre.Channels))
	last := time.Now()
	for len(b.seconds) < b.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := feed.Next(rowsOf(batch))
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
func (b *bench) take(t *taken) {
	if t != nil {
		b.add(t.Rows, t.Seconds, t.Stall)
	}
}

func (b *bench) add(rows int, seconds, stall float64) {
	b.advance()
	if b.seen <= b.Warmup {
		return
	}
	b.seconds, b.images = append(b.seconds, seconds), append(b.images, float64(rows)/seconds)
	b.rows, b.stall = b.rows+rows, b.stall+stall
}

// advance tells of one more step.
func (b *bench) advance() {
	b.seen++
	total := b.Warmup + b.Steps
	if b.Layers {
		total *= 2
	}
	if b.Progress != nil {
		b.Progress(b.seen, total)
	}
}

func (b *bench) finish() {
	total := 0.0
	for _, s := range b.seconds {
		total += s
	}
	b.result.ImagesPerSecond = median(b.images)
	b.result.MillisecondsPerStep = 1000 * median(b.seconds)
	if b.Mode == BenchData {
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

// preprocess is of the configuration's shape and cost, with grey for a mean and ImageNet's spread of colours along the
// axes: statistics of real pictures would take a pass over all of them.
func (b *bench) preprocess(ctx context.Context) (checkpoint.Preprocess, error) {
	in := b.cfg.Model.Input
	p := checkpoint.Preprocess{
		Resize: b.cfg.Data.Resize, Crop: in.Size, Channels: in.Channels, MeanKind: string(b.cfg.Data.Mean),
		Scale: Scale(&b.cfg), Eigvec: [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, Stdev: [3]float64{
			19.72, 37.09, 121.78,
		},
	}
	p.Height, p.Width = max(p.Resize, in.Size), max(p.Resize, in.Size)
	if b.Source != nil {
		var err error
		if p.Height, p.Width, err = b.Source.Train.PictureSize(ctx, prep(&p)); err != nil {
			return p, err
		}
	}
	n := p.Channels
	if p.MeanKind == meanImage {
		n *= p.Height * p.Width
	}
	p.Mean = make([]float32, n)
	for i := range p.Mean {
		p.Mean[i] = 128
	}
	return p, fits(&p, in)
}

// feeder gives the pictures, and what to call in the end.
func (b *bench) feeder(p *checkpoint.Preprocess, classes int) (feeder, func(), error) {
	t := b.cfg.Train
	if b.Source == nil {
		return &synthetic{pre: p, classes: classes, batch: t.Batch, seed: t.Seed, filled: map[*uint8]bool{}}, func() {},
			nil
	}
	o := loaderOptions(p, p.Crop, t.Batch, b.cfg.Data.Workers)
	o.Seed, o.Train = t.Seed, b.Mode != BenchInfer
	if b.Mode == BenchData {
		o.NoCache = true
	}
	o.Augment = data.Augment{
		Crop: string(t.Augment.Crop), Flip: t.Augment.Flip, Color: t.Augment.Color, Stats: colors(p),
	}
	l, err := data.NewLoader(b.Source.Train, o)
	if err != nil {
		return nil, nil, err
	}
	return l, l.Close, nil
}

// synthetic feeds noise: each of the net's upload slots is filled once and stays as it is.
type synthetic struct {
	pre     *checkpoint.Preprocess
	classes int
	batch   int
	seed    uint64
	next    uint64
	filled  map[*uint8]bool
}

func (s *synthetic) Next(dst data.Rows) (data.Info, error) {
	info := data.Info{First: s.next, Rows: s.batch, Good: s.batch}
	s.next += uint64(s.batch)
	if s.filled[&dst.Pixels[0]] {
		return info, nil
	}
	r := philox.NewSource(s.seed, philox.PurposeTest, 0, uint32(len(s.filled)))
	s.filled[&dst.Pixels[0]] = true
	word := uint32(0)
	for i := range dst.Pixels {
		if i%4 == 0 {
			word = r.Uint32()
		}
		dst.Pixels[i], word = uint8(word), word>>8
	}
	for i := range s.batch {
		dst.Labels[i] = int32(r.Intn(s.classes))
		dst.Crop[i] = [2]int32{
			int32(r.Intn(s.pre.Height - s.pre.Crop + 1)), int32(r.Intn(s.pre.Width - s.pre.Crop + 1)),
		}
		dst.Flip[i] = r.Intn(2) == 1
	}
	return info, nil
}
