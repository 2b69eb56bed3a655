package devicetest

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// opener gives n fresh devices; whoever opened them closes them when the test ends.
type opener func(t *testing.T, n int) []device.Device

// opAt is one op of one device.
type opAt struct{ dev, op int }

// rig runs programs on devices and, step by step beside them, in the oracle. Without devices it runs the oracle alone.
type rig struct {
	t      testing.TB
	seed   uint64
	progs  []*device.Program
	specs  [][]device.ParamSpec
	devs   []device.Device // nil when dry
	params []device.Params // nil when dry
	nets   []device.Net    // nil when dry
	order  []opAt          // forward
	oracle *oracle
	pass   device.Pass
	labels labels
	slots  [2]*device.Batch // that all devices begin with, by turns
	filled int              // calls of batch
	wild   bool             // fill rows out of use with what would be seen in any sum
}

// play runs script twice: first with oracles alone, under one seed after the other until no ReLU or maximum is closer
// to a kink than single precision can tell; then on devices.
func play(t *testing.T, open opener, build func() []*builder, script func(r *rig)) {
	t.Helper()
	const margin = 2e-5 // values are of size 1: twenty times what fp32 loses in such short sums
	for seed := uint64(1); seed < 200; seed++ {
		dry := newRig(t, seed, build(), nil)
		script(dry)
		if dry.oracle.margin < margin {
			continue
		}
		progs := build()
		r := newRig(t, seed, progs, open(t, len(progs)))
		script(r)
		r.close()
		return
	}
	t.Fatal("no seed keeps this case away from kinks")
}

// newRig declares parameters, compiles, allocates and stores random weights.
func newRig(t testing.TB, seed uint64, built []*builder, devs []device.Device) *rig {
	t.Helper()
	r := &rig{t: t, seed: seed, devs: devs}
	for i, b := range built {
		r.progs, r.specs = append(r.progs, &b.Program), append(r.specs, b.specs)
		if devs == nil {
			continue
		}
		params, err := devs[i].NewParams(b.specs)
		r.must(err)
		b.Params = params
		r.params = append(r.params, params)
	}
	r.order = planOrder(r.progs)
	r.oracle = newOracle(r.progs, r.specs)
	r.nets = compile(t, devs, r.progs)
	r.alloc()
	r.randomWeights()
	return r
}

func compile(t testing.TB, devs []device.Device, progs []*device.Program) []device.Net {
	t.Helper()
	var nets []device.Net
	for i, d := range devs {
		n, err := d.Compile(*progs[i])
		if err != nil {
			t.Fatal(err)
		}
		nets = append(nets, n)
	}
	return nets
}

// shadow compiles other programs on the parameters of r: an inference net beside a training net. Order of parameters is
// that of r.
func (r *rig) shadow(built []*builder) *rig {
	r.t.Helper()
	s := &rig{t: r.t, seed: r.seed, devs: r.devs, params: r.params}
	for i, b := range built {
		if r.params != nil {
			b.Params = r.params[i]
		}
		s.progs, s.specs = append(s.progs, &b.Program), append(s.specs, b.specs)
	}
	s.order = planOrder(s.progs)
	s.oracle = r.oracle.shadow(s.progs, s.specs)
	s.nets = compile(r.t, r.devs, s.progs)
	s.alloc()
	return s
}

// planOrder is an order in which one goroutine may enqueue the ops of all devices: each Send before its Recv. Walked
// from its end it has each Recv's Backward before that of its Send.
func planOrder(progs []*device.Program) []opAt {
	var order []opAt
	next := make([]int, len(progs))
	sent := map[*device.Link]bool{}
	for more := true; more; {
		more = false
		for d, p := range progs {
			for ; next[d] < len(p.Ops); next[d]++ {
				if recv, ok := p.Ops[next[d]].(*device.Recv); ok && !sent[recv.Link] {
					break
				}
				if send, ok := p.Ops[next[d]].(*device.Send); ok {
					sent[send.Link] = true
				}
				order = append(order, opAt{d, next[d]})
				more = true
			}
		}
	}
	return order
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) alloc() {
	r.t.Helper()
	for i, n := range r.nets {
		plan := n.Memory()
		if plan.Total() <= 0 {
			r.t.Errorf("device %d plans %d bytes", i, plan.Total())
		}
		r.must(n.Alloc())
	}
}

// closeNets closes the nets and leaves the parameters.
func (r *rig) closeNets() {
	r.t.Helper()
	for _, n := range r.nets {
		r.must(n.Close())
	}
	r.nets = nil
}

func (r *rig) close() {
	r.t.Helper()
	r.closeNets()
	for _, p := range r.params {
		r.must(p.Close())
	}
}

// source draws the numbers of one purpose of this rig; what and which tell it from others.
func (r *rig) source(what string, which int) *philox.Source {
	return philox.NewSource(r.seed, philox.PurposeTest, philox.Stream(what), uint32(which))
}

func normals(src *philox.Source, n int, scale float64) []float32 {
	x := make([]float32, 0, n+3)
	for len(x) < n {
		for _, z := range src.Normals() {
			x = append(x, float32(z*scale))
		}
	}
	return x[:n]
}

