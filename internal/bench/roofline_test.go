package bench

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/reference"
)

// probed is a reference device that says what it could do at most, and whose nets do normalisation and pooling in one
// pass, as they say.
type probed struct{ device.Device }

func (d probed) Probe(device.Precision) (device.Probe, error) { return fakeProbe{}, nil }

func (d probed) Compile(p device.Program) (device.Net, error) {
	n, err := d.Device.Compile(p)
	return &counting{Net: n, ops: p.Ops}, err
}

type fakeProbe struct{}

func (fakeProbe) Instructions() string { return "fingers" }
func (fakeProbe) Multiply() float64    { time.Sleep(time.Millisecond); return 1e6 }
func (fakeProbe) Triad() float64       { time.Sleep(time.Millisecond); return 1e5 }
func (fakeProbe) Close()               {}

type counting struct {
	device.Net
	ops   []device.Spec
	moves device.Moves
}

func (n *counting) Update() {
	n.moves = n.moves.Add(device.Moves{
		Reorders: 2, Copies: 3, BetweenOps: 10, PackedWeights: 200, Exchange: 3000, Upload: 40000,
	})
	n.Net.Update()
}
func (n *counting) Moves() device.Moves { return n.moves }
func (n *counting) Idle(op int, backward bool) bool {
	switch n.ops[op].(type) {
	case *device.LRN:
		return !backward
	case *device.Pool:
		return backward && n.ops[op].Base().Name == "pool1"
	}
	return false
}

