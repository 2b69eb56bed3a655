package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/philox"
	"alexnet/internal/reference"
)

// twoColumns has one of everything: kernels and fully connected units that read their own column or both, grouped
// kernels inside a column, normalisation at the column border, overlapping pooling, dropout in both places, an
// activation that stands alone.
const twoColumns = `
model:
  columns: 2
  classes: 5
  act: relu
  input: {channels: 3, size: 12}
  layers:
    - {name: conv1, kind: conv, kernels: 8, size: 4, stride: 2, round: up, act: none, init: {std: 0.003}}
    - {name: act1, kind: activation}
    - {name: lrn1, kind: lrn, size: 5, alpha: 0.1, beta: 0.75, k: 1}
    - {name: drop1, kind: dropout, rate: 0.25}
    - {name: pool1, kind: pool, size: 3, stride: 2, round: up}
    - {name: conv2, kind: conv, inputs: both, kernels: 12, size: 3, pad: 1, init: {std: 0.2, bias: 0.1}}
    - {name: conv3, kind: conv, kernels: 8, size: 3, pad: 1, groups: 2, act: tanh, init: {std: 0.2, bias: 0.1}, weight_decay: 0.01}
    - {name: pool3, kind: pool, pool: avg, size: 2, stride: 1}
    - {name: fc4, kind: fc, units: 20, init: {std: 0.2}}
    - {name: fc5, kind: fc, inputs: both, units: 16, init: {std: 0.3}, lr: 0.5}
    - {name: drop5, kind: dropout, rate: 0.5}
    - {name: fc6, kind: fc, inputs: both, act: none, init: {std: 0.2}}
    - {name: prob, kind: softmax}
data: {resize: 16}
`

const testRows = 6

