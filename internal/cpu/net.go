//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
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
	begins  [2]beginning
	begun   int // calls of Begin
	tickets [2]ticket
	fetched int // calls of Fetch
	guard   *backend.Guard

	// ----

	pass   device.Pass
	labels []int32
	finite bool // the loss, in this pass
	input  C.cpu_input
	mean   *buffer
	scale  *buffer
	moves  device.Moves // so far

	private, logical C.cpu_view // of the value being fetched or stored
}

// beginning is what one of the last two calls of Begin gave.
type beginning struct {
	batch  *device.Batch
	pass   device.Pass
	number uint64 // of the command that reads it
}

// ticket is the receipt of a Fetch.
type ticket struct {
	net    *Net
	number uint64
}

// Wait returns when the data is there.
func (t *ticket) Wait() error {
	t.net.dev.queue.wait(t.number)
	return t.net.guard.Err()
}

// planInput plans the input value and what makes it.
func (c *compiler) planInput() {
	c.time = -1
	in := c.prog.Input
	v := c.values[in.Value]
	c.write(v)
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

// addStaging adds what Alloc takes from Go.
func (c *compiler) addStaging() {
	for i := range c.plan {
		if c.plan[i].Purpose == device.PurposeStaging {
			c.plan[i].Bytes += 4 * int64(c.prog.Rows) // labels
		}
	}
}

// Memory tells what Alloc takes.
func (n *Net) Memory() device.MemoryPlan { return slices.Clone(n.plan) }

// Alloc takes it.
func (n *Net) Alloc() error {
	if err := n.guard.Alloc(); err != nil {
		return err
	}
	if err := n.dev.attempt(n.alloc); err != nil {
		return fmt.Errorf("%s: %w", n.dev.name, err)
	}
	return nil
}

func (n *Net) alloc() error {
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
	n.guard.Allocated()
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
	for i := range n.begins {
		specs := len(n.params.specs)
		n.begins[i].pass.LR, n.begins[i].pass.Decay = make([]float32, 0, specs), make([]float32, 0, specs)
	}
	n.pass.LR, n.pass.Decay = make([]float32, 0, len(n.params.specs)), make([]float32, 0, len(n.params.specs))
}

// Await waits until a batch has been read.
func (n *Net) Await(b *device.Batch) {
	if !n.guard.Ready("await") {
		return
	}
	for i := range n.begins { // Begin waited for those before
		if n.begins[i].batch == b {
			n.dev.queue.wait(n.begins[i].number)
		}
	}
}

// enqueue puts a command into the device's queue, and gives its number.
func (n *Net) enqueue(what string, c command) uint64 {
	c.net = n
	number, ok := n.dev.queue.put(c)
	if !ok {
		n.guard.Fail(what, backend.ErrDeviceClosed)
	}
	return number
}

// copyPass copies what the slices hold, into slices that are there.
func copyPass(dst *device.Pass, src *device.Pass) {
	lr, decay := append(dst.LR[:0], src.LR...), append(dst.Decay[:0], src.Decay...)
	*dst = *src
	dst.LR, dst.Decay = lr, decay
}

// Begin starts a pass.
func (n *Net) Begin(b *device.Batch, pass device.Pass) {
	i := n.begun & 1
	n.begun++
	s := &n.begins[i]
	n.dev.queue.wait(s.number) // else the pass of that Begin would be lost
	s.batch = b
	copyPass(&s.pass, &pass)
	s.number = n.enqueue("begin", command{kind: begin, index: i})
}

// Forward runs an op.
func (n *Net) Forward(op int) { n.enqueue("forward", command{kind: forward, index: op}) }

// Backward runs its gradient.
func (n *Net) Backward(op int) { n.enqueue("backward", command{kind: backward, index: op}) }

// Update changes the parameters.
func (n *Net) Update() { n.enqueue("update", command{kind: update}) }

// Fetch reads a value or its gradient.
func (n *Net) Fetch(v device.Value, grad bool, dst []float32) device.Ticket {
	t := &n.tickets[n.fetched&1]
	n.fetched++
	t.net, t.number = n, n.enqueue("fetch", command{kind: fetch, index: int(v), grad: grad, data: dst})
	return t
}

// Store writes a value or its gradient.
func (n *Net) Store(v device.Value, grad bool, src []float32) {
	n.enqueue("store", command{kind: store, index: int(v), grad: grad, data: slices.Clone(src)})
}

// Sync waits for all that was enqueued.
func (n *Net) Sync() error {
	n.dev.queue.waitAll()
	return n.guard.Sync()
}

// Close frees the net's memory.
func (n *Net) Close() error {
	var again error
	err := n.dev.do(func() {
		if again = n.guard.Close(); again == nil {
			n.prims.destroy()
			freeAll(n.arenas)
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w", n.dev.name, err)
	}
	return again
}

// run runs the steps of an op; once the net has failed, only what other devices wait for.
func (n *Net) run(op int, backward bool) {
	if !n.guard.Op(op, backward) && !n.guard.Owes(op, backward) {
		return
	}
	steps := n.ops[op].forward
	if backward {
		steps = n.ops[op].backward
	}
	for _, s := range steps {
		if n.guard.Err() != nil {
			if a, ok := s.(abandoner); ok {
				a.abandon(n)
			}
		} else if err := s.run(n); err != nil {
			n.guard.Fail(n.prog.Ops[op].Base().Name, err)
		}
	}
}

// begin reads the batch of one of the last two calls of Begin and makes the input.
func (n *Net) begin(i int) {
	s := &n.begins[i]
	if !n.guard.Begin(s.batch, &s.pass) {
		return
	}
	copyPass(&n.pass, &s.pass)
	n.finite = true
	copy(n.labels, s.batch.Labels[:n.pass.Rows])
	n.moves.Upload += n.uploadBytes()
	b := s.batch
	n.input.used = C.int64_t(n.pass.Rows)
	n.input.mean, n.input.scale = n.mean.floats(), n.scale.floats()
	C.cpu_input_rows(&n.input, n.values[n.prog.Input.Value].data.data, (*C.uint8_t)(&b.Pixels[0]),
		(*C.int32_t)(&b.Crop[0][0]), (*C.uint8_t)(unsafe.Pointer(&b.Flip[0])), (*C.float)(&b.Color[0][0]))
}

// tensor finds what a Fetch or Store means; false after a failure.
func (n *Net) tensor(what string, c *command) (e endpoint, ok bool) {
	if !n.guard.Value(what, device.Value(c.index)) {
		return e, false
	}
	v := n.values[c.index]
	b, half := v.data, v.half
	if c.grad {
		b, half = v.grad, v.halfGrad
	}
	if !n.guard.Tensor(what, device.Value(c.index), c.grad, b != nil, len(c.data)) {
		return e, false
	}
	return whole(b, v.shape, v.block, half), true
}

func (n *Net) fetch(c *command) {
	e, ok := n.tensor("fetch", c)
	if !ok {
		return
	}
	n.private, n.logical = e.view, whole(nil, e.shape, 1, false).view
	C.cpu_copy(unsafe.Pointer(unsafe.SliceData(c.data)), &n.logical, e.first(), &n.private, C.int64_t(n.pass.Rows), 0)
}

func (n *Net) store(c *command) {
	e, ok := n.tensor("store", c)
	if !ok {
		return
	}
	n.private, n.logical = e.view, whole(nil, e.shape, 1, false).view
	C.cpu_copy(e.first(), &n.private, unsafe.Pointer(unsafe.SliceData(c.data)), &n.logical, C.int64_t(n.pass.Rows), 0)
	if c.grad { // rows that take no part have no gradient
		rows := n.pass.Rows
		C.cpu_zero(e.at(rows), C.int64_t((n.prog.Rows-rows)*e.row()*size(e.half())))
	}
}
