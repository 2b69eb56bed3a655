package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"

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
)

// Run trains until the configuration's epochs or Options.Steps are reached.
//
// When ctx is cancelled, it finishes the step in flight, writes a checkpoint and returns an *Interrupted. When a device
// met NaN or Inf it returns a *Stopped and writes nothing more. Unreadable pictures are counted, or with Strict end the
// run with a *data.BadPicture. Other errors are those of the packages that failed; the last checkpoint stands in every
// case.
func Run(ctx context.Context, o Options) (result *Result, err error) {
	if r, err := finishedBefore(&o); r != nil || err != nil {
		return r, err
	}
	t, err := newTrainer(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	t.announce()
	if err := t.loop(ctx); err != nil {
		return nil, t.explain(err)
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

func (t *trainer) announce() {
	if k := t.cfg.Train.Schedule; k.Kind == config.Authors2012 && t.cfg.Train.Epochs <= schedule.AuthorsDrop3 {
		t.progress.Note(remark("schedule authors2012 goes by the authors' own epochs (%d, %d, ..., %d) and is "+
			"not scaled to %d epochs", schedule.AuthorsDrop1, schedule.AuthorsDrop2, schedule.AuthorsDrop3,
			t.cfg.Train.Epochs))
	}
	if t.valNet == nil {
		t.progress.Note(NoValidation{Resumed: t.o.Resume != nil, Share: t.shareToValidate()})
	}
	t.progress.Start(Start{
		Pictures: t.o.Source.Train.Len(), Batch: t.cfg.Train.Batch, Epochs: t.cfg.Train.Epochs,
		StepsPerEpoch: t.o.stepsPerEpoch(), Steps: t.o.plannedSteps(), First: t.firstStep,
	})
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

// plannedSteps is when the run is to end.
func (o *Options) plannedSteps() uint64 {
	n := o.stepsPerEpoch() * uint64(o.Config.Train.Epochs)
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
	h, err := readHistory(c.Schedule)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	at := uint64(o.Steps)
	done := h.Validated >= o.Config.Train.Epochs || o.Steps > 0 &&
		(c.Step > at || c.Step == at && h.ValidatedAt == at)
	if !done {
		return nil, nil
	}
	r := &Result{
		Finished: true, Steps: c.Step, Epochs: h.Validated, PlannedSteps: o.plannedSteps(),
		PlannedEpochs: o.Config.Train.Epochs, Last: h.Last, Best: bestScore(c.Best), LastPath: c.Path,
	}
	if c.Best != nil && o.Dir != nil {
		r.BestPath = o.Dir.Checkpoint(run.Best)
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

// step takes one training step and tells of the one before.
func (t *trainer) step() error {
	before, err := t.steps.Step()
	if err != nil {
		return err
	}
	t.stepsSince++
	if err := t.record(before); err != nil {
		return err
	}
	if t.o.afterStep != nil {
		if err := t.drain(); err != nil {
			return err
		}
		t.o.afterStep(t)
	}
	if n := uint64(t.cfg.Train.CheckpointSteps); n > 0 && t.steps.Pass.Step%n == 0 {
		if err := t.drain(); err != nil {
			return err
		}
		err := t.saveLast()
		t.steps.Rest()
		return err
	}
	return nil
}

// drain waits for the devices and tells of the step that was in flight.
func (t *trainer) drain() error {
	last, err := t.steps.Drain()
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
	if state.Start.add(s.Step, s.Good > 0, s.Score.Loss, t.guessing) {
		t.warnDead()
	}
	return nil
}

func (r *reported) append(m report.Metrics) error {
	if r.metrics == nil {
		return nil
	}
	return r.metrics.Append(m)
}

// warnDead looks for dead units and warns. A step may be in flight; it is over before the pictures looked at are. Where
// there is no memory to look, the warning does without: the run is not to end for it.
func (t *trainer) warnDead() {
	dead, err := t.findDead()
	if err != nil {
		t.progress.Note(remark("the units could not be looked at: %v", err))
	}
	t.warn(deadStart(&t.history.Start, t.guessing, dead, t.cfg.Train.LR*t.rates.Weights))
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
	if err := t.validate(ctx, t.history.Validated+1); err != nil {
		return err
	}
	t.history.EpochLoss, t.history.EpochPictures = 0, 0
	if t.history.Last != nil && t.history.See(t.cfg.Train.Schedule, t.history.Last.Top1Error) {
		t.progress.Note(remark("validation error stopped improving: lr drops to %.2g",
			t.cfg.Train.LR*t.ratesNow().Weights))
	}
	t.history.Validated++
	if err := t.saveLast(); err != nil {
		return err
	}
	t.curves()
	t.steps.Rest()
	return t.setRates()
}

// validate scores the validation pictures, writes the line of the epoch under way or just over, and keeps the best net
// so far. Best is chosen on these pictures alone. whole counts the epochs that are over. Nothing is in flight.
func (t *trainer) validate(ctx context.Context, whole int) error {
	state := &t.history
	m := report.Metrics{Step: t.steps.Pass.Step, Epoch: state.Validated + 1, BadPictures: t.bad}
	if n := state.EpochPictures; n > 0 {
		loss := state.EpochLoss / float64(n)
		m.TrainLoss = &loss
	}
	t.countExchange(&m)
	if t.valNet == nil {
		state.ValidatedAt = m.Step
		return t.epochLine(m)
	}
	t.val.Seek(0)
	scorer := infer.Scorer{Net: t.valNet, Feed: t.val, Pictures: t.o.Source.Val.Len(), Step: max(m.Step, 1) - 1}
	s, err := scorer.Centre(ctx)
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
	t.best = &checkpoint.Best{
		Step: m.Step, Epoch: m.Epoch, Top1Error: s.Top1Error, Top5Error: s.Top5Error, Loss: s.Loss,
	}
	return t.saveBest(whole)
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

// countExchange writes the traffic between the devices: that of a step, as the mean of those taken here since the last
// epoch's line. A smaller batch sends less, so the mean of an epoch that ends in one is below that of whole batches.
// Nothing may be in flight: only a part of what a step under way sends has been counted.
func (t *trainer) countExchange(m *report.Metrics) {
	all := t.net.Exchange()
	if len(all) == 0 || t.stepsSince == 0 {
		return
	}
	var now counted
	for _, x := range all {
		now.bytes += x.Forward + x.Backward
		now.seconds += x.Time.Seconds()
	}
	bytes := float64(now.bytes-t.exchange.bytes) / float64(t.stepsSince)
	seconds := (now.seconds - t.exchange.seconds) / float64(t.stepsSince)
	m.ExchangeBytes, m.ExchangeSeconds, m.ExchangeWay = &bytes, &seconds, all[0].Way
	t.exchange, t.stepsSince = now, 0
}

// curves begins to draw the run so far, which takes a third of a second, while training goes on.
func (t *trainer) curves() {
	t.awaitCurves()
	if t.metrics == nil {
		return
	}
	curves, dir, done := t.metrics.Curves(), t.o.Dir, make(chan error, 1)
	t.drawing = done
	go func() { done <- curves.Draw(dir.FS(), dir.Curves(), dir.Path()) }()
}

// awaitCurves waits for the picture that is being drawn, if any. The run does not depend on it: where it cannot be
// drawn it says so, once.
func (t *trainer) awaitCurves() {
	if t.drawing == nil {
		return
	}
	err := <-t.drawing
	t.drawing = nil
	if err != nil && !t.undrawn {
		t.undrawn = true
		t.warn(NoCurves{err})
	}
}

// saveLast writes the checkpoint to go on from. Nothing is in flight and the devices reported no failure: what is bad
// is never written.
func (t *trainer) saveLast() error {
	state := t.history.marshal()
	if t.o.Dir == nil || t.lastPath != "" && t.lastAt == t.steps.Pass.Step && bytes.Equal(state, t.lastHistory) {
		return nil
	}
	if err := t.metrics.Sync(); err != nil {
		return err
	}
	c := t.checkpoint(t.history.Validated)
	c.Momentum = infer.Tensors(t.model, device.Momentum)
	path := t.o.Dir.Checkpoint(run.Last)
	if err := checkpoint.Save(t.o.Dir.FS(), path, c); err != nil {
		return err
	}
	t.lastPath, t.lastAt, t.lastHistory = path, t.steps.Pass.Step, state
	return nil
}

// saveBest writes the net that did best on the validation pictures, without momentum.
func (t *trainer) saveBest(epoch int) error {
	if t.o.Dir == nil {
		return nil
	}
	path := t.o.Dir.Checkpoint(run.Best)
	if err := checkpoint.Save(t.o.Dir.FS(), path, t.checkpoint(epoch)); err != nil {
		return err
	}
	t.bestPath = path
	return nil
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
		Classes: t.o.Source.Classes, Data: checkpoint.Data{
			Path: whereabouts(t.o.Source), Fingerprint: t.o.Source.Fingerprint,
		},
		Device: t.o.Device, Threads: t.o.Threads, Recipe: t.recipeNow(), Dropout: checkpoint.DropoutPaper,
		Schedule: t.history.marshal(), Best: t.best, Params: infer.Tensors(t.model, device.Weight),
	}
	for _, d := range t.o.Devices {
		able, ok := d.(device.Chooser)
		if !ok {
			continue
		}
		if c.Algorithms == nil {
			c.Algorithms, c.Hardware = map[string]int{}, able.Hardware()
		}
		maps.Copy(c.Algorithms, able.Algorithms())
	}
	return c
}

// whereabouts is a path of the pictures that holds from any folder. Generated ones lie in no file, and keep their name
// even where a folder is called the same.
func whereabouts(source *data.Source) string {
	if source.Kind == data.Generated {
		return source.Path
	}
	if full, err := filepath.Abs(source.Path); err == nil {
		return full
	}
	return source.Path
}

// interrupt writes a checkpoint of where the run is.
func (t *trainer) interrupt() error {
	if err := t.drain(); err != nil {
		return err
	}
	if err := t.saveLast(); err != nil {
		return fmt.Errorf("interrupted after step %d, and no checkpoint could be written: %w", t.steps.Pass.Step, err)
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
	if err := t.saveLast(); err != nil {
		return err
	}
	t.curves()
	t.awaitCurves()
	return nil
}

// explain turns the failure of a device into what users can act on.
func (t *trainer) explain(err error) error {
	var stop *Interrupted
	if errors.As(err, &stop) {
		return err
	}
	// The first device to complain may only have missed data of another one that failed: ask them all.
	all := errors.Join(err, t.net.Sync())
	var bad *device.NonFiniteError
	if !errors.As(all, &bad) {
		return err
	}
	s := &Stopped{
		Step: bad.Step + 1, Tensors: bad.Tensors, Checkpoint: t.lastPath, LR: t.cfg.Train.LR * t.rates.Weights,
		Config: t.o.configFile(), err: bad,
	}
	if t.o.Source.Kind != data.Generated {
		s.Data = t.o.Source.Path
	}
	return s
}

func (t *trainer) result() *Result {
	r := &Result{
		Steps: t.steps.Pass.Step, Epochs: t.history.Validated, PlannedSteps: t.o.plannedSteps(),
		PlannedEpochs: t.cfg.Train.Epochs, Loss: t.loss, Last: t.history.Last, Best: bestScore(t.best),
		LastPath: t.lastPath, BestPath: t.bestPath, Bad: t.bad, Warnings: t.warnings, Memory: t.memory,
		Exchange: t.net.Exchange(),
	}
	if n := r.Steps - t.firstStep; n > 0 {
		for _, x := range r.Exchange {
			r.ExchangeBytesPerStep += float64(x.Forward+x.Backward) / float64(n)
		}
	}
	return r
}
