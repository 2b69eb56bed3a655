package model

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/device"
	"alexnet/internal/reference"
)

// Both devices begin with the same slot, once both have read what was in it, and each with the rates of its own
// parameters.
func TestForwardHandsOut(t *testing.T) {
	a := load(t, "demo")
	fs, devs := fakes(2)
	n := compile(t, open(t, a, devs), staged(a, 3, true))
	lr, decay := make([]float32, len(a.Params)), make([]float32, len(a.Params))
	for i := range lr {
		lr[i], decay[i] = float32(1+i), float32(100+i)
	}
	one, two := fs[0].nets[0], fs[1].nets[0]
	for step := range uint64(3) {
		one.awaits, two.awaits = nil, nil
		b := n.Stage()
		if !slices.Equal(one.awaits, []*device.Batch{b}) || !slices.Equal(two.awaits, []*device.Batch{b}) {
			t.Error("a slot is lent that a device was not asked about")
		}
		if (b == n.Slot(0)) != (step%2 == 0) || (b == n.Slot(1)) != (step%2 == 1) {
			t.Error("the slots are not lent by turns")
		}
		b.Pixels[0], b.Pixels[2*len(b.Pixels)/3-1], b.Labels[1], b.Crop[1], b.Flip[0], b.Color[1] = 7, 8, 9,
			[2]int32{1, 2}, true, [3]float32{1, 2, 3}
		n.Forward(b, Pass{Seed: 5, Step: step, First: 40, Rows: 2, Divisor: 2, Momentum: .9, LR: lr, Decay: decay})
		if one.batch != b || two.batch != b {
			t.Fatal("both devices must begin with the slot itself")
		}
		want := device.Pass{Seed: 5, Step: step, First: 40, Rows: 2, Divisor: 2, Momentum: .9, LR: lr, Decay: decay}
		if diff := cmp.Diff(want, one.pass); diff != "" {
			t.Error(diff)
		}
		want.LR, want.Decay = lr[:8], decay[:8] // not fc5's, which device 0 holds alone
		if diff := cmp.Diff(want, two.pass); diff != "" {
			t.Error(diff)
		}
	}
}

// pinner is a device with pinned memory.
type pinner struct {
	*fake
	pinned int64
}

func (p *pinner) Pin(bytes int64) ([]byte, func() error, error) {
	p.pinned += bytes
	return make([]byte, bytes), func() error { p.pinned -= bytes; return nil }, nil
}

// The slots are one piece of memory, pinned where the devices can, told of once, and given back.
func TestSlots(t *testing.T) {
	a := load(t, "demo")
	for _, pins := range []bool{false, true} {
		fs, devs := fakes(2)
		p, purpose := &pinner{fake: fs[0]}, device.PurposeStaging
		if pins {
			devs[0], purpose = p, device.PurposePinned
		}
		o := staged(a, 3, true)
		o.Slots = 5
		n := compile(t, open(t, a, devs), o)
		pixels := int64(3 * 32 * 32 * 3)
		plans := n.Memory()
		for d, want := range []int64{5 * (pixels + 3*(4+8+1+12)), 0} {
			got := int64(0)
			for _, item := range plans[d] {
				if item.Purpose == purpose {
					got += item.Bytes
				}
			}
			if got != want {
				t.Errorf("device %d plans %d bytes of %s, want %d", d, got, purpose, want)
			}
		}
		seen := map[*uint8]bool{}
		for i := range n.Slots() {
			b := n.Slot(i)
			if seen[&b.Pixels[0]] || int64(len(b.Pixels)) != pixels || len(b.Labels) != 3 {
				t.Errorf("slot %d has %d pixels, seen before: %v", i, len(b.Pixels), seen[&b.Pixels[0]])
			}
			seen[&b.Pixels[0]] = true
		}
		if len(seen) != 5 || pins != (p.pinned == 5*pixels) {
			t.Errorf("%d slots, %d bytes pinned", len(seen), p.pinned)
		}
		if err := n.Close(); err != nil || p.pinned != 0 {
			t.Errorf("%d bytes pinned after Close: %v", p.pinned, err)
		}
	}
}

// Backward walks the plan's order from its end.
func TestBackwardIsForwardReversed(t *testing.T) {
	a := load(t, "demo")
	fs, devs := fakes(2)
	n := compile(t, open(t, a, devs), staged(a, 1, true))
	n.Forward(n.Stage(), Pass{Rows: 1})
	for d, f := range fs {
		net := f.nets[0]
		var want []string
		for _, name := range slices.Backward(specsOf(&n.Plan().Programs[d])) {
			want = append(want, "backward "+name)
		}
		net.calls = nil
		defer func() {
			if diff := cmp.Diff(want, net.calls); diff != "" {
				t.Errorf("device %d: %s", d, diff)
			}
		}()
	}
	n.Backward()
}

