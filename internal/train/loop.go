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
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/report"
	"alexnet/internal/run"
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
		if ctx.Err() != nil {
			return nil, &Interrupted{}
		}
		return nil, err
	}
	defer closeInto(&err, t.close)
	t.announce()
	if err := t.loop(ctx); err != nil {
		return nil, t.explain(err)
	}
	return t.result(), nil
}

func (t *trainer) announce() {
	if k := t.cfg.Train.Schedule; k.Kind == kindAuthors && t.cfg.Train.Epochs <= authorsDrop3 {
		t.progress.Note(fmt.Sprintf("schedule authors2012 goes by the authors' own epochs (%d, %d, ..., %d) and is "+
			"not scaled to %d epochs", authorsDrop1, authorsDrop2, authorsDrop3, t.cfg.Train.Epochs))
	}
	if t.valNet == nil {
		text := "there are no validation pictures: no errors are measured, and no best checkpoint is chosen"
		if t.o.Resume == nil { // a run that goes on keeps its data and configuration
			text += "; " + t.howToValidate()
		}
		t.progress.Note(text)
	}
	t.progress.Start(Start{
		Pictures: t.o.Source.Train.Len(), Batch: t.cfg.Train.Batch, Epochs: t.cfg.Train.Epochs,
		StepsPerEpoch: t.o.stepsPerEpoch(), Steps: t.o.plannedSteps(), First: t.firstStep,
	})
}

// howToValidate says what would give validation pictures: a share of each class that rounds to at least one picture of
// the smallest class that can spare one, else of the largest.
func (t *trainer) howToValidate() string {
	count := make([]int, len(t.o.Source.Classes))
	for i := range t.o.Source.Train.Len() {
		count[t.o.Source.Train.Label(i)]++
	}
	n := slices.Min(count)
	if n < 2 {
		n = slices.Max(count)
	}
	if n < 2 {
		return "no class has a picture to spare: give data with folders train/ and val/"
	}
	share := math.Ceil(50/float64(n)) / 100 // half a picture rounds to one
	return fmt.Sprintf("--set data.val_share=%g would hold some out, or give data with folders train/ and val/", share)
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
	s, err := newSchedule(o.Config.Train.Schedule, c.Schedule)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	at := uint64(o.Steps)
	done := s.state.Validated >= o.Config.Train.Epochs || o.Steps > 0 &&
		(c.Step > at || c.Step == at && s.state.ValidatedAt == at)
	if !done {
		return nil, nil
	}
	r := &Result{
		Finished: true, Steps: c.Step, Epochs: s.state.Validated, PlannedSteps: o.plannedSteps(),
		PlannedEpochs: o.Config.Train.Epochs, Last: s.state.Last, Best: bestScore(c.Best), LastPath: c.Path,
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
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return t.interrupt()
		}
		if err != nil {
			return err
		}
	}
}

func (t *trainer) epochEnds() bool {
	return t.steps.next == uint64(t.sched.state.Validated+1)*uint64(t.o.Source.Train.Len())
}

func (t *trainer) finished() bool {
	return t.sched.state.Validated >= t.cfg.Train.Epochs || t.o.Steps > 0 && t.steps.pass.Step >= uint64(t.o.Steps)
}

// step takes one training step and tells of the one before.
func (t *trainer) step() error {
	before, err := t.steps.step()
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
	if n := uint64(t.cfg.Train.CheckpointSteps); n > 0 && t.steps.pass.Step%n == 0 {
		if err := t.drain(); err != nil {
			return err
		}
		err := t.saveLast()
		t.steps.rest()
		return err
	}
	return nil
}

// drain waits for the devices and tells of the step that was in flight.
func (t *trainer) drain() error {
	last, err := t.steps.drain()
	if err != nil {
		return err
	}
	return t.record(last)
}