// randomWeights stores normal weights of standard deviation 1/sqrt(inputs), and biases of .3. They follow the
// parameter's name.
func (r *rig) randomWeights() {
	r.t.Helper()
	for d, specs := range r.specs {
		for p, s := range specs {
			std := .3
			if len(s.Shape) > 1 {
				std = 1 / math.Sqrt(float64(s.Len()/s.Shape[0]))
			}
			r.storeParam(d, device.Param(p), device.Weight, normals(r.source(s.Name, 0), s.Len(), std))
		}
	}
}

func (r *rig) storeParam(d int, p device.Param, part device.Part, x []float32) {
	r.t.Helper()
	if r.params != nil {
		r.must(r.params[d].Store(p, part, x))
	}
	copy(r.oracle.part(part)[d][p], doubles(x))
}

func (o *oracle) part(p device.Part) [][][]float64 {
	return map[device.Part][][][]float64{
		device.Weight: o.weights, device.Momentum: o.momentum, device.Gradient: o.gradient,
	}[p]
}

func doubles(x []float32) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = float64(x[i])
	}
	return y
}

// defaultPass is step number step over rows rows, with other rates for each parameter; there are rates for as many as
// any device has. The batch is three rows larger than what is here, as if another replica had them.
func (r *rig) defaultPass(step, rows int) device.Pass {
	p := device.Pass{
		Seed: r.seed, Step: uint64(step), First: 1000 + uint64(step*rows), Rows: rows, Divisor: float32(rows + 3),
		Momentum: .9 - .2*float32(step%2),
	}
	n := 0
	for _, s := range r.specs {
		n = max(n, len(s))
	}
	for i := range n {
		p.LR = append(p.LR, .02+.01*float32(i%3))
		p.Decay = append(p.Decay, .05*float32(i%2))
	}
	return p
}

// begin fills a batch with random pictures, crops, flips, colours and labels, and starts the pass on all devices.
func (r *rig) begin(pass device.Pass) {
	r.t.Helper()
	r.pass = pass
	b := r.batch()
	r.fill(b)
	r.beginWith(b, pass)
}

// beginWith starts a pass over one batch on all devices.
func (r *rig) beginWith(b *device.Batch, pass device.Pass) {
	r.t.Helper()
	r.pass = pass
	r.labels = append(labels(nil), b.Labels...)
	for d := range r.progs {
		own := pass
		own.LR, own.Decay = pass.LR[:len(r.specs[d])], pass.Decay[:len(r.specs[d])]
		r.oracle.begin(d, b, pass)
		if r.nets != nil {
			r.nets[d].Begin(b, own)
		}
	}
}

// newBatch makes a batch for a program.
func newBatch(p *device.Program) *device.Batch {
	return device.NewBatch(p.Rows, make([]uint8, p.Rows*p.Input.PictureBytes()))
}

// batch returns one of two batches by turns, as soon as every device has read what was in it.
func (r *rig) batch() *device.Batch {
	b := &r.slots[r.filled%2]
	r.filled++
	if *b == nil {
		*b = newBatch(r.progs[0])
	}
	r.await(*b)
	return *b
}

func (r *rig) await(b *device.Batch) {
	for _, n := range r.nets {
		n.Await(b)
	}
}

// fill draws a batch for the pass; rows out of use get what rows in use would, or with wild pictures far too bright.
func (r *rig) fill(b *device.Batch) {
	p := r.progs[0]
	src := r.source("batch", int(r.pass.Step))
	s, classes := p.Values[p.Input.Value].Shape, r.classes()
	for i := range b.Pixels {
		b.Pixels[i] = uint8(src.Uint32() >> 8)
	}
	for i := range p.Rows {
		b.Labels[i] = int32(src.Intn(classes+1)) - 1
		b.Crop[i] = [2]int32{int32(src.Intn(p.Input.Height - s.H + 1)), int32(src.Intn(p.Input.Width - s.W + 1))}
		b.Flip[i] = src.Intn(2) == 1
		for c := range b.Color[i] {
			b.Color[i][c] = float32(src.Intn(65))/4 - 8
		}
		if r.wild && i >= r.pass.Rows {
			b.Labels[i] = 0
			row := len(b.Pixels) / p.Rows
			for k := range row {
				b.Pixels[i*row+k] = 255
			}
			b.Color[i] = [3]float32{1000, 1000, 1000}
		}
	}
}

func (r *rig) classes() int {
	for _, p := range r.progs {
		for _, s := range p.Ops {
			if l, ok := s.(*device.SoftmaxLoss); ok {
				return p.Values[l.Out].Shape.C
			}
		}
	}
	return 1
}

func (r *rig) forward() {
	for _, at := range r.order {
		r.forwardOp(at)
	}
}

func (r *rig) forwardOp(at opAt) {
	r.oracle.forward(at.dev, at.op, r.labels)
	if r.nets != nil {
		r.nets[at.dev].Forward(at.op)
	}
}

