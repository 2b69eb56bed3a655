//go:build cuda

package gpu

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/gpu/cuda"
	"alexnet/kernels"
)

// input is how pictures become the net's input. Pixels go up on a stream of their own, into one of two places, while
// the step before computes; all that is small (crops, flips, colours, labels, pass, rates) is copied into the net's own
// pinned memory and goes up on the computing stream, into one place.
type input struct {
	slots       [2]slot
	small       *buffer
	smallBytes  int64
	crop        int64 // where things are in small
	flip, color int64
	label, pass int64
	rates       int64
	mean, scale *buffer
}

// slot is one of the two places for pixels, which Begin takes by turns.
type slot struct {
	batch    *device.Batch // of the last Begin
	pixels   *buffer
	kernel   *kernel
	host     int64 // place of what is small in pinned memory
	begun    bool
	uploaded cu.Event // the pixels are in device memory
	consumed cu.Event // all of the slot has been read
}

// planInput plans the places for pixels and the input value.
func (c *compiler) planInput() {
	c.time = -1
	in, o, rows := c.prog.Input, &c.input, int64(c.prog.Rows)
	tensors := int64(len(c.params.params))
	add := func(bytes int64) (at int64) {
		at, o.smallBytes = o.smallBytes, (o.smallBytes+bytes+15)/16*16
		return at
	}
	o.crop, o.flip, o.color, o.label = add(8*rows), add(rows), add(12*rows), add(4*rows)
	o.pass, o.rates = add(int64(kernels.PassSize)), add(8*tensors)
	o.small = c.always(c.buffer(device.PurposeStaging, o.smallBytes))
	c.labels, c.passed, c.rates = part{o.small, o.label}, part{o.small, o.pass}, part{o.small, o.rates}
	c.flags = c.always(c.buffer(device.PurposeStaging, c.flagBytes()))
	o.mean = c.always(c.buffer(device.PurposeStaging, 4*int64(len(in.Mean))))
	o.scale = c.always(c.buffer(device.PurposeStaging, 4*int64(len(in.Scale))))
	v := c.values[in.Value]
	c.margin(v)
	x := c.write(v)
	for i := range o.slots {
		s := &o.slots[i]
		s.pixels = c.always(c.buffer(device.PurposeStaging, rows*int64(in.PictureBytes())))
		s.kernel = &kernel{
			name: "input" + order(v.layout) + suffix(v.typ), items: rows * int64(v.plane()),
			args: []any{
				s.pixels,
				part{o.small, o.crop},
				part{o.small, o.flip},
				part{o.small, o.color},
				o.mean, len(in.Mean), o.scale, x,
				c.prog.Rows, in.Channels, in.Height, in.Width, v.shape.H, v.shape.W, v.depth, v.height, v.width,
				c.passed,
			},
		}
	}
}

// margin lets the input lie as its convolution wants it: with zeros at the right and bottom where the output is rounded
// up, and channels of zeros where tensor cores want a whole vector of 16 bytes.
func (c *compiler) margin(v *value) {
	s, ok := v.reader.(*device.Conv)
	if !ok || len(s.In) > 1 || v.sends > 0 {
		return
	}
	out := c.values[s.Out].shape
	v.height, v.width = reach(s, v.shape.H, out.H), reach(s, v.shape.W, out.W)
	if vector := int(16 / v.typ.Size()); v.layout == cuda.NHWC && s.Groups == 1 && v.shape.C < vector {
		v.depth = vector
	}
}

// pinnedPlan is what lies where in the net's pinned memory.
type pinnedPlan struct {
	bytes   int64
	tickets [2]int64
	ticket  int64 // bytes of a ticket
	reports int64
}

// planPinned plans pinned memory: what is small of the slots, the reports of checks, and room for two values of those
// that are read step by step.
func (c *compiler) planPinned() int64 {
	p := &c.place
	add := func(bytes int64) (at int64) { at, p.bytes = p.bytes, up(p.bytes+bytes); return at }
	for i := range c.input.slots {
		c.input.slots[i].host = add(c.input.smallBytes)
	}
	p.reports = add(int64(len(c.reports)) * c.flagBytes())
	for id, v := range c.values {
		if v.kept && !v.input || c.prog.IsLoss(device.Value(id)) {
			p.ticket = max(p.ticket, v.typ.Size()*int64(c.elements(v)))
		}
	}
	for i := range p.tickets {
		p.tickets[i] = add(p.ticket)
	}
	return p.bytes
}

