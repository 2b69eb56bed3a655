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
	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/schedule"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// trainer is a run under way: what it was asked for, what it must remember, and three groups of the rest.
type trainer struct {
	o       Options
	cfg     config.Config // the model's classes resolved
	yaml    []byte        // the configuration as given, for run folder and checkpoints
	history history
	running
	reported
	saved
}

// running is what computes, and what feeds it.
type running struct {
	precision device.Precision
	recipe    recipe.Recipe
	arch      *model.Arch
	model     *model.Model
	net       *model.Net // trains
	valNet    *model.Net // shares its parameters; nil without validation pictures
	loader    *data.Loader
	val       *data.Loader
	colored   bool // the loader draws colour noise
	rates     schedule.Rates
	steps     *step.Stepper
	firstStep uint64 // steps that a resumed run had taken before
}

// reported is what was told, and what is counted for the next telling.
type reported struct {
	progress   Progress
	metrics    *report.Writer // nil: there is no run folder
	memory     []step.Memory
	guessing   float64    // loss of a net that only guesses
	drawing    chan error // the end of the picture that is being drawn; nil: none is
	undrawn    bool       // it was said that there are no curves
	warnings   []Note
	bad        int      // unreadable pictures
	loss       *float64 // of the last step
	exchange   counted  // until the last epoch's line
	stepsSince uint64   // taken since that line
}

// saved is what is in files.
type saved struct {
	lastPath    string // the last checkpoint; the steps taken and the history in it
	lastAt      uint64
	lastHistory []byte
	best        *checkpoint.Best // of the validations so far
	bestPath    string
}

// counted is traffic between devices.
type counted struct {
	bytes   int64
	seconds float64
}

