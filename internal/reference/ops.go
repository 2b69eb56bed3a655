package reference

import (
	"errors"
	"fmt"
	"time"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// op is a compiled op: it finds its tensors in the net and hands them to the arithmetic.
type op[T Float] interface {
	need(n *net[T]) need       // working memory shared with other ops
	workspace(n *net[T]) int64 // bytes of its own
	exchange(n *net[T]) int64  // bytes of its own for links
	alloc(n *net[T])           // takes them
	forward(n *net[T]) error   //
	backward(n *net[T]) error  //
	abandon(backward bool)     // instead of running, on a net that failed
}

// local is what most ops have in common.
type local[T Float] struct{ back bool } // there is a gradient of it to run

func (local[T]) need(*net[T]) need       { return need{} }
func (local[T]) workspace(*net[T]) int64 { return 0 }
func (local[T]) exchange(*net[T]) int64  { return 0 }
func (local[T]) alloc(*net[T])           {}
func (local[T]) abandon(backward bool)   {}

// compileOp resolves the shapes of op number i.
func (n *net[T]) compileOp(i int, s device.Spec) op[T] {
	shapes := func(vs []device.Value) (out []device.Shape) {
		for _, v := range vs {
			out = append(out, n.shape(v))
		}
		return out
	}
	own := local[T]{backend.Backward(&n.prog, i)}
	switch s := s.(type) {
	case *device.Conv:
		return &convOp[T]{local: own, conv: conv[T]{Conv: s, in: shapes(s.In), out: n.shape(s.Out)}}
	case *device.FC:
		o := &fcOp[T]{local: own, fc: fc[T]{FC: s, units: n.shape(s.Out).C}}
		for _, in := range shapes(s.In) {
			o.in = append(o.in, in.Len())
		}
		return o
	case *device.Activate:
		return &activateOp[T]{local: own, Activate: s}
	case *device.LRN:
		return &lrnOp[T]{local: own, lrn: lrn[T]{LRN: s, shape: n.shape(s.Out)}}
	case *device.Pool:
		return &poolOp[T]{local: own, pool: pool[T]{Pool: s, in: n.shape(s.In[0]), out: n.shape(s.Out)}}
	case *device.Dropout:
		return &dropoutOp[T]{local: own, Dropout: s}
	case *device.SoftmaxLoss:
		return &softmaxOp[T]{local: own, SoftmaxLoss: s}
	case *device.Send:
		return &sendOp[T]{local: own, Send: s, first: n.plan.firstSend[i]}
	case *device.Recv:
		return &recvOp[T]{local: own, Recv: s}
	}
	panic(fmt.Sprintf("op of type %T", s)) // Spec is sealed: package device has no other
}

// used is the rows in use of a value's tensor.
func (n *net[T]) used(tensors [][]T, v device.Value) []T {
	return tensors[v][:n.pass.Rows*n.shape(v).Len()]
}

func pick[T Float](tensors [][]T, vs []device.Value) [][]T {
	out := make([][]T, len(vs))
	for i, v := range vs {
		out[i] = tensors[v]
	}
	return out
}

// inputGrads are the tensors that take the gradients of an op's inputs; nil where they are not wanted, as for the
// picture. All of them are nil where none is.
func (n *net[T]) inputGrads(vs []device.Value) [][]T {
	grads := pick(n.grad, vs)
	for _, g := range grads {
		if g != nil {
			return grads
		}
	}
	return nil
}

// weights gives an op's weight and bias, and their gradients where the net trains.
func (n *net[T]) weights(w, b device.Param) (weight, bias, dweight, dbias []T) {
	part := &n.params.part
	weight, bias = part[device.Weight][w], part[device.Weight][b]
	if n.prog.Train {
		dweight, dbias = part[device.Gradient][w], part[device.Gradient][b]
	}
	return weight, bias, dweight, dbias
}

type convOp[T Float] struct {
	local[T]
	conv[T]
}

func (o *convOp[T]) need(n *net[T]) need {
	worker, share := o.scratchSizes(o.back)
	return need{worker: worker, share: share}
}

func (o *convOp[T]) forward(n *net[T]) error {
	w, b, _, _ := n.weights(o.Weight, o.Bias)
	o.conv.forward(n.pass.Rows, pick(n.value, o.In), w, b, n.value[o.Out], &n.scratch)
	return nil
}

func (o *convOp[T]) backward(n *net[T]) error {
	w, _, dw, db := n.weights(o.Weight, o.Bias)
	o.conv.backward(n.pass.Rows, pick(n.value, o.In), w, n.value[o.Out], n.grad[o.Out], n.inputGrads(o.In), dw, db,
		&n.scratch)
	return nil
}

type fcOp[T Float] struct {
	local[T]
	fc[T]
}

func (o *fcOp[T]) need(n *net[T]) need {
	switch {
	case o.Int8:
		return need{whole: n.params.specs[o.Weight].Len()}
	case !o.back:
		return need{}
	}
	return need{whole: n.prog.Rows * o.units}
}

func (o *fcOp[T]) forward(n *net[T]) error {
	w, b, _, _ := n.weights(o.Weight, o.Bias)
	if o.Int8 {
		w = o.rounded(w, n.scratch.whole)
	}
	o.fc.forward(n.pass.Rows, pick(n.value, o.In), w, b, n.value[o.Out])
	return nil
}

func (o *fcOp[T]) backward(n *net[T]) error {
	w, _, dw, db := n.weights(o.Weight, o.Bias)
	o.fc.backward(n.pass.Rows, pick(n.value, o.In), w, n.value[o.Out], n.grad[o.Out], n.inputGrads(o.In), dw, db,
		n.scratch.whole)
	return nil
}

type activateOp[T Float] struct {
	local[T]
	*device.Activate
}

func (o *activateOp[T]) forward(n *net[T]) error {
	activate(o.Act, n.used(n.value, o.In[0]), n.value[o.Out])
	return nil
}

func (o *activateOp[T]) backward(n *net[T]) error {
	if n.grad[o.In[0]] != nil {
		activateBackward(o.Act, n.value[o.Out], n.grad[o.Out], n.used(n.grad, o.In[0]))
	}
	return nil
}

type lrnOp[T Float] struct {
	local[T]
	lrn[T]
	scale []T // kept for backward
}

// need is room for the scale of one row where backward does not want all.
func (o *lrnOp[T]) need(*net[T]) need { return need{worker: o.shape.Len()} }

func (o *lrnOp[T]) workspace(n *net[T]) int64 {
	if !o.back {
		return 0
	}
	return sizeOf[T]() * int64(n.prog.Rows) * int64(o.shape.Len())
}

func (o *lrnOp[T]) alloc(n *net[T]) { o.scale = aligned[T](int(o.workspace(n) / sizeOf[T]())) }

func (o *lrnOp[T]) forward(n *net[T]) error {
	o.lrn.forward(n.pass.Rows, n.value[o.In[0]], n.value[o.Out], o.scale, &n.scratch)
	return nil
}

func (o *lrnOp[T]) backward(n *net[T]) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		o.lrn.backward(n.pass.Rows, n.workers, n.value[o.In[0]], n.value[o.Out], o.scale, n.grad[o.Out], dx)
	}
	return nil
}

