package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"alexnet/internal/atomicfile"
	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
	"alexnet/internal/text"
)

// trainer is a run under way.
type trainer struct {
	o         Options
	cfg       config.Config // the model's classes resolved
	yaml      []byte        // the configuration as given, for run folder and checkpoints
	precision device.Precision
	progress  Progress
	pre       checkpoint.Preprocess

	arch    *model.Arch
	model   *model.Model
	net     *model.Net // trains
	valNet  *model.Net // shares its parameters; nil without validation pictures
	loader  *data.Loader
	val     *data.Loader
	colored bool // the loader draws colour noise

	sched   *schedule
	rates   rates
	steps   *stepper
	metrics *report.Writer

	memory     []DeviceMemory
	guessing   float64 // loss of a net that only guesses
	undrawn    bool    // it was said that there are no curves
	warnings   []string
	bad        int
	loss       *float64 // of the last step
	last       *Score
	best       *checkpoint.Best
	saved      string // the last checkpoint; the steps taken and the schedule's state in it
	savedAt    uint64
	savedState []byte
	bestPath   string
	exchange   counted // since the last epoch line
	stepsSince uint64
	firstStep  uint64
}

// counted is traffic between devices.
type counted struct {
	bytes   int64
	seconds float64
}

// newTrainer makes everything ready for the first step. What fails leaves nothing behind.
func newTrainer(ctx context.Context, o Options) (*trainer, error) {
	t := &trainer{o: o, cfg: *o.Config, progress: o.Progress}
	if t.progress == nil {
		t.progress = silent{}
	}
	for _, prepare := range []func(context.Context) error{
		t.configure, t.preprocess, t.build, t.restore, t.feed, t.open,
	} {
		if err := prepare(ctx); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	return t, nil
}

// configure checks the options against each other and resolves the net.
func (t *trainer) configure(context.Context) (err error) {
	if t.o.Resume != nil && t.o.Init != nil {
		return errors.New("a run is resumed or starts from a file, not both")
	}
	if t.o.Source.Train.Len() == 0 {
		return fmt.Errorf("%w: %s has no training pictures", data.ErrNoData, t.o.Source.Path)
	}
	if t.yaml, err = t.cfg.YAML(); err != nil {
		return err
	}
	if t.cfg.Model, err = t.cfg.Model.ForClasses(len(t.o.Source.Classes)); err != nil {
		return err
	}
	if t.precision, err = device.ParsePrecision(t.cfg.Train.Precision); err != nil {
		return err
	}
	if t.cfg.Train.Schedule.Kind == kindPlateau && t.o.Source.Val.Len() == 0 {
		t.cfg.Train.Schedule.Kind = kindConstant
		t.progress.Note("schedule plateau follows the validation error, which cannot be measured here: the rate " +
			"stays as it is")
	}
	if err := t.checkResume(); err != nil {
		return err
	}
	if t.arch, err = model.New(t.cfg.Model, t.cfg.Train.Dropout); err != nil {
		return err
	}
	return t.checkInit()
}

// checkResume refuses to go on where the result could not be that of an undisturbed run.
func (t *trainer) checkResume() error {
	c := t.o.Resume
	if c == nil {
		return nil
	}
	if c.Seed != t.cfg.Train.Seed {
		return config.Errorf("train.seed", "is %d, but the run to resume has seed %d", t.cfg.Train.Seed, c.Seed)
	}
	if c.Data.Fingerprint != t.o.Source.Fingerprint {
		return &OtherData{
			Path: t.o.Source.Path, Generated: t.o.Source.Kind == data.Generated, Began: c.Data.Path, Checkpoint: c.Path,
			Fits: len(t.o.Source.Classes) == len(c.Classes),
		}
	}
	return nil
}

// preprocess takes the checkpoint's preprocessing where there is one, or goes over the training pictures.
func (t *trainer) preprocess(ctx context.Context) (err error) {
	switch {
	case t.o.Resume != nil:
		t.pre = t.o.Resume.Preprocess
	case t.o.Init != nil && !t.o.OwnPreprocess:
		t.pre = t.o.Init.Preprocess
		t.progress.Note("preprocessing (size, mean, colour statistics) as in " + t.o.Init.Path)
	default:
		t.pre, err = statistics(ctx, &t.cfg, t.o.Source.Train, t.o.Strict, t.onBad)
		return err
	}
	return fits(&t.pre, t.cfg.Model.Input)
}

// build compiles the nets, tells what memory they take, and takes it.
func (t *trainer) build(context.Context) (err error) {
	if t.model, err = model.Open(t.arch, t.o.Devices); err != nil {
		return err
	}
	o := model.Options{Rows: t.cfg.Train.Batch, Train: true, Precision: t.precision, Input: input(&t.pre)}
	if t.net, err = t.model.Compile(o); err != nil {
		return err
	}
	nets := []*model.Net{t.net}
	if t.o.Source.Val.Len() > 0 {
		o.Train = false
		if t.valNet, err = t.model.Compile(o); err != nil {
			return err
		}
		nets = append(nets, t.valNet)
	}
	t.memory = memoryOf(t.o.Devices, nets...)
	for _, m := range t.memory {
		t.progress.Note(m.String())
	}
	for _, n := range nets {
		if err := n.Alloc(); err != nil {
			return err
		}
	}
	return nil
}

// restore gives the parameters their values: from the seed, a file, or the checkpoint of the run.
func (t *trainer) restore(context.Context) (err error) {
	var state []byte
	switch {
	case t.o.Resume != nil:
		c := t.o.Resume
		if err := c.Restore(slots(t.model, device.Weight), slots(t.model, device.Momentum)); err != nil {
			return err
		}
		state, t.best, t.firstStep = c.Schedule, c.Best, c.Step
		t.saved, t.savedAt = c.Path, c.Step
		if bytes.Equal(c.Config, t.yaml) && c.Data.Path == whereabouts(t.o.Source) && c.Device == t.o.Device &&
			c.Threads == t.o.Threads {
			t.savedState = c.Schedule // nothing to write before the next step
		}
		if t.best != nil && t.o.Dir != nil {
			t.bestPath = t.o.Dir.Checkpoint(run.Best)
		}
	case t.o.Init != nil:
		if err := t.o.Init.Restore(slots(t.model, device.Weight), nil); err != nil {
			return err
		}
	default:
		if err := t.model.Init(t.cfg.Train.Seed); err != nil {
			return err
		}
	}
	if t.sched, err = newSchedule(t.cfg.Train.Schedule, state); err != nil {
		return err
	}
	t.last = t.sched.state.Last
	return nil
}

// checkInit refuses a file of another net before anything else is compared with it, and tells where the net will not
// behave as in the file's run.
func (t *trainer) checkInit() error {
	c := t.o.Init
	if c == nil {
		return nil
	}
	if c.Dropout != "" && c.Dropout != checkpoint.DropoutPaper {
		return fmt.Errorf("%s: its dropout is of the form %q, want %q", c.Path, c.Dropout, checkpoint.DropoutPaper)
	}
	var params []checkpoint.Slot
	for _, p := range t.arch.Params {
		params = append(params, checkpoint.Slot{Name: p.Name, Shape: p.Shape})
	}
	err := c.Fits(params)
	last := t.arch.Params[len(t.arch.Params)-1].Layer
	var other *checkpoint.Mismatch
	if errors.As(err, &other) && !strings.HasPrefix(other.Tensor, last+".") {
		return err
	}
	if n := len(c.Classes); n > 0 && n != t.arch.Classes {
		return &safetensors.BadFile{
			Path: c.Path,
			Reason: fmt.Sprintf("is for %d classes (%s), the data at %s has %d", n, text.Examples(c.Classes),
				t.o.Source.Path, t.arch.Classes),
			Advice: "give data with the classes of the file, or begin without --init",
		}
	}
	if err != nil {
		return err
	}
	if !slices.Equal(c.Classes, t.o.Source.Classes) && !slices.Equal(c.Classes, numbered(len(c.Classes))) {
		t.progress.Note(fmt.Sprintf("the classes of %s have other names (%s) than those of the data (%s): its last "+
			"layer has to learn anew what is what", c.Path, text.Examples(c.Classes),
			text.Examples(t.o.Source.Classes)))
	}
	t.compareDropout(c)
	return nil
}

// numbered are class names where no data named them: "0", "1", ...
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// compareDropout tells of weights that were trained with dropout and now go on without, or the reverse. In the paper's
// form outputs are multiplied by 1-rate in use; a net without the layer passes them on whole, twice as large at the
// rate .5.
func (t *trainer) compareDropout(c *checkpoint.Checkpoint) {
	file, err := config.Parse(c.Config, nil)
	if err != nil || file.Train.Dropout == t.cfg.Train.Dropout {
		return // a configuration that is none says nothing about dropout
	}
	i := slices.IndexFunc(t.cfg.Model.Layers, func(l config.Layer) bool {
		return l.Kind == config.Dropout && l.Rate > 0 && l.Rate < 1
	})
	if i < 0 {
		return
	}
	l := t.cfg.Model.Layers[i]
	was, is, times := "with", "without", 1/(1-l.Rate)
	if t.cfg.Train.Dropout {
		was, is, times = is, was, 1-l.Rate
	}
	t.progress.Note(fmt.Sprintf("%s was trained %s dropout, this run is %s: what passes %s is %s times as large as "+
		"its weights are used to", c.Path, was, is, l.Name, text.Plain(times, 3)))
}

// feed makes the loaders and the stepper.
func (t *trainer) feed(context.Context) (err error) {
	t.steps = newStepper(t.net, nil, t.cfg.Train.Batch)
	t.steps.pass.Seed, t.steps.pass.Momentum = t.cfg.Train.Seed, float32(t.cfg.Train.Momentum)
	t.steps.pass.Step = t.firstStep
	if c := t.o.Resume; c != nil {
		t.steps.next = c.Sample
	}
	t.guessing = entropy(t.o.Source.Train, t.arch.Classes)
	t.sched.state.Start.plan(t.o.stepsPerEpoch(), t.firstStep, t.o.plannedSteps(), t.o.deadSteps)
	if t.valNet != nil {
		o := t.loaderOptions()
		if t.val, err = data.NewLoader(t.o.Source.Val, o); err != nil {
			return err
		}
	}
	return t.setRates()
}

func (t *trainer) loaderOptions() data.LoaderOptions {
	o := loaderOptions(&t.pre, t.arch.Input.H, t.cfg.Train.Batch, t.cfg.Data.Workers)
	o.Seed, o.Strict, o.OnBad = t.cfg.Train.Seed, t.o.Strict, t.onBad
	return o
}

// setRates takes from the schedule what holds for the epoch that begins. Nothing is in flight.
func (t *trainer) setRates() error {
	t.rates = t.sched.at(t.sched.state.Validated)
	n := len(t.arch.Params)
	t.steps.pass.LR, t.steps.pass.Decay = make([]float32, n), make([]float32, n)
	t.rates.apply(t.arch, t.cfg.Train, t.steps.pass.LR, t.steps.pass.Decay)
	if t.loader != nil && t.colored == t.rates.color {
		return nil
	}
	return t.openLoader()
}

// openLoader makes the training loader; again when the schedule switches the colour noise off.
func (t *trainer) openLoader() (err error) {
	if t.loader != nil {
		t.loader.Close()
	}
	a, o := t.cfg.Train.Augment, t.loaderOptions()
	o.Train = true
	o.Augment = data.Augment{Crop: string(a.Crop), Flip: a.Flip, Color: a.Color, Stats: colors(&t.pre)}
	if !t.rates.color {
		o.Augment.Color = 0
	}
	if t.loader, err = data.NewLoader(t.o.Source.Train, o); err != nil {
		return err
	}
	t.loader.Seek(t.steps.next)
	t.colored, t.steps.feed = t.rates.color, t.loader
	return nil
}

// open opens the files of the run folder.
func (t *trainer) open(context.Context) (err error) {
	if t.o.Dir == nil {
		return nil
	}
	err = atomicfile.Write(t.o.Dir.Config(), func(f atomicfile.File) error {
		_, err := f.Write(t.yaml)
		return err
	})
	if err != nil {
		return err
	}
	t.metrics, err = report.NewWriter(t.o.Dir.Path(), t.firstStep)
	return err
}

// close gives everything back but devices, source and run folder, which are the caller's.
func (t *trainer) close() (err error) {
	if t.metrics != nil {
		closeInto(&err, t.metrics.Close)
	}
	for _, l := range []*data.Loader{t.loader, t.val} {
		if l != nil {
			l.Close()
		}
	}
	for _, n := range []*model.Net{t.valNet, t.net} {
		if n != nil {
			closeInto(&err, n.Close)
		}
	}
	if t.model != nil {
		closeInto(&err, t.model.Close)
	}
	return err
}

// closeInto closes and keeps the first error.
func closeInto(err *error, closer func() error) {
	if e := closer(); e != nil && *err == nil {
		*err = e
	}
}

// onBad is told of each unreadable picture once, while the loop's goroutine waits for pictures.
func (t *trainer) onBad(b *data.BadPicture) {
	t.bad++
	t.progress.Note("warning: " + b.Error() + "; left out")
	if t.o.OnBad != nil {
		t.o.OnBad(b)
	}
}

// slots are the places of the model's parameters, for checkpoint.Restore.
func slots(m *model.Model, part device.Part) []checkpoint.Slot {
	var all []checkpoint.Slot
	for i, p := range m.Arch().Params {
		all = append(all, checkpoint.Slot{
			Name: p.Name, Shape: p.Shape, Store: func(src []float32) error { return m.Store(i, part, src) },
		})
	}
	return all
}

// tensors are the model's parameters, for checkpoint.Save.
func tensors(m *model.Model, part device.Part) []safetensors.Tensor {
	var all []safetensors.Tensor
	for i, p := range m.Arch().Params {
		all = append(all, safetensors.Tensor{
			Name: p.Name, Shape: p.Shape, Fill: func(dst []float32) error { return m.Fetch(i, part, dst) },
		})
	}
	return all
}

// memoryOf adds up, by device and purpose, what nets are going to take.
func memoryOf(devs []device.Device, nets ...*model.Net) []DeviceMemory {
	all := make([]DeviceMemory, len(devs))
	for d, dev := range devs {
		all[d].Device = dev.Name()
		for _, n := range nets {
			for _, item := range n.Memory()[d] {
				all[d].add(item)
			}
		}
	}
	return all
}

func (m *DeviceMemory) add(item device.MemoryItem) {
	for i := range m.Plan {
		if m.Plan[i].Purpose == item.Purpose {
			m.Plan[i].Bytes += item.Bytes
			return
		}
	}
	m.Plan = append(m.Plan, item)
}

// String is "memory on cpu: 243.9 MiB".
func (m DeviceMemory) String() string {
	return "memory on " + m.Device + ": " + text.Bytes(m.Plan.Total())
}
