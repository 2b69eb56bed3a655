//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"time"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
)

// errPeer is how a device fails whose peer failed first.
var errPeer = errors.New("the device at the other end of the link failed")

// port is one end of a link. What leaves through it is fetched by the other end, on the stream that the other device
// has for that, between events: left says that it is there, came that the copy is done, free that what is to be
// overwritten has been read.
type port struct {
	net   *Net
	link  *device.Link
	mail  *device.Mailbox // of what comes in
	peer  *port           // from Alloc on
	value *value
	out   *buffer // what leaves
	in    *buffer // where what comes goes
	// The first two belong to the computing stream, the third to the fetching one.
	left, free, came cu.Event
	failed           bool         // instead of leaving something
	waiting          bool         // the other end's copy has been enqueued since out was last safe
	transit          *cuda.Pinned // where what comes waits, in the host's memory; nil: it comes straight
	inTransit        cu.Event     // the device has put everything into the other end's transit
	clocks           [2]clock     // of the copy, and of the copy into transit
}

// sizes of what crosses, in bytes.
func (p *port) bytes(rows int) int64 {
	return p.value.typ.Size() * int64(rows) * int64(p.value.row())
}

// send compiles a Send.
type send struct {
	link *device.Link
	in   *value
	port *port
}

func (o *send) forward(c *compiler) error {
	if o.in.port != nil {
		return fmt.Errorf("%s came from another device and cannot be sent on", o.in.name)
	}
	c.read(o.in)
	c.always(o.in.data)
	o.port = c.port(o.link, 0, o.in)
	o.port.out, o.port.mail = o.in.data, &o.link.Backward
	c.emit(&signal{o.port})
	return nil
}

// backward adds what comes home; for a picture whose gradient is not wanted it is dropped.
func (o *send) backward(c *compiler) error {
	c.emit(&pull{port: o.port, drop: !o.in.wants})
	if !o.in.wants {
		return nil
	}
	add := 0 // to what a local consumer, or a later Send, wrote
	if o.in.summed {
		add = 1
	}
	dx := c.writeGrad(o.in)
	o.port.in = c.always(c.buffer(device.PurposeExchange, o.in.gradType.Size()*int64(c.elements(o.in))))
	c.emit(&await{o.port})
	c.launch("home"+suffix(o.in.gradType), int64(c.elements(o.in)), dx, o.port.in, c.prog.Rows, o.in.row(), add,
		c.passed)
	c.emit(&vacate{o.port})
	return nil
}

// recv compiles a Recv.
type recv struct {
	link *device.Link
	out  *value
}

func (o *recv) forward(c *compiler) error {
	o.out.port = c.port(o.link, 1, o.out)
	o.out.port.in, o.out.port.mail = c.always(c.write(o.out)), &o.link.Forward
	c.emit(&pull{port: o.out.port})
	return nil
}

func (o *recv) backward(c *compiler) error {
	o.out.port.out = c.readGrad(o.out)
	c.wrote(o.out)
	return nil
}

// port makes an end of a link. The second end to be compiled knows how what crosses will get there.
func (c *compiler) port(l *device.Link, end int, v *value) *port {
	p := &port{net: c.Net, link: l, value: v}
	c.ports = append(c.ports, p)
	l.Ends[end] = p
	if other, ok := l.Ends[1-end].(*port); ok {
		l.Way = way(c.dev, other.net.dev)
	}
	return p
}

// Ways between two devices.
const (
	wayOwn  = "same GPU"
	wayPeer = "peer"
	wayHost = "staged"
)

// way is how copies get from one device to another: inside of a GPU, from GPU to GPU, or through pinned memory of the
// host. The context of the first is current then.
func way(a, b *Device) string {
	if a.card == b.card {
		return wayOwn
	}
	if !a.reaches(b.card).ok {
		return wayHost
	}
	return wayPeer
}

// alloc makes the end's events, and meets the other end where that is there already.
func (p *port) alloc() error {
	for _, e := range []*cu.Event{&p.left, &p.free, &p.came, &p.inTransit} {
		var err error
		if *e, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return cuda.Wrap("cuEventCreate", err)
		}
	}
	for i := range p.clocks {
		if err := p.clocks[i].alloc(); err != nil {
			return err
		}
	}
	for _, end := range p.link.Ends {
		other, ok := end.(*port)
		if !ok {
			return fmt.Errorf("the other end of link %s is not a GPU", p.link.Name)
		}
		if other != p {
			p.peer = other
		}
	}
	a, b := p.value, p.peer.value
	if a.typ != b.typ || a.layout != b.layout {
		return fmt.Errorf("the ends of link %s compute in different precisions", p.link.Name)
	}
	if p.link.Way == wayHost && p.in != nil {
		var err error
		p.transit, err = cuda.AllocPinned(p.bytes(p.net.prog.Rows))
		return err
	}
	return nil
}

func (p *port) close() error {
	var err error
	for _, e := range []*cu.Event{&p.left, &p.free, &p.came, &p.inTransit} {
		err = errors.Join(err, destroy(e))
	}
	for i := range p.clocks {
		err = errors.Join(err, p.clocks[i].close())
	}
	return errors.Join(err, p.transit.Free())
}

// signal tells the other end that what leaves is there.
type signal struct{ port *port }

func (s *signal) run(n *Net) error {
	s.port.failed = false
	return cuda.Wrap("cuEventRecord", s.port.left.Record(n.dev.main))
}

func (s *signal) abandon(*Net) { s.port.failed = true }

// await has the computing stream wait for what comes.
type await struct{ port *port }

