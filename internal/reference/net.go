package reference

import (
	"errors"
	"fmt"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// net is a compiled program. Every call runs at once; the first failure is kept and makes later calls no-ops.
type net[T Float] struct {
	dev           *Device
	prog          device.Program
	params        *params[T]
	firstOnParams bool
	plan          *plan
	ops           []op[T]
	workers       int
	need          need
	allocated     bool
	closed        bool

	value, grad [][]T // by device.Value: (rows, C, H, W); nil where there is none
	scratch     scratch[T]
	batch       [2]*device.Batch
	staged      int         // Stage calls so far
	pass        device.Pass // of the last Begin; Rows 0: none yet
	labels      []int32     // of the last Begin
	err         error       // the first failure
}

// need is the working memory that the ops of a net share, in elements: for each worker, for each share, and once.
type need struct{ worker, share, whole int }

func (n need) and(m need) need {
	return need{max(n.worker, m.worker), max(n.share, m.share), max(n.whole, m.whole)}
}

var (
	errNotAllocated = errors.New("the net is not allocated")
	errClosed       = errors.New("the net is closed")
	errNoPass       = errors.New("no Begin before it")
	errNoBackward   = errors.New("the program was compiled without gradients")
)

func newNet[T Float](d *Device, p device.Program, own *params[T]) *net[T] {
	n := &net[T]{dev: d, prog: p, params: own, firstOnParams: own.nets == 1, workers: workers()}
	n.plan = newPlan(&n.prog)
	for i, s := range p.Ops {
		o := n.compileOp(i, s)
		n.ops = append(n.ops, o)
		n.need = n.need.and(o.need(n))
	}
	return n
}

// backwards tells whether the program computes gradients.
func (n *net[T]) backwards() bool { return backend.Gradients(&n.prog) }

func (n *net[T]) shape(v device.Value) device.Shape { return n.prog.Values[v].Shape }

func (n *net[T]) pictureBytes() int {
	in := n.prog.Input
	return in.Height * in.Width * in.Channels
}

// Alloc takes all memory: parameters if no net did so before, values, gradients, working memory, and the parcels of
// links.
func (n *net[T]) Alloc() error {
	switch {
	case n.closed:
		return &device.OpError{Device: n.dev.name, Op: "alloc", Err: errClosed}
	case n.allocated:
		return &device.OpError{Device: n.dev.name, Op: "alloc", Err: errors.New("the net is allocated already")}
	}
	n.allocated = true
	n.params.alloc()
	slots := make([][]T, len(n.plan.slots))
	for i, e := range n.plan.slots {
		slots[i] = aligned[T](e)
	}
	tensors := func(slot []int) [][]T {
		t := make([][]T, len(slot))
		for v, s := range slot {
			if s >= 0 {
				t[v] = slots[s][:n.prog.Rows*n.shape(device.Value(v)).Len()]
			}
		}
		return t
	}
	n.value, n.grad = tensors(n.plan.value), tensors(n.plan.grad)
	for range n.workers {
		n.scratch.worker = append(n.scratch.worker, aligned[T](n.need.worker))
	}
	for range shares {
		n.scratch.share = append(n.scratch.share, aligned[T](n.need.share))
	}
	n.scratch.whole = aligned[T](n.need.whole)
	for i := range n.batch {
		n.batch[i] = device.NewBatch(i, n.prog.Rows, n.prog.Input, make([]uint8, n.prog.Rows*n.pictureBytes()))
	}
	n.labels = make([]int32, n.prog.Rows)
	n.pass.LR, n.pass.Decay = make([]float32, len(n.params.specs)), make([]float32, len(n.params.specs))
	for _, o := range n.ops {
		o.alloc(n)
	}
	return nil
}

// fail keeps the first failure.
func (n *net[T]) fail(op string, err error) {
	if n.err == nil && err != nil {
		n.err = &device.OpError{Device: n.dev.name, Op: op, Err: err}
	}
}

// ready tells whether a call named what may go on; if not, and nothing failed before, that is the failure.
func (n *net[T]) ready(what string) bool {
	switch {
	case n.err != nil:
	case n.closed:
		n.fail(what, errClosed)
	case !n.allocated:
		n.fail(what, errNotAllocated)
	}
	return n.err == nil
}

// Stage returns the two slots by turns. What was in them has been read: Begin runs at once.
func (n *net[T]) Stage() *device.Batch {
	n.staged++
	return n.batch[(n.staged-1)%2] // nil before Alloc
}

// Begin computes the input value of a batch that came from Stage.
func (n *net[T]) Begin(b *device.Batch, pass device.Pass) {
	if !n.ready("begin") {
		return
	}
	if err := n.checkBegin(b, &pass); err != nil {
		n.fail("begin", err)
		return
	}
	lr, decay := n.pass.LR, n.pass.Decay
	copy(lr, pass.LR)
	copy(decay, pass.Decay)
	n.pass = pass
	n.pass.LR, n.pass.Decay = lr, decay
	copy(n.labels, b.Labels)
	in := n.prog.Input
	prepare(in, n.shape(in.Value), pass.Rows, n.workers, b, n.value[in.Value])
}

func (n *net[T]) checkBegin(b *device.Batch, pass *device.Pass) error {
	if b != n.batch[0] && b != n.batch[1] {
		return errors.New("the batch is not from this net's Stage")
	}
	return n.prog.CheckPass(b, pass)
}

// Forward runs one op. After a failure only links still move, so that the device at the other end does not wait in
// vain.
func (n *net[T]) Forward(i int) { n.run(i, false) }

// Backward runs the gradient of one op.
func (n *net[T]) Backward(i int) { n.run(i, true) }

func (n *net[T]) run(i int, backward bool) {
	if i < 0 || i >= len(n.ops) {
		n.fail("op", fmt.Errorf("number %d of %d", i, len(n.ops)))
		return
	}
	name := n.prog.Ops[i].Base().Name
	if n.ready(name) {
		switch {
		case n.pass.Rows == 0:
			n.fail(name, errNoPass)
		case backward && !n.backwards():
			n.fail(name, errNoBackward)
		}
	}
	if n.err != nil {
		if n.allocated && (!backward || n.backwards()) {
			n.ops[i].abandon(backward)
		}
		return
	}
	if backward {
		n.fail(name, n.ops[i].backward(n))
	} else {
		n.fail(name, n.ops[i].forward(n))
	}
}

// Update checks loss and gradients, then the weights to come, and only then changes weights and momentum.
func (n *net[T]) Update() {
	if !n.ready("update") {
		return
	}
	switch {
	case n.pass.Rows == 0:
		n.fail("update", errNoPass)
	case !n.prog.Train:
		n.fail("update", errors.New("the program does not train"))
	default:
		n.fail("update", n.update())
	}
}

func (n *net[T]) update() error {
	bad := n.badLoss()
	for p, g := range n.params.part[device.Gradient] {
		if !n.onAll(g, func(from, to int) bool { return allFinite(g[from:to]) }) {
			bad = append(bad, "gradient of "+n.params.specs[p].Name)
		}
	}
	if bad == nil {
		bad = n.updateAll(func(u rule[T], w, v, g []T) bool { return u.stays(w, v, g) })
	}
	if bad != nil {
		return n.nonFinite(bad)
	}
	n.updateAll(func(u rule[T], w, v, g []T) bool { u.apply(w, v, g); return true })
	return nil
}

// updateAll calls f for pieces of every parameter that is not frozen, and names those for which it gave false.
func (n *net[T]) updateAll(f func(u rule[T], w, v, g []T) bool) (bad []string) {
	for p, w := range n.params.part[device.Weight] {
		u := rule[T]{momentum: T(n.pass.Momentum), decay: T(n.pass.Decay[p]), lr: T(n.pass.LR[p])}
		if u.lr == 0 {
			continue
		}
		v, g := n.params.part[device.Momentum][p], n.params.part[device.Gradient][p]
		if !n.onAll(w, func(from, to int) bool { return f(u, w[from:to], v[from:to], g[from:to]) }) {
			bad = append(bad, n.params.specs[p].Name)
		}
	}
	return bad
}

// onAll calls f for pieces of x side by side and tells whether all gave true.
func (n *net[T]) onAll(x []T, f func(from, to int) bool) bool {
	var ok [shares]bool
	for i := range ok {
		ok[i] = true
	}
	forShares(len(x), n.workers, func(_, share, from, to int) { ok[share] = f(from, to) })
	for _, o := range ok {
		if !o {
			return false
		}
	}
	return true
}

// badLoss is "loss" if a row's loss is not finite.
func (n *net[T]) badLoss() []string {
	for _, s := range n.prog.Ops {
		if l, ok := s.(*device.SoftmaxLoss); ok && !allFinite(n.value[l.Stats][:3*n.pass.Rows]) {
			return []string{"loss"}
		}
	}
	return nil
}

func (n *net[T]) nonFinite(tensors []string) error {
	return &device.NonFiniteError{Device: n.dev.name, Step: n.pass.Step, Tensors: tensors}
}

// ticket is a finished Fetch.
type ticket struct{ err error }

func (t ticket) Wait() error { return t.err }

// Fetch copies the rows in use of a value or its gradient.
func (n *net[T]) Fetch(v device.Value, grad bool, dst []float32) device.Ticket {
	convert(dst, n.readable("fetch", v, grad, len(dst)))
	return ticket{n.err}
}

// Fetch64 is Fetch without rounding to float32: see device.Precise.
func (n *net[T]) Fetch64(v device.Value, grad bool, dst []float64) error {
	convert(dst, n.readable("fetch", v, grad, len(dst)))
	return n.err
}

// Store writes them.
func (n *net[T]) Store(v device.Value, grad bool, src []float32) {
	if t := n.readable("store", v, grad, len(src)); t != nil {
		convert(t, src)
	}
}

// readable finds a tensor that the outside may read and write, of which it means elements numbers; nil after a failure.
func (n *net[T]) readable(what string, v device.Value, grad bool, elements int) []T {
	if !n.ready(what) {
		return nil
	}
	if v < 0 || int(v) >= len(n.value) {
		n.fail(what, fmt.Errorf("value %d of %d", v, len(n.value)))
		return nil
	}
	name, t := n.prog.Values[v].Name, n.value[v]
	if grad {
		name, t = "gradient of "+name, n.grad[v]
	}
	want := n.pass.Rows * n.shape(v).Len()
	switch {
	case v != n.prog.Input.Value && !n.prog.IsLoss(v) && !n.prog.Kept(v):
		n.fail(what, fmt.Errorf("%s is not kept", name))
	case t == nil:
		n.fail(what, fmt.Errorf("there is no %s", name))
	case want == 0:
		n.fail(what, errNoPass)
	case elements != want:
		n.fail(what, fmt.Errorf("%s has %d elements in %d rows, not %d", name, want, n.pass.Rows, elements))
	default:
		return t[:want]
	}
	return nil
}

// Sync reports the first failure: everything is done when a call returns.
func (n *net[T]) Sync() error { return n.err }

// Close gives the memory back. Parameters stay.
func (n *net[T]) Close() error {
	if n.closed {
		return &device.OpError{Device: n.dev.name, Op: "close", Err: errClosed}
	}
	*n = net[T]{dev: n.dev, closed: true}
	return nil
}
