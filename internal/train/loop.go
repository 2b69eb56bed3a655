package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/picture"
	"alexnet/internal/device"
	"alexnet/internal/infer"
	"alexnet/internal/recipe"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/schedule"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// Run trains until the configuration's epochs or Options.Steps are reached.
//
// When ctx is cancelled, it finishes the step in flight, writes a checkpoint and returns an *Interrupted. When a device
// met NaN or Inf it returns a *Stopped and writes nothing more. Unreadable pictures are counted; with Strict they end
// the run with a *data.BadPicture, and where there are too many of them with a *TooManyBad. Where the source of the
// pictures fails it is waited for, at most as long as data.retry says; then the run ends with a *DataGone. Other errors
// are those of the packages that failed; the last checkpoint stands in every case.
//
// Files that cannot be written for now do not end a run: it tells of each checkpoint that could not be written, and
// tries again at the next one; lines of metrics wait until they can be. When the last checkpoint of all, at the end or
// when ctx is cancelled, cannot be written, the error is an *Unsaved, and at the end an *Unrecorded where lines are
// still missing.
//
// Where the devices do not answer it returns a *Hung, and leaves them and all that is theirs as it is: the process is
// to end without closing them.
func Run(ctx context.Context, o Options) (*Result, error) {
	o.Steps = o.limit()
	if r, err := finishedBefore(&o); r != nil || err != nil {
		return r, err
	}
	t, err := newTrainer(ctx, o)
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.Background())
	defer stop()
	ticks := o.ticks
	if ticks == nil {
		clock := time.NewTicker(time.Second)
		defer clock.Stop()
		ticks = clock.C
	}
	go t.dog.run(watching, ctx, ticks)
	ended := make(chan end, 1)
	go func() { // it may never come back
		e := end{err: errors.New("the training loop was left")} // by a test that has failed
		defer func() { ended <- e }()
		e.result, e.err = t.run(ctx)
	}()
	return t.await(ended)
}

// end is what became of the loop.
type end struct {
	result *Result
	err    error
}

// await waits for the end of the loop, or until it is given up; one that comes back then says no more than that.
func (t *trainer) await(ended <-chan end) (*Result, error) {
	var hung *Hung
	select {
	case e := <-ended:
		if !errors.Is(e.err, errGivenUp) {
			return e.result, e.err
		}
		hung = <-t.dog.hung
	case hung = <-t.dog.hung:
	}
	hung.Checkpoint = t.lastPath
	return nil, hung
}

// run is the loop, and what follows it.
func (t *trainer) run(ctx context.Context) (result *Result, err error) {
	defer func() {
		if errors.Is(err, errGivenUp) {
			t.closeLoaders()
			return
		}
		err = errors.Join(err, t.close())
		if result != nil {
			result.Warnings = t.warnings // closing may have given one
		}
	}()
	t.announce()
	if err := t.loop(ctx); err != nil {
		err = t.explain(err)
		if !errors.Is(err, errGivenUp) {
			if lost := t.writeHeld(); lost != nil {
				err = errors.Join(err, lost)
			}
		}
		return nil, err
	}
	return t.result(), nil
}

// endedBy tells that an error is the end of the context and nothing else that went wrong meanwhile: of an error joined
// of several, each part must be.
func endedBy(ctx context.Context, err error) bool {
	if ctx.Err() == nil || err == nil {
		return false
	}
	for {
		switch e := err.(type) { //nolint:errorlint // one layer at a time
		case interface{ Unwrap() []error }:
			parts := e.Unwrap()
			return len(parts) > 0 && !slices.ContainsFunc(parts, func(p error) bool { return !endedBy(ctx, p) })
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		default:
			return errors.Is(err, ctx.Err())
		}
	}
}

// announce tells what is worth knowing before the first step.
func (t *trainer) announce() {
	t.foretell()
	t.tellWeak()
	t.progress.Start(t.start())
}

// foretell tells what the run will lack.
func (t *trainer) foretell() {
	if k := t.cfg.Train.Schedule; k.Kind == config.Authors2012 && t.cfg.Train.Epochs <= schedule.AuthorsDrop3 {
		t.progress.Note(remark("schedule authors2012 goes by the authors' own epochs (%d, %d, ..., %d) and is "+
			"not scaled to %d epochs", schedule.AuthorsDrop1, schedule.AuthorsDrop2, schedule.AuthorsDrop3,
			t.cfg.Train.Epochs))
	}
	if t.valNet == nil {
		t.progress.Note(NoValidation{Resumed: t.o.Resume != nil, Share: t.shareToValidate()})
	}
}

