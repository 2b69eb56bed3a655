package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/step"
	"alexnet/internal/text"
)

// watchdog ends a run whose devices do not answer. It counts ticks of its own, one a second, while the loop waits for
// the devices and none of them gets on: a process that is stopped, or a machine that sleeps, sees no ticks. Waiting for
// pictures, for files and for whoever reads the progress does not count.
//
// The loop's goroutine calls watch, stepped and pause; run runs beside it.
type watchdog struct {
	devices []device.Device
	hung    chan *Hung // gets one value at most

	mu      sync.Mutex
	what    string // that the loop waits for; empty: nothing
	step    uint64 // it is for, counted from 1
	still   int    // ticks without progress
	taken   int    // ticks since the step began
	slowest int    // ticks of the slowest step so far
	known   bool   // there was a step
	done    uint64 // ops of all devices at the last look
	hurried bool   // the run is to end
	over    bool
}

// Limits of the watchdog, in ticks (seconds).
const (
	patience      = 600 // least time before a device counts as hung ..
	patienceSteps = 20  // .. or so many times the slowest step, whichever is more
	hurry         = 30  // the same where the run is to end: a grace period is running out
	hurrySteps    = 2
)

func newWatchdog(devices []device.Device) *watchdog {
	return &watchdog{devices: devices, hung: make(chan *Hung, 1)}
}

// run looks at each tick until ctx ends or a device hangs; asked is the context whose end asks the run to end.
func (w *watchdog) run(ctx, asked context.Context, ticks <-chan time.Time) {
	for end := asked.Done(); ; {
		select {
		case <-ctx.Done():
			return
		case <-end:
			w.mu.Lock()
			w.hurried, end = true, nil
			w.mu.Unlock()
		case <-ticks:
			if w.tick() {
				return
			}
		}
	}
}

// tick counts, and tells whether the run is over.
func (w *watchdog) tick() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.what == "" {
		return w.over
	}
	w.taken++
	if done := w.finished(); done != w.done {
		w.done, w.still = done, 0
		return false
	}
	if w.still++; w.still < w.limit() {
		return false
	}
	w.over = true
	w.hung <- &Hung{Devices: w.at(), What: w.what, Step: w.step, Still: time.Duration(w.still) * time.Second}
	return true
}

func (w *watchdog) limit() int {
	if w.hurried && w.known { // nobody knows how long the first step takes
		return max(hurry, hurrySteps*w.slowest)
	}
	return max(patience, patienceSteps*w.slowest)
}

// finished counts the ops of all devices.
func (w *watchdog) finished() (sum uint64) {
	for _, d := range w.devices {
		if o, ok := d.(device.Observed); ok {
			done, _ := o.Progress()
			sum += done
		}
	}
	return sum
}

// at are the devices that are at work, with the op; all where none tells.
func (w *watchdog) at() []string {
	var busy, all []string
	for _, d := range w.devices {
		all = append(all, d.Name())
		if o, ok := d.(device.Observed); ok {
			if _, op := o.Progress(); op != "" {
				busy = append(busy, d.Name()+" at "+op)
			}
		}
	}
	if busy == nil {
		return all
	}
	return busy
}

// errGivenUp is what the loop gets that comes back from a wait after all: it must not go on writing, for others may
// have gone on with the run.
var errGivenUp = errors.New("the run was given up: its devices did not answer")

// watch runs f, which waits for the devices.
func (w *watchdog) watch(what string, step uint64, f func() error) error {
	if err := w.set(what, step); err != nil {
		return err
	}
	err := f()
	return cmp.Or(w.set("", 0), err)
}

// stepped notes that the wait just over was for a training step.
func (w *watchdog) stepped() {
	w.mu.Lock()
	w.slowest, w.known = max(w.slowest, w.taken), true
	w.mu.Unlock()
}

func (w *watchdog) set(what string, step uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errGivenUp
	}
	if what != "" {
		w.taken = 0
	}
	w.what, w.step, w.still, w.done = what, step, 0, w.finished()
	return nil
}

// pause stops counting while f waits for something else.
func (w *watchdog) pause(f func()) error {
	w.mu.Lock()
	what := w.what
	w.what = ""
	w.mu.Unlock()
	f()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errGivenUp
	}
	w.what, w.still = what, 0
	return nil
}

// patientFeed is a feed whose waits do not count.
type patientFeed struct {
	step.Feeder
	w *watchdog
}

func (f patientFeed) Next() (info data.Info, err error) {
	over := f.w.pause(func() { info, err = f.Feeder.Next() })
	return info, cmp.Or(over, err)
}

// Hung is a run whose devices did not answer for long. They still may not, and neither may what belongs to them:
// nothing of it can be closed, and the process is to end. The last checkpoint stands.
type Hung struct {
	Devices    []string // "cpu:0 at conv2"
	What       string   // that was waited for: "a training step"
	Step       uint64   // counted from 1
	Still      time.Duration
	Checkpoint string // the last one; empty: none yet
}

func (e *Hung) Error() string {
	message := fmt.Sprintf("step %d: waited %.0f s for %s: no answer from %s", e.Step, e.Still.Seconds(), e.What,
		strings.Join(e.Devices, ", "))
	if e.Checkpoint != "" {
		message += "; the last checkpoint is kept: " + text.Name(e.Checkpoint)
	}
	return message
}
