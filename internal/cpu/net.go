//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"alexnet/internal/device"
)

// Net is a compiled program. Fields below the line belong to the worker.
type Net struct {
	dev     *Device
	prog    device.Program
	params  *Params
	ops     []prepared
	values  []*value
	own     []device.Param // those that the program trains
	arenas  []*arena
	plan    device.MemoryPlan
	prims   primitives
	posts   []*post
	slots   [2]slot
	staged  int // calls of Stage
	tickets [2]ticket
	fetched int // calls of Fetch

	// ----

	ready  bool  // allocated
	err    error // the first failure; written with the queue's lock
	pass   device.Pass
	labels []int32
	finite bool // the loss, in this pass
	input  C.cpu_input
	mean   *buffer
	scale  *buffer
	pixels [2]*buffer
	moves  device.Moves // so far

	private, logical C.cpu_view // of the value being fetched or stored
}

// slot is one of the two upload slots.
type slot struct {
	batch *device.Batch
	pass  device.Pass
	begun uint64 // number of the command that reads it
}

// ticket is the receipt of a Fetch.
type ticket struct {
	net    *Net
	number uint64
}

// Wait returns when the data is there.
func (t *ticket) Wait() error {
	t.net.dev.queue.wait(t.number)
	return t.net.failure()
}

// planInput plans the upload slots and the input value.
func (c *compiler) planInput() {
	c.time = -1
	in := c.prog.Input
	v := c.values[in.Value]
	c.write(v)
	for i := range c.pixels {
		c.pixels[i] = c.always(c.buffer(device.PurposeStaging, c.prog.Rows*in.Height*in.Width*in.Channels))
	}
	c.mean = c.always(c.buffer(device.PurposeStaging, 4*max(len(in.Mean), in.Channels)))
	c.scale = c.always(c.buffer(device.PurposeStaging, 4*in.Channels))
	mean := 1
	if len(in.Mean) > in.Channels {
		mean = in.Height * in.Width
	}
	c.input = C.cpu_input{
		rows: C.int64_t(c.prog.Rows), channels: C.int64_t(in.Channels), height: C.int64_t(v.shape.H),
		width: C.int64_t(v.shape.W), picture_height: C.int64_t(in.Height), picture_width: C.int64_t(in.Width),
		mean_pixels: C.int64_t(mean), half: flag(v.half),
	}
	c.later = append(c.later, func() { // only its reader knows the layout
		c.settle(v, 1)
		c.input.last = flag(v.block == v.shape.C && v.pixels() > 1)
	})
}

// What a row takes in a Batch besides pixels, and the net's copy of its label.
const rowBytes = 4 + 8 + 1 + 12

// addStaging adds what Alloc takes from Go.
func (c *compiler) addStaging() {
	for i := range c.plan {
		if c.plan[i].Purpose == device.PurposeStaging {
			c.plan[i].Bytes += int64(c.prog.Rows) * (2*rowBytes + 4)
		}
	}
}

// Memory tells what Alloc takes.
func (n *Net) Memory() device.MemoryPlan { return slices.Clone(n.plan) }

// Alloc takes it.
func (n *Net) Alloc() (err error) {
	n.dev.do(func() { err = n.alloc() })
	if err != nil {
		return fmt.Errorf("%s: %w", n.dev.name, err)
	}
	return nil
}

func (n *Net) alloc() error {
	if n.ready {
		return errors.New("allocated twice")
	}
	if err := n.params.alloc(); err != nil {
		return err
	}
	if err := allocAll(n.arenas); err != nil {
		freeAll(n.arenas)
		return err
	}
	if err := n.prims.bind(n.dev); err != nil {
		return err
	}
	n.fillStaging()
	for _, p := range n.posts {
		p.offer()
	}
	n.ready = true
	return nil
}

func (n *Net) fillStaging() {
	mean := n.mean.slice()
	copy(mean, n.prog.Input.Mean)
	if pixels := int(n.input.mean_pixels); n.input.last != 0 && pixels > 1 {
		for i, m := range n.prog.Input.Mean {
			mean[i%pixels*n.prog.Input.Channels+i/pixels] = m
		}
	}
	scale := n.scale.slice()
	for i := range scale {
		scale[i] = 1
	}
	copy(scale, n.prog.Input.Scale)
	n.labels = make([]int32, n.prog.Rows)
	for i := range n.slots {
		b := n.pixels[i]
		n.slots[i].batch = device.NewBatch(i, n.prog.Rows, n.prog.Input, unsafe.Slice((*uint8)(b.data), b.bytes))
		specs := len(n.params.specs)
		n.slots[i].pass.LR, n.slots[i].pass.Decay = make([]float32, 0, specs), make([]float32, 0, specs)
	}
	n.pass.LR, n.pass.Decay = make([]float32, 0, len(n.params.specs)), make([]float32, 0, len(n.params.specs))
}

// Stage returns a slot.
func (n *Net) Stage() *device.Batch {
	s := &n.slots[n.staged&1]
	n.staged++
	n.dev.queue.wait(s.begun)
	return s.batch
}

// copyPass copies what the slices hold, into slices that are there.
func copyPass(dst *device.Pass, src *device.Pass) {
	lr, decay := append(dst.LR[:0], src.LR...), append(dst.Decay[:0], src.Decay...)
	*dst = *src
	dst.LR, dst.Decay = lr, decay
}