func (t *trainer) start() Start {
	return Start{
		Pictures: t.o.Source.Train.Len(), Batch: t.cfg.Train.Batch, Epochs: t.cfg.Train.Epochs,
		StepsPerEpoch: t.o.stepsPerEpoch(), Steps: t.o.plannedSteps(t.history.Passed), First: t.firstStep,
		Skipped: t.history.Passed,
	}
}

// shareToValidate is what would give validation pictures: a share of each class that rounds to at least one picture of
// the smallest class that can spare one, else of the largest; 0 where no class can.
func (t *trainer) shareToValidate() float64 {
	count := make([]int, len(t.o.Source.Classes))
	for i := range t.o.Source.Train.Len() {
		count[t.o.Source.Train.Label(i)]++
	}
	n := slices.Min(count)
	if n < 2 {
		n = slices.Max(count)
	}
	if n < 2 {
		return 0
	}
	return math.Ceil(50/float64(n)) / 100 // half a picture rounds to one
}

// stepsPerEpoch counts a last, smaller batch as well.
func (o *Options) stepsPerEpoch() uint64 {
	n, b := uint64(o.Source.Train.Len()), uint64(o.Config.Train.Batch)
	return (n + b - 1) / b
}

// EpochSteps is how many steps all of the epochs are.
func (o *Options) EpochSteps() uint64 { return o.stepsPerEpoch() * uint64(o.Config.Train.Epochs) }

// limit is Steps where it can end the run before its epochs do, else 0: what has no effect is not kept.
func (o *Options) limit() int {
	if uint64(o.Steps) < o.EpochSteps() {
		return o.Steps
	}
	return 0
}

// plannedSteps is when a run is to end that has passed over so many batches.
func (o *Options) plannedSteps(passed uint64) uint64 {
	n := o.EpochSteps()
	n -= min(n, passed)
	if o.Steps > 0 {
		n = min(n, uint64(o.Steps))
	}
	return n
}

// finishedBefore is the result of a run to resume that has nothing left to do, else nil. Where Steps is just the
// present step there is one thing left, unless it was done: the validation that ends a run.
func finishedBefore(o *Options) (*Result, error) {
	c := o.Resume
	if c == nil {
		return nil, nil
	}
	h, err := historyOf(c, o.Source)
	if err != nil {
		return nil, err
	}
	if !h.over(c.Step, o.Config.Train.Epochs, o.Steps) {
		return nil, nil
	}
	r := &Result{
		Finished: true, Steps: c.Step, Epochs: h.Validated, PlannedSteps: o.plannedSteps(h.Passed),
		PlannedEpochs: o.Config.Train.Epochs, Last: h.Last, Best: bestScore(c.Best), LastPath: c.Path,
	}
	if c.Best != nil {
		r.BestPath = o.standing(o.checkpoint(run.Best))
	}
	if o.Dir != nil {
		if e, _ := o.edited(); e != nil {
			r.Warnings = append(r.Warnings, e)
			if o.Progress != nil {
				o.Progress.Note(e)
			}
		}
	}
	return r, nil
}

// loop takes steps. An epoch's end is a turn of its own: a run that was interrupted between the last step and the end
// of the validation does the validation when it is resumed.
func (t *trainer) loop(ctx context.Context) error {
	for {
		var err error
		switch {
		case t.epochEnds():
			err = t.endEpoch(ctx)
		case t.finished():
			return t.finish(ctx)
		case ctx.Err() != nil:
			return t.interrupt()
		default:
			err = t.step()
		}
		if endedBy(ctx, err) {
			return t.interrupt()
		}
		if err != nil {
			return err
		}
	}
}

func (t *trainer) epochEnds() bool {
	return t.steps.Next == uint64(t.history.Validated+1)*uint64(t.o.Source.Train.Len())
}

func (t *trainer) finished() bool {
	return t.history.Validated >= t.cfg.Train.Epochs || t.o.Steps > 0 && t.steps.Pass.Step >= uint64(t.o.Steps)
}

