package data

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"alexnet/internal/files"
	"alexnet/internal/text"
)

// Patience is what is done about failures of a source, which are not a picture's own.
type Patience struct {
	// Retry is how long a reading is tried again, with growing pauses, before it has failed; 0: not once.
	Retry time.Duration
	// Tell is told when readings begin to fail, and when those that did go through; nil: nobody is. Whichever goroutine
	// meets it calls, one at a time.
	Tell func(Outage)
}

// Outage is a time in which a source cannot be read.
type Outage struct {
	Fault  *SourceFault // with which it began
	Retry  time.Duration
	Over   bool          // it is
	Lasted time.Duration // where it is over
}

// String tells of its beginning, or of its end.
func (o Outage) String() string {
	if o.Over {
		return fmt.Sprintf("data %s: can be read again after %s", text.Name(o.Fault.Path),
			text.Duration(o.Lasted.Round(100*time.Millisecond)))
	}
	return fmt.Sprintf("warning: %v; trying again for up to %s", o.Fault, text.Duration(o.Retry))
}

// The pauses between the tries of one reading.
const (
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

// A system call that takes longer than so many looks at it, a second apart, counts as a failure that goes on.
const (
	patientLooks = 10
	look         = time.Second
)

var errNoAnswer = errors.New("no answer for " + (patientLooks * look).String())

// outages are what all that read one source know of its failures.
type outages struct {
	path  string        // of the source; empty: each picture is one of its own
	paths []string      // of the source, as given; or nil
	look  time.Duration // tests: instead of look

	mu       sync.Mutex
	patience Patience
	waiting  int // readings that failed and are tried again
	lost     bool
	began    time.Time
	first    *SourceFault
}

func (o *outages) set(p Patience) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.patience = p
}

func (o *outages) retry() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.patience.Retry
}

// begin counts a reading that waits, and tells of the first.
func (o *outages) begin(f *SourceFault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting++; o.waiting > 1 {
		return
	}
	o.began, o.first, o.lost = time.Now(), f, false
	o.tell(Outage{Fault: f, Retry: o.patience.Retry})
}

// end counts a reading that waits no more, and tells of the last where all went through.
func (o *outages) end(through bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting--
	if o.lost = o.lost || !through; o.waiting == 0 && !o.lost {
		o.tell(Outage{Fault: o.first, Retry: o.patience.Retry, Over: true, Lasted: time.Since(o.began)})
	}
}

func (o *outages) tell(x Outage) {
	if o.patience.Tell != nil {
		o.patience.Tell(x)
	}
}

// trial is one reading, as often as it is tried. It counts time by the pauses and ticks that it has seen: a process
// that was stopped has not waited.
type trial struct {
	of      *outages
	picture string
	retry   time.Duration
	tried   time.Duration
	waits   bool // is counted in of
	endless bool // not coming back is no failure
}

// fault is a failure as that of this reading.
func (t *trial) fault(f *SourceFault) *SourceFault {
	own := *f
	if own.Picture = t.picture; own.Path == own.Picture {
		own.Picture = ""
	}
	own.Tried = t.tried
	own.Changed = own.Changed || errors.Is(f.Err, files.ErrChanged)
	return &own
}

// silent is the failure of a system call that does not come back.
func (t *trial) silent() *SourceFault {
	f := &SourceFault{Path: t.of.path, Err: errNoAnswer}
	if f.Path == "" {
		f.Path = t.picture
	}
	return t.fault(f)
}

// silence counts the time of a system call that does not come back, and tells whether there is patience left.
func (t *trial) silence(d time.Duration) bool {
	if t.tried >= t.retry {
		return false
	}
	t.begin(t.silent())
	t.tried += d
	return true
}

func (t *trial) begin(f *SourceFault) {
	if !t.waits {
		t.waits = true
		t.of.begin(f)
	}
}

func (t *trial) end(through bool) {
	if t.waits {
		t.waits = false
		t.of.end(through)
	}
}

// sleep waits, and tells whether ctx lasted so long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
