package reference

import (
	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// net is a compiled program. Every call runs at once.
type net[T Float] struct {
	dev           *Device
	prog          device.Program
	params        *params[T]
	firstOnParams bool
	plan          *plan
	ops           []op[T]
	workers       int
	need          need
	guard         *backend.Guard

	value, grad [][]T // by device.Value: (rows, C, H, W); nil where there is none
	scratch     scratch[T]
	pass        device.Pass // of the last Begin; Rows 0: none yet
	labels      []int32     // of the last Begin
}

// need is the working memory that the ops of a net share, in elements: for each worker, for each share, and once.
type need struct{ worker, share, whole int }

func (n need) and(m need) need {
	return need{max(n.worker, m.worker), max(n.share, m.share), max(n.whole, m.whole)}
}

func newNet[T Float](d *Device, p device.Program, own *params[T]) *net[T] {
	n := &net[T]{
		dev: d, prog: p, params: own, firstOnParams: own.nets == 1, workers: workers(),
		guard: backend.NewGuard(d.name, p),
	}
	n.plan = newPlan(&n.prog)
	for i, s := range p.Ops {
		o := n.compileOp(i, s)
		n.ops = append(n.ops, o)
		n.need = n.need.and(o.need(n))
	}
	return n
}

func (n *net[T]) shape(v device.Value) device.Shape { return n.prog.Values[v].Shape }

// Alloc takes all memory: parameters if no net did so before, values, gradients, working memory, and the parcels of
// links.
func (n *net[T]) Alloc() error {
	if err := n.guard.Alloc(); err != nil {
		return err
	}
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
	n.labels = make([]int32, n.prog.Rows)
	n.pass.LR, n.pass.Decay = make([]float32, len(n.params.specs)), make([]float32, len(n.params.specs))
	for _, o := range n.ops {
		o.alloc(n)
	}
	n.guard.Allocated()
	return nil
}

// Await has nothing to wait for: Begin reads the batch before it returns.
func (n *net[T]) Await(*device.Batch) { n.guard.Ready("await") }

// Begin computes the input value of a batch.
func (n *net[T]) Begin(b *device.Batch, pass device.Pass) {
	if !n.guard.Begin(b, &pass) {
		return
	}
	lr, decay := n.pass.LR, n.pass.Decay
	copy(lr, pass.LR)
	copy(decay, pass.Decay)
	n.pass = pass
	n.pass.LR, n.pass.Decay = lr, decay
	copy(n.labels, b.Labels[:pass.Rows])
	in := n.prog.Input
	prepare(in, n.shape(in.Value), pass.Rows, n.workers, b, n.value[in.Value])
}

// Forward runs one op. After a failure only links still move, so that the device at the other end does not wait in
// vain.
func (n *net[T]) Forward(i int) { n.run(i, false) }

// Backward runs the gradient of one op.
func (n *net[T]) Backward(i int) { n.run(i, true) }

func (n *net[T]) run(i int, backward bool) {
	runs := n.guard.Op(i, backward)
	if !runs && !n.guard.Owes(i, backward) {
		return // there may be no such op, and no device any more
	}
	name := &n.prog.Ops[i].Base().Name
	n.dev.Begin(name, backward)
	defer n.dev.End()
	switch {
	case !runs:
		n.ops[i].abandon(backward)
	case backward:
		n.guard.Fail(*name, n.ops[i].backward(n))
	default:
		n.guard.Fail(*name, n.ops[i].forward(n))
	}
}

// Update checks loss and gradients, then the weights to come, and only then changes weights and momentum.
func (n *net[T]) Update() {
	if n.guard.Update() {
		n.guard.Fail("update", n.update())
	}
}

func (n *net[T]) update() error {
	bad := n.badLoss()
	for p, g := range n.params.part[device.Gradient] {
		if g != nil && !n.onAll(g, func(from, to int) bool { return allFinite(g[from:to]) }) {
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

// updateAll calls f for pieces of every parameter that learns, and names those for which it gave false.
func (n *net[T]) updateAll(f func(u rule[T], w, v, g []T) bool) (bad []string) {
	for p, w := range n.params.part[device.Weight] {
		u := rule[T]{momentum: T(n.pass.Momentum), decay: T(n.pass.Decay[p]), lr: T(n.pass.LR[p])}
		if u.lr == 0 || !n.params.has(p, device.Gradient) {
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
	return ticket{n.guard.Err()}
}

// Fetch64 is Fetch without rounding to float32: see device.Precise.
func (n *net[T]) Fetch64(v device.Value, grad bool, dst []float64) error {
	convert(dst, n.readable("fetch", v, grad, len(dst)))
	return n.guard.Err()
}

// Store writes them.
func (n *net[T]) Store(v device.Value, grad bool, src []float32) {
	if t := n.readable("store", v, grad, len(src)); t != nil {
		convert(t, src)
	}
}

// readable finds a tensor that the outside may read and write, of which it means elements numbers; nil after a failure.
func (n *net[T]) readable(what string, v device.Value, grad bool, elements int) []T {
	if !n.guard.Value(what, v) {
		return nil
	}
	t := n.value[v]
	if grad {
		t = n.grad[v]
	}
	if !n.guard.Tensor(what, v, grad, t != nil, elements) {
		return nil
	}
	return t[:elements]
}

// Sync reports the first failure: everything is done when a call returns.
func (n *net[T]) Sync() error { return n.guard.Sync() }

// Close gives the memory back. Parameters stay.
func (n *net[T]) Close() error {
	if err := n.guard.Close(); err != nil {
		return err
	}
	*n = net[T]{guard: n.guard}
	return nil
}
