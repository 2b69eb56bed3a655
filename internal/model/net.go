package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"alexnet/internal/device"
	"alexnet/internal/recipe"
)

// Options say how a net is to run.
type Options struct {
	Rows  int // largest batch
	Train bool
	// InputGrad: the gradient of the input too, with or without Train. Such a net keeps its logits, see BackwardLogits.
	InputGrad bool
	// fully connected layers as device.FC says, where they are no grouped convolution on one device; with neither of
	// the two
	Int8      bool
	Precision device.Precision
	Keep      []string // names (Arch.Names) to be fetched later
	Slots     int      // for batches on their way; 0: 2, one to be filled while the devices read the other
	// Input says how staged pictures become the input: its size, mean and scale; see device.Input.
	Input recipe.Recipe
}

// Net is a compiled net: what device.Net is for one device, for all of them. Calls enqueue and return.
type Net struct {
	model  *Model
	plan   *Plan
	nets   []device.Net
	passes []device.Pass // by device, reused from step to step
	slots  []*device.Batch
	staged int          // calls of Stage
	free   func() error // gives the slots' pinned memory back; nil: there is none
	rows   int          // of the last Forward
	step   func()       // enqueues all ops; in a net that trains, back and the update too
}

// Compile makes a net that runs on the model's parameters. At most one net may be a Train net, and it must be compiled
// first. It takes no memory for tensors. Errors about Keep and the devices are *config.Error.
func (m *Model) Compile(o Options) (*Net, error) {
	plan, err := newPlan(m.arch, len(m.devs), o)
	if err != nil {
		return nil, err
	}
	return m.compile(plan)
}

func (m *Model) compile(plan *Plan) (*Net, error) {
	n := &Net{model: m, plan: plan, passes: make([]device.Pass, len(m.devs))}
	n.step = n.forward
	if plan.Programs[0].Train {
		n.step = func() { n.forward(); n.Backward(); n.Update() }
	}
	for d, dev := range m.devs {
		prog := &plan.Programs[d]
		prog.Params = m.params[d]
		net, err := dev.Compile(*prog)
		if err != nil {
			return nil, closing(n.Close, err)
		}
		n.nets = append(n.nets, net)
		params := len(m.params[d].Specs())
		n.passes[d].LR, n.passes[d].Decay = make([]float32, params), make([]float32, params)
	}
	return n, nil
}

// Plan is what the net runs.
func (n *Net) Plan() *Plan { return n.plan }

// Memory tells, by device, what Alloc is going to take. The slots, which all devices read, are told of with the first.
func (n *Net) Memory() []device.MemoryPlan {
	plans := make([]device.MemoryPlan, len(n.nets))
	for d, net := range n.nets {
		plans[d] = net.Memory()
	}
	slots := device.MemoryItem{Purpose: device.PurposeStaging}
	if _, ok := n.model.devs[0].(device.Pinner); ok {
		slots.Purpose = device.PurposePinned
	}
	prog := &n.plan.Programs[0]
	slots.Bytes = int64(n.plan.Slots) * device.BatchBytes(prog.Rows, prog.Input)
	plans[0] = plans[0].Add(slots)
	return plans
}