// step takes one training step and tells of the one before. A batch of which nothing can be read is none.
func (t *trainer) step() error {
	var before *step.Taken
	err := t.dog.watch("a training step", t.steps.Pass.Step+1, func() (err error) {
		before, err = t.steps.Step()
		return err
	})
	if err != nil {
		return err
	}
	if n := t.steps.Skipped; n > 0 {
		if err := t.passOver(n); err != nil {
			return err
		}
		return t.show(false)
	}
	t.dog.stepped()
	t.stepsSince++
	if err := t.record(before); err != nil {
		return err
	}
	if err := t.show(true); err != nil {
		return err
	}
	if t.o.afterStep != nil {
		if err := t.drain(); err != nil {
			return err
		}
		t.o.afterStep(t)
	}
	if t.due() {
		if err := t.drain(); err != nil {
			return err
		}
		err := t.tryLast()
		t.steps.Rest()
		return err
	}
	return nil
}

// passOver counts a batch of so many unreadable pictures, and tells of the first.
func (t *trainer) passOver(rows int) error {
	t.history.Passed = t.steps.Passed
	if !t.passed {
		t.passed = true
		t.warn(NoPictures{Epoch: t.history.Validated + 1, Rows: rows})
	}
	return t.countBad(rows)
}

// countBad counts unreadable pictures of the epoch, and ends the run where they are too many.
func (t *trainer) countBad(n int) error {
	if n == 0 {
		return nil
	}
	state, set := &t.history, t.o.Source.Train
	state.EpochBad += n
	if !tooMany(state.EpochBad, set.Len(), t.cfg.Data.BadShare) {
		return nil
	}
	return &TooManyBad{
		Epoch: state.Validated + 1, Bad: state.EpochBad, Pictures: set.Len(), Share: t.cfg.Data.BadShare,
		Names: namesOf(set.Bad()), Data: t.whereData(), Checkpoint: t.lastPath,
	}
}

// whereData is where the pictures are; of generated pictures, nothing.
func (t *trainer) whereData() data.Place { return t.o.Source.Place }

// drain waits for the devices and tells of the step that was in flight.
func (t *trainer) drain() error {
	var last *step.Taken
	err := t.dog.watch("a training step", t.steps.Pass.Step, func() (err error) {
		last, err = t.steps.Drain()
		return err
	})
	if err != nil {
		return err
	}
	return t.record(last)
}

// record tells of a step, and looks out for a dead start.
func (t *trainer) record(s *step.Taken) error {
	if s == nil {
		return nil
	}
	lr := t.cfg.Train.LR * t.rates.Weights
	seconds := max(s.Seconds, 1e-9) // a clock may stand still; no line holds an infinity
	speed, stall := float64(s.Rows)/seconds, min(s.Stall/seconds, 1)
	m := report.Metrics{
		Step: s.Step, Epoch: s.Epoch, LR: &lr, ImagesPerSecond: &speed, DataStall: &stall, BadPictures: t.bad,
		SkippedBatches: s.Passed,
	}
	if s.Good > 0 {
		score := s.Score // s is the stepper's
		m.Loss, m.Top1Error, m.Top5Error = &score.Loss, &score.Top1Error, &score.Top5Error
		t.loss = &score.Loss
	}
	if err := t.append(m); err != nil {
		return err
	}
	t.progress.Step(m)
	state := &t.history
	if s.Good > 0 {
		state.EpochLoss, state.EpochPictures = state.EpochLoss+float64(s.Good)*s.Score.Loss, state.EpochPictures+s.Good
	}
	if err := t.watchLoss(s); err != nil {
		return err
	}
	return t.countBad(s.Rows - s.Good)
}

// watchLoss looks out for a loss that is far too high, and for a dead start.
func (t *trainer) watchLoss(s *step.Taken) error {
	state, good := &t.history, s.Good > 0
	ln := math.Log(float64(t.arch.Classes))
	if state.High.add(good, s.Score.Loss, ln) {
		h := HighLoss{Loss: s.Score.Loss, Guessing: ln, From: s.Step - highSteps + 1, To: s.Step, Suits: t.o.Suits}
		h.LR, h.Lower = lowerRate(t.cfg.Train.LR, t.cfg.Train.LR*t.rates.Weights, ownRate(t.cfg.Model))
		t.warn(h)
	}
	if !state.Start.add(s.Step, good, s.Score.Loss, t.guessing) {
		return nil
	}
	if state.Start.blown(t.guessing) {
		if state.High == highSteps {
			return nil
		}
		state.High = highSteps
	}
	return t.warnDead()
}

