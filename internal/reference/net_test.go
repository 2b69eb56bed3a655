package reference

import (
	"runtime"
	"slices"
	"testing"

	"alexnet/internal/device"
)

// TestConvSameBitsOnAnyCores runs a convolution with one worker and with several, under other numbers of cores.
func TestConvSameBitsOnAnyCores(t *testing.T) {
	const rows = 37
	c := &conv[float32]{
		Conv: &device.Conv{Kernel: 3, Stride: 1, Pad: 1, Groups: 1, Act: device.ReLU},
		in:   []device.Shape{{C: 20, H: 9, W: 9}}, out: device.Shape{C: 70, H: 9, W: 9},
	}
	d := newDraws(1)
	single := func(n int) []float32 {
		x := aligned[float32](n)
		for i, v := range d.normals(n) {
			x[i] = float32(v)
		}
		return x
	}
	x, w, b, dy := single(rows*c.in[0].Len()), single(c.out.C*c.taps()), single(c.out.C), single(rows*c.out.Len())
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var first [][]float32
	for _, cores := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(cores)
		worker, share := c.scratchSizes(true)
		s := &scratch[float32]{}
		for range workers() {
			s.worker = append(s.worker, aligned[float32](worker))
		}
		for range shares {
			s.share = append(s.share, aligned[float32](share))
		}
		y, dx, dw, db := aligned[float32](len(dy)), aligned[float32](len(x)), aligned[float32](len(w)),
			aligned[float32](len(b))
		c.forward(rows, [][]float32{x}, w, b, y, s)
		c.backward(rows, [][]float32{x}, w, y, dy, [][]float32{dx}, dw, db, s)
		got := [][]float32{y, dx, dw, db}
		if first == nil {
			first = got
		}
		for i, name := range []string{"output", "gradient of input", "gradient of weight", "gradient of bias"} {
			if !slices.Equal(first[i], got[i]) {
				t.Errorf("%d cores: %s has other bits than with 1", cores, name)
			}
		}
	}
}

// program is conv, pool, fc, loss, large enough that what is not a tensor does not count.
func program(t *testing.T, d *Device, train bool) device.Program {
	t.Helper()
	params, err := d.NewParams([]device.ParamSpec{
		{Name: "conv1.weight", Shape: []int{16, 3, 5, 5}},
		{Name: "conv1.bias", Shape: []int{16}},
		{Name: "fc2.weight", Shape: []int{100, 16 * 23 * 23}},
		{Name: "fc2.bias", Shape: []int{100}},
	})
	if err != nil {
		t.Fatal(err)
	}
	op := func(name string, in, out device.Value) device.Op {
		return device.Op{Name: name, In: []device.Value{in}, Out: out}
	}
	return device.Program{
		Values: []device.ValueInfo{
			{Name: "input", Shape: device.Shape{C: 3, H: 48, W: 48}},
			{Name: "conv1", Shape: device.Shape{C: 16, H: 48, W: 48}},
			{Name: "lrn1", Shape: device.Shape{C: 16, H: 48, W: 48}},
			{Name: "pool1", Shape: device.Shape{C: 16, H: 23, W: 23}},
			{Name: "fc2", Shape: device.Shape{C: 100, H: 1, W: 1}},
			{Name: "prob", Shape: device.Shape{C: 100, H: 1, W: 1}},
			{Name: "stats", Shape: device.Shape{C: 3, H: 1, W: 1}},
		},
		Input: device.Input{Value: 0, Channels: 3, Height: 50, Width: 50},
		Ops: []device.Spec{
			&device.Conv{
				Op: op("conv1", 0, 1), Weight: 0, Bias: 1, Kernel: 5, Stride: 1, Pad: 2, Groups: 1, Act: device.ReLU,
			},
			&device.LRN{Op: op("lrn1", 1, 2), Size: 5, Alpha: 1e-4, Beta: .75, K: 2, Groups: 2},
			&device.Pool{Op: op("pool1", 2, 3), Window: 3, Stride: 2},
			&device.FC{Op: op("fc2", 3, 4), Weight: 2, Bias: 3},
			&device.SoftmaxLoss{Op: op("prob", 4, 5), Stats: 6},
		},
		Params: params, Rows: 24, Train: train,
	}
}

// allocated is what f takes from the heap, in bytes.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// TestMemoryPlan holds the plan against what Alloc takes, and a step against taking nothing of weight.
func TestMemoryPlan(t *testing.T) {
	for _, train := range []bool{true, false} {
		d := New()
		n, err := d.Compile(program(t, d, train))
		if err != nil {
			t.Fatal(err)
		}
		plan := n.Memory().Total()
		took := allocated(func() {
			if err := n.Alloc(); err != nil {
				t.Fatal(err)
			}
		})
		if took < plan || took > plan+plan/20 { // the allocator rounds up to pages
			t.Errorf("train %v: Alloc took %d bytes, the plan says %d", train, took, plan)
		}
		pass := device.Pass{Rows: 24, Divisor: 24, LR: make([]float32, 4), Decay: make([]float32, 4)}
		batch := device.NewBatch(24, make([]uint8, 24*50*50*3))
		step := allocated(func() {
			n.Begin(batch, pass)
			for i := range 5 {
				n.Forward(i)
			}
			for i := 4; train && i >= 0; i-- {
				n.Backward(i)
			}
			if train {
				n.Update()
			}
		})
		if err := n.Sync(); err != nil {
			t.Fatal(err)
		}
		if step > plan/20 { // goroutines, and gonum's
			t.Errorf("train %v: a step took %d bytes besides the planned %d", train, step, plan)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInferenceReusesMemory: values of an inference net that are never alive together share their place: here lrn1 and
// what follows it fit beside conv1.
func TestInferenceReusesMemory(t *testing.T) {
	d := New()
	p := program(t, d, false)
	activations := func(p device.Program) int64 {
		for _, item := range newNet(d, p, p.Params.(*params[float32])).Memory() {
			if item.Purpose == device.PurposeActivations {
				return item.Bytes
			}
		}
		return 0
	}
	all := p
	for v := range p.Values {
		all.Keep = append(all.Keep, device.Value(v))
	}
	row := func(vs ...device.Value) (n int64) {
		for _, v := range vs {
			n += 4 * int64(p.Rows) * int64(p.Values[v].Shape.Len())
		}
		return n
	}
	if got, want := activations(all), row(0, 1, 2, 3, 4, 5, 6); got != want {
		t.Errorf("with everything kept %d bytes of activations, want %d", got, want)
	}
	if got, want := activations(p), row(0, 1, 2, 5, 6); got != want { // pool1 where conv1 was, fc2 where lrn1 was
		t.Errorf("with nothing kept %d bytes of activations, want %d", got, want)
	}
}
