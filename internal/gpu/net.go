//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
)

// Net is a compiled program.
type Net struct {
	dev      *Device
	prog     device.Program
	params   *Params
	ops      []prepared
	updating []step
	values   []*value
	ports    []*port
	convs    []*cuda.Conv
	arenas   []*arena
	plan     device.MemoryPlan
	classes  int    // of the SoftmaxLoss; 0: there is none
	lossOf   *value // the loss of each row

	input  input
	passed place // the pass, labels and rates of the parameters in device memory
	labels place
	rates  part
	flags  *buffer

	ready, closed bool
	err           error // the first failure
	pass          device.Pass
	staged        int // calls of Stage
	pinned        *cuda.Pinned
	place         pinnedPlan
	tickets       [2]ticket
	fetched       int // calls of Fetch
	reports       [16]flagReport
	sent, looked  int // reports that were enqueued, and looked at
	replay        replay
}

var (
	errNotAllocated = errors.New("the net is not allocated")
	errClosed       = errors.New("the net is closed")
	errNoPass       = errors.New("no Begin before it")
	errNoBackward   = errors.New("the program was compiled without gradients")
)

// Memory tells what Alloc takes.
func (n *Net) Memory() device.MemoryPlan { return slices.Clone(n.plan) }

// Alloc takes it, if it is there for all nets that were compiled on the GPU.
func (n *Net) Alloc() error {
	if n.ready || n.closed {
		return n.opError("alloc", errors.New("allocated twice, or closed"))
	}
	if err := n.room(); err != nil {
		return err
	}
	if err := n.dev.do(n.alloc); err != nil {
		return fmt.Errorf("%s: %w", n.dev.name, err)
	}
	return nil
}

func (n *Net) alloc() error {
	n.leaveQueue()
	if err := n.dev.allocBLAS(); err != nil {
		return err
	}
	if err := n.params.alloc(); err != nil {
		return err
	}
	if err := take(n.arenas, n.dev.main); err != nil {
		return err
	}
	var err error
	if n.pinned, err = cuda.AllocPinned(n.place.bytes); err != nil {
		return err
	}
	for _, e := range n.events() {
		if *e, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return cuda.Wrap("cuEventCreate", err)
		}
	}
	for _, p := range n.ports {
		if err := p.alloc(); err != nil {
			return err
		}
	}
	n.bind()
	if err := n.try(); err != nil {
		return err
	}
	if err := n.input.fill(n); err != nil {
		return err
	}
	n.ready = true
	return cuda.Wrap("cuStreamSynchronize", n.dev.main.Synchronize())
}

// leaveQueue takes the net from those that wait for memory.
func (n *Net) leaveQueue() {
	n.dev.waiting = slices.DeleteFunc(n.dev.waiting, func(w *Net) bool { return w == n })
}

func (d *Device) allocBLAS() (err error) {
	if d.blasWork != 0 {
		return nil
	}
	if d.blasWork, err = cuda.Alloc(d.blasBytes()); err != nil {
		return err
	}
	return d.blas.SetWorkspace(d.blasWork, d.blasBytes())
}

// events are those of the net itself, to be made and destroyed.
func (n *Net) events() []*cu.Event {
	all := []*cu.Event{}
	for i := range n.input.slots {
		all = append(all, &n.input.slots[i].uploaded, &n.input.slots[i].consumed)
	}
	for i := range n.tickets {
		all = append(all, &n.tickets[i].there)
	}
	for i := range n.reports {
		all = append(all, &n.reports[i].there)
	}
	return all
}

// bind gives all steps the places of their buffers.
func (n *Net) bind() {
	lists := [][]step{n.updating}
	for i := range n.ops {
		lists = append(lists, n.ops[i].forward, n.ops[i].backward)
	}
	for _, list := range lists {
		for _, s := range list {
			if b, ok := s.(binder); ok {
				b.bind(n.dev)
			}
		}
	}
}