// fill clears the slots' pinned memory, for rows that take no part are read too, and copies what never changes.
func (o *input) fill(n *Net) error {
	for i := range o.slots {
		s := &o.slots[i]
		clear(cuda.Slice[uint8](n.pinned, s.host, int(o.smallBytes)))
		s.kernel.bind(n.dev)
	}
	in := n.prog.Input
	for _, c := range []struct {
		to   *buffer
		from []float32
	}{{o.mean, in.Mean}, {o.scale, in.Scale}} {
		if len(c.from) == 0 {
			continue
		}
		if err := cu.MemcpyHtoDAsync(c.to.ptr(), unsafe.Pointer(&c.from[0]), int64(4*len(c.from)),
			n.dev.main); err != nil {
			return cuda.Wrap("cuMemcpyHtoDAsync", err)
		}
	}
	return nil
}

// Await waits until a batch has been read: its pixels are up, the rest Begin copied.
func (n *Net) Await(b *device.Batch) {
	if !n.guard.Ready("await") {
		return
	}
	for i := range n.input.slots { // Begin waited for those before
		if s := &n.input.slots[i]; s.begun && s.batch == b {
			n.guard.Fail("await", n.dev.do(func() error {
				return cuda.Wrap("cuEventSynchronize", s.uploaded.Synchronize())
			}))
		}
	}
}

// Begin starts a pass.
func (n *Net) Begin(b *device.Batch, pass device.Pass) {
	if !n.guard.Begin(b, &pass) {
		return
	}
	n.pass = pass
	n.pass.LR, n.pass.Decay = nil, nil // read here, and not kept
	s := &n.input.slots[n.begun&1]
	n.begun++
	if err := n.dev.do(func() error { return n.begin(s, b, &pass) }); err != nil {
		n.guard.Fail("begin", err)
	}
}

func (n *Net) begin(s *slot, b *device.Batch, pass *device.Pass) error {
	main, up := n.dev.main, n.dev.upload
	if s.begun {
		if err := s.consumed.Synchronize(); err != nil {
			return cuda.Wrap("cuEventSynchronize", err)
		}
	}
	s.begun, s.batch = true, b
	n.copySmall(s.host, b, pass)
	pixels := int64(pass.Rows * n.prog.Input.PictureBytes())
	if err := cu.MemcpyHtoDAsync(s.pixels.ptr(), unsafe.Pointer(&b.Pixels[0]), pixels, up); err != nil {
		return cuda.Wrap("cuMemcpyHtoDAsync", err)
	}
	if err := s.uploaded.Record(up); err != nil {
		return cuda.Wrap("cuEventRecord", err)
	}
	if err := main.Wait(s.uploaded, 0); err != nil {
		return cuda.Wrap("cuStreamWaitEvent", err)
	}
	for _, p := range n.ports {
		if err := p.begin(main); err != nil {
			return err
		}
	}
	if err := cu.MemcpyHtoDAsync(n.input.small.ptr(), n.pinned.At(s.host), n.input.smallBytes, main); err != nil {
		return cuda.Wrap("cuMemcpyHtoDAsync", err)
	}
	if err := s.kernel.run(n); err != nil {
		return err
	}
	return cuda.Wrap("cuEventRecord", s.consumed.Record(main))
}

// copySmall copies what is small of a batch and its pass into pinned memory, from byte number at on.
func (n *Net) copySmall(at int64, b *device.Batch, pass *device.Pass) {
	o, rows, tensors := &n.input, pass.Rows, len(n.params.params)
	copy(cuda.Slice[[2]int32](n.pinned, at+o.crop, rows), b.Crop)
	copy(cuda.Slice[bool](n.pinned, at+o.flip, rows), b.Flip)
	copy(cuda.Slice[[3]float32](n.pinned, at+o.color, rows), b.Color)
	copy(cuda.Slice[int32](n.pinned, at+o.label, rows), b.Labels)
	cuda.Slice[kernels.Pass](n.pinned, at+o.pass, 1)[0] = kernels.Pass{
		Seed: pass.Seed, Step: pass.Step, First: pass.First, Rows: int64(pass.Rows), Divisor: pass.Divisor,
		Momentum: pass.Momentum,
	}
	copy(cuda.Slice[float32](n.pinned, at+o.rates, tensors), pass.LR)
	copy(cuda.Slice[float32](n.pinned, at+o.rates+4*int64(tensors), tensors), pass.Decay)
}

// Pin takes memory that all GPUs read by themselves.
func (d *Device) Pin(bytes int64) (memory []byte, free func() error, err error) {
	if d.closed {
		return nil, nil, fmt.Errorf("%s: %w", d.name, backend.ErrDeviceClosed)
	}
	var p *cuda.Pinned
	if err := d.do(func() (err error) { p, err = cuda.AllocPinned(bytes); return err }); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return cuda.Slice[byte](p, 0, int(bytes)), func() error { return d.do(p.Free) }, nil
}
