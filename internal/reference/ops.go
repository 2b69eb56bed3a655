package reference

import (
	"errors"
	"fmt"
	"time"

	"alexnet/internal/device"
)

// op is a compiled op: it finds its tensors in the net and hands them to the arithmetic.
type op interface {
	need(n *net) need       // working memory shared with other ops
	workspace(n *net) int64 // bytes of its own
	exchange(n *net) int64  // bytes of its own for links
	alloc(n *net)           // takes them
	forward(n *net) error   //
	backward(n *net) error  //
	abandon(backward bool)  // instead of running, on a net that failed
}

// plain is what most ops have in common: nothing.
type plain struct{}

func (plain) need(*net) need        { return need{} }
func (plain) workspace(*net) int64  { return 0 }
func (plain) exchange(*net) int64   { return 0 }
func (plain) alloc(*net)            {}
func (plain) abandon(backward bool) {}

// compileOp resolves the shapes of op number i.
func (n *net) compileOp(i int, s device.Spec) op {
	shapes := func(vs []device.Value) (out []device.Shape) {
		for _, v := range vs {
			out = append(out, n.shape(v))
		}
		return out
	}
	switch s := s.(type) {
	case *device.Conv:
		return &convOp{conv: conv[float32]{Conv: s, in: shapes(s.In), out: n.shape(s.Out)}}
	case *device.FC:
		o := &fcOp{fc: fc[float32]{FC: s, units: n.shape(s.Out).C}}
		for _, in := range shapes(s.In) {
			o.in = append(o.in, in.Len())
		}
		return o
	case *device.Activate:
		return &activateOp{Activate: s}
	case *device.LRN:
		return &lrnOp{lrn: lrn[float32]{LRN: s, shape: n.shape(s.Out)}}
	case *device.Pool:
		return &poolOp{pool: pool[float32]{Pool: s, in: n.shape(s.In[0]), out: n.shape(s.Out)}}
	case *device.Dropout:
		return &dropoutOp{Dropout: s}
	case *device.SoftmaxLoss:
		return &softmaxOp{SoftmaxLoss: s}
	case *device.Send:
		return &sendOp{Send: s, first: n.plan.firstSend[i]}
	case *device.Recv:
		return &recvOp{Recv: s}
	}
	panic(fmt.Sprintf("op of type %T", s)) // Spec is sealed: package device has no other
}

// used is the rows in use of a value's tensor.
func (n *net) used(tensors [][]float32, v device.Value) []float32 {
	return tensors[v][:n.pass.Rows*n.shape(v).Len()]
}

func pick(tensors [][]float32, vs []device.Value) [][]float32 {
	out := make([][]float32, len(vs))
	for i, v := range vs {
		out[i] = tensors[v]
	}
	return out
}

// inputGrads are the tensors that take the gradients of an op's inputs; nil where they are not wanted, as for the picture. All of them are
// nil where none is.
func (n *net) inputGrads(vs []device.Value) [][]float32 {
	grads := pick(n.grad, vs)
	for _, g := range grads {
		if g != nil {
			return grads
		}
	}
	return nil
}

// weights gives an op's weight and bias, and their gradients where the net trains.
func (n *net) weights(w, b device.Param) (weight, bias, dweight, dbias []float32) {
	part := &n.params.part
	weight, bias = part[device.Weight][w], part[device.Weight][b]
	if n.prog.Train {
		dweight, dbias = part[device.Gradient][w], part[device.Gradient][b]
	}
	return weight, bias, dweight, dbias
}

type convOp struct {
	plain
	conv[float32]
}

func (o *convOp) need(n *net) need {
	worker, share := o.scratchSizes(n.backwards())
	return need{worker: worker, share: share}
}

func (o *convOp) forward(n *net) error {
	w, b, _, _ := n.weights(o.Weight, o.Bias)
	o.conv.forward(n.pass.Rows, pick(n.value, o.In), w, b, n.value[o.Out], &n.scratch)
	return nil
}

