// Package train trains a net: the loop over steps and epochs with validation, checkpoints, resume and the watch over
// the start.
//
// It joins step (the step itself), schedule (its rates), infer (validation), model and data with checkpoint,
// run and report (what is written), and knows devices only through their contract: it imports no backend. One goroutine
// enqueues everything; while the devices compute one step, the loop already fills the next batch and looks at a step's
// results only when the next step is under way.
//
// A step depends only on the seed, the number of the step and the numbers of its samples, and a checkpoint holds
// weights, momentum, these numbers and what the loop has to remember. So a resumed run repeats the undisturbed one bit
// for bit (same binary, devices, processor and thread count).
package train

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/schedule"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// Options say what Run trains.
type Options struct {
	Config  *config.Config
	Devices []device.Device // stay open
	// Device and Threads say in words and number what Devices are ("cpu,cpu", 8). They go into the checkpoints: only
	// the same devices with the same threads repeat a run bit for bit.
	Device  string
	Threads int
	Source  *data.Source
	Dir     *run.Dir // where checkpoints, metrics and curves go; nil: nowhere

	// Resume continues the run of this checkpoint, exactly, and is closed once it has been read: this run replaces its
	// file. Init starts a new run from its weights. At most one is set.
	Resume, Init *checkpoint.Checkpoint
	// OwnRecipe, with Init, prepares pictures as the configuration says, with mean and colours of this data; otherwise
	// the file's recipe is kept.
	OwnRecipe bool

	// Steps ends the run when it has taken so many in total; 0: only Config.Train.Epochs does. Checkpoints keep it
	// where the epochs are more steps: see GoalOf, which is how a run to resume knows its own.
	Steps  int
	Strict bool // an unreadable picture stops the run at once
	// Suits is the name of a page that suits the pictures better than Config, for a note that wants one; empty: none.
	Suits string

	Keep *data.StatsFolder // where the statistics of pictures are kept for the next run; nil: nowhere

	OnBad    func(*data.BadPicture) // called once for each unreadable picture; Progress.Note tells of it as well
	Progress Progress               // nil: silent

	ticks     <-chan time.Time // tests: of the watchdog; nil: one a second
	now       func() time.Time // tests: by which checkpoints are young; nil: time.Now
	deadSteps uint64           // tests: the dead start's window
	afterStep func(*trainer)   // tests: runs after each step, nothing in flight
}

// configFile is the run's configuration in a file; empty: in none.
func (o *Options) configFile() string {
	if o.Dir == nil {
		return ""
	}
	return o.Dir.Config()
}

// Result is what a run that came to its end has done.
type Result struct {
	Steps                uint64 // in total, those before a resume included
	Epochs               int    // whole ones
	PlannedSteps         uint64 // when the run was to end
	PlannedEpochs        int
	Finished             bool        // the run to resume had come to its end before: nothing was done
	Loss                 *float64    // of the last step; nil: none was taken here
	Last, Best           *step.Score // on the validation part; nil without one
	LastPath, BestPath   string      // checkpoints; empty where there is none
	CurvesPath           string      // empty: they could not be drawn
	Head                 *Head       // of a run that started from a file; nil otherwise
	Bad                  int         // unreadable pictures
	Warnings             []Note
	Memory               []step.Memory
	Exchange             []model.Traffic // between devices, in this process
	ExchangeBytesPerStep float64
}

// better tells whether s beats o (nil: nothing yet): by top-1 error, then by loss.
func better(s, o *step.Score) bool {
	if o == nil {
		return true
	}
	if d := s.Top1Error - o.Top1Error; math.Abs(d) > schedule.MinImprovement {
		return d < 0
	}
	return s.Loss < o.Loss
}

// Progress is told how a run goes, from the loop's goroutine; only of a [data.Outage] Note is told at any time,
// by any goroutine.
type Progress interface {
	Start(Start)          // once, before the first step
	Step(report.Metrics)  // after each step
	Epoch(report.Metrics) // after each validation
	Note(Note)            // for people: memory, a lowered rate, a warning, an unreadable picture
	Phase(Phase)          // what the run is at besides steps; the zero Phase: nothing
}

// Phase is something that may take long.
type Phase struct {
	What      string // "writing a checkpoint"
	Done, All int    // how much of it is done; All is 0 where nobody knows
	Of        string // one of what is counted: "picture"
}

// Start is what lies ahead.
type Start struct {
	Pictures, Batch      int
	Epochs               int
	StepsPerEpoch, Steps uint64 // Steps: when the run is to end
	First                uint64 // steps that a resumed run had taken before
	Skipped              uint64 // batches that it had passed over, as report.Metrics.SkippedBatches has them
}

type silent struct{}

func (silent) Start(Start)          {}
func (silent) Step(report.Metrics)  {}
func (silent) Epoch(report.Metrics) {}
func (silent) Note(Note)            {}
func (silent) Phase(Phase)          {}

// ErrInterrupted is what errors.Is finds in the error of a run whose context was cancelled.
var ErrInterrupted = errors.New("interrupted")

// Interrupted says where an interrupted run left its checkpoint.
type Interrupted struct {
	Step       uint64 // steps taken
	Checkpoint string // empty: nothing had been trained yet, or there is no run folder
}

func (e *Interrupted) Error() string {
	if e.Checkpoint == "" {
		return "interrupted"
	}
	return fmt.Sprintf("interrupted after step %d; checkpoint: %s", e.Step, text.Name(e.Checkpoint))
}

// Is makes errors.Is(e, ErrInterrupted) true.
func (e *Interrupted) Is(target error) bool { return target == ErrInterrupted }

