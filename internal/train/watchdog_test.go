package train

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/reference"
	"alexnet/internal/run"
)

// stuck is a device that does not come back from an op, from a call of its on, until it is let go.
type stuck struct {
	*reference.Device
	op    int
	back  bool
	calls atomic.Int32 // of that op, until it sticks
	at    chan struct{}
	free  chan struct{}
}

func newStuck(t *testing.T, op int, back bool, calls int32) *stuck {
	t.Helper()
	d := &stuck{
		Device: reference.New(), op: op, back: back, at: make(chan struct{}), free: make(chan struct{}),
	}
	d.calls.Store(calls)
	return d
}

func (d *stuck) Compile(p device.Program) (device.Net, error) {
	n, err := d.Device.Compile(p)
	return stuckNet{n, d}, err
}

type stuckNet struct {
	device.Net
	d *stuck
}

func (n stuckNet) Forward(op int) {
	n.d.stick(op, false)
	n.Net.Forward(op)
}

func (n stuckNet) Backward(op int) {
	n.d.stick(op, true)
	n.Net.Backward(op)
}

func (d *stuck) stick(op int, back bool) {
	if op != d.op || back != d.back || d.calls.Add(-1) != 0 {
		return
	}
	name := "an op"
	d.Begin(&name, back)
	close(d.at)
	<-d.free
	d.End()
}

// TestHung: a device that does not answer ends the run, from wherever the loop waits for it; the last checkpoint
// stands, also when the device comes back later.
func TestHung(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		back  bool
		calls int32 // of the first op: 4 steps an epoch, then 2 batches of validation
		step  uint64
		saved string // step of the checkpoint
		what  string
		ticks int
		asked bool // to end, by a signal
	}{
		{"in the first step", false, 1, 1, "", "a training step", patience, false},
		{"on the way back", true, 3, 3, "2", "a training step", patience, false},
		{"in the validation", false, 5, 4, "4", "the validation", patience, false},
		{"after a signal", false, 3, 3, "2", "a training step", hurry, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newStuck(t, 0, c.back, c.calls)
			ticks := make(chan time.Time)
			o, l := options(t, "train.checkpoint_steps=2")
			o.Dir, o.Devices, o.ticks = folder(t), []device.Device{d}, ticks
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				_, err := Run(ctx, o)
				ended <- err
			}()
			select {
			case <-d.at:
			case err := <-ended:
				t.Fatal(err)
			}
			if c.asked {
				cancel()
				time.Sleep(50 * time.Millisecond) // either case of a select may come first
			}
			var err error
			for n := 0; err == nil; n++ {
				select {
				case ticks <- time.Time{}:
				case err = <-ended:
					if n < c.ticks || n > c.ticks+1 { // the first may see ops that ended before
						t.Fatalf("ended after %d ticks: %v", n, err)
					}
				}
			}
			var hung *Hung
			if !errors.As(err, &hung) {
				t.Fatal(err)
			}
			if hung.Step != c.step || hung.What != c.what || hung.Still != time.Duration(c.ticks)*time.Second ||
				!strings.HasPrefix(hung.Devices[0], "reference at ") {
				t.Errorf("%+v", hung)
			}
			if (c.saved == "") != (hung.Checkpoint == "") {
				t.Errorf("%+v", hung)
			}
			good := ""
			if c.saved != "" {
				if good = state(t, o.Dir.Checkpoint(run.Last)); !strings.HasPrefix(good, "step "+c.saved+" ") {
					t.Errorf("checkpoint of %.20s, want step %s", good, c.saved)
				}
			}
			steps := len(l.steps)
			close(d.free)
			time.Sleep(100 * time.Millisecond)
			if len(l.steps) != steps {
				t.Error("the loop went on")
			}
			if c.saved != "" {
				same(t, "checkpoint", state(t, o.Dir.Checkpoint(run.Last)), good)
			}
		})
	}
}

// dog is a watchdog over a device whose progress a test makes.
func dog() (*watchdog, *reference.Device) {
	d := reference.New()
	return newWatchdog([]device.Device{d}), d
}