// A device that is not done may still read a parcel in another's memory: none is freed before.
func TestCloseWaits(t *testing.T) {
	a := load(t, "demo")
	fs, devs := fakes(2)
	n := compile(t, open(t, a, devs), staged(a, 1, true))
	var ends []string
	for _, f := range fs {
		f.nets[0].ends = &ends
	}
	n.Forward(n.Stage(), Pass{Rows: 1})
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"sync fake:0", "sync fake:1", "close fake:0", "close fake:1"}, ends); diff != "" {
		t.Error(diff)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	a := load(t, "demo")
	fs, devs := fakes(2)
	n := compile(t, open(t, a, devs), staged(a, 4, true))
	for _, f := range fs {
		f.nets[0].silent = true
	}
	lr, stats := make([]float32, len(a.Params)), make([]float32, 12)
	step := func() {
		n.Forward(n.Stage(), Pass{Rows: 4, Divisor: 4, LR: lr, Decay: lr})
		n.Backward()
		n.Update()
		n.Stats(stats)
		if n.Sync() != nil {
			t.Error("failed")
		}
	}
	if allocs := testing.AllocsPerRun(10, step); allocs != 0 {
		t.Errorf("%g allocations a step", allocs)
	}
}

// The same seed gives the same net on one device and on two; another seed, and another layer, give others.
func TestInit(t *testing.T) {
	a := load(t, "demo", "model.conv2.init.bias=0.5")
	_, one := fakes(1)
	_, two := fakes(2)
	m1, m2 := open(t, a, one), open(t, a, two)
	for _, m := range []*Model{m1, m2} {
		if err := m.Init(7); err != nil {
			t.Fatal(err)
		}
	}
	var all [][]float32
	for i := range a.Params {
		p := &a.Params[i]
		w1, w2 := fetch(t, m1, i), fetch(t, m2, i)
		if !slices.Equal(w1, w2) {
			t.Errorf("%s differs", p.Name)
		}
		if p.Bias {
			if slices.ContainsFunc(w1, func(x float32) bool { return x != float32(p.Value) }) {
				t.Errorf("%s is not %g throughout", p.Name, p.Value)
			}
			continue
		}
		var sq float64
		for _, x := range w1 {
			sq += float64(x) * float64(x)
		}
		// Standard error of the variance: sqrt(2/n), .04 at n = 1200; five of them.
		if v := sq / float64(len(w1)) / (p.Std * p.Std); v < .8 || v > 1.2 {
			t.Errorf("%s: variance %g of the one asked for", p.Name, v)
		}
		all = append(all, w1)
	}
	if slices.Equal(all[0][:100], all[1][:100]) {
		t.Error("two layers start alike")
	}
	if err := m2.Init(8); err != nil {
		t.Fatal(err)
	}
	if slices.Equal(all[0], fetch(t, m2, 0)) {
		t.Error("two seeds start alike")
	}
}

// Known elements, from an independent implementation of the counter's definition: weights of a seed are part of what a
// version promises.
func TestInitKnown(t *testing.T) {
	p := ParamInfo{Name: "conv1.weight", Shape: []int{1 << 17}, Std: 1}
	got := make([]float32, p.Len())
	p.Initial(1, got)
	for i, want := range map[int]float32{
		0: 2.3975976363984546, 1: -1.0849932959659012, 2: -1.6343706414036911, 3: -0.5021520774872955,
		4:     0.9885951910721402,
		65541: -0.8506632416101375, // of another chunk than the others
	} {
		if diff := got[i] - want; diff < -1e-6 || diff > 1e-6 {
			t.Errorf("element %d is %g, want %g", i, got[i], want)
		}
	}
}

func fetch(t *testing.T, m *Model, param int) []float32 {
	t.Helper()
	w := make([]float32, m.Arch().Params[param].Len())
	if err := m.Fetch(param, device.Weight, w); err != nil {
		t.Fatal(err)
	}
	return w
}

// Shares of devices are runs of the logical tensor.
func TestFetchStoreMerge(t *testing.T) {
	a := load(t, "demo")
	_, devs := fakes(2)
	m := open(t, a, devs)
	for i := range a.Params {
		w := make([]float32, a.Params[i].Len())
		for k := range w {
			w[k] = float32(k)
		}
		if err := m.Store(i, device.Momentum, w); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(w))
		if err := m.Fetch(i, device.Momentum, got); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w, got) {
			t.Errorf("%s: what was stored does not come back", a.Params[i].Name)
		}
		for d := range m.params {
			id := m.local[i][d]
			if id < 0 {
				continue
			}
			share := m.params[d].(*fakeParams).data[device.Momentum][id]
			if first := float32(d * len(share)); share[0] != first || m.params[d].Specs()[id].Name != a.Params[i].Name {
				t.Errorf("%s on device %d starts with element %g, want %g", a.Params[i].Name, d, share[0], first)
			}
		}
	}
	for _, err := range []error{m.Store(0, device.Weight, make([]float32, 1)), m.Fetch(99, device.Weight, nil)} {
		if err == nil {
			t.Error("no error for a wrong length or number")
		}
	}
}

