package backend

import (
	"errors"
	"fmt"
	"sync"

	"alexnet/internal/device"
)

// ErrDeviceClosed is what a device answers after its Close.
var ErrDeviceClosed = errors.New("the device is closed")

// ErrParamsClosed is what parameters answer after their Close.
var ErrParamsClosed = errors.New("the parameters are closed")

var (
	errNotAllocated = errors.New("the net is not allocated")
	errClosed       = errors.New("the net is closed")
	errNoPass       = errors.New("no Begin before it")
	errNoBackward   = errors.New("the program was compiled without gradients")
	errFrozen       = errors.New("it is frozen: there is no gradient of it")
)

// Guard stands before the calls on a net: it refuses those that the contract forbids, and keeps the first failure,
// whatever made it, after which it refuses all. Its methods but Fail and Err belong to the goroutine that runs the
// net's calls, in their order.
type Guard struct {
	device  string
	prog    device.Program
	classes int // of the SoftmaxLoss; 0: there is none
	rows    int // of the last Begin; 0: there was none
	state   state

	lock sync.Mutex
	err  error // the first failure
}

type state int

const (
	compiled state = iota
	allocated
	closed
)

// NewGuard is for a net of that program, on a device of that name, that was compiled just now. The program must stay
// as it is.
func NewGuard(name string, p device.Program) *Guard {
	g := &Guard{device: name, prog: p}
	for _, spec := range p.Ops {
		if l, ok := spec.(*device.SoftmaxLoss); ok {
			g.classes = p.Values[l.Out].Shape.C
		}
	}
	return g
}

// Fail notes a failure of what is called op, unless there was one before. No error is none.
func (g *Guard) Fail(op string, err error) {
	if err == nil {
		return
	}
	g.lock.Lock()
	defer g.lock.Unlock()
	if g.err == nil {
		g.err = g.opError(op, err)
	}
}

// Err is the first failure, a *device.OpError, or nil.
func (g *Guard) Err() error {
	g.lock.Lock()
	defer g.lock.Unlock()
	return g.err
}

func (g *Guard) opError(op string, err error) error {
	return &device.OpError{Device: g.device, Op: op, Err: err}
}

// Alloc refuses to allocate what is allocated already or closed.
func (g *Guard) Alloc() error {
	switch g.state {
	case allocated:
		return g.opError("alloc", errors.New("the net is allocated already"))
	case closed:
		return g.opError("alloc", errClosed)
	}
	return nil
}

// Allocated notes that Alloc succeeded.
func (g *Guard) Allocated() { g.state = allocated }

// Live tells that the net has its memory: after Alloc and before Close.
func (g *Guard) Live() bool { return g.state == allocated }

// Forget drops the first failure and returns it: that of calls which turned out to have done nothing.
func (g *Guard) Forget() error {
	g.lock.Lock()
	defer g.lock.Unlock()
	err := g.err
	g.err = nil
	return err
}

// Close refuses to close what is closed already. From here on everything is refused.
func (g *Guard) Close() error {
	if g.state == closed {
		return g.opError("close", errClosed)
	}
	g.state = closed
	return nil
}

// Ready tells whether there is memory to call what on; if not, that is a failure. It does not look at failures that
// were before.
func (g *Guard) Ready(what string) bool {
	switch g.state {
	case compiled:
		g.Fail(what, errNotAllocated)
	case closed:
		g.Fail(what, errClosed)
	}
	return g.Live()
}

// Usable tells whether a call may go on: there is memory, and nothing failed.
func (g *Guard) Usable(what string) bool { return g.Ready(what) && g.Err() == nil }

// Sync is the first failure, after everything was waited for. A net that was closed has none to tell of but that.
func (g *Guard) Sync() error {
	if g.state == closed {
		g.Fail("sync", errClosed)
	}
	return g.Err()
}

// Begin tells whether a pass over b may begin, and if so that is the pass from here on.
func (g *Guard) Begin(b *device.Batch, pass *device.Pass) bool {
	if !g.Usable("begin") {
		return false
	}
	if err := g.checkBegin(b, pass); err != nil {
		g.Fail("begin", err)
		return false
	}
	g.rows = pass.Rows
	return true
}

func (g *Guard) checkBegin(b *device.Batch, pass *device.Pass) error {
	if err := g.prog.CheckPass(b, pass); err != nil {
		return err
	}
	for r, l := range b.Labels[:pass.Rows] {
		if g.classes > 0 && int(l) >= g.classes {
			return fmt.Errorf("row %d has label %d of %d classes", r, l, g.classes)
		}
	}
	return nil
}

// Op tells whether op number i may run forward, or backward.
func (g *Guard) Op(i int, backward bool) bool {
	if i < 0 || i >= len(g.prog.Ops) {
		if g.Usable("op") {
			g.Fail("op", fmt.Errorf("number %d of %d", i, len(g.prog.Ops)))
		}
		return false
	}
	name := g.prog.Ops[i].Base().Name
	if !g.Usable(name) {
		return false
	}
	switch {
	case g.rows == 0:
		g.Fail(name, errNoPass)
	case backward && !Gradients(&g.prog):
		g.Fail(name, errNoBackward)
	case backward && !Backward(&g.prog, i):
		g.Fail(name, errFrozen)
	default:
		return true
	}
	return false
}

// Owes tells of an op that may not run whether other devices wait for what it sends all the same: then they must be
// told that it failed.
func (g *Guard) Owes(i int, backward bool) bool {
	return i >= 0 && i < len(g.prog.Ops) && g.Live() && (!backward || Backward(&g.prog, i))
}

// Update tells whether Update may run.
func (g *Guard) Update() bool {
	if !g.Usable("update") {
		return false
	}
	switch {
	case g.rows == 0:
		g.Fail("update", errNoPass)
	case !g.prog.Train:
		g.Fail("update", errors.New("the program does not train"))
	default:
		return true
	}
	return false
}

// Value tells whether a Fetch or Store may mean a value at all.
func (g *Guard) Value(what string, v device.Value) bool {
	if !g.Usable(what) {
		return false
	}
	if v < 0 || int(v) >= len(g.prog.Values) {
		g.Fail(what, fmt.Errorf("value %d of %d", v, len(g.prog.Values)))
		return false
	}
	return true
}

// Tensor tells of a value that Value let pass whether so many numbers of it, or of its gradient, may be read and
// written. there tells that the net has memory for them.
func (g *Guard) Tensor(what string, v device.Value, grad, there bool, numbers int) bool {
	info := g.prog.Values[v]
	name := info.Name
	if grad {
		name = "gradient of " + name
	}
	switch want := g.rows * info.Shape.Len(); {
	case v != g.prog.Input.Value && !g.prog.IsLoss(v) && !g.prog.Kept(v):
		g.Fail(what, fmt.Errorf("%s is not kept", name))
	case !there:
		g.Fail(what, fmt.Errorf("there is no %s", name))
	case want == 0:
		g.Fail(what, errNoPass)
	case numbers != want:
		g.Fail(what, fmt.Errorf("%s has %d numbers in %d rows, not %d", name, want, g.rows, numbers))
	default:
		return true
	}
	return false
}