func (r *rig) backward() {
	for i := len(r.order) - 1; i >= 0; i-- {
		r.backwardOp(r.order[i])
	}
}

func (r *rig) backwardOp(at opAt) {
	if at.op < r.progs[at.dev].Frozen {
		return
	}
	r.oracle.backward(at.dev, at.op, r.labels)
	if r.nets != nil {
		r.nets[at.dev].Backward(at.op)
	}
}

func (r *rig) update() {
	for d := range r.progs {
		r.oracle.update(d)
		if r.nets != nil {
			r.nets[d].Update()
		}
	}
}

// seedGradients stores random gradients into values that nothing reads; where a net ends in a SoftmaxLoss there are
// none.
func (r *rig) seedGradients() {
	for d, p := range r.progs {
		for _, v := range p.Keep {
			if v != p.Input.Value && loose(p, v) {
				n := r.pass.Rows * p.Values[v].Shape.Len()
				r.store(d, v, true, normals(r.source("gradient "+p.Values[v].Name, int(r.pass.Step)), n, 1))
			}
		}
	}
}

// store puts x into the rows in use of a value or its gradient.
func (r *rig) store(d int, v device.Value, grad bool, x []float32) {
	if r.nets != nil {
		r.nets[d].Store(v, grad, x)
	}
	to := r.oracle.values
	if grad {
		to = r.oracle.grads
	}
	copy(to[d][v], doubles(x))
}

// step is a whole training step up to the gradients.
func (r *rig) step(pass device.Pass) {
	r.t.Helper()
	r.begin(pass)
	r.forward()
	r.seedGradients()
	r.backward()
}

func (r *rig) sync() {
	r.t.Helper()
	for _, n := range r.nets {
		r.must(n.Sync())
	}
}

// fetch reads the rows in use of a value.
func (r *rig) fetch(d int, v device.Value, grad bool) []float32 {
	r.t.Helper()
	x := make([]float32, r.pass.Rows*r.progs[d].Values[v].Shape.Len())
	r.must(r.nets[d].Fetch(v, grad, x).Wait())
	return x
}

func (r *rig) fetchParam(d int, p device.Param, part device.Part) []float32 {
	r.t.Helper()
	x := make([]float32, r.specs[d][p].Len())
	r.must(r.params[d].Fetch(p, part, x))
	return x
}

// compareValues holds every readable value against the oracle and, with grads, every gradient there is.
func (r *rig) compareValues(grads bool) {
	r.t.Helper()
	for d := range r.nets {
		p := r.progs[d]
		for _, v := range readable(p) {
			info := p.Values[v]
			n := r.pass.Rows * info.Shape.Len()
			near(r.t, fmt.Sprintf("device %d: %s", d, info.Name), r.fetch(d, v, false), r.oracle.values[d][v][:n],
				forwardTolerance)
			if grads && r.oracle.written[d][v] && (v != p.Input.Value || p.InputGrad) && p.Kept(v) {
				near(r.t, fmt.Sprintf("device %d: gradient of %s", d, info.Name), r.fetch(d, v, true),
					r.oracle.grads[d][v][:n], gradientTolerance)
			}
		}
	}
}

// compareParams holds one part of all parameters against the oracle.
func (r *rig) compareParams(part device.Part, tolerance float64) {
	r.t.Helper()
	for d := range r.nets {
		for p, s := range r.specs[d] {
			got := r.fetchParam(d, device.Param(p), part)
			near(r.t, fmt.Sprintf("device %d: %v of %s", d, part, s.Name), got, r.oracle.part(part)[d][p], tolerance)
		}
	}
}

// compareTraffic holds the bytes that every link counted against the oracle's count: rows in use, four bytes a number.
func (r *rig) compareTraffic() {
	r.t.Helper()
	if r.nets == nil {
		return
	}
	for l, want := range r.oracle.bytes {
		forward, _ := l.Forward.Traffic()
		backward, _ := l.Backward.Traffic()
		if got := [2]int64{forward, backward}; got != want {
			r.t.Errorf("link %s counted %d bytes forward and backward, want %d", l.Name, got, want)
		}
	}
}

// near demands that the relative norm of the difference stays within tolerance. Where want is all zero, so must be got.
func near(t testing.TB, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - w
		diff += d * d
		norm += w * w
	}
	if norm == 0 && diff == 0 {
		return
	}
	if rel := math.Sqrt(diff / norm); !(rel <= tolerance) { // not ">": NaN must fail
		t.Errorf("%s: relative error %.3g, allowed %.1g (norm %.3g of %d numbers)", what, rel, tolerance,
			math.Sqrt(norm), len(want))
	}
}

// failure waits for the net's failure and checks that it names the device.
func failure(t testing.TB, n device.Net, name string) error {
	t.Helper()
	err := n.Sync()
	if err == nil {
		t.Fatal("no failure reported")
	}
	var op *device.OpError
	if !errors.As(err, &op) {
		t.Fatalf("failure %v (%T) is no *device.OpError", err, err)
	}
	if op.Device != name {
		t.Errorf("failure %v blames device %q, want %q", err, op.Device, name)
	}
	return err
}