// warnDead looks for dead units and warns. A step may be in flight; it is over before the pictures looked at are. Where
// there is no memory to look, the warning does without: the run is not to end for it.
func (t *trainer) warnDead() error {
	var dead []deadUnits
	err := t.dog.watch("a look at the units", t.steps.Pass.Step, func() (err error) {
		dead, err = t.findDead()
		return err
	})
	if errors.Is(err, errGivenUp) {
		return err
	}
	if err != nil && !endedBy(t.ctx, err) {
		t.progress.Note(remark("the units could not be looked at: %v", err))
	}
	lr := t.cfg.Train.LR
	t.warn(deadStart(&t.history.Start, t.guessing, dead, lr, lr*t.rates.Weights, ownRate(t.cfg.Model)))
	return nil
}

// warn tells people at once, and whoever reads the result.
func (r *reported) warn(n Note) {
	r.warnings = append(r.warnings, n)
	r.progress.Note(n)
}

// endEpoch validates, lets the schedule see the outcome, and writes best and last, then what is only to look at.
func (t *trainer) endEpoch(ctx context.Context) error {
	if err := t.drain(); err != nil {
		return err
	}
	if n := t.o.Source.Train.Len(); t.history.EpochBad >= n {
		return fmt.Errorf("%w: none of %s could be read in epoch %d", data.ErrNoData, text.Count(n, "training picture"),
			t.history.Validated+1)
	}
	if err := t.validate(ctx, t.history.Validated+1); err != nil {
		return err
	}
	t.history.EpochLoss, t.history.EpochPictures, t.history.EpochBad, t.history.Exchange = 0, 0, 0, exchanged{}
	t.took = took{}
	if t.history.Last != nil && t.history.See(t.cfg.Train.Schedule, t.history.Last.Top1Error) {
		t.progress.Note(remark("validation error stopped improving: lr drops to %.2g",
			t.cfg.Train.LR*t.ratesNow().Weights))
	}
	t.history.Validated++
	if t.early() {
		t.owed = true
	} else if err := t.tryLast(); err != nil {
		return err
	}
	t.curves()
	t.steps.Rest()
	return t.setRates()
}

// validate scores the validation pictures, writes the line of the epoch under way or just over, and keeps the best net
// so far. Best is chosen only on these pictures. whole counts the epochs that are over. Nothing is in flight.
func (t *trainer) validate(ctx context.Context, whole int) error {
	state := &t.history
	m := report.Metrics{
		Step: t.steps.Pass.Step, Epoch: state.Validated + 1, BadPictures: t.bad, SkippedBatches: state.Passed,
	}
	if n := state.EpochPictures; n > 0 {
		loss := state.EpochLoss / float64(n)
		m.TrainLoss = &loss
	}
	t.tellExchange(&m)
	if t.valNet == nil {
		state.ValidatedAt = m.Step
		return t.epochLine(m)
	}
	t.val.Seek(0)
	scorer := infer.Scorer{
		Net: t.valNet, Feed: patientFeed{t.val, t.dog}, Pictures: t.o.Source.Val.Len(), Step: max(m.Step, 1) - 1,
		Progress: func(done, all int) { t.progress.Phase(Phase{"validating", done, all, "picture"}) },
	}
	var s step.Score
	err := t.dog.watch("the validation", m.Step, func() (err error) { s, err = scorer.Centre(ctx); return err })
	t.progress.Phase(Phase{})
	if err != nil {
		return err
	}
	if s.Images == 0 {
		return fmt.Errorf("%w: none of the %d validation pictures can be read", data.ErrNoData, t.o.Source.Val.Len())
	}
	state.Last, state.ValidatedAt = &s, m.Step
	m.ValLoss, m.ValTop1Error, m.ValTop5Error = &s.Loss, &s.Top1Error, &s.Top5Error
	if err := t.epochLine(m); err != nil {
		return err
	}
	if !better(&s, bestScore(t.best)) {
		return nil
	}
	return t.tryBest(&checkpoint.Best{
		Step: m.Step, Epoch: m.Epoch, Top1Error: s.Top1Error, Top5Error: s.Top5Error, Loss: s.Loss,
	}, whole)
}

func (r *reported) epochLine(m report.Metrics) error {
	if err := r.append(m); err != nil {
		return err
	}
	r.progress.Epoch(m)
	return nil
}

