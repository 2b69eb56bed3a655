// Package selftest holds the devices of the machine at hand to the reference in float64, op by op, and the reference's
// gradients to finite differences. It is what alexnet doctor runs: the same questions as the backends' tests ask, few
// enough for a user to wait for, on the very library and processor that the user has.
//
// Each op is a small net of its own, written as a page of configuration and built by package model. Its input and the
// gradient of its output are stored, not computed, and are numbers that the precision holds exactly: what is compared
// is one op on equal inputs.
//
// It imports the contract (device) and model, never a backend: the command gives it devices.
package selftest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/philox"
)

// Gates are relative norms, |got - want| / |want| over a whole tensor, against float64: those of the backends' tests
// for fp32 (PyTorch has 2.8e-7 forward and 9.4e-7 backward), and for bf16, whose eight bits round each number by up to
// 2^-9, six times PyTorch's 3.3e-3.
const (
	forwardGate  = 1e-5
	gradientGate = 1e-4
	bf16Gate     = 2e-2
	tf32Gate     = 2e-3 // ten bits
)

// Backend is a kind of device to check.
type Backend struct {
	Name string                               // "cpu"
	Open func(n int) ([]device.Device, error) // the caller of Open closes them
	Pair string                               // what two of them are called; empty: "cpu,cpu"
	Int8 bool                                 // it has int8 weights
}

// Check is what came out for one op.
type Check struct {
	Device    string     `json:"device"`
	Precision string     `json:"precision"`
	Op        string     `json:"op"`
	Forward   *Deviation `json:"forward,omitempty"`
	// the worst of the input's, the weight's and the bias's; absent where the op has none
	Gradient *Deviation `json:"gradient,omitempty"`
	Pass     bool       `json:"pass"`
	Error    string     `json:"error,omitempty"` // why it could not run
}

// Deviation is a relative norm and what it may be.
type Deviation struct {
	Relative float64 `json:"relative"`
	Gate     float64 `json:"gate"`
}

func (d *Deviation) ok() bool { return d == nil || d.Relative <= d.Gate } // NaN is not

// Ops checks every op on one backend in one precision. oracle computes in float64. Only a device that does not open is
// an error: what fails on it is in the checks.
func Ops(b Backend, p device.Precision, oracle device.Device) ([]Check, error) {
	var checks []Check
	for count := 1; count <= 2; count++ {
		devs, err := b.Open(count)
		if err != nil {
			return nil, err
		}
		for i := range opCases {
			if c := &opCases[i]; max(c.devices, 1) == count && (!c.exact || p != device.BF16) && (!c.int8 || b.Int8) {
				checks = append(checks, c.check(b, devs, p, oracle))
			}
		}
		for _, d := range devs {
			_ = d.Close() // nothing is enqueued any more
		}
	}
	return checks, nil
}

func (c *opCase) check(b Backend, devs []device.Device, p device.Precision, oracle device.Device) Check {
	name := b.Name
	if len(devs) > 1 {
		name = cmp.Or(b.Pair, name+","+name)
	}
	r := Check{Device: name, Precision: p.String(), Op: c.name}
	want, err := c.run([]device.Device{oracle}, device.FP32, grainOf(p))
	var got *outcome
	if err == nil {
		got, err = c.run(devs, p, grainOf(p))
	}
	if err != nil {
		r.Error = err.Error()
		return r
	}
	forward, gradient := forwardGate, gradientGate
	if p == device.BF16 && !c.update { // the update is fp32 in every precision
		forward, gradient = bf16Gate, bf16Gate
	}
	if p == device.TF32 && !c.update && !c.picture { // tf32 rounds what is multiplied
		forward, gradient = tf32Gate, tf32Gate
	}
	r.Forward, r.Gradient = deviation(got.forward, want.forward, forward),
		deviation(got.gradient, want.gradient, gradient)
	r.Pass = r.Forward.ok() && r.Gradient.ok()
	return r
}

// outcome holds the tensors that an op computed.
type outcome struct{ forward, gradient [][]float32 }

