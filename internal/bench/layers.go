package bench

import (
	"context"
	"time"

	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/step"
)

// LayerTime is the time of one layer, of one exchange, of the upload ("input") or of the update: medians over the
// steps, of a batch, on all devices together.
type LayerTime struct {
	Name           string  `json:"name"`
	Kind           string  `json:"kind"` // of the layer; or exchange, upload, update
	ForwardMS      float64 `json:"forward_ms"`
	BackwardMS     float64 `json:"backward_ms,omitempty"`
	GFLOPSForward  float64 `json:"gflops_forward,omitempty"` // a multiply-add counts 2
	GFLOPSBackward float64 `json:"gflops_backward,omitempty"`
	Share          float64 `json:"share"` // of the sum of all rows
	// What it could be, where the devices can be measured.
	Forward  *Roof `json:"roof_forward,omitempty"`
	Backward *Roof `json:"roof_backward,omitempty"`
}

// timedOp is a run of the plan's steps that are one layer's, on whatever devices: they run side by side.
type timedOp struct {
	name, kind        string
	from, to          int
	macs              int64 // forward, a picture
	products          int64 // matrix products in the backward pass: of the data's gradient, of the weights'
	forward, backward []float64
	traffic           traffic
}

// flop is the operations of a forward pass over so many pictures.
func (s *timedOp) flop(rows int) float64 { return 2 * float64(s.macs) * float64(rows) }

// layerClock measures a net layer by layer.
type layerClock struct {
	net                   *model.Net
	arch                  *model.Arch
	devices, rows, size   int // bytes of a number
	spans                 []*timedOp
	upload, update, whole []float64 // seconds, by step
}

func newLayerClock(net *model.Net, arch *model.Arch) *layerClock {
	plan := net.Plan()
	c := &layerClock{net: net, arch: arch, devices: len(plan.Programs), rows: plan.Programs[0].Rows, size: full}
	if plan.Programs[0].Precision == device.BF16 {
		c.size = 2
	}
	for i := range plan.Order {
		name, exchange := plan.StepName(i)
		kind := "exchange"
		if !exchange {
			kind = ""
		}
		if n := len(c.spans); n > 0 && c.spans[n-1].name == name && (c.spans[n-1].kind == "exchange") == exchange {
			c.spans[n-1].to = i + 1
			c.spans[n-1].crosses(c, i)
			continue
		}
		s := &timedOp{name: name, kind: kind, from: i, to: i + 1}
		if !exchange {
			at := plan.Order[i]
			fc, ok := plan.Programs[at.Device].Ops[at.Op].(*device.FC)
			s.describe(c, ok && fc.Int8)
		}
		s.crosses(c, i)
		c.spans = append(c.spans, s)
	}
	return c
}

// describe looks up the layer, which may have int8 weights. The first with weights that learns has no gradient of its
// data: below it is the picture, or what does not learn and has no gradient at all.
func (s *timedOp) describe(c *layerClock, int8 bool) {
	first, frozen := true, len(c.arch.Frozen())
	for i := range c.arch.Layers {
		l := &c.arch.Layers[i]
		if l.Name == s.name {
			s.kind, s.macs, s.products = string(l.Kind), l.MACs, 2
			s.traffic = layerTraffic(c.arch, l, c.rows, c.size, int8, first)
			switch {
			case frozen > 0:
				s.products, s.traffic.backward = 0, 0
			case first:
				s.products = 1
			}
			return
		}
		switch {
		case len(l.Params) == 0:
		case frozen > 0:
			frozen--
		default:
			first = false
		}
	}
}

// crosses adds what step i of the plan's order sends, if it does: read and written once, and its gradient.
func (s *timedOp) crosses(c *layerClock, i int) {
	plan := c.net.Plan()
	at := plan.Order[i]
	if send, ok := plan.Programs[at.Device].Ops[at.Op].(*device.Send); ok {
		bytes := float64(2 * c.rows * send.Link.Shape.Len() * c.size)
		s.traffic.forward += bytes
		if at.Op >= plan.Programs[at.Device].Frozen {
			s.traffic.backward += bytes
		}
	}
}