func (o *convOp) backward(n *net) error {
	w, _, dw, db := n.weights(o.Weight, o.Bias)
	o.conv.backward(n.pass.Rows, pick(n.value, o.In), w, n.value[o.Out], n.grad[o.Out], n.inputGrads(o.In), dw, db, &n.scratch)
	return nil
}

type fcOp struct {
	plain
	fc[float32]
}

func (o *fcOp) need(n *net) need {
	if !n.backwards() {
		return need{}
	}
	return need{whole: n.prog.Rows * o.units}
}

func (o *fcOp) forward(n *net) error {
	w, b, _, _ := n.weights(o.Weight, o.Bias)
	o.fc.forward(n.pass.Rows, pick(n.value, o.In), w, b, n.value[o.Out])
	return nil
}

func (o *fcOp) backward(n *net) error {
	w, _, dw, db := n.weights(o.Weight, o.Bias)
	o.fc.backward(n.pass.Rows, pick(n.value, o.In), w, n.value[o.Out], n.grad[o.Out], n.inputGrads(o.In), dw, db, n.scratch.whole)
	return nil
}

type activateOp struct {
	plain
	*device.Activate
}

func (o *activateOp) forward(n *net) error {
	activate(o.Act, n.used(n.value, o.In[0]), n.value[o.Out])
	return nil
}

func (o *activateOp) backward(n *net) error {
	if n.grad[o.In[0]] != nil {
		activateBackward(o.Act, n.value[o.Out], n.grad[o.Out], n.used(n.grad, o.In[0]))
	}
	return nil
}

type lrnOp struct {
	plain
	lrn[float32]
	scale []float32 // kept for backward
}

// need is room for the scale of one row where backward does not want all.
func (o *lrnOp) need(*net) need { return need{worker: o.shape.Len()} }

func (o *lrnOp) workspace(n *net) int64 {
	if !n.backwards() {
		return 0
	}
	return 4 * int64(n.prog.Rows) * int64(o.shape.Len())
}

func (o *lrnOp) alloc(n *net) { o.scale = aligned[float32](int(o.workspace(n) / 4)) }

func (o *lrnOp) forward(n *net) error {
	o.lrn.forward(n.pass.Rows, n.value[o.In[0]], n.value[o.Out], o.scale, &n.scratch)
	return nil
}

func (o *lrnOp) backward(n *net) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		o.lrn.backward(n.pass.Rows, n.workers, n.value[o.In[0]], n.value[o.Out], o.scale, n.grad[o.Out], dx)
	}
	return nil
}

type poolOp struct {
	plain
	pool[float32]
	best []int32
}

func (o *poolOp) workspace(n *net) int64 {
	if o.Kind == device.Avg || !n.backwards() {
		return 0
	}
	return 4 * int64(n.prog.Rows) * int64(o.out.Len())
}

func (o *poolOp) alloc(n *net) {
	if bytes := o.workspace(n); bytes > 0 {
		o.best = make([]int32, bytes/4)
	}
}

func (o *poolOp) forward(n *net) error {
	o.pool.forward(n.pass.Rows, n.workers, n.value[o.In[0]], n.value[o.Out], o.best)
	return nil
}

func (o *poolOp) backward(n *net) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		o.pool.backward(n.pass.Rows, n.workers, o.best, n.grad[o.Out], dx)
	}
	return nil
}

type dropoutOp struct {
	plain
	*device.Dropout
}

func (o *dropoutOp) forward(n *net) error {
	dropout(o.Dropout, n.prog.Train, n.pass, n.shape(o.Out).Len(), n.workers, n.value[o.In[0]], n.value[o.Out])
	return nil
}

func (o *dropoutOp) backward(n *net) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		dropout(o.Dropout, n.prog.Train, n.pass, n.shape(o.Out).Len(), n.workers, n.grad[o.Out], dx)
	}
	return nil
}