// deviation is the worst of the tensors'; nil where there are none.
func deviation(got, want [][]float32, gate float64) *Deviation {
	if len(want) == 0 {
		return nil
	}
	d := &Deviation{Gate: gate}
	for i := range want {
		if rel := relative(got[i], want[i]); !(rel <= d.Relative) {
			d.Relative = rel
		}
	}
	if math.IsNaN(d.Relative) || math.IsInf(d.Relative, 0) {
		d.Relative = math.MaxFloat64 // JSON has neither
	}
	return d
}

// relative is |got - want| / |want|; 0 where both are 0.
func relative(got, want []float32) float64 {
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		norm += float64(w) * float64(w)
	}
	if diff == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}

// tinyNet is an op's net, opened.
type tinyNet struct {
	model *model.Model
	net   *model.Net
	grain float32
}

// open builds the net of a case.
func open(c *opCase, devs []device.Device, p device.Precision) (*tinyNet, error) {
	cfg, err := config.Parse([]byte(c.page()), nil)
	if err != nil {
		return nil, fmt.Errorf("page of %s: %w", c.name, err)
	}
	arch, err := model.New(cfg.Model, true)
	if err != nil {
		return nil, fmt.Errorf("page of %s: %w", c.name, err)
	}
	s := &tinyNet{}
	if s.model, err = model.Open(arch, devs); err != nil {
		return nil, err
	}
	s.net, err = s.model.Compile(model.Options{
		Rows: rows, Train: !c.use, InputGrad: !c.int8, Int8: c.int8, Precision: p,
		Keep: slices.Compact([]string{c.in, c.out}), Input: c.recipe(),
	})
	if err != nil {
		_ = s.model.Close() // it holds nothing yet
		return nil, err
	}
	return s, nil
}

func (s *tinyNet) close() error {
	err := s.net.Close()
	if e := s.model.Close(); err == nil {
		err = e
	}
	return err
}

