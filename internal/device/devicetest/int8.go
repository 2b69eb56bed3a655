package devicetest

import (
	"math"
	"slices"
	"testing"

	"alexnet/internal/device"
)

// RunInt8 holds fully connected layers with int8 weights to the oracle, in fp32 or bf16, each on what the device itself
// made so far: on parameters of their own, which may lie as these programs want them, and on those of a program that
// trains.
func RunInt8(t *testing.T, open func(t *testing.T, n int) []device.Device, p device.Precision) {
	for _, c := range int8Cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Run("alone", func(t *testing.T) {
				bs := c.int8(p)
				r := newRig(t, 1, bs, open(t, len(bs)))
				c.runInt8(r, p)
				r.close()
			})
			// and beside another of its kind, with which it shares the weights
			t.Run("beside training", func(t *testing.T) {
				bs := c.programs(true, false)
				for _, b := range bs {
					b.Precision = p
				}
				r := newRig(t, 1, bs, open(t, len(bs)))
				r.step(c.pass(r, 0))
				infer, other := r.shadow(c.int8(p)), r.shadow(c.int8(p))
				c.runInt8(infer, p)
				c.runInt8(other, p)
				infer.closeNets()
				other.closeNets()
				r.close()
			})
		})
	}
}

// int8Cases are all cases of fully connected layers, one with so many weights that a backend may go through them part
// by part, and one with so many inputs that a part holds no unit.
func int8Cases() []netCase {
	cases := fcCases()
	for _, c := range columnCases() {
		if bs, _ := c.build(); slices.ContainsFunc(bs[0].Ops, func(s device.Spec) bool {
			_, fc := s.(*device.FC)
			return fc
		}) {
			cases = append(cases, c)
		}
	}
	return append(cases, one("many weights, many rows", 3, 46, 46, 7, 6,
		func(b *builder, in device.Value) device.Value {
			return b.fc("fc6", 1500, device.ReLU, in)
		}), one("many inputs", 3, 150, 150, 2, 2, func(b *builder, in device.Value) device.Value {
		return b.fc("fc6", 6, device.Linear, in)
	}))
}

// int8 writes the case's programs for use, with int8 weights; everything can be read.
func (c netCase) int8(p device.Precision) []*builder {
	bs := c.programs(false, true)
	for _, b := range bs {
		b.InputGrad, b.Precision = false, p
		for _, op := range b.Ops {
			if fc, ok := op.(*device.FC); ok {
				fc.Int8 = true
			}
		}
	}
	return bs
}

// runInt8 runs the case, and changes the weights in between, which every copy of them must notice.
func (c netCase) runInt8(r *rig, p device.Precision) {
	r.t.Helper()
	tolerance := forwardTolerance
	if p == device.BF16 {
		tolerance = halfTolerance
	}
	for s := range 3 {
		if s > 0 {
			r.unevenWeights()
		}
		r.begin(c.pass(r, s))
		r.followForward(tolerance)
	}
}

// unevenWeights stores other weights: those of each first unit are 0, and each second's lie in the middle between two
// numbers of int8, of which the even one is right.
func (r *rig) unevenWeights() {
	r.t.Helper()
	for d, p := range r.progs {
		for _, op := range p.Ops {
			fc, ok := op.(*device.FC)
			if !ok {
				continue
			}
			spec := r.specs[d][fc.Weight]
			units, inputs := spec.Shape[0], spec.Shape[1]
			src := r.source(spec.Name, 1+int(r.pass.Step))
			w := normals(src, spec.Len(), 1/math.Sqrt(float64(inputs)))
			clear(w[:inputs])
			if units > 1 {
				second := w[inputs : 2*inputs]
				for i := range second {
					second[i] = (float32(src.Intn(253)-126) + .5) / 1024
				}
				second[0] = 127. / 1024
			}
			r.storeParam(d, fc.Weight, device.Weight, w)
		}
	}
}

// rounded are int8 weights of (units, inputs), by the definition in device.FC.
func rounded(units int, w []float64) []float64 {
	y := make([]float64, len(w))
	inputs := len(w) / units
	for u := range units {
		most := 0.
		for _, x := range w[u*inputs : (u+1)*inputs] {
			most = max(most, math.Abs(x))
		}
		scale := float32(most) / 127
		if scale == 0 {
			continue
		}
		for i := u * inputs; i < (u+1)*inputs; i++ {
			y[i] = math.RoundToEven(float64(float32(w[i])/scale)) * float64(scale)
		}
	}
	return y
}