// TestRoofline: what each row moves at least, by hand, and that all else follows from it, from what was counted and
// from what was measured.
func TestRoofline(t *testing.T) {
	cfg, err := config.Load("demo", []string{"train.batch=2"})
	if err != nil {
		t.Fatal(err)
	}
	var devs []device.Device
	for _, d := range reference.Open(2) {
		devs = append(devs, probed{d})
	}
	b, err := Run(context.Background(), Options{
		Config: cfg, Devices: devs, Mode: Train, Steps: 2, Layers: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := b.Roofline
	// two devices
	if f == nil || f.Instructions != "fingers" || !(f.PeakGFLOPS > 0 && f.PeakGFLOPS <= 2) ||
		!(f.Bandwidth > 0 && f.Bandwidth <= .2) {
		t.Fatalf("%+v", f)
	}
	const z = 4
	batch := func(numbers int) int { return 2 * z * numbers }
	const in, conv1, pool1 = 3 * 28 * 28, 16 * 28 * 28, 16 * 14 * 14 // of demo.yaml
	want := map[string][2]int{
		"input upload": {2 * 2 * in * (1 + z), 0}, // on each device; a pixel is a byte
		"conv1 conv":   {batch(in+conv1) + z*1216, batch(in+conv1) + z*1216},
		"lrn1 lrn":     {0, batch(2*conv1 + pool1)}, // both at once
		"pool1 pool":   {batch(conv1 + pool1), 0},
		// Each device sends its half, which is read and written.
		"pool1 exchange": {2 * batch(pool1), 2 * batch(pool1)},
		"conv2 conv":     {batch(pool1+32*196) + z*4640, batch(2*pool1+32*196) + 2*z*4640},
		"pool2 pool":     {batch(32*196 + 32*49), batch(32*196 + 32*49)},
		"fc5 fc":         {batch(128+10) + z*1290, batch(2*128+10) + 2*z*1290},
		"drop4 dropout":  {batch(128 + 128), batch(128 + 128)},
		"update update":  {5 * z * 90282, 0},
	}
	least, found := 0., 0
	for i := range b.Layers {
		l := &b.Layers[i]
		w, ok := want[l.Name+" "+l.Kind]
		if ok {
			found++
		}
		for k, r := range []*Roof{l.Forward, l.Backward} {
			name := l.Name + []string{" forward", " backward"}[k]
			if r == nil {
				least += []float64{l.ForwardMS, l.BackwardMS}[k]
				if w[k] != 0 {
					t.Errorf("%s: no roof", name)
				}
				continue
			}
			if ok && r.Bytes != int64(w[k]) {
				t.Errorf("%s moves %d bytes, want %d", name, r.Bytes, w[k])
			}
			ms, gflops := l.ForwardMS, l.GFLOPSForward
			if k == 1 {
				ms, gflops = l.BackwardMS, l.GFLOPSBackward
			}
			wantNear(t, name+": share of the peak", r.PeakShare, gflops/f.PeakGFLOPS)
			byMemory, byCompute := 1e-6*float64(r.Bytes)/f.Bandwidth, gflops*ms/f.PeakGFLOPS
			wantNear(t, name+": least", r.LeastMS, max(byMemory, byCompute))
			wantNear(t, name+": share", r.AttainableShare, r.LeastMS/ms)
			if (r.Bound == "memory") != (byMemory > byCompute) {
				t.Errorf("%s is bound by %s", name, r.Bound)
			}
			if gflops > 0 {
				wantNear(t, name+": attainable", r.Attainable, min(f.PeakGFLOPS, r.Intensity*f.Bandwidth))
			}
			least += min(r.LeastMS, ms)
		}
	}
	if found != len(want) {
		t.Errorf("%d of %d rows", found, len(want))
	}
	wantNear(t, "least of the step", f.LeastMS, least)
	wantNear(t, "ridge", f.Ridge, f.PeakGFLOPS/f.Bandwidth)
	wantNear(t, "step", f.StepPeakShare, f.StepGFLOP/f.PeakGFLOPS/(1e-3*b.MillisecondsPerStep))
	for _, name := range []string{"lrn1", "pool1", "drop4", "prob"} { // no operations are counted
		if !slices.Contains(f.MemoryBound, name) {
			t.Errorf("%s is not among %v", name, f.MemoryBound)
		}
	}
	if m := b.Moves; m == nil ||
		*m != (Moves{
			Reorders: 4, Copies: 6, BetweenOps: 20, PackedWeights: 400, Exchange: 6000, Upload: 80000,
			Bytes: 86420,
		}) {
		t.Errorf("moves %+v", m)
	}
}

// With int8 weights a fully connected layer reads a byte for each, and others what they did.
func TestInt8Traffic(t *testing.T) {
	cfg, err := config.Load("demo", []string{"train.batch=2"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(context.Background(), Options{
		Config: cfg, Devices: []device.Device{probed{reference.Open(1)[0]}}, Mode: Infer, Steps: 1, Layers: true,
		Int8: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"conv1": 2*4*(3*28*28+16*28*28) + 4*1216, "fc5": 2*4*(128+10) + 1280 + 4*(10+10)}
	for _, l := range b.Layers {
		if w, ok := want[l.Name]; ok && l.Forward.Bytes != w {
			t.Errorf("%s reads and writes %d bytes, want %d", l.Name, l.Forward.Bytes, w)
		}
		delete(want, l.Name)
	}
	if !b.Int8 || len(want) > 0 {
		t.Errorf("int8 weights: %v; no rows of %v", b.Int8, want)
	}
}

// On the ridge both limits are one; of nothing there is no roof.
func TestRoof(t *testing.T) {
	v := &speed{flops: 100e9, bytes: 10e9}
	for _, c := range []struct {
		flop, bytes, ms float64
		want            Roof
	}{
		{2e9, 100e6, 40, Roof{
			Bytes: 100e6, Intensity: 20, PeakShare: .5, Attainable: 100, LeastMS: 20, AttainableShare: .5,
			Bound: "compute",
		}},
		{2e9, 1e9, 400, Roof{
			Bytes: 1e9, Intensity: 2, PeakShare: .05, Attainable: 20, LeastMS: 100, AttainableShare: .25,
			Bound: "memory",
		}},
		{0, 1e9, 100, Roof{Bytes: 1e9, LeastMS: 100, AttainableShare: 1, Bound: "memory"}},
		{2e9, 200e6, 10, Roof{
			Bytes: 200e6, Intensity: 10, PeakShare: 2, Attainable: 100, LeastMS: 20, AttainableShare: 2,
			Bound: "compute",
		}},
	} {
		got := v.roof(c.flop, c.bytes, c.ms)
		if got.Bytes != c.want.Bytes || got.Bound != c.want.Bound {
			t.Errorf("%+v, want %+v", got, c.want)
		}
		for _, p := range [][2]float64{
			{got.Intensity, c.want.Intensity},
			{got.PeakShare, c.want.PeakShare},
			{got.Attainable, c.want.Attainable},
			{got.LeastMS, c.want.LeastMS},
			{got.AttainableShare, c.want.AttainableShare},
		} {
			if math.Abs(p[0]-p[1]) > 1e-9 {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		}
	}
	if v.roof(0, 0, 1) != nil {
		t.Error("a roof of nothing")
	}
}

// A device that has no probe leaves the limits out.
func TestNoRoofline(t *testing.T) {
	cfg, err := config.Load("demo", []string{"train.batch=2"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(context.Background(), Options{
		Config: cfg, Devices: []device.Device{probed{reference.New()}, reference.New()}, Mode: Infer, Steps: 1,
		Layers: true,
	})
	if err != nil || b.Roofline != nil || b.Moves != nil {
		t.Errorf("%v, %+v, %+v", err, b.Roofline, b.Moves)
	}
}
