package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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
	looking bool // Look asks: nothing is kept, and few pictures are read
	looked  int  // so many of those to train on
	running
	reported
	saved
}

// running is what computes, and what feeds it.
type running struct {
	ctx       context.Context // of the run: its loaders end with it
	precision device.Precision
	recipe    recipe.Recipe
	arch      *model.Arch
	head      *Head // of a run that starts from a file
	model     *model.Model
	net       *model.Net // trains
	valNet    *model.Net // shares its parameters; nil without validation pictures
	loader    *data.Loader
	val       *data.Loader
	colored   bool // the loader draws colour noise
	rates     schedule.Rates
	steps     *step.Stepper
	firstStep uint64 // steps that a resumed run had taken before
	dog       *watchdog
}

// reported is what was told, and what is counted for the next telling.
type reported struct {
	backlog
	progress   Progress
	metrics    *report.Writer // nil: there is no run folder
	memory     []step.Memory
	guessing   float64    // loss of a net that only guesses
	drawing    chan error // the end of the picture that is being drawn; nil: none is
	passed     bool       // it was said that a batch was passed over
	drawn      bool       // the last picture could be
	undrawn    bool       // it was said that there are no curves
	warnings   []Note
	bad        int      // unreadable pictures
	loss       *float64 // of the last step
	exchange   counted  // what is in the history of it
	stepsSince uint64   // taken since that was counted
	took       took
}

// saved is what is in files.
type saved struct {
	lastPath    string // the last checkpoint; the steps taken and the history in it
	lastAt      uint64
	lastHistory []byte
	lastTried   time.Time              // when it was written, was found, or could not be written
	owed        bool                   // an epoch has ended without one
	now         func() time.Time       // the clock for that
	best        *checkpoint.Best       // of the validations so far
	bestWritten *checkpoint.Best       // the one in the file
	held        *checkpoint.Checkpoint // the best, where it is not in the file yet, and its tensors
	copies      [][]float32
	roomToHold  bool // no limit on memory is in the way of that
	bestPath    string
}

// took is the time that traffic between devices took in the epoch under way, as far as it was taken here.
type took struct {
	steps   uint64
	seconds float64
}

// counted is traffic between devices.
type counted struct {
	bytes   int64
	seconds float64
}

// newTrainer makes everything ready for the first step. What fails leaves nothing behind.
func newTrainer(ctx context.Context, o Options) (*trainer, error) {
	t := bareTrainer(ctx, o)
	for _, prepare := range []func(context.Context) error{
		t.configure, t.chooseRecipe, t.build, t.alloc, t.checkSpace, t.restore, t.feed, t.open,
	} {
		err := prepare(ctx)
		if err == nil {
			err = ctx.Err() // what came before may have taken long, and not looked
		}
		if err != nil {
			return nil, t.abandon(ctx, err)
		}
	}
	return t, nil
}

// bareTrainer is one of which nothing is ready.
func bareTrainer(ctx context.Context, o Options) *trainer {
	t := &trainer{o: o, cfg: *o.Config, running: running{ctx: ctx}, reported: reported{progress: o.Progress}}
	t.dog = newWatchdog(o.Devices)
	if t.now = o.now; t.now == nil {
		t.now = time.Now
	}
	if t.progress == nil {
		t.progress = silent{}
	}
	return t
}

// abandon ends what has not begun.
func (t *trainer) abandon(ctx context.Context, err error) error {
	if endedBy(ctx, err) {
		err = &Interrupted{}
	}
	return errors.Join(err, t.close())
}