type poolOp[T Float] struct {
	local[T]
	pool[T]
	best []int32
}

func (o *poolOp[T]) workspace(n *net[T]) int64 {
	if o.Kind == device.Avg || !o.back {
		return 0
	}
	return 4 * int64(n.prog.Rows) * int64(o.out.Len())
}

func (o *poolOp[T]) alloc(n *net[T]) {
	if bytes := o.workspace(n); bytes > 0 {
		o.best = make([]int32, bytes/4)
	}
}

func (o *poolOp[T]) forward(n *net[T]) error {
	o.pool.forward(n.pass.Rows, n.workers, n.value[o.In[0]], n.value[o.Out], o.best)
	return nil
}

func (o *poolOp[T]) backward(n *net[T]) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		o.pool.backward(n.pass.Rows, n.workers, o.best, n.grad[o.Out], dx)
	}
	return nil
}

type dropoutOp[T Float] struct {
	local[T]
	*device.Dropout
}

func (o *dropoutOp[T]) forward(n *net[T]) error {
	dropout(o.Dropout, n.prog.Train, n.pass, n.shape(o.Out).Len(), n.workers, n.value[o.In[0]], n.value[o.Out])
	return nil
}

func (o *dropoutOp[T]) backward(n *net[T]) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		dropout(o.Dropout, n.prog.Train, n.pass, n.shape(o.Out).Len(), n.workers, n.grad[o.Out], dx)
	}
	return nil
}