// tickN ticks, and tells after how many ticks the run was over; 0: it is not.
func tickN(w *watchdog, n int) int {
	for i := range n {
		if w.tick() {
			return i + 1
		}
	}
	return 0
}

// TestWatchdogCounts: only ticks count in which the loop waits for devices and none of them gets on.
func TestWatchdogCounts(t *testing.T) {
	t.Parallel()
	w, d := dog()
	if n := tickN(w, 10*patience); n != 0 {
		t.Errorf("over after %d ticks, and nobody waited", n)
	}
	slow := func(ticks int) error { // of one op after the other
		return w.watch("a step", 1, func() error {
			op := "op"
			for range ticks {
				d.Begin(&op, false)
				if w.tick() {
					t.Error("over, and an op ended each second")
				}
				d.End()
			}
			return nil
		})
	}
	if err := slow(10 * patience); err != nil {
		t.Error(err)
	}
	err := w.watch("a step", 1, func() error {
		if n := tickN(w, patience-1); n != 0 {
			t.Errorf("over after %d ticks", n)
		}
		return w.pause(func() {
			if n := tickN(w, 10*patience); n != 0 {
				t.Errorf("over after %d ticks of waiting for pictures", n)
			}
		})
	})
	if err != nil {
		t.Error(err)
	}
	err = w.watch("a step", 7, func() error {
		if n := tickN(w, 2*patience); n != patience {
			t.Errorf("over after %d ticks, want %d", n, patience)
		}
		return nil
	})
	if !errors.Is(err, errGivenUp) {
		t.Error(err)
	}
	if h := <-w.hung; h.Step != 7 || h.What != "a step" {
		t.Errorf("%+v", h)
	}
	feed := patientFeed{nil, w}
	feed.Feeder = feederFunc(func() (data.Info, error) { return data.Info{}, nil })
	if _, err := feed.Next(); !errors.Is(err, errGivenUp) {
		t.Errorf("a feed after the end: %v", err)
	}
}

type feederFunc func() (data.Info, error)

func (f feederFunc) Next() (data.Info, error) { return f() }

// TestWatchdogLimit: slow steps make it patient, and the end of the run less so.
func TestWatchdogLimit(t *testing.T) {
	t.Parallel()
	w, d := dog()
	for _, c := range []struct {
		slowest, limit, hurried int
	}{{0, 600, 30}, {29, 600, 58}, {40, 800, 80}, {10, 800, 80}} {
		_ = w.watch("a step", 1, func() error {
			op := "op"
			for range c.slowest {
				w.tick()
				d.Begin(&op, false)
				d.End()
			}
			return nil
		})
		w.stepped()
		w.hurried = false
		if got := w.limit(); got != c.limit {
			t.Errorf("steps of %d s: %d, want %d", c.slowest, got, c.limit)
		}
		w.hurried = true
		if got := w.limit(); got != c.hurried {
			t.Errorf("steps of %d s, ending: %d, want %d", c.slowest, got, c.hurried)
		}
	}
}

// TestWatchdogNames: those at work are named with the op, all where none tells.
func TestWatchdogNames(t *testing.T) {
	t.Parallel()
	devs := reference.Open(2)
	w := newWatchdog(devs)
	if got := strings.Join(w.at(), "; "); got != "reference:0; reference:1" {
		t.Error(got)
	}
	op := "conv2"
	devs[1].(*reference.Device).Begin(&op, true)
	if got := strings.Join(w.at(), "; "); got != "reference:1 at gradient of conv2" {
		t.Error(got)
	}
}

// TestComesBack: a loop whose devices answer just after it was given up is told as hung all the same.
func TestComesBack(t *testing.T) {
	t.Parallel()
	for range 50 { // a select takes either
		tr := &trainer{running: running{dog: newWatchdog(nil)}, saved: saved{lastPath: "last"}}
		ended := make(chan end, 1)
		tr.dog.hung <- &Hung{Step: 3}
		ended <- end{err: errGivenUp}
		_, err := tr.await(ended)
		if hung := (*Hung)(nil); !errors.As(err, &hung) || hung.Step != 3 || hung.Checkpoint != "last" {
			t.Fatal(err)
		}
	}
}