// configure checks the options against each other and resolves the net.
func (t *trainer) configure(context.Context) (err error) {
	if t.o.Resume != nil && t.o.Init != nil {
		return errors.New("a run is resumed or starts from a file, not both")
	}
	if t.o.Source.Train.Len() == 0 {
		return fmt.Errorf("%w: %s has no training pictures", data.ErrNoData, t.o.Source.Path)
	}
	t.o.Source.SetPatience(data.Patience{
		Retry: t.cfg.Data.Retry, Tell: func(o data.Outage) { t.progress.Note(o) },
	})
	if t.cfg.Data.Shuffle == config.WindowShuffle { // before anything takes long
		if err := t.o.Source.Train.Sharded(); err != nil {
			return err
		}
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
	t.history.Steps = t.o.Steps
	if t.arch, err = model.New(t.cfg.Model, t.cfg.Train.Dropout); err != nil {
		return err
	}
	if still := t.cfg.Model.Still(); len(still) > 0 {
		t.progress.Note(remark("frozen: %s; %s", strings.Join(still, ", "), spared(still, t.arch.Frozen())))
	}
	if c := t.o.Resume; c != nil {
		return c.Fits(infer.SlotsOf(t.arch)) // before memory is taken for what its page says
	}
	return t.checkInit()
}

// spared says of which layers that stay as they are no gradients are computed.
func spared(still, without []string) string {
	switch len(without) {
	case 0:
		return "gradients are computed for all layers, for the lowest one learns or none does"
	case len(still):
		return "no gradients are computed for them"
	default:
		return "no gradients are computed up to " + without[len(without)-1]
	}
}

// checkResume refuses to go on where the result could not be that of an undisturbed run.
func (t *trainer) checkResume() (err error) {
	c := t.o.Resume
	if c == nil {
		return nil
	}
	if c.Seed != t.cfg.Train.Seed {
		return config.Errorf("train.seed", "is %d, but the run to resume has seed %d", t.cfg.Train.Seed, c.Seed)
	}
	if c.Data.Fingerprint != t.o.Source.Fingerprint {
		return &OtherData{
			Path: t.o.Source.Path, Data: t.o.Source.Place, Began: data.At(c.Data.Paths()...).String(),
			Config: t.o.configFile(), Checkpoint: c.Path, Fits: len(t.o.Source.Classes) == len(c.Classes),
		}
	}
	t.history, err = historyOf(c, t.o.Source)
	return err
}

// chooseRecipe takes the checkpoint's recipe where there is one, or goes over the training pictures.
func (t *trainer) chooseRecipe(ctx context.Context) (err error) {
	switch {
	case t.o.Resume != nil:
		t.recipe = t.o.Resume.Recipe
	case t.o.Init != nil && !t.o.OwnRecipe:
		t.recipe = t.o.Init.Recipe
		t.recipe.Decoder = ""
		t.tellRecipe()
	default:
		s, err := t.measure(ctx)
		if err != nil {
			return err
		}
		t.recipe = s.Recipe
		t.tellStats(s)
	}
	t.recipe, err = t.recipe.For(t.cfg.Model.Input)
	if c := t.o.Resume; c != nil && err != nil {
		return &checkpoint.BadPage{Path: c.Path, Err: err}
	}
	return err
}

// tellRecipe says that pictures are prepared as for the weights that the run starts from, and what its own
// configuration says otherwise.
func (t *trainer) tellRecipe() {
	path := t.o.Init.Path
	t.progress.Note(remark("preprocessing (size, fit, interpolation, mean, colour statistics) as in %s", path))
	for _, d := range t.recipe.Unlike(t.o.Config) {
		t.progress.Note(remark("%s is %s, as in %s, not %s, as the configuration says", d.Key, d.Recipe, path, d.Page))
	}
}

// tellStats says what mean and colours are of, where they are not of all pictures, computed just now.
func (t *trainer) tellStats(s *data.Stats) {
	what, all := meanOf(&t.cfg), t.o.Source.Train.Len()
	of := text.Count(s.Pictures, "training picture")
	if n := t.cfg.Data.MeanPictures; n > 0 && n < all {
		of += fmt.Sprintf(" of %s (data.mean_pictures)", text.Grouped(int64(all)))
	}
	switch {
	case s.Beside != "":
		t.progress.Note(remark("%s of %s: from %s", what, of, text.Name(s.Beside)))
	case s.Kept:
		t.progress.Note(remark("%s of %s: as an earlier run computed it, kept in %s", what, of,
			text.Name(t.o.Keep.Path)))
	case t.cfg.Data.MeanPictures > 0:
		t.progress.Note(remark("%s of %s", what, of))
	}
	if s.Unkept != nil {
		t.progress.Note(remark("the %s cannot be kept for the next run: %v", what, s.Unkept))
	}
}

// during does what may take long, and says so meanwhile.
func (t *trainer) during(what string, do func() error) error {
	t.progress.Phase(Phase{What: what})
	defer t.progress.Phase(Phase{})
	return do()
}

// build compiles the nets and tells what memory they take.
func (t *trainer) build(context.Context) error {
	return t.during("compiling the net", t.compile)
}

func (t *trainer) compile() (err error) {
	if t.model, err = model.Open(t.arch, t.o.Devices); err != nil {
		return err
	}
	o := model.Options{
		Rows: t.cfg.Train.Batch, Train: true, Precision: t.precision, Input: t.recipe, Slots: data.SlotCount,
	}
	all := []model.Options{o}
	if t.o.Source.Val.Len() > 0 {
		o.Train = false
		all = append(all, o)
	}
	for i := range all {
		n, err := t.model.Compile(all[i])
		if err != nil {
			return err
		}
		if i == 0 {
			t.net = n
		} else {
			t.valNet = n
		}
	}
	t.memory = step.MemoryOf(t.o.Devices, t.nets()...)
	for _, m := range t.memory {
		if !t.looking {
			t.progress.Note(remark("memory on %s: %s", m.Device, text.Bytes(m.Plan.Total())))
		}
	}
	room, err := step.CheckRoom(t.arch, t.o.Devices, t.nets(), all)
	if err != nil {
		return err
	}
	if room.Short > 0 {
		t.progress.Note(remark("warning: that is %s more memory than is free now: other programs have it, or the run "+
			"will be slow or killed", text.Bytes(room.Short)))
	}
	t.roomToHold = true
	if room.Known {
		best := t.weightBytes()
		t.roomToHold = t.o.Dir == nil || room.Left >= best
		if t.roomToHold && t.o.Dir != nil && t.cfg.Train.CheckpointSteps == nil {
			room.Left -= best
		}
		t.o.Source.LimitCache(room.Left)
	}
	return nil
}

// nets are those that train and validate, as far as there are any.
func (t *trainer) nets() (all []*model.Net) {
	for _, n := range []*model.Net{t.net, t.valNet} {
		if n != nil {
			all = append(all, n)
		}
	}
	return all
}

// alloc takes the nets' memory.
func (t *trainer) alloc(context.Context) error {
	for _, n := range t.nets() {
		if err := n.Alloc(); err != nil {
			return err
		}
	}
	return nil
}

// restore gives the parameters their values: from the seed, a file, or the checkpoint of the run.
func (t *trainer) restore(context.Context) error {
	what := "drawing the weights"
	if t.o.Resume != nil || t.o.Init != nil {
		what = "reading the checkpoint"
	}
	return t.during(what, t.setWeights)
}

func (t *trainer) setWeights() (err error) {
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
		t.best, t.bestWritten, t.firstStep = c.Best, c.Best, c.Step
		t.lastPath, t.lastAt, t.lastTried = c.Path, c.Step, t.now()
		if bytes.Equal(c.Config, t.yaml) && reflect.DeepEqual(c.Data, infer.Whereabouts(t.o.Source)) &&
			c.Device == t.o.Device && c.Threads == t.o.Threads && c.Hardware == device.HardwareOf(t.o.Devices) {
			t.lastHistory = c.Schedule // nothing to write before the next step
		}
		if t.best != nil {
			t.bestPath = t.o.standing(t.o.checkpoint(run.Best))
		}
	case t.o.Init != nil:
		if err := t.head.restore(t.o.Init, infer.Slots(t.model, device.Weight)); err != nil {
			return err
		}
		if t.head.Start == HeadNew {
			return t.model.InitLayer(t.cfg.Train.Seed, t.head.Layer)
		}
	default:
		return t.model.Init(t.cfg.Train.Seed)
	}
	return nil
}