type softmaxOp[T Float] struct {
	local[T]
	*device.SoftmaxLoss
}

func (o *softmaxOp[T]) forward(n *net[T]) error {
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

func (o *softmaxOp[T]) backward(n *net[T]) error {
	if dx := n.grad[o.In[0]]; dx != nil {
		softmaxBackward(n.pass.Rows, n.shape(o.Out).Len(), n.value[o.Out], n.labels, T(n.pass.Divisor), dx)
	}
	return nil
}

// errPeer is what a device fails with when the one at the other end of a link did.
var errPeer = errors.New("the device at the other end of the link failed")

// post sends x, or the news that this device failed. What crosses is float32, whatever the device computes in.
func post[T Float](m *device.Mailbox, x []T) {
	p := m.Take()
	start := time.Now()
	p.Failed = x == nil
	convert(p.Data, x)
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
func linkBytes[T Float](n *net[T], l *device.Link) int64 {
	return 4 * int64(n.prog.Rows) * int64(l.Shape.Len())
}

// offer puts this end's parcel into circulation.
func offer[T Float](n *net[T], m *device.Mailbox, l *device.Link) {
	m.Offer(&device.Parcel{Data: aligned[float32](n.prog.Rows * l.Shape.Len())})
}

type sendOp[T Float] struct {
	local[T]
	*device.Send
	first bool // Backward writes the gradient, which nothing local does
}

func (o *sendOp[T]) exchange(n *net[T]) int64 { return linkBytes(n, o.Link) }
func (o *sendOp[T]) alloc(n *net[T])          { offer(n, &o.Link.Forward, o.Link) }

func (o *sendOp[T]) forward(n *net[T]) error {
	post(&o.Link.Forward, n.used(n.value, o.In[0]))
	return nil
}

// backward adds what came home; for a picture whose gradient is not wanted it is dropped.
func (o *sendOp[T]) backward(n *net[T]) error {
	return get(&o.Link.Backward, func(x []float32) {
		if n.grad[o.In[0]] == nil {
			return
		}
		dx := n.used(n.grad, o.In[0])
		if o.first {
			convert(dx, x)
			return
		}
		for i := range dx {
			dx[i] += T(x[i])
		}
	})
}

func (o *sendOp[T]) abandon(backward bool) {
	if backward {
		drop(&o.Link.Backward)
		return
	}
	post[T](&o.Link.Forward, nil)
}

type recvOp[T Float] struct {
	local[T]
	*device.Recv
}

func (o *recvOp[T]) exchange(n *net[T]) int64 {
	if !o.back {
		return 0
	}
	return linkBytes(n, o.Link)
}

func (o *recvOp[T]) alloc(n *net[T]) {
	if o.back {
		offer(n, &o.Link.Backward, o.Link)
	}
}

func (o *recvOp[T]) forward(n *net[T]) error {
	return get(&o.Link.Forward, func(x []float32) { convert(n.used(n.value, o.Out), x) })
}

func (o *recvOp[T]) backward(n *net[T]) error {
	post(&o.Link.Backward, n.used(n.grad, o.Out))
	return nil
}

func (o *recvOp[T]) abandon(backward bool) {
	if backward {
		post[T](&o.Link.Backward, nil)
		return
	}
	drop(&o.Link.Forward)
}