type softmaxOp struct {
	plain
	*device.SoftmaxLoss
}

func (o *softmaxOp) forward(n *net) error {
	classes := n.shape(o.Out).Len()
	for r, l := range n.labels[:n.pass.Rows] {
		if int(l) >= classes {
			return fmt.Errorf("row %d has label %d of %d classes", r, l, classes)
		}
	}
	softmax(n.pass.Rows, classes, n.value[o.In[0]], n.labels, n.value[o.Out], n.value[o.Stats])
	if bad := n.badLoss(); bad != nil && !n.prog.Train {
		return n.nonFinite(bad)
	}
	return nil
}

func (o *softmaxOp) backward(n *net) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		softmaxBackward(n.pass.Rows, n.shape(o.Out).Len(), n.value[o.Out], n.labels, n.pass.Divisor, dx)
	}
	return nil
}

// errPeer is what a device fails with when the one at the other end of a link did.
var errPeer = errors.New("the device at the other end of the link failed")

// post sends x, or the news that this device failed.
func post(m *device.Mailbox, x []float32) {
	p := m.Take()
	start := time.Now()
	p.Failed = x == nil
	copy(p.Data, x)
	m.Post(p, 4*int64(len(x)), time.Since(start))
}

// get waits for a tensor and hands it to use.
func get(m *device.Mailbox, use func(x []float32)) error {
	p := m.Get()
	if p.Failed {
		m.Return(p, 0)
		return errPeer
	}
	start := time.Now()
	use(p.Data)
	m.Return(p, time.Since(start))
	return nil
}

// drop receives and forgets.
func drop(m *device.Mailbox) { _ = get(m, func([]float32) {}) }

// linkBytes is the size of the parcel that one end of a link owns.
func linkBytes(n *net, l *device.Link) int64 { return 4 * int64(n.prog.Rows) * int64(l.Shape.Len()) }

// offer puts this end's parcel into circulation.
func offer(n *net, m *device.Mailbox, l *device.Link) {
	m.Offer(&device.Parcel{Data: aligned[float32](n.prog.Rows * l.Shape.Len())})
}

type sendOp struct {
	plain
	*device.Send
	first bool // Backward writes the gradient, which nothing local does
}

func (o *sendOp) exchange(n *net) int64 { return linkBytes(n, o.Link) }
func (o *sendOp) alloc(n *net)          { offer(n, &o.Link.Forward, o.Link) }

func (o *sendOp) forward(n *net) error {
	post(&o.Link.Forward, n.used(n.value, o.In[0]))
	return nil
}

// backward adds what came home; for a picture whose gradient is not wanted it is dropped.
func (o *sendOp) backward(n *net) error {
	return get(&o.Link.Backward, func(x []float32) {
		if n.grad[o.In[0]] == nil {
			return
		}
		dx := n.used(n.grad, o.In[0])
		if o.first {
			copy(dx, x)
			return
		}
		for i := range dx {
			dx[i] += x[i]
		}
	})
}

func (o *sendOp) abandon(backward bool) {
	if backward {
		drop(&o.Link.Backward)
		return
	}
	post(&o.Link.Forward, nil)
}

type recvOp struct {
	plain
	*device.Recv
}

func (o *recvOp) exchange(n *net) int64 {
	if !n.backwards() {
		return 0
	}
	return linkBytes(n, o.Link)
}

func (o *recvOp) alloc(n *net) {
	if n.backwards() {
		offer(n, &o.Link.Backward, o.Link)
	}
}

func (o *recvOp) forward(n *net) error {
	return get(&o.Link.Forward, func(x []float32) { copy(n.used(n.value, o.Out), x) })
}

func (o *recvOp) backward(n *net) error {
	post(&o.Link.Backward, n.used(n.grad, o.Out))
	return nil
}

func (o *recvOp) abandon(backward bool) {
	if backward {
		post(&o.Link.Backward, nil)
		return
	}
	drop(&o.Link.Forward)
}