// Failures name the device, and what was taken before is given back.
func TestFailures(t *testing.T) {
	a := load(t, "demo")
	fs, devs := fakes(2)
	fs[1].fail = "params"
	if _, err := Open(a, devs); err == nil || err.Error() != "fake:1: no memory" {
		t.Errorf("params: %v", err)
	}
	fs[1].fail = ""
	m := open(t, a, devs)
	fs[1].fail = "compile"
	if _, err := m.Compile(staged(a, 1, true)); err == nil || err.Error() != "fake:1: an op too many" ||
		!fs[0].nets[0].closed {
		t.Errorf("compile: %v", err)
	}
	fs[1].fail = ""
	n := compile(t, m, staged(a, 1, true))
	fs[1].fail = "alloc"
	if err := n.Alloc(); err == nil || err.Error() != "fake:1: no memory" {
		t.Errorf("alloc: %v", err)
	}
	fs[1].fail = "run"
	if err := n.Sync(); err == nil || err.Error() != "fake:1: conv1: broke" {
		t.Errorf("sync: %v", err)
	}
	fs[0].fail = "run"
	err := n.Sync()
	var op *device.OpError
	if err == nil || err.Error() != "fake:0: conv1: broke; fake:1: conv1: broke" || !errors.As(err, &op) {
		t.Errorf("sync of both: %v", err)
	}
	fs[0].fail, fs[1].fail = "", ""
	_, err = m.Compile(Options{Rows: 1, Keep: []string{"conv9"}})
	if err == nil || !strings.HasPrefix(err.Error(), "the net has no layer conv9; nearest: conv1;") {
		t.Errorf("keep: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	a := load(t, "demo")
	_, devs := fakes(2)
	o := staged(a, 2, true)
	o.Keep = []string{"pool1"}
	n := compile(t, open(t, a, devs), o)
	n.Forward(n.Stage(), Pass{Rows: 2})
	for _, c := range []struct {
		name string
		grad bool
		len  int
		want string
	}{
		{"pool1", false, 2 * 16 * 14 * 14, ""},
		{"pool1", true, 2 * 16 * 14 * 14, ""},
		{"prob", false, 20, ""},
		{"input", false, 2 * 3 * 28 * 28, ""},
		{"pool2", false, 1, "pool2 is not among the values to keep"},
		{"poll1", false, 1, "the net has no layer poll1; nearest: pool1;"},
		{"pool1", false, 7, "pool1 has 2 rows of 16x14x14, 6272 numbers, not 7"},
		{"prob", true, 20, "prob has no gradient in this net"},
		{"input", true, 2 * 3 * 28 * 28, "input has no gradient in this net"},
	} {
		err := n.Fetch(c.name, c.grad, make([]float32, c.len))
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// What Store writes, Fetch gives back, on one device and merged from two, and each layer's steps can be run alone.
func TestStoreFetchValues(t *testing.T) {
	a := load(t, "demo")
	for devices := 1; devices <= 2; devices++ {
		o := staged(a, 2, true)
		o.Keep = []string{"conv2", "fc5"}
		n := compile(t, open(t, a, reference.Open(devices)), o)
		n.Begin(n.Stage(), Pass{Rows: 2, Divisor: 2})
		for _, name := range []string{"input", "conv2", "fc5"} {
			for _, grad := range []bool{false, true} {
				if name == "input" && grad {
					continue
				}
				shape, err := n.Shape(name)
				if err != nil {
					t.Fatal(err)
				}
				want, got := make([]float32, 2*shape.Len()), make([]float32, 2*shape.Len())
				for i := range want {
					want[i] = float32(i)
				}
				if err := n.Store(name, grad, want); err != nil {
					t.Fatal(err)
				}
				if err := n.Fetch(name, grad, got); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%d devices: %s, gradient %v, comes back otherwise", devices, name, grad)
				}
			}
		}
		if err := n.Store("conv1", false, nil); err == nil ||
			!strings.Contains(err.Error(), "not among the values to keep") {
			t.Errorf("a value that is not kept: %v", err)
		}
		if err := n.Store("fc5", false, make([]float32, 3)); err == nil || !strings.Contains(err.Error(), "not 3") {
			t.Errorf("a value of another size: %v", err)
		}
	}
}
