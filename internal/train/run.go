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
// for bit (same binary, devices and thread count).
package train

import (
	"errors"
	"fmt"
	"math"
	"strings"

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

	Steps  int  // stop when the run has taken this many steps in total; 0: Config.Train.Epochs alone decides
	Strict bool // an unreadable picture stops the run at once

	OnBad    func(*data.BadPicture) // called once for each unreadable picture; Progress.Note tells of it as well
	Progress Progress               // nil: silent

	deadSteps uint64         // tests: the dead start's window
	afterStep func(*trainer) // tests: runs after each step, nothing in flight
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
	LastPath, BestPath   string      // checkpoints; empty where none was written
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

// Progress is told how a run goes, from the loop's goroutine alone.
type Progress interface {
	Start(Start)          // once, before the first step
	Step(report.Metrics)  // after each step
	Epoch(report.Metrics) // after each validation
	Note(Note)            // for people: memory, a lowered rate, a warning, an unreadable picture
}

// Start is what lies ahead.
type Start struct {
	Pictures, Batch      int
	Epochs               int
	StepsPerEpoch, Steps uint64 // Steps: when the run is to end
	First                uint64 // steps that a resumed run had taken before
}

type silent struct{}

func (silent) Start(Start)          {}
func (silent) Step(report.Metrics)  {}
func (silent) Epoch(report.Metrics) {}
func (silent) Note(Note)            {}

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
	return fmt.Sprintf("interrupted after step %d; checkpoint: %s", e.Step, e.Checkpoint)
}

// Is makes errors.Is(e, ErrInterrupted) true.
func (e *Interrupted) Is(target error) bool { return target == ErrInterrupted }

// OtherData says that a run cannot be resumed because the pictures are not the ones it began with.
type OtherData struct {
	Fits       bool   // as many classes as before: a new run could begin with the checkpoint's weights
	Path       string // of the pictures given
	Generated  bool   // those given were drawn by the program: Path is not a folder
	Began      string // where the run found its own
	Config     string // the run's configuration in a file; empty: in none
	Checkpoint string
}

func (e *OtherData) Error() string {
	return fmt.Sprintf("the data at %s is not what the run began with (%s): pictures came, went or changed sides",
		e.Path, e.Began)
}

// OtherClasses says that a run cannot start from a file's weights because the pictures are of another number of
// classes.
type OtherClasses struct {
	Path    string   // of the file
	Own     []string // its classes
	Data    string   // where the pictures are
	Classes int      // that these have
}

func (e *OtherClasses) Error() string {
	return fmt.Sprintf("%s: is for %d classes (%s), the data at %s has %d", e.Path, len(e.Own), text.Examples(e.Own),
		e.Data, e.Classes)
}

// Stopped is a run that met NaN or Inf on a device. The step in question changed no weights on disk: the last good
// checkpoint stands.
type Stopped struct {
	Step       uint64 // the step it appeared in, counted from 1 as in metrics.jsonl
	Tensors    []string
	Checkpoint string // the last good one; empty: none yet
	LR         float64
	Config     string // the run's configuration in a file; empty: in none
	Data       string // where the pictures are; empty: nowhere, they were drawn
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
	if e.Checkpoint != "" {
		fmt.Fprintf(&b, "; the last good checkpoint is kept: %s", e.Checkpoint)
	}
	return b.String()
}

func (e *Stopped) Unwrap() error { return e.err }