// record tells of a step, and looks out for a dead start.
func (t *trainer) record(s *taken) error {
	if s == nil {
		return nil
	}
	lr := t.cfg.Train.LR * t.rates.weights
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
	state := &t.sched.state
	if s.Good > 0 {
		state.EpochLoss, state.EpochPictures = state.EpochLoss+float64(s.Good)*s.Score.Loss, state.EpochPictures+s.Good
	}
	if state.Start.add(s.Step, s.Good > 0, s.Score.Loss, t.guessing) {
		t.warnDead()
	}
	return nil
}

func (t *trainer) append(m report.Metrics) error {
	if t.metrics == nil {
		return nil
	}
	return t.metrics.Append(m)
}

// warnDead looks for dead units and warns. A step may be in flight; it is over before the pictures looked at are. Where
// there is no memory to look, the warning does without: the run is not to end for it.
func (t *trainer) warnDead() {
	dead, err := t.findDead()
	if err != nil {
		t.progress.Note(fmt.Sprintf("the units could not be looked at: %v", err))
	}
	t.warn(deadWarning(&t.sched.state.Start, t.guessing, dead, t.cfg.Train.LR*t.rates.weights))
}

// warn tells people at once, and whoever reads the result.
func (t *trainer) warn(text string) {
	t.warnings = append(t.warnings, text)
	t.progress.Note(text)
}

// endEpoch validates, lets the schedule see the outcome, and writes best and last, then what is only to look at.
func (t *trainer) endEpoch(ctx context.Context) error {
	if err := t.drain(); err != nil {
		return err
	}
	if err := t.validate(ctx, t.sched.state.Validated+1); err != nil {
		return err
	}
	t.sched.state.EpochLoss, t.sched.state.EpochPictures = 0, 0
	if t.last != nil && t.sched.validated(t.last.Top1Error) {
		t.progress.Note(fmt.Sprintf("validation error stopped improving: lr drops to %.2g",
			t.cfg.Train.LR*t.sched.at(t.sched.state.Validated).weights))
	}
	t.sched.state.Validated++
	if err := t.saveLast(); err != nil {
		return err
	}
	t.curves()
	t.steps.rest()
	return t.setRates()
}

// validate scores the validation pictures, writes the line of the epoch under way or just over, and keeps the best net
// so far. Best is chosen on these pictures alone. whole counts the epochs that are over. Nothing is in flight.
func (t *trainer) validate(ctx context.Context, whole int) error {
	state := &t.sched.state
	m := report.Metrics{Step: t.steps.pass.Step, Epoch: state.Validated + 1, BadPictures: t.bad}
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
	s, err := scorer{net: t.valNet, feed: t.val, pictures: t.o.Source.Val.Len(), step: max(m.Step, 1) - 1}.centre(ctx)
	if err != nil {
		return err
	}
	if s.Images == 0 {
		return fmt.Errorf("%w: none of the %d validation pictures can be read", data.ErrNoData, t.o.Source.Val.Len())
	}
	t.last, state.Last, state.ValidatedAt = &s, &s, m.Step
	m.ValLoss, m.ValTop1Error, m.ValTop5Error = &s.Loss, &s.Top1Error, &s.Top5Error
	if err := t.epochLine(m); err != nil {
		return err
	}
	if !s.better(bestScore(t.best)) {
		return nil
	}
	t.best = &checkpoint.Best{
		Step: m.Step, Epoch: m.Epoch, Top1Error: s.Top1Error, Top5Error: s.Top5Error, Loss: s.Loss,
	}
	return t.saveBest(whole)
}

func (t *trainer) epochLine(m report.Metrics) error {
	if err := t.append(m); err != nil {
		return err
	}
	t.progress.Epoch(m)
	return nil
}

func bestScore(b *checkpoint.Best) *Score {
	if b == nil {
		return nil
	}
	return &Score{Top1Error: b.Top1Error, Top5Error: b.Top5Error, Loss: b.Loss}
}

// countExchange writes the traffic between the devices, the mean of the steps since the last such line; a smaller batch
// at an epoch's end sends less. Nothing is in flight: inside an epoch a step is always under way, and its traffic half
// counted.
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

