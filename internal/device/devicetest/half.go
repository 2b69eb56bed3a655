package devicetest

import (
	"fmt"
	"slices"
	"testing"

	"alexnet/internal/device"
)

// stepwise runs cases in bf16, op by op.
func stepwise(open opener, fuses bool) runner {
	return func(t *testing.T, cases []netCase) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { c.runStepwise(t, open, fuses) })
		}
	}
}

// runStepwise compares what each op makes with what the oracle makes of the same inputs, and lets the oracle go on from
// what the device made. Every value is kept, or every one but what normalisation gives, so that a backend may fuse that
// with its consumer. Last it runs the program that keeps nothing, whose gradients must be those of the first, and
// before that those for use.
func (c netCase) runStepwise(t *testing.T, open opener, fuses bool) {
	r := c.followed(t, open, halfTolerance, func(device.Spec) bool { return true })
	defer r.close()
	c.inferHalf(r)
	normalises := func(s device.Spec) bool { _, lrn := s.(*device.LRN); return lrn }
	for _, p := range r.progs {
		if slices.ContainsFunc(p.Ops, normalises) {
			c.followed(t, open, c.throughMaxima(fuses), func(s device.Spec) bool { return !normalises(s) }).close()
			return
		}
	}
	bs := c.inHalf(c.programs(true, false))
	fused := newRig(t, 1, bs, open(t, len(bs)))
	for s := range 2 {
		fused.step(c.pass(fused, s))
	}
	for d, specs := range r.specs {
		for p, spec := range specs {
			want := doubles(r.fetchParam(d, device.Param(p), device.Gradient))
			near(t, fmt.Sprintf("device %d: gradient of %s, fused", d, spec.Name),
				fused.fetchParam(d, device.Param(p), device.Gradient), want, halfTolerance)
		}
	}
	fused.halved()
	fused.close()
}

// inferHalf compares a program for use that keeps nothing with one that keeps everything, whose every op is compared
// with the oracle's.
func (c netCase) inferHalf(r *rig) {
	r.t.Helper()
	kept, fused := r.shadow(c.inHalf(c.programs(false, true))), r.shadow(c.inHalf(c.programs(false, false)))
	kept.begin(c.pass(kept, 2))
	kept.followForward(halfTolerance)
	fused.begin(c.pass(fused, 2))
	fused.forward()
	for d, p := range fused.progs {
		for _, v := range p.Keep {
			got := fused.fetch(d, v, false)
			near(r.t, fmt.Sprintf("device %d: %s for use, fused", d, p.Values[v].Name), got,
				kept.oracle.values[d][v][:len(got)], halfTolerance)
		}
	}
	kept.closeNets()
	fused.closeNets()
}

// throughMaxima is the tolerance for gradients where what normalisation gives is not kept: see tieTolerance.
func (c netCase) throughMaxima(fuses bool) float64 {
	if !fuses {
		return looseTieTolerance
	}
	if slices.Contains([]string{"conv relu lrn pool conv", "a small AlexNet", "two columns"}, c.name) {
		return tieTolerance
	}
	return halfTolerance
}

func (c netCase) inHalf(bs []*builder) []*builder {
	for _, b := range bs {
		b.Precision = device.BF16
	}
	return bs
}

// followed runs two steps of a program that keeps what the ops of which keep tells give.
func (c netCase) followed(t *testing.T, open opener, gradients float64, keep func(device.Spec) bool) *rig {
	t.Helper()
	bs := c.inHalf(c.programs(true, true))
	for _, b := range bs {
		for _, op := range b.Ops {
			if !keep(op) {
				b.Keep = slices.DeleteFunc(b.Keep, func(v device.Value) bool {
					return v == op.Base().Out && !loose(&b.Program, v)
				})
			}
		}
	}
	r := newRig(t, 1, bs, open(t, len(bs)))
	for s := range 2 {
		r.begin(c.pass(r, s))
		r.follow(gradients)
	}
	r.halved()
	return r
}

// follow is a step in which the oracle's every op starts from the device's values.
func (r *rig) follow(gradients float64) {
	r.t.Helper()
	r.followForward(halfTolerance)
	r.seedGradients()
	for d, p := range r.progs {
		for _, v := range p.Keep {
			if loose(p, v) && v != p.Input.Value {
				r.adopt(d, v, true, halfTolerance)
			}
		}
	}
	for i := len(r.order) - 1; i >= 0; i-- {
		at := r.order[i]
		r.backwardOp(at)
		for _, v := range r.progs[at.dev].Ops[at.op].Base().In {
			r.adopt(at.dev, v, true, gradients)
		}
	}
	r.compareParams(device.Gradient, gradients)
}

// followForward is the forward half of it.
func (r *rig) followForward(tolerance float64) {
	r.t.Helper()
	for d, p := range r.progs {
		r.adopt(d, p.Input.Value, false, tolerance)
	}
	for _, at := range r.order {
		r.forwardOp(at)
		op := r.progs[at.dev].Ops[at.op]
		if out := op.Base().Out; out != device.None {
			r.adopt(at.dev, out, false, tolerance)
		}
		if l, ok := op.(*device.SoftmaxLoss); ok {
			r.adopt(at.dev, l.Stats, false, tolerance)
		}
	}
}

// adopt compares a value or its gradient with the oracle's, and makes it the oracle's; not where it cannot be read.
func (r *rig) adopt(d int, v device.Value, grad bool, tolerance float64) {
	r.t.Helper()
	if !slices.Contains(readable(r.progs[d]), v) {
		return
	}
	want, what := r.oracle.values[d][v], r.progs[d].Values[v].Name
	if grad {
		want, what = r.oracle.grads[d][v], "gradient of "+what
	}
	got := r.fetch(d, v, grad)
	near(r.t, fmt.Sprintf("device %d: %s", d, what), got, want[:len(got)], tolerance)
	copy(want, doubles(got))
}

// halved checks that two bytes crossed for each number.
func (r *rig) halved() {
	r.t.Helper()
	for l, want := range r.oracle.bytes {
		forward, _ := l.Forward.Traffic()
		backward, _ := l.Backward.Traffic()
		if forward != want[0]/2 || backward != want[1]/2 {
			r.t.Errorf("link %s counted %d bytes forward and %d backward, want %d and %d", l.Name, forward, backward,
				want[0]/2, want[1]/2)
		}
	}
}