func bestScore(b *checkpoint.Best) *step.Score {
	if b == nil {
		return nil
	}
	return &step.Score{Top1Error: b.Top1Error, Top5Error: b.Top5Error, Loss: b.Loss}
}

// countExchange adds what the devices have sent each other since it was last called to the epoch's. Nothing may be in
// flight: only a part of what a step under way sends has been counted.
func (t *trainer) countExchange() {
	all := t.net.Exchange()
	if len(all) == 0 {
		return
	}
	var now counted
	for _, x := range all {
		now.bytes += x.Forward + x.Backward
		now.seconds += x.Time.Seconds()
	}
	e := &t.history.Exchange
	e.Steps, e.Bytes = e.Steps+t.stepsSince, e.Bytes+now.bytes-t.exchange.bytes
	t.took.steps, t.took.seconds = t.took.steps+t.stepsSince, t.took.seconds+now.seconds-t.exchange.seconds
	t.exchange, t.stepsSince = now, 0
}

// tellExchange writes the traffic of a step, as the mean of the epoch's so far. A smaller batch sends less, so the mean
// of an epoch that ends in one is below that of whole batches. The time is the mean of the epoch's steps taken here.
func (t *trainer) tellExchange(m *report.Metrics) {
	t.countExchange()
	all, e := t.net.Exchange(), t.history.Exchange
	if len(all) == 0 || e.Steps == 0 {
		return
	}
	bytes := float64(e.Bytes) / float64(e.Steps)
	m.ExchangeBytes, m.ExchangeWay = &bytes, all[0].Way
	if t.took.steps > 0 {
		seconds := t.took.seconds / float64(t.took.steps)
		m.ExchangeSeconds = &seconds
	}
}

// curves begins to draw the run so far, which takes a third of a second, while training goes on.
func (t *trainer) curves() {
	t.awaitCurves()
	if t.metrics == nil {
		return
	}
	curves, dir, done := t.metrics.Curves(), t.o.Dir, make(chan error, 1)
	curves.OnlyTop1 = t.arch.Classes <= step.TopK
	t.drawing = done
	go func() { done <- curves.Draw(dir.FS(), dir.Curves(), dir.Path()) }()
}

// awaitCurves waits for the picture that is being drawn, if any. The run does not depend on it: where it cannot be
// drawn it says so, once.
func (t *trainer) awaitCurves() {
	if t.drawing == nil {
		return
	}
	var err error
	_ = t.during("drawing the curves", func() error { err = <-t.drawing; return nil })
	t.drawing, t.drawn = nil, err == nil
	if err != nil && !t.undrawn {
		t.undrawn = true
		t.warn(NoCurves{err})
	}
}

// saveLast writes the checkpoint to go on from. Nothing is in flight and the devices reported no failure: what is bad
// is never written.
func (t *trainer) saveLast() error {
	if err := t.writeHeld(); err != nil {
		return err
	}
	t.countExchange()
	state := t.history.marshal()
	if t.o.Dir == nil || t.standing(t.lastPath) != "" && t.lastAt == t.steps.Pass.Step &&
		bytes.Equal(state, t.lastHistory) {
		return nil
	}
	defer t.tellWeak()
	if err := t.keepFolder(); err != nil {
		return err
	}
	t.missBest()
	c := t.checkpoint(t.history.Validated)
	c.Momentum = infer.Tensors(t.model, device.Momentum)
	path := t.o.Dir.Checkpoint(run.Last)
	err := t.write(path, c)
	if err == nil || written(err) {
		t.lastPath, t.lastAt, t.lastHistory = path, t.steps.Pass.Step, state
	}
	if err != nil {
		t.lastHistory = nil // so that the next time writes it in any case
	}
	return err
}

func (t *trainer) write(path string, c *checkpoint.Checkpoint) error {
	return t.during("writing a checkpoint", func() error { return checkpoint.Save(t.o.Dir.FS(), path, c) })
}

// saveBest writes the net that did best on the validation pictures, without momentum.
func (t *trainer) saveBest(c *checkpoint.Checkpoint) error {
	if t.o.Dir == nil {
		return nil
	}
	if err := t.keepFolder(); err != nil {
		return err
	}
	path := t.o.Dir.Checkpoint(run.Best)
	err := t.write(path, c)
	if err == nil || written(err) {
		t.bestPath = path
	}
	return err
}

