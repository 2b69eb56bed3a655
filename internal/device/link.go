package device

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Link joins the Send of one device to the Recv of another. The model makes one for each crossing of each plan; both
// programs hold it. Values cross on it forward, their gradients backward.
type Link struct {
	Name     string // "pool2 0>1"
	From, To int    // places in the plan's list of devices
	Shape    Shape
	Forward  Mailbox // values, From -> To
	Backward Mailbox // gradients, To -> From
	// Ends is for backends whose devices copy into each other's memory: each end's Compile leaves there what the other
	// needs.
	Ends [2]any
	// Way says how such backends get there, once both ends are compiled: "peer", "staged" (through the host's memory),
	// "same GPU". Empty for others.
	Way string
}

// NewLink makes a Link.
func NewLink(name string, from, to int, shape Shape) *Link {
	l := &Link{Name: name, From: from, To: to, Shape: shape}
	for _, m := range []*Mailbox{&l.Forward, &l.Backward} {
		m.full, m.free = make(chan *Parcel, 1), make(chan *Parcel, 1)
	}
	return l
}

func (l *Link) fits(s Shape) error {
	if l == nil {
		return fmt.Errorf("no link")
	}
	if l.Shape != s {
		return fmt.Errorf("link %s carries %v, the value is %v", l.Name, l.Shape, s)
	}
	return nil
}

// Mailbox carries tensors one way between the worker threads of two host devices, one at a time, and counts what
// crosses. The sending side Offers its one Parcel when it allocates, then for each tensor Takes it back, fills it and
// Posts it; the receiving side Gets it, reads it and Returns it. Both sides count nothing themselves: Post does.
type Mailbox struct {
	full, free chan *Parcel
	bytes      atomic.Int64
	nanos      atomic.Int64
}

// Parcel is what a Mailbox carries: the sender's copy of one tensor.
type Parcel struct {
	Data   []float32 // as Layout says
	Layout any       // the sender's private layout; nil: logical order
	Failed bool      // the sender failed: there is no data, and the receiver must fail too
}

// Offer puts the sender's parcel into circulation.
func (m *Mailbox) Offer(p *Parcel) { m.free <- p }

// Take waits until the parcel is back.
func (m *Mailbox) Take() *Parcel { return <-m.free }

// Post sends the parcel: bytes are those that crossed (rows in use times the row's size), took is the time the copying
// took.
func (m *Mailbox) Post(p *Parcel, bytes int64, took time.Duration) {
	m.bytes.Add(bytes)
	m.nanos.Add(int64(took))
	m.full <- p
}

// Get waits for the parcel.
func (m *Mailbox) Get() *Parcel { return <-m.full }

// Return gives the parcel back; took is added to the time spent copying.
func (m *Mailbox) Return(p *Parcel, took time.Duration) {
	m.nanos.Add(int64(took))
	m.free <- p
}

// Count adds a transfer that did not go through Post: for backends that copy between devices by themselves.
func (m *Mailbox) Count(bytes int64, took time.Duration) {
	m.bytes.Add(bytes)
	m.nanos.Add(int64(took))
}

// Traffic is what crossed since the start.
func (m *Mailbox) Traffic() (bytes int64, took time.Duration) {
	return m.bytes.Load(), time.Duration(m.nanos.Load())
}