// Begin starts a pass.
func (n *Net) Begin(b *device.Batch, pass device.Pass) {
	s := &n.slots[b.Slot()]
	n.dev.queue.wait(s.begun) // else the pass of that Begin would be lost
	copyPass(&s.pass, &pass)
	s.begun = n.dev.queue.put(command{kind: begin, net: n, index: b.Slot()})
}

// Forward runs an op.
func (n *Net) Forward(op int) { n.dev.queue.put(command{kind: forward, net: n, index: op}) }

// Backward runs its gradient.
func (n *Net) Backward(op int) { n.dev.queue.put(command{kind: backward, net: n, index: op}) }

// Update changes the parameters.
func (n *Net) Update() { n.dev.queue.put(command{kind: update, net: n}) }

// Fetch reads a value or its gradient.
func (n *Net) Fetch(v device.Value, grad bool, dst []float32) device.Ticket {
	t := &n.tickets[n.fetched&1]
	n.fetched++
	t.net, t.number = n, n.dev.queue.put(command{kind: fetch, net: n, index: int(v), grad: grad, data: dst})
	return t
}

// Store writes a value or its gradient.
func (n *Net) Store(v device.Value, grad bool, src []float32) {
	n.dev.queue.put(command{kind: store, net: n, index: int(v), grad: grad, data: slices.Clone(src)})
}

// Sync waits for all that was enqueued.
func (n *Net) Sync() error {
	n.dev.queue.waitAll()
	return n.failure()
}

// Close frees the net's memory.
func (n *Net) Close() error {
	n.dev.do(func() {
		n.prims.destroy()
		freeAll(n.arenas)
		if n.err == nil {
			n.fail("close", errors.New("the net is closed"))
		}
	})
	return nil
}

func (n *Net) failure() error {
	n.dev.queue.mu.Lock()
	defer n.dev.queue.mu.Unlock()
	return n.err
}

// fail notes the first failure.
func (n *Net) fail(op string, err error) {
	n.dev.queue.mu.Lock()
	defer n.dev.queue.mu.Unlock()
	if n.err == nil {
		n.err = &device.OpError{Device: n.dev.name, Op: op, Err: err}
	}
}

// run runs the steps of an op; once the net has failed, only what other devices wait for.
func (n *Net) run(op int, steps []step) {
	for _, s := range steps {
		if n.err != nil {
			if a, ok := s.(abandoner); ok {
				a.abandon(n)
			}
		} else if err := s.run(n); err != nil {
			n.fail(n.prog.Ops[op].Base().Name, err)
		}
	}
}

// begin reads a slot and makes the input.
func (n *Net) begin(i int) {
	if n.err != nil {
		return
	}
	s := &n.slots[i]
	copyPass(&n.pass, &s.pass)
	n.finite = true
	if err := n.prog.CheckPass(s.batch, &n.pass); err != nil {
		n.fail("begin", err)
		return
	}
	copy(n.labels, s.batch.Labels)
	n.moves.Upload += n.uploadBytes()
	b := s.batch
	n.input.used = C.int64_t(n.pass.Rows)
	n.input.mean, n.input.scale = n.mean.floats(), n.scale.floats()
	C.cpu_input_rows(&n.input, n.values[n.prog.Input.Value].data.data, (*C.uint8_t)(n.pixels[i].data),
		(*C.int32_t)(&b.Crop[0][0]), (*C.uint8_t)(unsafe.Pointer(&b.Flip[0])), (*C.float)(&b.Color[0][0]))
}

// tensor finds what a Fetch or Store means.
func (n *Net) tensor(c *command) (endpoint, error) {
	if c.index < 0 || c.index >= len(n.values) {
		return endpoint{}, fmt.Errorf("value %d of %d", c.index, len(n.values))
	}
	v := n.values[c.index]
	b, half := v.data, v.half
	if c.grad {
		b, half = v.grad, v.halfGrad
	}
	if b == nil || !v.kept && !v.input {
		return endpoint{}, fmt.Errorf("%s is not kept", v.name)
	}
	if len(c.data) < n.pass.Rows*v.shape.Len() {
		return endpoint{}, fmt.Errorf("%d numbers for %d rows of %v", len(c.data), n.pass.Rows, v.shape)
	}
	return whole(b, v.shape, v.block, half), nil
}

func (n *Net) fetch(c *command) {
	if n.err != nil {
		return
	}
	e, err := n.tensor(c)
	if err != nil {
		n.fail("fetch", err)
		return
	}
	n.private, n.logical = e.view, whole(nil, e.shape, 1, false).view
	C.cpu_copy(unsafe.Pointer(unsafe.SliceData(c.data)), &n.logical, e.first(), &n.private, C.int64_t(n.pass.Rows), 0)
}

func (n *Net) store(c *command) {
	if n.err != nil {
		return
	}
	e, err := n.tensor(c)
	if err != nil {
		n.fail("store", err)
		return
	}
	n.private, n.logical = e.view, whole(nil, e.shape, 1, false).view
	C.cpu_copy(e.first(), &n.private, unsafe.Pointer(unsafe.SliceData(c.data)), &n.logical, C.int64_t(n.pass.Rows), 0)
	if c.grad { // rows that take no part have no gradient
		rows := n.pass.Rows
		C.cpu_zero(e.at(rows), C.int64_t((n.prog.Rows-rows)*e.row()*size(e.half())))
	}
}