// layers measures the steps again, waiting after every layer.
func (b *measurement) layers(ctx context.Context, s *step.Stepper) error {
	c := newLayerClock(b.compiled, b.model.Arch())
	before, counted := c.net.Moves()
	train := b.Mode == Train
	for i := range b.Warmup + b.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.step(s, train, i >= b.Warmup); err != nil {
			return err
		}
		b.advance()
	}
	b.result.Layers = c.result(train)
	b.result.LayersStepMS = 1000 * median(c.whole)
	if counted {
		after, _ := c.net.Moves()
		b.result.Moves = movesOf(after.Sub(before), b.Warmup+b.Steps)
	}
	if b.speed != nil {
		c.roofs(b.speed, b.result.Layers, train)
		b.result.Roofline = b.speed.summary(b.result.Layers, 1000*median(b.seconds))
	}
	return nil
}

// step is Stepper.Step with a wait after each part of it.
func (c *layerClock) step(s *step.Stepper, train, keep bool) error {
	info, err := s.Feed.Next()
	if err != nil {
		return err
	}
	s.Pass.First, s.Pass.Rows, s.Pass.Divisor = info.First, info.Rows, float32(max(info.Good, 1))
	b := c.net.Slot(info.Slot)
	start := time.Now()
	if err := c.timed(&c.upload, keep, func() { c.net.Begin(b, s.Pass) }); err != nil {
		return err
	}
	for _, p := range c.spans {
		if err := c.timed(&p.forward, keep, func() { c.forward(p) }); err != nil {
			return err
		}
	}
	if train {
		if err := c.back(keep); err != nil {
			return err
		}
	}
	s.Pass.Step++
	if keep {
		c.whole = append(c.whole, time.Since(start).Seconds())
	}
	return nil
}

func (c *layerClock) back(keep bool) error {
	for i := len(c.spans) - 1; i >= 0; i-- {
		p := c.spans[i]
		if err := c.timed(&p.backward, keep, func() { c.backward(p) }); err != nil {
			return err
		}
	}
	return c.timed(&c.update, keep, c.net.Update)
}

func (c *layerClock) forward(p *timedOp) {
	for i := p.from; i < p.to; i++ {
		c.net.ForwardStep(i)
	}
}

func (c *layerClock) backward(p *timedOp) {
	for i := p.to - 1; i >= p.from; i-- {
		c.net.BackwardStep(i)
	}
}

// timed measures from the call of f until all devices are done.
func (c *layerClock) timed(into *[]float64, keep bool, f func()) error {
	start := time.Now()
	f()
	err := c.net.Sync()
	if keep {
		*into = append(*into, time.Since(start).Seconds())
	}
	return err
}

// result is the medians.
func (c *layerClock) result(train bool) []LayerTime {
	rows := []LayerTime{{Name: "input", Kind: "upload", ForwardMS: 1000 * median(c.upload)}}
	for _, p := range c.spans {
		r := LayerTime{Name: p.name, Kind: p.kind, ForwardMS: 1000 * median(p.forward)}
		gflop := 1e-9 * p.flop(c.rows)
		r.GFLOPSForward = rate(gflop, r.ForwardMS)
		if train {
			r.BackwardMS = 1000 * median(p.backward)
			r.GFLOPSBackward = rate(gflop*float64(p.products), r.BackwardMS)
		}
		rows = append(rows, r)
	}
	if train {
		rows = append(rows, LayerTime{Name: "update", Kind: "update", ForwardMS: 1000 * median(c.update)})
	}
	sum := 0.
	for _, r := range rows {
		sum += r.ForwardMS + r.BackwardMS
	}
	for i := range rows {
		rows[i].Share = (rows[i].ForwardMS + rows[i].BackwardMS) / sum
	}
	return rows
}

// rate is GFLOP/s.
func rate(gflop, ms float64) float64 {
	if ms == 0 {
		return 0
	}
	return 1000 * gflop / ms
}
