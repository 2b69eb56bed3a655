package devicetest

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/device"
)

func testFailures(t *testing.T, open opener) {
	t.Run("not finite", func(t *testing.T) { testNonFinite(t, open) })
	t.Run("not finite in inference", func(t *testing.T) { testNonFiniteInference(t, open) })
	t.Run("first failure stays", func(t *testing.T) { testSticky(t, open) })
	t.Run("one device of two fails", func(t *testing.T) { testPeer(t, open) })
}

// hider is a net in which what is not finite can hide: ReLU and max pooling follow every convolution.
func hider() *builder {
	b := newProgram(3, 12, 12, 3)
	b.Train = true
	down := device.Pool{Window: 2, Stride: 2}
	mid := b.pool("pool1", down, b.conv("conv1", 8, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, b.Input.Value))
	x := b.pool("pool2", down, b.conv("conv2", 16, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, mid))
	b.Keep = []device.Value{mid, b.softmax(b.fc("fc3", 4, device.Linear, x))}
	return b
}

// labelled makes every row count, whatever was drawn.
func labelled(r *rig, b *device.Batch) {
	for i := range b.Labels {
		b.Labels[i] = int32(i % r.classes())
	}
}

// testNonFinite: NaN and Inf are reported by the Update of the step in which they came up, with the tensor's name.
// oneDNN's fused ReLU and its max pooling, for one, turn NaN into a number, so that the loss stays finite: each tensor
// has to be looked at.
func testNonFinite(t *testing.T, open opener) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	weight := func(name string, x float32) func(r *rig, pass *device.Pass) {
		return func(r *rig, _ *device.Pass) {
			p := device.Param(slices.IndexFunc(r.specs[0], func(s device.ParamSpec) bool { return s.Name == name }))
			w := r.fetchParam(0, p, device.Weight)
			w[len(w)/2] = x
			r.storeParam(0, p, device.Weight, w)
		}
	}
	for _, c := range []struct {
		name   string
		before func(r *rig, pass *device.Pass)
		value  func(r *rig) // between the first pool and conv2
		// One of them must be named; which depends on how far NaN gets.
		tensors []string
		// Nothing may have changed: so it is where loss or a gradient is not finite. A weight that the update itself
		// spoils is found too late.
		unchanged bool
	}{
		{"NaN in a weight", weight("conv1.weight", nan), nil, []string{
			"conv1.weight", "gradient of conv1.weight",
			"loss",
		}, false},
		{
			"NaN in a bias", weight("conv2.bias", nan), nil,
			[]string{"conv2.bias", "gradient of conv2.bias", "loss"},
			false,
		},
		{"Inf in the last bias", weight("fc3.bias", inf), nil, []string{"loss"}, true},
		{"NaN in a value", nil, func(r *rig) {
			v := r.progs[0].Keep[0]
			x := r.fetch(0, v, false)
			x[len(x)/2] = nan
			r.nets[0].Store(v, false, x)
		}, []string{"gradient of conv2.weight"}, true},
		{"Inf in a value", nil, func(r *rig) {
			v := r.progs[0].Keep[0]
			x := r.fetch(0, v, false)
			for i := range x {
				x[i] = inf
			}
			r.nets[0].Store(v, false, x)
		}, []string{"gradient of conv2.weight"}, true},
		{"gradient out of range", func(_ *rig, pass *device.Pass) {
			pass.Divisor = 1e-44
		}, nil, []string{"gradient of fc3.weight"}, true},
		{"update out of range", func(_ *rig, pass *device.Pass) {
			for i := range pass.LR {
				pass.LR[i], pass.Decay[i] = 3e38, 3e38
			}
		}, nil, []string{"conv1.weight"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			devs := open(t, 1)
			r := newRig(t, 1, []*builder{hider()}, devs)
			trainSteps(r, 3, 2)
			pass := r.defaultPass(7, 3)
			if c.before != nil {
				c.before(r, &pass)
			}
			before := r.snapshot()
			r.beginLabelled(pass)
			for i := range r.progs[0].Ops {
				if i == 2 && c.value != nil {
					c.value(r)
				}
				r.nets[0].Forward(i)
			}
			for i := range slices.Backward(r.progs[0].Ops) {
				r.nets[0].Backward(i)
			}
			r.must(r.nets[0].Sync()) // training programs are checked by Update
			r.nets[0].Update()
			reported := nonFinite(t, failure(t, r.nets[0], devs[0].Name()), 7)
			if !slices.ContainsFunc(c.tensors, func(s string) bool { return slices.Contains(reported, s) }) {
				t.Errorf("reported %q, want one of %q", reported, c.tensors)
			}
			if c.unchanged {
				r.unchanged(before)
			}
			stopped := r.snapshot()
			r.beginLabelled(r.defaultPass(8, 3)) // no-ops from here on
			r.nets[0].Update()
			r.unchanged(stopped)
			nonFinite(t, failure(t, r.nets[0], devs[0].Name()), 7)
			r.close()
		})
	}
}

// beginLabelled begins a pass of device 0 with labels everywhere, without the oracle.
func (r *rig) beginLabelled(pass device.Pass) {
	r.pass = pass
	b := r.batch()
	r.fill(b)
	labelled(r, b)
	r.nets[0].Begin(b, pass)
}