func twoColumnNet(t *testing.T) *Arch {
	t.Helper()
	cfg, err := config.Parse([]byte(twoColumns), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(cfg.Model, true)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func references(n int) []device.Device { return reference.Open(n) }

// cpus gives n devices of the package cpu.
func cpus(t *testing.T, n int) []device.Device {
	t.Helper()
	devs, err := cpu.Open(n)
	if err != nil {
		t.Fatal(err)
	}
	return devicetest.CloseLater(t, devs)
}

// backends are those of this build, by name.
func backends() map[string]func(t *testing.T, n int) []device.Device {
	all := map[string]func(t *testing.T, n int) []device.Device{
		"reference": func(_ *testing.T, n int) []device.Device { return references(n) },
	}
	if cpu.Built {
		all["cpu"] = cpus
	}
	return all
}

// fill draws pictures, labels, crops, flips and colours of a step.
func fill(b *device.Batch, step uint64, rows int) {
	src := philox.NewSource(3, philox.PurposeTest, uint32(step), 1)
	for i := range b.Pixels {
		b.Pixels[i] = uint8(src.Uint32())
	}
	for r := range rows {
		b.Labels[r] = int32(src.Intn(5))
		b.Crop[r] = [2]int32{int32(src.Intn(5)), int32(src.Intn(5))}
		b.Flip[r] = src.Intn(2) == 1
		four := src.Normals()
		b.Color[r] = [3]float32{float32(10 * four[0]), float32(10 * four[1]), float32(10 * four[2])}
	}
}

// trainee is a net that the tests train.
type trainee struct {
	*Net
	model *Model
	lr    []float32
	decay []float32
}

// newTrainee makes one on reference devices, with both ends of every exchange among the values to keep, so that a test
// may tamper with them.
func newTrainee(t *testing.T, a *Arch, devices int) *trainee {
	t.Helper()
	plan, err := newPlan(a, devices, staged(a, testRows, true))
	if err != nil {
		t.Fatal(err)
	}
	for d := range plan.Programs {
		for _, op := range plan.Programs[d].Ops {
			switch op := op.(type) {
			case *device.Send:
				plan.Programs[d].Keep = append(plan.Programs[d].Keep, op.In[0])
			case *device.Recv:
				plan.Programs[d].Keep = append(plan.Programs[d].Keep, op.Out)
			}
		}
	}
	m := open(t, a, references(devices))
	n, err := m.compile(plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Alloc(); err != nil {
		t.Fatal(err)
	}
	return trained(t, m, n)
}

// newTraineeOn makes one on any devices, compiled as users' are, that keeps the named values.
func newTraineeOn(t *testing.T, a *Arch, devs []device.Device, keep ...string) *trainee {
	t.Helper()
	m := open(t, a, devs)
	o := staged(a, testRows, true)
	o.Keep = keep
	return trained(t, m, compile(t, m, o))
}

// trained gives the net its first weights and the rates of every parameter.
func trained(t *testing.T, m *Model, n *Net) *trainee {
	t.Helper()
	a := m.Arch()
	if err := m.Init(11); err != nil {
		t.Fatal(err)
	}
	tr := &trainee{Net: n, model: m}
	for i := range a.Params {
		p := &a.Params[i]
		lr, decay := .02*float32(p.LR), float32(.0005)
		if p.Bias {
			lr, decay = 2*lr, 0
		} else if p.Decay != nil {
			decay = float32(*p.Decay)
		}
		tr.lr, tr.decay = append(tr.lr, lr), append(tr.decay, decay)
	}
	return tr
}

// rowsAt: every fifth batch is a short one.
func rowsAt(step uint64) int {
	if step%5 == 4 {
		return testRows - 2
	}
	return testRows
}

func (tr *trainee) forward(step uint64) {
	rows := rowsAt(step)
	b := tr.Stage()
	fill(b, step, rows)
	tr.Forward(b, Pass{
		Seed: 9, Step: step, First: step * testRows, Rows: rows, Divisor: float32(rows), Momentum: .9, LR: tr.lr,
		Decay: tr.decay,
	})
}

func (tr *trainee) step(t *testing.T, step uint64) {
	t.Helper()
	tr.forward(step)
	tr.Backward()
	tr.Update()
	if err := tr.Sync(); err != nil {
		t.Fatal(err)
	}
}

func (tr *trainee) read(t *testing.T, name string, grad bool) []float32 {
	t.Helper()
	shape, err := tr.Shape(name)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, tr.rows*shape.Len())
	if err := tr.Fetch(name, grad, dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

// apart is the largest relative norm of a difference over all weight and momentum tensors, and where it is.
func apart(t *testing.T, a, b *Model) (worst float64, where string) {
	t.Helper()
	for i := range a.Arch().Params {
		for _, part := range []device.Part{device.Weight, device.Momentum} {
			x, y := make([]float32, a.Arch().Params[i].Len()), make([]float32, a.Arch().Params[i].Len())
			if err := a.Fetch(i, part, x); err != nil {
				t.Fatal(err)
			}
			if err := b.Fetch(i, part, y); err != nil {
				t.Fatal(err)
			}
			if d := relative(x, y); !(d <= worst) {
				worst, where = d, fmt.Sprintf("%s of %s", part, a.Arch().Params[i].Name)
			}
		}
	}
	return worst, where
}

func relative(x, y []float32) float64 {
	var diff, norm float64
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		diff += d * d
		norm += float64(x[i]) * float64(x[i])
	}
	return math.Sqrt(diff) / math.Max(math.Sqrt(norm), 1e-30)
}

// tolerance between one device and two after 20 steps: the sums run in another order, nothing else differs.
const tolerance = 1e-4

// One device and two train the same net: same crops and flips bit for bit, same dropout masks, weights and momentum to
// within rounding. With these seeds no ReLU, and no maximum, comes so near to a kink that the two fall on different
// sides of it, on either backend.
func TestOneDeviceAgainstTwo(t *testing.T) {
	for name, backend := range backends() {
		t.Run(name, func(t *testing.T) { oneAgainstTwo(t, backend) })
	}
}

func oneAgainstTwo(t *testing.T, backend func(t *testing.T, n int) []device.Device) {
	a := twoColumnNet(t)
	one, two := newTraineeOn(t, a, backend(t, 1), "input", "drop1", "drop5"), newTraineeOn(t, a, backend(t, 2), "input",
		"drop1", "drop5")
	dropped := 0
	for step := range uint64(20) {
		one.forward(step)
		two.forward(step)
		if !slices.Equal(one.read(t, "input", false), two.read(t, "input", false)) {
			t.Fatalf("step %d: the devices see different pictures", step)
		}
		for _, name := range []string{"drop1", "drop5"} {
			x, y := one.read(t, name, false), two.read(t, name, false)
			for i := range x {
				if (x[i] == 0) != (y[i] == 0) {
					t.Fatalf("step %d: %s: masks differ at %d", step, name, i)
				}
				if x[i] == 0 {
					dropped++
				}
			}
		}
		for _, tr := range []*trainee{one, two} {
			tr.Backward()
			tr.Update()
			if err := tr.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if dropped < 1000 {
		t.Errorf("only %d units were zero: the masks were not tested", dropped)
	}
	worst, where := apart(t, one.model, two.model)
	t.Logf("largest relative norm of a difference after 20 steps: %.2g (%s)", worst, where)
	if !(worst <= tolerance) {
		t.Errorf("%s differs by %g, relative norm", where, worst)
	}
	start := open(t, a, references(1))
	compile(t, start, staged(a, 1, true))
	if err := start.Init(11); err != nil {
		t.Fatal(err)
	}
	if moved, where := apart(t, start, one.model); moved < .01 {
		t.Errorf("training moved nothing by more than %g (%s)", moved, where)
	}
}

// A precision that no backend has is refused in a message that names the device once.
func TestPrecisionRefused(t *testing.T) {
	a := twoColumnNet(t)
	for name, backend := range backends() {
		m := open(t, a, backend(t, 1))
		o := staged(a, 1, true)
		o.Precision = device.TF32
		_, err := m.Compile(o)
		if err == nil || !strings.HasPrefix(err.Error(), name+": tf32 is not available") ||
			strings.Count(err.Error(), name) != 1 {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// The comparison above would notice any exchange whose data does not arrive: zeros sent on any one Link, forward or
// backward, give another net than the one device's within a single step.
func TestEverySendMatters(t *testing.T) {
	a := twoColumnNet(t)
	one := newTrainee(t, a, 1)
	one.step(t, 0)
	links := newTrainee(t, a, 2).Plan().Links
	if len(links) != 5 { // pool1 and fc4 in both directions, fc5 to device 0
		t.Fatalf("%d links, want 5", len(links))
	}
	for i := -1; i < len(links); i++ {
		for _, back := range []bool{false, true} {
			two := newTrainee(t, a, 2)
			name := "nothing"
			if i >= 0 {
				name = two.Plan().Links[i].Name
			}
			two.tamperedStep(t, i, back)
			worst, _ := apart(t, one.model, two.model)
			if same := worst <= tolerance; same != (i < 0) {
				t.Errorf("zeros on %s (backward: %v): largest relative norm of a difference %g", name, back, worst)
			}
		}
	}
}

// tamperedStep is a step in plan order in which link number i carries zeros, one way; the ends keep their own data.
func (tr *trainee) tamperedStep(t *testing.T, i int, back bool) {
	t.Helper()
	b := tr.Stage()
	fill(b, 0, testRows)
	for d, net := range tr.nets {
		net.Begin(b, tr.pass(d, Pass{
			Seed: 9, Rows: testRows, Divisor: testRows, Momentum: .9, LR: tr.lr, Decay: tr.decay,
		}))
	}
	plan := tr.Plan()
	run := func(s Step, backward bool) {
		net, spec := tr.nets[s.Device], plan.Programs[s.Device].Ops[s.Op]
		call := func() { net.Forward(s.Op) }
		if backward {
			call = func() { net.Backward(s.Op) }
		}
		send, isSend := spec.(*device.Send)
		recv, isRecv := spec.(*device.Recv)
		switch {
		case i >= 0 && isSend && !back && !backward && send.Link == plan.Links[i]:
			zeroed(t, net, send.In[0], false, send.Link.Shape, call)
		case i >= 0 && isRecv && back && backward && recv.Link == plan.Links[i]:
			zeroed(t, net, recv.Out, true, recv.Link.Shape, call)
		default:
			call()
		}
	}
	for _, s := range plan.Order {
		run(s, false)
	}
	for _, s := range slices.Backward(plan.Order) {
		run(s, true)
	}
	tr.Update()
	if err := tr.Sync(); err != nil {
		t.Fatal(err)
	}
}

// zeroed makes a call while a value is zero, and puts the value back.
func zeroed(t *testing.T, net device.Net, v device.Value, grad bool, shape device.Shape, call func()) {
	t.Helper()
	data := make([]float32, testRows*shape.Len())
	if err := net.Fetch(v, grad, data).Wait(); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(data, func(x float32) bool { return x != 0 }) {
		t.Fatal("what is sent is zero anyway")
	}
	net.Store(v, grad, make([]float32, len(data)))
	call()
	net.Store(v, grad, data)
}

// What the links counted is what the summary foretells, exchange by exchange.
func TestBytesCounted(t *testing.T) {
	a := twoColumnNet(t)
	two := newTrainee(t, a, 2)
	pictures := int64(0)
	for step := range uint64(5) {
		two.step(t, step)
		pictures += int64(rowsAt(step))
	}
	s := summary(t, a, 2, testRows)
	got := two.Exchange()
	if len(got) != 3 || len(s.Exchange) != 3 {
		t.Fatalf("%d and %d exchanges, want 3", len(got), len(s.Exchange))
	}
	for i, row := range s.Exchange {
		if want := row.PerPicture * pictures; got[i].Name != row.Value || got[i].Forward != want ||
			got[i].Backward != want {
			t.Errorf("counted %+v, want %d bytes of %s each way", got[i], want, row.Value)
		}
	}
	if one := newTrainee(t, a, 1).Exchange(); len(one) != 0 {
		t.Errorf("one device exchanged %v", one)
	}
}

// Nets for use share the weights of the training net; on two devices they give what they give on one, gradient of the
// input included, and values come back in column order under their names.
func TestInferenceOnTwoDevices(t *testing.T) {
	a := twoColumnNet(t)
	names := a.Names()
	var values, grads [2]map[string][]float32
	for i := range 2 {
		tr := newTrainee(t, a, i+1)
		tr.step(t, 0)
		o := staged(a, testRows, false)
		o.Keep, o.InputGrad = names, true
		use := &trainee{Net: compile(t, tr.model, o), model: tr.model}
		use.forward(1)
		use.Backward()
		values[i], grads[i] = map[string][]float32{}, map[string][]float32{}
		for _, name := range names {
			values[i][name] = use.read(t, name, false)
			if name != "prob" {
				grads[i][name] = use.read(t, name, true)
			}
		}
		if err := use.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if d := relative(values[0][name], values[1][name]); !(d <= 1e-5) {
			t.Errorf("%s differs by %g", name, d)
		}
		if g := grads[0][name]; name != "prob" && !(relative(g, grads[1][name]) <= tolerance) {
			t.Errorf("gradient of %s differs by %g", name, relative(g, grads[1][name]))
		}
	}
	for i, x := range values[0]["conv2.pre"] {
		if y := values[0]["conv2"][i]; y != max(x, 0) {
			t.Fatalf("conv2 is %g where conv2.pre is %g", y, x)
		}
	}
}