// Room fails with a *device.MemoryError where Alloc would for want of a device's own memory. Nothing is taken.
func (n *Net) Room() error {
	for _, net := range n.nets {
		if able, ok := net.(device.Fitter); ok {
			if err := able.Room(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Alloc takes all the memory that the net will ever use.
func (n *Net) Alloc() error {
	for _, net := range n.nets {
		if err := net.Alloc(); err != nil {
			return err
		}
	}
	return n.allocSlots()
}

// allocSlots makes the slots, in one piece of memory.
func (n *Net) allocSlots() (err error) {
	prog := &n.plan.Programs[0]
	pixels := prog.Rows * prog.Input.PictureBytes()
	var all []uint8
	if p, ok := n.model.devs[0].(device.Pinner); ok {
		if all, n.free, err = p.Pin(int64(n.plan.Slots * pixels)); err != nil {
			return err
		}
	} else {
		all = make([]uint8, n.plan.Slots*pixels)
	}
	for i := range n.plan.Slots {
		n.slots = append(n.slots, device.NewBatch(prog.Rows, all[i*pixels:][:pixels:pixels]))
	}
	return nil
}

// Slots is how many upload slots there are.
func (n *Net) Slots() int { return n.plan.Slots }

// Slot returns upload slot number i of Slots, once Alloc succeeded, as soon as every device has read what was in it.
// Whoever fills slots must be done before Close.
func (n *Net) Slot(i int) *device.Batch {
	b := n.slots[i]
	for _, net := range n.nets {
		net.Await(b)
	}
	return b
}

// Stage returns one slot after the other, as Slot does.
func (n *Net) Stage() *device.Batch {
	n.staged++
	return n.Slot((n.staged - 1) % len(n.slots))
}

// Pass is what changes from step to step. LR and Decay go by Arch.Params; nil for nets that do not train.
type Pass struct {
	Seed, Step, First uint64
	Rows              int
	Divisor, Momentum float32
	LR, Decay         []float32
}

// Forward enqueues the upload of b and the forward pass on all devices, in plan order. They read b by themselves, which
// must stay as it is until then: Slot waits for that.
func (n *Net) Forward(b *device.Batch, p Pass) {
	n.Begin(b, p)
	n.forward()
}

func (n *Net) forward() {
	for i := range n.plan.Order {
		n.ForwardStep(i)
	}
}

// Step is Forward and, in a net that trains, Backward and Update. A device that can replay what it was given before
// does.
func (n *Net) Step(b *device.Batch, p Pass) {
	n.Begin(b, p)
	if r, ok := n.nets[0].(device.Replayer); ok && len(n.nets) == 1 {
		r.Replay(n.step)
		return
	}
	n.step()
}

// Begin enqueues the upload alone. With ForwardStep and BackwardStep it is Forward and Backward taken apart, for those
// who measure or check single ops.
func (n *Net) Begin(b *device.Batch, p Pass) {
	n.rows = p.Rows
	for d, net := range n.nets {
		net.Begin(b, n.pass(d, p))
	}
}

// ForwardStep enqueues the forward pass of step i of the plan's order.
func (n *Net) ForwardStep(i int) {
	s := n.plan.Order[i]
	n.nets[s.Device].Forward(s.Op)
}

// BackwardStep enqueues its backward pass, if it has one: see device.Program's Frozen.
func (n *Net) BackwardStep(i int) {
	if s := n.plan.Order[i]; s.Op >= n.plan.Programs[s.Device].Frozen {
		n.nets[s.Device].Backward(s.Op)
	}
}

// pass is a Pass as device d sees it: rates by its own numbers of the parameters.
func (n *Net) pass(d int, p Pass) device.Pass {
	own := &n.passes[d]
	own.Seed, own.Step, own.First, own.Rows, own.Divisor, own.Momentum = p.Seed, p.Step, p.First, p.Rows, p.Divisor,
		p.Momentum
	for i, local := range n.model.local {
		if local[d] < 0 {
			continue
		}
		own.LR[local[d]], own.Decay[local[d]] = 0, 0
		if p.LR != nil {
			own.LR[local[d]] = p.LR[i]
		}
		if p.Decay != nil {
			own.Decay[local[d]] = p.Decay[i]
		}
	}
	return *own
}

// Backward enqueues the backward pass: the plan's order reversed.
func (n *Net) Backward() {
	for i := len(n.plan.Order) - 1; i >= 0; i-- {
		n.BackwardStep(i)
	}
}

// BackwardLogits enqueues the backward pass from a gradient of the logits, (rows, classes), in place of the loss's: of
// 1 at a class and 0 elsewhere come the gradients of that class's logit. It is for nets with Options.InputGrad.
func (n *Net) BackwardLogits(dlogits []float32) error {
	if err := n.Store(n.model.arch.Logits(), true, dlogits); err != nil {
		return err
	}
	for i := len(n.plan.Order) - 2; i >= 0; i-- { // the last step is the loss
		n.BackwardStep(i)
	}
	return nil
}

// Update enqueues the update of all parameters.
func (n *Net) Update() {
	for _, net := range n.nets {
		net.Update()
	}
}

// Stats reads three numbers a row into dst, (rows, 3): loss, top-1 and top-5 error; see device.SoftmaxLoss.
func (n *Net) Stats(dst []float32) device.Ticket { return n.nets[0].Fetch(n.plan.stats, false, dst) }

// Probabilities reads (rows, classes).
func (n *Net) Probabilities(dst []float32) device.Ticket {
	return n.nets[0].Fetch(n.plan.prob, false, dst)
}

// Shape is that of one row of a value, all columns together.
func (n *Net) Shape(name string) (device.Shape, error) {
	s, ok := n.plan.named[name]
	if !ok {
		return device.Shape{}, n.model.arch.CheckNames([]string{name})
	}
	return s.shape, nil
}

// find gives the value that a Fetch or Store of so many numbers means.
func (n *Net) find(name string, grad bool, numbers int) (spread, error) {
	shape, err := n.Shape(name)
	if err != nil {
		return spread{}, err
	}
	s := n.plan.named[name]
	if err := n.readable(name, s, grad); err != nil {
		return spread{}, err
	}
	if want := n.rows * shape.Len(); numbers != want {
		return spread{}, fmt.Errorf("%s has %d rows of %v, %d numbers, not %d", name, n.rows, shape, want, numbers)
	}
	return s, nil
}

// Fetch reads a value, or with grad its gradient, of the last pass's rows into dst: (rows, C, H, W), columns merged in
// their order. It waits. Besides input and prob, a value must be in Options.Keep. The gradient of what every device
// holds whole is summed over the devices.
func (n *Net) Fetch(name string, grad bool, dst []float32) error {
	s, err := n.find(name, grad, len(dst))
	switch {
	case err != nil:
		return err
	case len(n.nets) == 1 || s.at == home || s.at == shared && !grad:
		return n.nets[0].Fetch(s.values[0], grad, dst).Wait()
	}
	parts := len(n.nets)
	if s.at == shared {
		parts = 1
	}
	share := s.shape.Len() / parts
	buf := make([]float32, n.rows*share)
	for d, net := range n.nets {
		if err := net.Fetch(s.values[d], grad, buf).Wait(); err != nil {
			return err
		}
		if s.at == shared {
			sum(dst, buf, d == 0)
			continue
		}
		for r := range n.rows { // (rows, share) into columns d of (rows, devices x share)
			copy(dst[(r*parts+d)*share:][:share], buf[r*share:])
		}
	}
	return nil
}

// Store writes a value, or with grad its gradient: what Fetch reads. What every device holds whole is written on each;
// its gradient, of which each device has a share of the sum, on device 0, and 0 elsewhere.
func (n *Net) Store(name string, grad bool, src []float32) error {
	s, err := n.find(name, grad, len(src))
	if err != nil {
		return err
	}
	for d, net := range n.nets {
		switch {
		case s.values[d] == device.None:
		case s.at != columns || len(n.nets) == 1:
			if d > 0 && grad {
				src = make([]float32, len(src))
			}
			net.Store(s.values[d], grad, src)
		default:
			share := s.shape.Len() / len(n.nets)
			buf := make([]float32, 0, n.rows*share)
			for r := range n.rows { // (rows, devices x share): columns d
				buf = append(buf, src[(r*len(n.nets)+d)*share:][:share]...)
			}
			net.Store(s.values[d], grad, buf)
		}
	}
	return nil
}

// Stats64 is Stats of a net on one device that computes in float64, and waits.
func (n *Net) Stats64(dst []float64) error {
	p, ok := n.nets[0].(device.Precise)
	if !ok {
		return errors.New(n.model.devs[0].Name() + " gives no float64")
	}
	return p.Fetch64(n.plan.stats, false, dst)
}

// Choices is that of a net on one device that computes in float64; 0 elsewhere.
func (n *Net) Choices() uint64 {
	if p, ok := n.nets[0].(device.Precise); ok {
		return p.Choices()
	}
	return 0
}

// StepName names the layer that step i of the plan's order belongs to; for the steps of an exchange: what crosses, and
// exchange is true.
func (p *Plan) StepName(i int) (name string, exchange bool) {
	s := p.Order[i]
	var link *device.Link
	switch op := p.Programs[s.Device].Ops[s.Op].(type) {
	case *device.Send:
		link = op.Link
	case *device.Recv:
		link = op.Link
	default:
		return strings.TrimSuffix(op.Base().Name, ".act"), false
	}
	return p.sources[slices.Index(p.Links, link)], true
}

// Idle tells that step i of the plan's order has nothing to do, forward or backward: see device.Accountant. False where
// the device does not tell.
func (n *Net) Idle(i int, backward bool) bool {
	s := n.plan.Order[i]
	a, ok := n.nets[s.Device].(device.Accountant)
	return ok && a.Idle(s.Op, backward)
}

// Moves tells what all devices moved so far without computing; false where one does not tell.
func (n *Net) Moves() (sum device.Moves, ok bool) {
	for _, net := range n.nets {
		a, ok := net.(device.Accountant)
		if !ok {
			return device.Moves{}, false
		}
		sum = sum.Add(a.Moves())
	}
	return sum, true
}

// readable refuses what the devices would refuse too, but only after the whole net had failed.
func (n *Net) readable(name string, s spread, grad bool) error {
	prog := &n.plan.Programs[0]
	switch {
	case !s.kept:
		return fmt.Errorf("%s is not among the values to keep", name)
	case grad && s.values[0] == n.plan.prob, grad && !prog.Train && !prog.InputGrad, grad && name == "input" &&
		!prog.InputGrad, grad && s.frozen:
		return fmt.Errorf("%s has no gradient in this net", name)
	}
	return nil
}

func sum(dst, src []float32, first bool) {
	if first {
		copy(dst, src)
		return
	}
	for i, x := range src {
		dst[i] += x
	}
}

// Traffic is what crossed between the devices since the start, of one exchange, in all directions.
type Traffic struct {
	Name              string // of what crosses: "pool2"
	Forward, Backward int64  // bytes
	Time              time.Duration
	Way               string // how it gets there, where devices have memories of their own: see device.Link
}

// Exchange counts, in plan order, what crossed; empty on one device.
func (n *Net) Exchange() []Traffic {
	var all []Traffic
	for i, link := range n.plan.Links {
		if len(all) == 0 || all[len(all)-1].Name != n.plan.sources[i] {
			all = append(all, Traffic{Name: n.plan.sources[i], Way: link.Way})
		}
		t := &all[len(all)-1]
		forward, took := link.Forward.Traffic()
		backward, tookBack := link.Backward.Traffic()
		t.Forward, t.Backward, t.Time = t.Forward+forward, t.Backward+backward, t.Time+took+tookBack
	}
	return all
}

// Sync waits for all devices and reports what failed first on each.
func (n *Net) Sync() error {
	return n.all(device.Net.Sync)
}

// Close frees the net on all devices, once all of them are done: one may still read what another sent from that one's
// memory. What fails meanwhile is not told: who closes without a Sync has no use for it.
func (n *Net) Close() error {
	_ = n.Sync()
	err := n.all(device.Net.Close)
	n.nets, n.slots = nil, nil
	if n.free != nil {
		err = errors.Join(err, n.free())
		n.free = nil
	}
	return err
}

// all calls every device, whatever fails. When one device fails the others fail for lack of its data: each failure is
// told once.
func (n *Net) all(call func(device.Net) error) error {
	var failed []error
	for _, net := range n.nets {
		if err := call(net); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	return &deviceErrors{failed}
}

// deviceErrors are the failures of several devices, on one line.
type deviceErrors struct{ errs []error }

func (e *deviceErrors) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e *deviceErrors) Unwrap() []error { return e.errs }