// unchanged compares weights and momentum bit by bit (NaN equals itself).
func (r *rig) unchanged(before map[device.Part][][][]float32) {
	r.t.Helper()
	bits := func(x []float32) []uint32 {
		y := make([]uint32, len(x))
		for i, v := range x {
			y[i] = math.Float32bits(v)
		}
		return y
	}
	after := r.snapshot()
	for part, devs := range before {
		for d, ps := range devs {
			for p, was := range ps {
				if !slices.Equal(bits(was), bits(after[part][d][p])) {
					r.t.Errorf("%v of %s changed", part, r.specs[d][p].Name)
				}
			}
		}
	}
}

// nonFinite gives the tensors that the error names.
func nonFinite(t *testing.T, err error, step uint64) []string {
	t.Helper()
	var nf *device.NonFiniteError
	if !errors.As(err, &nf) {
		t.Fatalf("failure %v, want a *device.NonFiniteError", err)
	}
	if nf.Step != step {
		t.Errorf("failure %v names step %d, want %d", err, nf.Step, step)
	}
	return nf.Tensors
}

// testNonFiniteInference: without Update to look, the loss is looked at as soon as it is there.
func testNonFiniteInference(t *testing.T, open opener) {
	devs := open(t, 1)
	b := hider()
	b.Train = false
	r := newRig(t, 1, []*builder{b}, devs)
	bias := r.fetchParam(0, 5, device.Weight)
	bias[1] = float32(math.NaN())
	r.storeParam(0, 5, device.Weight, bias)
	r.beginLabelled(r.defaultPass(3, 3))
	for i := range b.Ops {
		r.nets[0].Forward(i)
	}
	if got := nonFinite(t, failure(t, r.nets[0], devs[0].Name()), 3); !reflect.DeepEqual(got, []string{"loss"}) {
		t.Errorf("reported %q, want the loss", got)
	}
	r.close()
}

// testSticky: after the first failure every wait reports it, nothing changes, other nets of the device go on, and Close
// still works.
func testSticky(t *testing.T, open opener) {
	devs := open(t, 1)
	r := newRig(t, 1, trainee(2, true), devs)
	other := r.shadow(trainee(2, false))
	trainSteps(r, 2, 1)
	before := r.snapshot()
	r.begin(r.defaultPass(1, 2))
	hidden := r.progs[0].Ops[0].Base().Out
	x := make([]float32, 2*r.progs[0].Values[hidden].Shape.Len())
	if err := r.nets[0].Fetch(hidden, false, x).Wait(); err == nil {
		t.Fatal("Fetch of a value that is not kept succeeded")
	}
	first := failure(t, r.nets[0], devs[0].Name())
	r.forward()
	r.backward()
	r.update()
	if err := r.nets[0].Fetch(r.progs[0].Keep[0], false, make([]float32, 2*7)).Wait(); err == nil ||
		err.Error() != first.Error() {
		t.Errorf("a later Fetch reports %v, want the first failure, %v", err, first)
	}
	if err := failure(t, r.nets[0], devs[0].Name()); err.Error() != first.Error() {
		t.Errorf("a later Sync reports %v, want the first failure, %v", err, first)
	}
	r.unchanged(before)
	other.begin(other.defaultPass(2, 2))
	for i := range other.progs[0].Ops {
		other.nets[0].Forward(i)
	}
	other.sync()
	other.closeNets()
	r.close()
}

// testPeer: a device that failed still moves its links, so that the other one fails instead of waiting for ever.
func testPeer(t *testing.T, open opener) {
	for _, c := range []struct {
		name           string
		failed, intact int
		early          bool // fails before forward; else between forward and backward
	}{
		{"device 0 ahead of forward", 0, 1, true},
		{"device 1 ahead of forward", 1, 0, true},
		{"device 0 ahead of backward", 0, 1, false},
		{"device 1 ahead of backward", 1, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			devs := open(t, 2)
			bs, _ := columnsNet(2, 2)
			for _, b := range bs {
				b.Train = true
			}
			r := newRig(t, 1, bs, devs)
			trainSteps(r, 2, 1)
			fail := func() {
				hidden := bs[c.failed].Ops[0].Base().Out
				r.nets[c.failed].Fetch(hidden, false, make([]float32, 2*bs[c.failed].shape(hidden).Len()))
			}
			for s := range 2 { // also a whole step later, the links still move
				r.begin(r.defaultPass(1+s, 2))
				if c.early {
					fail()
				}
				r.forward()
				fail()
				r.backward()
				r.update()
			}
			err := failure(t, r.nets[c.intact], devs[c.intact].Name())
			var op *device.OpError
			errors.As(err, &op)
			if !slices.ContainsFunc(bs[c.intact].Ops, func(s device.Spec) bool {
				return s.Base().Name == op.Op && (strings.HasPrefix(op.Op, "send") || strings.HasPrefix(op.Op, "recv"))
			}) {
				t.Errorf("the intact device fails with %v, which names no op that waits for the other", err)
			}
			_ = failure(t, r.nets[c.failed], devs[c.failed].Name())
			r.close()
		})
	}
}