// recipeNow is the recipe with what decodes JPEGs here, once a training picture was one; what is only validated changes
// no weight. A run that goes on keeps the decoder it began with. Where its file names none, because it had met no JPEG
// or is older than that name, the one here holds from here on, so that the next resume can tell.
func (t *trainer) recipeNow() recipe.Recipe {
	r := t.recipe
	if r.Decoder == "" && t.o.Source.Train.MetJPEG() {
		r.Decoder = picture.JPEGDecoder()
	}
	return r
}

func (t *trainer) checkpoint(epoch int) *checkpoint.Checkpoint {
	c := &checkpoint.Checkpoint{
		Step: t.steps.Pass.Step, Sample: t.steps.Next, Seed: t.cfg.Train.Seed, Epoch: epoch, Config: t.yaml,
		Classes: t.o.Source.Classes, Data: infer.Whereabouts(t.o.Source),
		Device: t.o.Device, Threads: t.o.Threads, Recipe: t.recipeNow(), Dropout: checkpoint.DropoutPaper,
		Schedule: t.history.marshal(), Best: t.best, Params: infer.Tensors(t.model, device.Weight),
		Hardware: device.HardwareOf(t.o.Devices),
	}
	for _, d := range t.o.Devices {
		able, ok := d.(device.Chooser)
		if !ok {
			continue
		}
		if c.Algorithms == nil {
			c.Algorithms = map[string]int{}
		}
		maps.Copy(c.Algorithms, able.Algorithms())
	}
	return c
}

// interrupt writes a checkpoint of where the run is.
func (t *trainer) interrupt() error {
	if err := t.drain(); err != nil {
		return err
	}
	if err := twice(t.saveLast); err != nil {
		return t.unsaved(err, true)
	}
	return &Interrupted{Step: t.steps.Pass.Step, Checkpoint: t.lastPath}
}

// finish validates once more if the run ends inside an epoch. The schedule does not see that: a run that is prolonged
// later goes on as if it had never ended.
func (t *trainer) finish(ctx context.Context) error {
	if err := t.drain(); err != nil {
		return err
	}
	if t.steps.Pass.Step != t.history.ValidatedAt {
		err := t.validate(ctx, t.history.Validated)
		if endedBy(ctx, err) {
			return t.interrupt()
		}
		if err != nil {
			return err
		}
	}
	if err := twice(t.saveLast); err != nil {
		return t.unsaved(err, false)
	}
	t.curves()
	t.awaitCurves()
	return t.allRecorded()
}

// explain turns the failure of a device, or of what the pictures come from, into what users can act on.
func (t *trainer) explain(err error) error {
	var stop *Interrupted
	if errors.As(err, &stop) || errors.Is(err, errGivenUp) {
		return err
	}
	var fault *data.SourceFault
	if errors.As(err, &fault) {
		return &DataGone{Step: t.steps.Pass.Step, Checkpoint: t.lastPath, Err: err}
	}
	// The first device to complain may only have missed data of another one that failed: ask them all.
	all := errors.Join(err, t.dog.watch("the devices", t.steps.Pass.Step, t.net.Sync))
	var bad *device.NonFiniteError
	if !errors.As(all, &bad) {
		return err
	}
	return &Stopped{
		Step: bad.Step + 1, Tensors: bad.Tensors, Checkpoint: t.standing(t.lastPath),
		LR: t.cfg.Train.LR, Now: t.cfg.Train.LR * t.rates.Weights, Own: ownRate(t.cfg.Model),
		Config: t.o.configFile(), Data: t.whereData(), err: bad,
	}
}

func (t *trainer) result() *Result {
	r := &Result{
		Steps: t.steps.Pass.Step, Epochs: t.history.Validated, PlannedSteps: t.o.plannedSteps(t.history.Passed),
		PlannedEpochs: t.cfg.Train.Epochs, Loss: t.loss, Last: t.history.Last, Best: bestScore(t.best),
		LastPath: t.lastPath, BestPath: t.standing(t.bestPath), Bad: t.bad, Warnings: t.warnings, Memory: t.memory,
		Exchange: t.net.Exchange(), Head: t.head,
	}
	if t.drawn {
		r.CurvesPath = t.standing(t.o.Dir.Curves())
	}
	if n := r.Steps - t.firstStep; n > 0 {
		for _, x := range r.Exchange {
			r.ExchangeBytesPerStep += float64(x.Forward+x.Backward) / float64(n)
		}
	}
	return r
}