// run computes the case's op on its stored input, forward and back.
func (c *opCase) run(devs []device.Device, p device.Precision, grain float32) (out *outcome, err error) {
	s, err := open(c, devs, p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	s.grain = grain
	if err := s.net.Alloc(); err != nil {
		return nil, err
	}
	if err := s.weights(c); err != nil {
		return nil, err
	}
	s.begin(c)
	switch {
	case c.update:
		return s.update()
	case c.picture:
		out := &outcome{}
		return out, s.fetch(out, c.out, false)
	}
	return s.op(c)
}

// begin starts a pass over black pictures, whose place the stored input takes, or where they count over pictures of
// noise.
func (s *tinyNet) begin(c *opCase) {
	b, n := s.net.Stage(), len(s.model.Arch().Params)
	for r := range b.Labels {
		b.Labels[r] = int32(3 * r % 10)
	}
	if c.picture {
		noise(b)
	}
	p := model.Pass{
		Seed: 1, Step: 2, First: 3, Rows: rows, Divisor: rows, Momentum: .9, LR: make([]float32, n),
		Decay: make([]float32, n),
	}
	for i := range n {
		p.LR[i], p.Decay[i] = .01, .0005
	}
	s.net.Begin(b, p)
}

// noise makes pictures, each cropped at another place, every other one flipped, and their colours changed.
func noise(b *device.Batch) {
	r := philox.NewSource(1, philox.PurposeTest, 3, 0)
	for i := range b.Pixels {
		b.Pixels[i] = uint8(r.Uint32())
	}
	for i := range b.Crop {
		b.Crop[i] = [2]int32{int32(i % border), int32(border - i%border)}
		b.Flip[i] = i%2 == 1
		b.Color[i] = [3]float32{3.1, -5.3, 7.7 * float32(i)}
	}
}

// weights stores exact numbers everywhere, of such a size that a layer's output is about as large as its input.
func (s *tinyNet) weights(c *opCase) error {
	for i := range s.model.Arch().Params {
		info := &s.model.Arch().Params[i]
		w := numbers(uint32(100+i), info.Len(), s.grain/1024)
		if info.Bias && c.apart {
			for k := range w { // every unit well above 0, or well below: no rounding changes what a ReLU lets through
				w[k] = float32(8 - 16*(k%2))
			}
		}
		if err := s.model.Store(i, device.Weight, w); err != nil {
			return err
		}
	}
	return nil
}

// op runs the steps between the two values of the case.
func (s *tinyNet) op(c *opCase) (*outcome, error) {
	if err := s.store(c.in, false, 1); err != nil {
		return nil, err
	}
	from, to := s.steps(c)
	for i := from; i < to; i++ {
		s.net.ForwardStep(i)
	}
	out, grad := &outcome{}, &outcome{}
	if err := s.fetch(out, c.out, false); err != nil {
		return nil, err
	}
	if c.int8 {
		return out, s.net.Sync()
	}
	loss := c.out == "prob"
	if loss {
		stats := make([]float32, 3*rows)
		if err := s.net.Stats(stats).Wait(); err != nil {
			return nil, err
		}
		out.forward = append(out.forward, stats)
	} else if err := s.store(c.out, true, 2); err != nil {
		return nil, err
	}
	for i := to - 1; i >= from; i-- {
		s.net.BackwardStep(i)
	}
	if err := s.fetch(grad, c.in, true); err != nil {
		return nil, err
	}
	out.gradient = grad.forward
	for i, info := range s.model.Arch().Params {
		if info.Layer != c.out || c.use {
			continue
		}
		g := make([]float32, info.Len())
		if err := s.model.Fetch(i, device.Gradient, g); err != nil {
			return nil, err
		}
		out.gradient = append(out.gradient, g)
	}
	return out, s.net.Sync()
}

// steps are those behind the input's last and up to the output's last.
func (s *tinyNet) steps(c *opCase) (from, to int) {
	plan := s.net.Plan()
	for i := range plan.Order {
		switch name, exchange := plan.StepName(i); {
		case exchange:
		case name == c.in:
			from = i + 1
		case name == c.out:
			to = i + 1
		}
	}
	return from, to
}

func (s *tinyNet) store(name string, grad bool, stream uint32) error {
	shape, err := s.net.Shape(name)
	if err != nil {
		return err
	}
	return s.net.Store(name, grad, numbers(stream, rows*shape.Len(), s.grain/64))
}

func (s *tinyNet) fetch(o *outcome, name string, grad bool) error {
	shape, err := s.net.Shape(name)
	if err != nil {
		return err
	}
	x := make([]float32, rows*shape.Len())
	o.forward = append(o.forward, x)
	return s.net.Fetch(name, grad, x)
}

// update makes one from stored weights, momentum and gradients, after a pass, for it looks at the loss.
func (s *tinyNet) update() (*outcome, error) {
	for i := range s.net.Plan().Order {
		s.net.ForwardStep(i)
	}
	s.net.Backward()
	if err := s.net.Sync(); err != nil {
		return nil, err
	}
	out := &outcome{}
	params := s.model.Arch().Params
	for i := range params {
		for part := range 3 {
			if err := s.model.Store(i, device.Part(part), numbers(uint32(10*i+part), params[i].Len(),
				s.grain/1024)); err != nil {
				return nil, err
			}
		}
	}
	s.net.Update()
	if err := s.net.Sync(); err != nil {
		return nil, err
	}
	for i := range params {
		for _, part := range []device.Part{device.Weight, device.Momentum} {
			x := make([]float32, params[i].Len())
			if err := s.model.Fetch(i, part, x); err != nil {
				return nil, err
			}
			out.forward = append(out.forward, x)
		}
	}
	return out, nil
}

// grainOf is what the numbers of numbers are multiples of, but for a power of two: 1 where they must fit into bf16, and
// else a number whose products do not fit into fp32, so that there is something to round; tf32 has to round the numbers
// themselves.
func grainOf(p device.Precision) float32 {
	if p != device.BF16 {
		return .93
	}
	return 1
}

// numbers draws n of them, k times unit, k a whole number of -125 .. 125 but not 0. Eight bits hold k. No two of 250
// that follow each other are equal: there are no ties in a window.
func numbers(stream uint32, n int, unit float32) []float32 {
	const values = 250
	order := make([]int, values)
	r := philox.NewSource(1, philox.PurposeTest, stream, 0)
	for i := range order {
		j := r.Intn(i + 1)
		order[i], order[j] = order[j], i
	}
	x := make([]float32, n)
	for i := range x {
		k := order[i%values] - values/2
		if k >= 0 {
			k++
		}
		x[i] = float32(k) * unit
	}
	return x
}
