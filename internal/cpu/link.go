//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"alexnet/internal/device"
)

// layout is what travels with a parcel between two ends that both are of this package: the block of channels and the
// type, see value. Memory is copied as it is. Each end's Compile leaves its own in the link; any other end gets floats
// in logical order.
type layout struct {
	block int
	half  bool
}

// errPeer is how a device fails whose peer failed first.
var errPeer = errors.New("the device at the other end failed")

// abandoner is a step that owes something to another device even when its own has failed.
type abandoner interface{ abandon(n *Net) }

// post is one tensor's way out: a mailbox, the parcel's memory, and what to copy there.
type post struct {
	mail   *device.Mailbox
	peer   *any // the other end's entry in the link
	parcel *buffer
	src    endpoint
	view   C.cpu_view // of the parcel
}

// offer puts the parcel into circulation, now that the other end has been compiled.
func (p *post) offer() {
	parcel := &device.Parcel{Data: p.parcel.slice()}
	out := whole(p.parcel, p.src.shape, 1, false)
	if _, ok := (*p.peer).(layout); ok {
		own := layout{p.src.block(), p.src.half()}
		out = whole(p.parcel, p.src.shape, own.block, own.half)
		parcel.Layout = own
	}
	p.view = out.view
	p.mail.Offer(parcel)
}

func (p *post) run(n *Net) error {
	parcel := p.mail.Take()
	start := time.Now()
	C.cpu_copy(p.parcel.data, &p.view, p.src.first(), &p.src.view, C.int64_t(n.pass.Rows), 0)
	n.copied(p.view.block != p.src.view.block)
	n.moves.Exchange += bytesOf(&p.src.view, n.pass.Rows) + bytesOf(&p.view, n.pass.Rows)
	parcel.Failed = false
	p.mail.Post(parcel, int64(size(p.view.half != 0)*n.pass.Rows*p.src.shape.Len()), time.Since(start))
	return nil
}

func (p *post) abandon(*Net) {
	parcel := p.mail.Take()
	parcel.Failed = true
	p.mail.Post(parcel, 0, 0)
}

// get is one tensor's way in.
type get struct {
	mail *device.Mailbox
	dst  endpoint
	rows int
	add  bool
	drop bool       // nobody wants it
	view C.cpu_view // of the parcel that came
}

func (g *get) run(n *Net) error {
	parcel := g.mail.Get()
	start := time.Now()
	err := g.read(n, parcel)
	g.mail.Return(parcel, time.Since(start))
	return err
}

func (g *get) read(n *Net, parcel *device.Parcel) error {
	if parcel.Failed {
		return errPeer
	}
	if g.drop {
		return nil
	}
	came := layout{block: 1}
	if l, ok := parcel.Layout.(layout); ok {
		came = l
	} else if parcel.Layout != nil {
		return fmt.Errorf("it came in a layout of %T", parcel.Layout)
	}
	src := whole(nil, g.dst.shape, came.block, came.half)
	if 4*len(parcel.Data) < size(came.half)*n.pass.Rows*src.row() {
		return fmt.Errorf("%d numbers came, %d rows of %v were expected", len(parcel.Data), n.pass.Rows, src.shape)
	}
	g.view = src.view
	C.cpu_copy(g.dst.first(), &g.dst.view, unsafe.Pointer(unsafe.SliceData(parcel.Data)), &g.view,
		C.int64_t(n.pass.Rows), flag(g.add))
	n.copied(came.block != g.dst.block())
	n.moves.Exchange += bytesOf(&g.view, n.pass.Rows) + bytesOf(&g.dst.view, n.pass.Rows)
	if g.add { // reads what it adds to
		n.moves.Exchange += bytesOf(&g.dst.view, n.pass.Rows)
	}
	// rows that take no part are zero, whatever was in the memory
	if rest := (g.rows - n.pass.Rows) * g.dst.row(); rest > 0 && !g.add {
		C.cpu_zero(g.dst.at(n.pass.Rows), C.int64_t(size(g.dst.half())*rest))
	}
	return nil
}

func (g *get) abandon(*Net) { g.mail.Return(g.mail.Get(), 0) }

// send compiles a Send.
type send struct {
	link *device.Link
	in   *value
}

func (o *send) forward(c *compiler) error {
	x := c.read(o.in)
	o.link.Ends[0] = layout{o.in.block, o.in.half}
	c.post(&o.link.Forward, &o.link.Ends[1], x, o.in, o.in.half)
	return nil
}

func (o *send) backward(c *compiler) error {
	g := &get{mail: &o.link.Backward, rows: c.prog.Rows, drop: !o.in.wants}
	if o.in.wants {
		g.add = o.in.summed
		g.dst = whole(c.writeGrad(o.in), o.in.shape, o.in.block, o.in.halfGrad)
	}
	c.emit(g)
	return nil
}

// recv compiles a Recv. It takes the layout of the sender where that was compiled before, else that which its consumer
// asks for.
type recv struct {
	link *device.Link
	out  *value
	get  *get
}

func (o *recv) forward(c *compiler) error {
	if l, ok := o.link.Ends[0].(layout); ok {
		c.settle(o.out, l.block)
	}
	o.get = &get{mail: &o.link.Forward, rows: c.prog.Rows}
	o.get.dst.data = c.write(o.out)
	c.emit(o.get)
	c.later = append(c.later, func() {
		c.settle(o.out, 1)
		o.link.Ends[1] = layout{o.out.block, o.out.half}
		o.get.dst = whole(o.out.data, o.out.shape, o.out.block, o.out.half)
	})
	return nil
}

func (o *recv) backward(c *compiler) error {
	c.post(&o.link.Backward, &o.link.Ends[0], c.readGrad(o.out), o.out, o.out.halfGrad)
	return nil
}

// post plans a parcel and emits the step that fills and sends it.
func (c *compiler) post(mail *device.Mailbox, peer *any, data *buffer, v *value, half bool) {
	// floats: what any other kind of device would get
	parcel := c.always(c.buffer(device.PurposeExchange, 4*c.prog.Rows*v.row()))
	p := &post{mail: mail, peer: peer, parcel: parcel, src: whole(data, v.shape, v.block, half)}
	c.posts = append(c.posts, p)
	c.emit(p)
}