// curves draws the run so far. The run does not depend on them: where they cannot be drawn it says so, once.
func (t *trainer) curves() {
	if t.metrics == nil {
		return
	}
	ms, err := report.Read(t.o.Dir.Metrics())
	if err == nil {
		err = report.Curves(t.o.Dir.Curves(), t.o.Dir.Path(), ms)
	}
	if err != nil && !t.undrawn {
		t.undrawn = true
		t.warn(fmt.Sprintf("warning: no curves are drawn: %v", err))
	}
}

// saveLast writes the checkpoint to go on from. Nothing is in flight and the devices reported no failure: what is bad
// is never written.
func (t *trainer) saveLast() error {
	state := t.sched.marshal()
	if t.o.Dir == nil || t.saved != "" && t.savedAt == t.steps.pass.Step && bytes.Equal(state, t.savedState) {
		return nil
	}
	if err := t.metrics.Sync(); err != nil {
		return err
	}
	c := t.checkpoint(t.sched.state.Validated)
	c.Momentum = tensors(t.model, device.Momentum)
	path := t.o.Dir.Checkpoint(run.Last)
	if err := checkpoint.Save(path, c); err != nil {
		return err
	}
	t.saved, t.savedAt, t.savedState = path, t.steps.pass.Step, state
	return nil
}

// saveBest writes the net that did best on the validation pictures, without momentum.
func (t *trainer) saveBest(epoch int) error {
	if t.o.Dir == nil {
		return nil
	}
	path := t.o.Dir.Checkpoint(run.Best)
	if err := checkpoint.Save(path, t.checkpoint(epoch)); err != nil {
		return err
	}
	t.bestPath = path
	return nil
}

func (t *trainer) checkpoint(epoch int) *checkpoint.Checkpoint {
	c := &checkpoint.Checkpoint{
		Step: t.steps.pass.Step, Sample: t.steps.next, Seed: t.cfg.Train.Seed, Epoch: epoch, Config: t.yaml,
		Classes: t.o.Source.Classes, Data: checkpoint.Data{
			Path: whereabouts(t.o.Source), Fingerprint: t.o.Source.Fingerprint,
		},
		Device: t.o.Device, Threads: t.o.Threads, Preprocess: t.pre, Dropout: checkpoint.DropoutPaper,
		Schedule: t.sched.marshal(), Best: t.best, Params: tensors(t.model, device.Weight),
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
		return fmt.Errorf("interrupted after step %d, and no checkpoint could be written: %w", t.steps.pass.Step, err)
	}
	return &Interrupted{Step: t.steps.pass.Step, Checkpoint: t.saved}
}

// finish validates once more if the run ends inside an epoch. The schedule does not see that: a run that is prolonged
// later goes on as if it had never ended.
func (t *trainer) finish(ctx context.Context) error {
	if err := t.drain(); err != nil {
		return err
	}
	if t.steps.pass.Step != t.sched.state.ValidatedAt {
		err := t.validate(ctx, t.sched.state.Validated)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
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
		Step: bad.Step + 1, Tensors: bad.Tensors, Checkpoint: t.saved, LR: t.cfg.Train.LR * t.rates.weights, err: bad,
	}
	if t.o.Dir != nil {
		s.config = t.o.Dir.Config()
	}
	if t.o.Source.Kind != data.Generated {
		s.data = t.o.Source.Path
	}
	return s
}

func (t *trainer) result() *Result {
	r := &Result{
		Steps: t.steps.pass.Step, Epochs: t.sched.state.Validated, PlannedSteps: t.o.plannedSteps(),
		PlannedEpochs: t.cfg.Train.Epochs, Loss: t.loss, Last: t.last, Best: bestScore(t.best), LastPath: t.saved,
		BestPath: t.bestPath, Bad: t.bad, Warnings: t.warnings, Memory: t.memory, Exchange: t.net.Exchange(),
	}
	if n := r.Steps - t.firstStep; n > 0 {
		for _, x := range r.Exchange {
			r.ExchangeBytesPerStep += float64(x.Forward+x.Backward) / float64(n)
		}
	}
	return r
}