// Unsaved is a run whose last checkpoint could not be written.
type Unsaved struct {
	Step        uint64 // steps taken
	Interrupted bool   // it came to no end: the context was cancelled
	Written     bool   // the checkpoint is there, but a power failure may take it again
	Before      uint64 // the step of the one that stands; 0: there is none
	Err         error
}

func (e *Unsaved) Error() string {
	end := "the run came to its end"
	if e.Interrupted {
		end = "interrupted"
	}
	switch {
	case e.Written:
		return fmt.Sprintf("%s after step %d: %v", end, e.Step, e.Err)
	case e.Before == 0:
		return fmt.Sprintf("%s after step %d, and no checkpoint could be written: %v", end, e.Step, e.Err)
	}
	return fmt.Sprintf("%s after step %d, and no checkpoint could be written: %v; the one of step %d stands",
		end, e.Step, e.Err, e.Before)
}

func (e *Unsaved) Unwrap() error { return e.Err }

// Unrecorded is a run that came to its end, checkpoint and all, but whose metrics lack lines.
type Unrecorded struct {
	Lines int
	Err   error // why they could not be written
}

func (e *Unrecorded) Error() string {
	return fmt.Sprintf("the run came to its end and is saved, but its metrics lack %s: %v", text.Count(e.Lines, "line"),
		e.Err)
}

func (e *Unrecorded) Unwrap() error { return e.Err }

// OtherData says that a run cannot be resumed because the pictures are not the ones it began with.
type OtherData struct {
	Fits       bool       // as many classes as before: a new run could begin with all of the checkpoint's weights
	Path       string     // of the pictures given, for people
	Data       data.Place // where these are; empty: nowhere, they were drawn
	Began      string     // where the run found its own
	Config     string     // the run's configuration in a file; empty: in none
	Checkpoint string
}

func (e *OtherData) Error() string {
	return fmt.Sprintf("the data at %s is not what the run began with (%s): pictures came, went or changed sides",
		text.Name(e.Path), text.Name(e.Began))
}

// DataGone is a run that ended because its pictures could not be had for longer than data.retry. Nothing was written
// since the last checkpoint.
type DataGone struct {
	Step       uint64 // steps taken
	Checkpoint string // the last one; empty: none yet
	Err        error  // a *data.SourceFault
}

func (e *DataGone) Error() string {
	return fmt.Sprintf("after step %d: %v%s", e.Step, e.Err, kept(e.Checkpoint))
}

// Unwrap gives the failure.
func (e *DataGone) Unwrap() error { return e.Err }

// TooManyBad is a run that ended because too many of its training pictures cannot be read: more than data.bad_share of
// them in one epoch. Nothing was written since the last checkpoint.
type TooManyBad struct {
	Epoch         int // from 1; 0: in going over the pictures before the first step
	Bad, Pictures int // found so far in the epoch; all there are
	Share         float64
	Names         []string   // of those that this process knows of
	Data          data.Place // where the pictures are; empty: nowhere, they were drawn
	Checkpoint    string     // the last one; empty: none yet
}

func (e *TooManyBad) Error() string {
	in := ""
	if e.Epoch > 0 {
		in = fmt.Sprintf("epoch %d: ", e.Epoch)
	}
	return fmt.Sprintf("%s%d of %s cannot be read so far, more than data.bad_share (%g) allows: %s%s", in, e.Bad,
		text.Count(e.Pictures, "training picture"), e.Share, text.Examples(e.Names), kept(e.Checkpoint))
}

// kept tells of the checkpoint that a run leaves when it fails, if there is one.
func kept(checkpoint string) string {
	if checkpoint == "" {
		return ""
	}
	return "; the last good checkpoint is kept: " + text.Name(checkpoint)
}

// Stopped is a run that met NaN or Inf on a device. The step in question changed no weights on disk: the last good
// checkpoint stands.
type Stopped struct {
	Step       uint64 // the step it appeared in, counted from 1 as in metrics.jsonl
	Tensors    []string
	Checkpoint string     // the last good one; empty: none yet
	LR         float64    // train.lr, that the schedule began with
	Now        float64    // the rate in that step
	Own        float64    // train.lr of the page that the net comes from
	Config     string     // the run's configuration in a file; empty: in none
	Data       data.Place // where the pictures are; empty: nowhere, they were drawn
	err        error
}

// named is how many tensors a Stopped names: where the loss is bad all gradients are.
const named = 4

func (e *Stopped) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %d: NaN or Inf in %s", e.Step, strings.Join(e.Tensors[:min(named, len(e.Tensors))], ", "))
	if more := len(e.Tensors) - named; more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String() + kept(e.Checkpoint)
}

func (e *Stopped) Unwrap() error { return e.err }

// Lower is a train.lr to try in another run; false where the schedule had come down to it before, so that the rate is
// hardly the cause.
func (e *Stopped) Lower() (lr float64, try bool) { return lowerRate(e.LR, e.Now, e.Own) }

// lowerRate is a tenth of the rate that a run began with, or own, the rate of the net's page, where a tenth is still
// above that; unless the schedule came down to it.
func lowerRate(lr, now, own float64) (lower float64, try bool) {
	lower = min(lr/10, own)
	return lower, now > lower*(1+1e-9) // ten times .1 is not quite 1
}

// ownRate is train.lr of the page in the program that a net comes from, or of the paper's.
func ownRate(m config.Model) float64 {
	name, _ := config.NameOf(m)
	page, err := config.Load(cmp.Or(name, "alexnet"), nil)
	if err != nil {
		panic(err) // a test loads them all
	}
	return page.Train.LR
}
