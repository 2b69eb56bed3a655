//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
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
	lossOf   *value // the loss of each row

	input  input
	passed pointer // the pass, labels and rates of the parameters in device memory
	labels pointer
	rates  part
	flags  *buffer

	guard        *backend.Guard
	pass         device.Pass
	begun        int // calls of Begin that were let pass
	pinned       *cuda.Pinned
	place        pinnedPlan
	tickets      [2]ticket
	fetched      int // calls of Fetch
	reports      [16]flagReport
	sent, looked int // reports that were enqueued, and looked at
	replay       replay
}

// Memory tells what Alloc takes.
func (n *Net) Memory() device.MemoryPlan { return slices.Clone(n.plan) }

// Alloc takes it, if it is there for all nets that were compiled on the GPU.
func (n *Net) Alloc() error {
	if err := n.guard.Alloc(); err != nil {
		return err
	}
	if err := n.Room(); err != nil {
		return err
	}
	err := n.dev.do(func() error {
		if err := n.alloc(); err != nil {
			_ = n.dev.main.Synchronize() // what was enqueued uses the memory
			return errors.Join(err, n.free())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", n.dev.name, err)
	}
	n.guard.Allocated()
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
	if !n.guard.Op(i, backward) && !n.guard.Owes(i, backward) {
		return
	}
	steps := n.ops[i].forward
	if backward {
		steps = n.ops[i].backward
	}
	n.steps(n.prog.Ops[i].Base().Name, steps)
}

// steps enqueues; once the net has failed, only what other devices must know.
func (n *Net) steps(op string, steps []step) {
	if err := n.dev.Enter(); err != nil {
		n.guard.Fail(op, err)
	}
	defer n.dev.Leave()
	for _, s := range steps {
		if n.guard.Err() != nil {
			if a, ok := s.(interface{ abandon(*Net) }); ok {
				a.abandon(n)
			}
		} else if err := s.run(n); err != nil {
			n.guard.Fail(op, err)
		}
	}
}

// Update changes the parameters.
func (n *Net) Update() {
	if n.guard.Update() {
		n.steps("update", n.updating)
	}
}

// Sync waits for all that was enqueued.
func (n *Net) Sync() error {
	if n.guard.Live() {
		n.guard.Fail("sync", n.dev.do(n.wait))
	}
	return n.guard.Sync()
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
	live := n.guard.Live()
	if err := n.guard.Close(); err != nil {
		return err
	}
	n.leaveQueue()
	err := n.dev.do(func() (err error) {
		if live {
			_ = n.wait() // the memory is in use until then; what failed is told by Sync
		}
		if n.replay.graph != nil {
			err = n.replay.graph.Close()
		}
		return errors.Join(err, closeConvs(n.convs), n.free())
	})
	if err != nil {
		return &device.OpError{Device: n.dev.name, Op: "close", Err: err}
	}
	return nil
}

// free gives back what Alloc took, as far as it came.
func (n *Net) free() (err error) {
	for _, e := range n.events() {
		err = errors.Join(err, destroy(e))
	}
	for _, p := range n.ports {
		err = errors.Join(err, p.close())
	}
	return errors.Join(err, n.pinned.Free(), release(n.arenas))
}

// destroy ends an event, if it was made.
func destroy(e *cu.Event) error {
	if *e == (cu.Event{}) {
		return nil
	}
	err := cuda.Wrap("cuEventDestroy", cu.DestroyEvent(e))
	*e = cu.Event{}
	return err
}

func closeConvs(convs []*cuda.Conv) (err error) {
	for _, c := range convs {
		err = errors.Join(err, c.Close())
	}
	return err
}