// checkInit refuses a file of another net before anything else is compared with it, and tells what becomes of its last
// layer and where the net will not behave as in the file's run.
func (t *trainer) checkInit() error {
	c := t.o.Init
	if c == nil {
		return nil
	}
	if err := c.CheckDropout(); err != nil {
		return err
	}
	h := t.headOf(c)
	body, slots := h.body(c, infer.SlotsOf(t.arch))
	if body.Fits(slots) != nil {
		return c.Fits(infer.SlotsOf(t.arch)) // tells of the last layer as well
	}
	if still := t.arch.Params[len(t.arch.Params)-1].LR == 0; still && h.Start == HeadNew {
		return &FrozenHead{Layer: h.Layer, Path: c.Path, Why: h.why}
	}
	t.head = h
	t.progress.Note(h)
	t.compareDropout(c)
	return nil
}

// compareDropout tells of weights that were trained with dropout and now go on without, or the reverse. In the paper's
// form outputs are multiplied by 1-rate when predicting; a net without the layer passes them on whole, twice as large
// at the rate .5.
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
	t.steps.Pass.Step, t.steps.Passed = t.firstStep, t.history.Passed
	if c := t.o.Resume; c != nil {
		t.steps.Next = c.Sample
	}
	t.guessing = entropy(t.o.Source.Train, t.arch.Classes)
	t.history.Start.setWindow(t.o.stepsPerEpoch(), t.firstStep, t.o.plannedSteps(0), t.o.deadSteps)
	if t.valNet != nil {
		o := t.loaderOptions(t.valNet)
		if t.val, err = data.NewLoader(t.ctx, t.o.Source.Val, o); err != nil {
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
	o.Shuffle, o.Window = t.cfg.Data.Shuffle, t.cfg.Data.Window
	if !t.rates.Color {
		o.Augment.Color = 0
	}
	if t.loader, err = data.NewLoader(t.ctx, t.o.Source.Train, o); err != nil {
		return err
	}
	t.loader.Seek(t.steps.Next)
	t.colored, t.steps.Feed = t.rates.Color, patientFeed{t.loader, t.dog}
	return nil
}

// open opens the files of the run folder.
func (t *trainer) open(context.Context) (err error) {
	if t.o.Dir == nil {
		return nil
	}
	if err := t.bringConfig(); err != nil {
		return err
	}
	t.recorded, t.reopen = t.firstStep, func(step uint64) (*report.Writer, error) {
		return report.NewWriter(t.o.Dir.FS(), t.o.Dir.Path(), step, step != t.firstStep || t.keepsShown())
	}
	t.metrics, err = t.reopen(t.firstStep)
	if err == nil && t.metrics.Last() < t.firstStep {
		t.warn(LostLines{Path: t.o.Dir.Metrics(), From: t.metrics.Last() + 1, To: t.firstStep})
	}
	return err
}

// close gives everything back but devices, source and run folder, which are the caller's.
func (t *trainer) close() (err error) {
	t.awaitCurves()
	if t.metrics != nil {
		err = t.notDurable(t.recorded, t.metrics.Close()) // all there is to a checkpoint was synced before it
	}
	t.closeLoaders()
	for _, n := range []*model.Net{t.valNet, t.net} {
		if n != nil {
			err = errors.Join(err, t.dog.watch("the devices to close", t.firstStep, n.Close))
		}
	}
	if t.model != nil {
		err = errors.Join(err, t.dog.watch("the devices to close", t.firstStep, t.model.Close))
	}
	return err
}

func (t *trainer) closeLoaders() {
	for _, l := range []*data.Loader{t.loader, t.val} {
		if l != nil {
			l.Close()
		}
	}
}

// onBad is told of each unreadable picture once, while the loop's goroutine waits for pictures.
func (t *trainer) onBad(b *data.BadPicture) {
	t.bad++
	t.progress.Note(LeftOut{b})
	if t.o.OnBad != nil {
		t.o.OnBad(b)
	}
}