// try runs every convolution once, which also has cuDNN load its kernels.
func (n *Net) try() error {
	for i := range n.ops {
		for _, s := range slices.Concat(n.ops[i].forward, n.ops[i].backward) {
			if c, ok := s.(*convolve); ok {
				name := n.prog.Ops[i].Base().Name
				if err := c.try(n, name); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// Forward runs an op.
func (n *Net) Forward(op int) { n.run(op, false) }

// Backward runs its gradient.
func (n *Net) Backward(op int) { n.run(op, true) }

func (n *Net) run(i int, backward bool) {
	if i < 0 || i >= len(n.ops) {
		n.fail("op", fmt.Errorf("number %d of %d", i, len(n.ops)))
		return
	}
	name, steps := n.prog.Ops[i].Base().Name, n.ops[i].forward
	if backward {
		steps = n.ops[i].backward
	}
	if n.usable(name) {
		switch {
		case n.pass.Rows == 0:
			n.fail(name, errNoPass)
		case backward && !n.prog.Train && !n.prog.InputGrad:
			n.fail(name, errNoBackward)
		}
	}
	n.steps(name, steps)
}

// steps enqueues; once the net has failed, only what other devices must know.
func (n *Net) steps(op string, steps []step) {
	if err := n.dev.Enter(); err != nil {
		n.fail(op, err)
	}
	defer n.dev.Leave()
	for _, s := range steps {
		if n.err != nil {
			if a, ok := s.(interface{ abandon(*Net) }); ok {
				a.abandon(n)
			}
		} else if err := s.run(n); err != nil {
			n.fail(op, err)
		}
	}
}

// Update changes the parameters.
func (n *Net) Update() {
	if !n.usable("update") {
		return
	}
	switch {
	case n.pass.Rows == 0:
		n.fail("update", errNoPass)
	case !n.prog.Train:
		n.fail("update", errors.New("the program does not train"))
	default:
		n.steps("update", n.updating)
	}
}

// usable tells whether a call may go on; if not, and nothing failed before, that is the failure.
func (n *Net) usable(what string) bool {
	switch {
	case n.err != nil:
	case n.closed:
		n.fail(what, errClosed)
	case !n.ready:
		n.fail(what, errNotAllocated)
	}
	return n.err == nil
}

func (n *Net) opError(op string, err error) error {
	return &device.OpError{Device: n.dev.name, Op: op, Err: err}
}

// fail notes the first failure.
func (n *Net) fail(op string, err error) {
	if n.err == nil && err != nil {
		n.err = n.opError(op, err)
	}
}

// Sync waits for all that was enqueued.
func (n *Net) Sync() error {
	if !n.ready {
		return n.err
	}
	if err := n.dev.do(n.wait); err != nil {
		n.fail("sync", err)
	}
	return n.err
}

// wait waits for the device's streams, and looks at what the device reported.
func (n *Net) wait() error {
	for _, s := range n.dev.streams() {
		if err := s.Synchronize(); err != nil {
			return cuda.Wrap("cuStreamSynchronize", err)
		}
	}
	return n.look()
}

// look reads what finished copies and checks left behind: times, and whether all is finite.
func (n *Net) look() error {
	for _, p := range n.ports {
		for i := range p.clocks {
			took, err := p.clocks[i].read()
			if err != nil {
				return err
			}
			mail := p.mail
			if i == 1 { // into the host's memory, for the other end
				mail = p.peer.mail
			}
			mail.Count(0, took)
		}
	}
	for ; n.looked < n.sent; n.looked++ {
		i := n.looked % len(n.reports)
		if n.reports[i].there.Query() != nil {
			break
		}
		n.judge(i)
	}
	return nil
}

// Close frees the net's memory.
func (n *Net) Close() error {
	if n.closed {
		return n.opError("close", errClosed)
	}
	n.leaveQueue()
	err := n.dev.do(func() error {
		var err error
		if n.ready {
			_ = n.wait() // the memory is in use until then; what failed is told by Sync
			for _, e := range n.events() {
				err = errors.Join(err, cuda.Wrap("cuEventDestroy", cu.DestroyEvent(e)))
			}
			for _, p := range n.ports {
				err = errors.Join(err, p.close())
			}
		}
		if n.replay.graph != nil {
			err = errors.Join(err, n.replay.graph.Close())
		}
		return errors.Join(err, closeConvs(n.convs), n.pinned.Free(), release(n.arenas))
	})
	n.closed, n.ready = true, false
	if err != nil {
		return n.opError("close", err)
	}
	return nil
}

func closeConvs(convs []*cuda.Conv) (err error) {
	for _, c := range convs {
		err = errors.Join(err, c.Close())
	}
	return err
}