func (s *await) run(n *Net) error {
	return cuda.Wrap("cuStreamWaitEvent", n.dev.main.Wait(s.port.came, 0))
}

// pull fetches what the other end left.
type pull struct {
	port *port
	drop bool
}

func (s *pull) run(n *Net) error {
	p := s.port
	if p.peer.failed {
		return errPeer
	}
	bytes := p.bytes(n.pass.Rows)
	p.mail.Count(bytes, 0)
	if s.drop {
		return nil
	}
	x := n.dev.exchange
	if err := x.Wait(p.free, 0); err != nil {
		return cuda.Wrap("cuStreamWaitEvent", err)
	}
	p.peer.waiting = true
	if p.link.Way == wayHost {
		return p.throughHost(bytes)
	}
	if err := x.Wait(p.peer.left, 0); err != nil {
		return cuda.Wrap("cuStreamWaitEvent", err)
	}
	if err := p.clocks[0].start(x); err != nil {
		return err
	}
	var err error
	if p.link.Way == wayPeer {
		err = cu.MemcpyPeerAsync(p.in.ptr(), n.dev.C(), p.peer.out.ptr(), p.peer.net.dev.C(), bytes, x)
	} else {
		err = cu.MemcpyDtoDAsync(p.in.ptr(), p.peer.out.ptr(), bytes, x)
	}
	if err != nil {
		return cuda.Wrap("cuMemcpyPeerAsync", err)
	}
	return p.arrived()
}

// arrived ends a copy.
func (p *port) arrived() error {
	x := p.net.dev.exchange
	if err := p.clocks[0].stop(x); err != nil {
		return err
	}
	return cuda.Wrap("cuEventRecord", p.came.Record(x))
}

// throughHost copies by way of pinned memory: the other device writes it, on a stream of its own, so that both
// directions are under way at once. What was in it before has been read: see begin.
func (p *port) throughHost(bytes int64) error {
	other, x := p.peer.net.dev, p.net.dev.exchange
	err := other.do(func() error {
		from := other.outgoing
		if err := from.Wait(p.peer.left, 0); err != nil {
			return cuda.Wrap("cuStreamWaitEvent", err)
		}
		if err := p.peer.clocks[1].start(from); err != nil {
			return err
		}
		if err := cu.MemcpyDtoHAsync(p.transit.At(0), p.peer.out.ptr(), bytes, from); err != nil {
			return cuda.Wrap("cuMemcpyDtoHAsync", err)
		}
		if err := p.peer.clocks[1].stop(from); err != nil {
			return err
		}
		return cuda.Wrap("cuEventRecord", p.peer.inTransit.Record(from))
	})
	if err != nil {
		return err
	}
	return p.net.dev.do(func() error {
		if err := x.Wait(p.peer.inTransit, 0); err != nil {
			return cuda.Wrap("cuStreamWaitEvent", err)
		}
		if err := p.clocks[0].start(x); err != nil {
			return err
		}
		if err := cu.MemcpyHtoDAsync(p.in.ptr(), p.transit.At(0), bytes, x); err != nil {
			return cuda.Wrap("cuMemcpyHtoDAsync", err)
		}
		return p.arrived()
	})
}

// vacate tells that what came has been read, so that the next may come.
type vacate struct{ port *port }

func (s *vacate) run(n *Net) error {
	return cuda.Wrap("cuEventRecord", s.port.free.Record(n.dev.main))
}

// begin has the computing stream wait until the other device has fetched what left in the pass before, and frees what
// came then. Rows that take no part keep what an earlier pass brought: finite numbers, whose gradient is 0.
func (p *port) begin(s cu.Stream) error {
	if p.waiting {
		p.waiting = false
		if err := s.Wait(p.peer.came, 0); err != nil {
			return cuda.Wrap("cuStreamWaitEvent", err)
		}
	}
	if p.value.port != p { // a Send: its gradient is freed when it was added
		return nil
	}
	return cuda.Wrap("cuEventRecord", p.free.Record(s))
}

// clock measures copies. Some may be under way at a time.
type clock struct {
	pairs     [16][2]cu.Event
	next, end int // of those that were started, and that were read
}

func (k *clock) alloc() error {
	for i := range k.pairs {
		for j := range k.pairs[i] {
			var err error
			if k.pairs[i][j], err = cu.MakeEvent(cu.DefaultEvent); err != nil {
				return cuda.Wrap("cuEventCreate", err)
			}
		}
	}
	return nil
}

func (k *clock) start(s cu.Stream) error {
	return cuda.Wrap("cuEventRecord", k.pairs[k.next%len(k.pairs)][0].Record(s))
}

// stop ends a measurement. Where as many as there are pairs have not been read, the oldest is lost to the measurement,
// not to the result.
func (k *clock) stop(s cu.Stream) error {
	err := cuda.Wrap("cuEventRecord", k.pairs[k.next%len(k.pairs)][1].Record(s))
	k.next++
	k.end = max(k.end, k.next-len(k.pairs))
	return err
}

// read gives the time that finished copies took.
func (k *clock) read() (took time.Duration, err error) {
	for ; k.end < k.next; k.end++ {
		pair := k.pairs[k.end%len(k.pairs)]
		if pair[1].Query() != nil {
			return took, nil
		}
		ms, err := pair[0].Elapsed(pair[1])
		if err != nil {
			return took, cuda.Wrap("cuEventElapsedTime", err)
		}
		took += time.Duration(ms * float64(time.Millisecond))
	}
	return took, nil
}

func (k *clock) close() (err error) {
	for i := range k.pairs {
		for j := range k.pairs[i] {
			err = errors.Join(err, destroy(&k.pairs[i][j]))
		}
	}
	return err
}