// newTrainer makes everything ready for the first step. What fails leaves nothing behind.
func newTrainer(ctx context.Context, o Options) (*trainer, error) {
	t := &trainer{o: o, cfg: *o.Config, reported: reported{progress: o.Progress}}
	if t.progress == nil {
		t.progress = silent{}
	}
	for _, prepare := range []func(context.Context) error{
		t.configure, t.chooseRecipe, t.build, t.restore, t.feed, t.open,
	} {
		if err := prepare(ctx); err != nil {
			if endedBy(ctx, err) {
				err = &Interrupted{}
			}
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
	if t.cfg.Train.Schedule.Kind == config.Plateau && t.o.Source.Val.Len() == 0 {
		t.cfg.Train.Schedule.Kind = config.Constant
		t.progress.Note(Remark("schedule plateau follows the validation error, which cannot be measured here: the " +
			"rate stays as it is"))
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
			Path: t.o.Source.Path, Generated: t.o.Source.Kind == data.Generated, Began: c.Data.Path,
			Config: t.o.configFile(), Checkpoint: c.Path, Fits: len(t.o.Source.Classes) == len(c.Classes),
		}
	}
	return nil
}

// chooseRecipe takes the checkpoint's recipe where there is one, or goes over the training pictures.
func (t *trainer) chooseRecipe(ctx context.Context) (err error) {
	switch {
	case t.o.Resume != nil:
		t.recipe = t.o.Resume.Recipe
	case t.o.Init != nil && !t.o.OwnRecipe:
		t.recipe = t.o.Init.Recipe
		t.recipe.Decoder = ""
		t.progress.Note(remark("preprocessing (size, mean, colour statistics) as in %s", t.o.Init.Path))
	default:
		if t.recipe, err = measure(ctx, &t.cfg, t.o.Source.Train, t.o.Strict, t.onBad); err != nil {
			return err
		}
	}
	t.recipe, err = t.recipe.For(t.cfg.Model.Input)
	return err
}

// build compiles the nets, tells what memory they take, and takes it.
func (t *trainer) build(context.Context) (err error) {
	if t.model, err = model.Open(t.arch, t.o.Devices); err != nil {
		return err
	}
	o := model.Options{
		Rows: t.cfg.Train.Batch, Train: true, Precision: t.precision, Input: t.recipe, Slots: data.SlotCount,
	}
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
	t.memory = step.MemoryOf(t.o.Devices, nets...)
	for _, m := range t.memory {
		t.progress.Note(remark("memory on %s: %s", m.Device, text.Bytes(m.Plan.Total())))
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
		if err := c.Restore(infer.Slots(t.model, device.Weight), infer.Slots(t.model, device.Momentum)); err != nil {
			return err
		}
		// This run replaces the file, which would keep its room on the disk while it is open.
		if err := c.Close(); err != nil {
			return err
		}
		state, t.best, t.firstStep = c.Schedule, c.Best, c.Step
		t.lastPath, t.lastAt = c.Path, c.Step
		if bytes.Equal(c.Config, t.yaml) && c.Data.Path == whereabouts(t.o.Source) && c.Device == t.o.Device &&
			c.Threads == t.o.Threads {
			t.lastHistory = c.Schedule // nothing to write before the next step
		}
		if t.best != nil && t.o.Dir != nil {
			t.bestPath = t.o.Dir.Checkpoint(run.Best)
		}
	case t.o.Init != nil:
		if err := t.o.Init.Restore(infer.Slots(t.model, device.Weight), nil); err != nil {
			return err
		}
	default:
		if err := t.model.Init(t.cfg.Train.Seed); err != nil {
			return err
		}
	}
	if t.history, err = readHistory(state); err != nil {
		return err
	}
	return nil
}

// checkInit refuses a file of another net before anything else is compared with it, and tells where the net will not
// behave as in the file's run.
func (t *trainer) checkInit() error {
	c := t.o.Init
	if c == nil {
		return nil
	}
	if err := c.CheckDropout(); err != nil {
		return err
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
		return &OtherClasses{Path: c.Path, Own: c.Classes, Data: t.o.Source.Path, Classes: t.arch.Classes}
	}
	if err != nil {
		return err
	}
	if !slices.Equal(c.Classes, t.o.Source.Classes) && !slices.Equal(c.Classes, numbered(len(c.Classes))) {
		t.progress.Note(remark("the classes of %s have other names (%s) than those of the data (%s): its last "+
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
	t.progress.Note(remark("%s was trained %s dropout, this run is %s: what passes %s is %s times as large as "+
		"its weights are used to", c.Path, was, is, l.Name, text.Plain(times, 3)))
}

// feed makes the loaders and the stepper.
func (t *trainer) feed(context.Context) (err error) {
	t.steps = step.New(t.net, nil, t.cfg.Train.Batch)
	t.steps.Pass.Seed, t.steps.Pass.Momentum = t.cfg.Train.Seed, float32(t.cfg.Train.Momentum)
	t.steps.Pass.Step = t.firstStep
	if c := t.o.Resume; c != nil {
		t.steps.Next = c.Sample
	}
	t.guessing = entropy(t.o.Source.Train, t.arch.Classes)
	t.history.Start.setWindow(t.o.stepsPerEpoch(), t.firstStep, t.o.plannedSteps(), t.o.deadSteps)
	if t.valNet != nil {
		o := t.loaderOptions(t.valNet)
		if t.val, err = data.NewLoader(t.o.Source.Val, o); err != nil {
			return err
		}
	}
	return t.setRates()
}

func (t *trainer) loaderOptions(net *model.Net) data.LoaderOptions {
	return data.LoaderOptions{
		Batch: t.cfg.Train.Batch, Recipe: t.recipe, Workers: t.cfg.Data.Workers, Seed: t.cfg.Train.Seed,
		Strict: t.o.Strict, OnBad: t.onBad, Slots: step.Slots{Net: net},
	}
}

// setRates takes from the schedule what holds for the epoch that begins. Nothing is in flight.
func (t *trainer) setRates() error {
	t.rates = t.ratesNow()
	n := len(t.arch.Params)
	t.steps.Pass.LR, t.steps.Pass.Decay = make([]float32, n), make([]float32, n)
	t.rates.Apply(t.arch, t.cfg.Train, t.steps.Pass.LR, t.steps.Pass.Decay)
	if t.loader != nil && t.colored == t.rates.Color {
		return nil
	}
	return t.openLoader()
}

// ratesNow are those of the epoch after those that were validated.
func (t *trainer) ratesNow() schedule.Rates {
	return schedule.At(t.cfg.Train.Schedule, t.history.Plateau, t.history.Validated)
}

// openLoader makes the training loader; again when the schedule switches the colour noise off.
func (t *trainer) openLoader() (err error) {
	if t.loader != nil {
		t.loader.Close()
	}
	o := t.loaderOptions(t.net)
	o.Train, o.Augment = true, t.cfg.Train.Augment
	if !t.rates.Color {
		o.Augment.Color = 0
	}
	if t.loader, err = data.NewLoader(t.o.Source.Train, o); err != nil {
		return err
	}
	t.loader.Seek(t.steps.Next)
	t.colored, t.steps.Feed = t.rates.Color, t.loader
	return nil
}

// open opens the files of the run folder.
func (t *trainer) open(context.Context) (err error) {
	if t.o.Dir == nil {
		return nil
	}
	err = atomicfile.Write(t.o.Dir.FS(), t.o.Dir.Config(), func(f atomicfile.File) error {
		_, err := f.Write(t.yaml)
		return err
	})
	if err != nil {
		return err
	}
	t.metrics, err = report.NewWriter(t.o.Dir.FS(), t.o.Dir.Path(), t.firstStep)
	return err
}

// close gives everything back but devices, source and run folder, which are the caller's.
func (t *trainer) close() (err error) {
	t.awaitCurves()
	if t.metrics != nil {
		err = errors.Join(err, t.metrics.Close())
	}
	for _, l := range []*data.Loader{t.loader, t.val} {
		if l != nil {
			l.Close()
		}
	}
	for _, n := range []*model.Net{t.valNet, t.net} {
		if n != nil {
			err = errors.Join(err, n.Close())
		}
	}
	if t.model != nil {
		err = errors.Join(err, t.model.Close())
	}
	return err
}

// onBad is told of each unreadable picture once, while the loop's goroutine waits for pictures.
func (t *trainer) onBad(b *data.BadPicture) {
	t.bad++
	t.progress.Note(LeftOut{b})
	if t.o.OnBad != nil {
		t.o.OnBad(b)
	}
}
