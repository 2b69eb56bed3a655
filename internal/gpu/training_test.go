//go:build cuda

package gpu

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/model/modeltest"
	"alexnet/internal/philox"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
)

// columnsPage has everything that the two columns' training has: convolutions and units of their own column and of
// both, a first convolution that rounds up, normalisation that stops at the border, overlapping pooling, dropout, an
// activation that stands alone.
const columnsPage = `
model:
  columns: 2
  classes: 6
  act: relu
  input: {channels: 3, size: 24}
  layers:
    - {name: conv1, kind: conv, kernels: 16, size: 5, stride: 2, round: up, init: {std: 0.003, bias: 0.1}}
    - {name: lrn1, kind: lrn, size: 5, alpha: 0.05, beta: 0.75, k: 2}
    - {name: pool1, kind: pool, size: 3, stride: 2, round: up}
    - {name: conv2, kind: conv, kernels: 16, size: 3, pad: 1, act: none, init: {std: 0.1}}
    - {name: act2, kind: activation, act: tanh}
    - {name: conv3, kind: conv, inputs: both, kernels: 24, size: 3, pad: 1, init: {std: 0.1, bias: 0.1}}
    - {name: pool3, kind: pool, size: 3, stride: 2}
    - {name: fc4, kind: fc, inputs: both, units: 40, init: {std: 0.1, bias: 0.1}}
    - {name: drop4, kind: dropout, rate: 0.5}
    - {name: fc5, kind: fc, inputs: both, act: none, init: {std: 0.2}}
    - {name: prob, kind: softmax}
`

// training is a net that trains on random pictures with random crops, flips and colours.
type training struct {
	t     *testing.T
	model *model.Model
	net   *model.Net
	lr    []float32
	decay []float32

	divisor float32 // instead of the rows
}

const trainingRows, trainingSide = 5, 28

func newTraining(t *testing.T, page string, rows int, devs []device.Device) *training {
	t.Helper()
	cfg, err := config.Parse([]byte(page), nil)
	must(t, err)
	return trainingOf(t, cfg, rows, trainingSide, device.FP32, devs)
}

func trainingOf(t *testing.T, cfg *config.Config, rows, side int, precision device.Precision,
	devs []device.Device,
) *training {
	t.Helper()
	arch, err := model.Of(cfg, 0)
	must(t, err)
	tr := &training{t: t}
	tr.model, err = model.Open(arch, devs)
	must(t, err)
	tr.net, err = tr.model.Compile(model.Options{
		Rows: rows, Train: true, Precision: precision, Input: recipe.Recipe{
			Height: side, Width: side, Mean: []float32{120, 120, 120},
		},
	})
	must(t, err)
	must(t, tr.net.Alloc())
	t.Cleanup(func() { must(t, tr.net.Close()); must(t, tr.model.Close()) })
	must(t, tr.model.Init(7))
	for _, p := range arch.Params {
		lr, decay := float32(.01), float32(.0005)
		if p.Bias {
			lr, decay = 2*lr, 0
		}
		tr.lr, tr.decay = append(tr.lr, lr), append(tr.decay, decay)
	}
	return tr
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// step takes one; every fifth batch is a short one.
func (tr *training) step(step, rows, room, classes int) {
	if step%5 == 4 {
		rows -= 2
	}
	b := tr.net.Stage()
	src := philox.NewSource(5, philox.PurposeTest, uint32(step), 2)
	for i := range b.Pixels {
		b.Pixels[i] = uint8(src.Uint32())
	}
	for r := range rows {
		b.Labels[r] = int32(src.Intn(classes))
		b.Crop[r] = [2]int32{int32(src.Intn(room)), int32(src.Intn(room))}
		b.Flip[r] = src.Intn(2) == 1
		n := src.Normals()
		b.Color[r] = [3]float32{float32(9 * n[0]), float32(9 * n[1]), float32(9 * n[2])}
	}
	tr.net.Step(b, model.Pass{
		Seed: 3, Step: uint64(step), First: uint64(step * trainingRows), Rows: rows,
		Divisor: cmp.Or(tr.divisor, float32(rows)), Momentum: .9, LR: tr.lr, Decay: tr.decay,
	})
}

// tensors are all weights and momenta, by name.
func (tr *training) tensors() map[string][]float32 {
	all := map[string][]float32{}
	for i, p := range tr.model.Arch().Params {
		for _, part := range []device.Part{device.Weight, device.Momentum} {
			x := make([]float32, p.Len())
			must(tr.t, tr.model.Fetch(i, part, x))
			all[part.String()+" of "+p.Name] = x
		}
	}
	return all
}

// after is what twenty steps make of columnsPage.
func after(t *testing.T, devs []device.Device) map[string][]float32 {
	t.Helper()
	tr := newTraining(t, columnsPage, trainingRows, devs)
	for step := range 20 {
		tr.step(step, trainingRows, 5, 6)
	}
	must(t, tr.net.Sync())
	return tr.tensors()
}

// Twenty steps on two GPUs, on one, on two logical devices of one, on the CPU and on the reference are one training:
// every weight and momentum within 1e-4, relative norm.
func TestTwentySteps(t *testing.T) {
	want := after(t, reference.Open(1))
	runs := map[string]func(t *testing.T) []device.Device{
		"0,1": func(t *testing.T) []device.Device { return openDevices(t, Options{}, 2) },
		"0":   func(t *testing.T) []device.Device { return openOn(t, Options{}, 0) },
		"0,0": func(t *testing.T) []device.Device { return openOn(t, Options{}, 0, 0) },
	}
	if cpu.Available() == nil {
		runs["cpu"] = func(t *testing.T) []device.Device {
			devs, err := cpu.Open(2)
			must(t, err)
			t.Cleanup(func() {
				for _, d := range devs {
					must(t, d.Close())
				}
			})
			return devs
		}
	}
	for name, open := range runs {
		t.Run(name, func(t *testing.T) { agree(t, after(t, open(t)), want, 1e-4) })
	}
}

// agree wants all tensors within a relative norm of what they should be, and returns the largest.
func agree(t *testing.T, got, want map[string][]float32, within float64) (worst float64) {
	t.Helper()
	where := ""
	for tensor, x := range got {
		if d := apart(x, want[tensor]); !(d <= worst) {
			worst, where = d, tensor
		}
	}
	t.Logf("largest relative norm of a difference: %.2g (%s)", worst, where)
	if !(worst <= within) {
		t.Errorf("%s differs by %.3g", where, worst)
	}
	return worst
}

func apart(got, want []float32) float64 {
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff, norm = diff+d*d, norm+float64(w)*float64(w)
	}
	return math.Sqrt(diff / norm)
}

// PyTorch's ten steps, and the paper's net op by op, on one GPU and on two.
func TestGolden(t *testing.T) {
	modeltest.RunGolden(t, func(t *testing.T, n int) []device.Device { return openDevices(t, Options{}, n) })
}

func TestHalfGolden(t *testing.T) {
	if testing.Short() {
		t.Skip("the paper's net, in a short run")
	}
	if err := device.Supports(openDevices(t, Options{}, 1)[0], device.BF16); err != nil {
		t.Skip(err)
	}
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) { modeltest.Half(t, openDevices(t, Options{}, n)) })
	}
}

// counts are what emulated GPUs counted: Peer are bytes, from and to.
type counts struct {
	Peer          [][]int64 `json:"peer"`
	Unmapped      int64     `json:"peer_unmapped"`  // bytes of these between GPUs that do not reach each other
	Arguments     int64     `json:"peer_arguments"` // kernels and library calls that were given the other GPU's memory
	GraphLaunches int       `json:"graph_launches"`
	// Taken and not given back: bytes by GPU, bytes of the host's memory, and events.
	Allocated []int64 `json:"allocated"`
	Pinned    int64   `json:"pinned"`
	Events    int     `json:"events"`
}

func emulated() bool { return strings.Contains(os.Getenv("LD_LIBRARY_PATH"), "softgpu") }

// child runs a test of this binary in a process of its own with other settings of the emulated GPUs, and returns what
// they counted. It is skipped on others. Whatever the test, nothing may cross but by the exchange's own copies.
func child(t *testing.T, test string, settings ...string) (stats counts) {
	t.Helper()
	if !emulated() {
		t.Skip("only emulated GPUs count")
	}
	file := filepath.Join(t.TempDir(), "stats.json")
	again(t, test, append(settings, "SOFTGPU_STATS="+file)...)
	text, err := os.ReadFile(file)
	must(t, err)
	must(t, json.Unmarshal(text, &stats))
	if stats.Unmapped != 0 || stats.Arguments != 0 {
		t.Errorf("%s: %d bytes crossed between GPUs that do not reach each other, %d calls were given the other "+
			"GPU's memory", test, stats.Unmapped, stats.Arguments)
	}
	return stats
}

// again runs a test of this binary in a process of its own.
func again(t *testing.T, test string, settings ...string) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run", "^("+test+")$", "-test.v")
	c.Env = append(append(os.Environ(), "ALEXNET_CHILD=1"), settings...)
	out, err := c.CombinedOutput()
	if err != nil || strings.Contains(string(out), "SKIP") || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("%s with %v: %v\n%s", test, settings, err, out)
	}
}

func inChild(t *testing.T) {
	t.Helper()
	if os.Getenv("ALEXNET_CHILD") == "" {
		t.Skip("run by another test")
	}
}

// paperExchange is what crosses between the devices in a step of the paper's net, a picture: forward as much as
// backward.
const paperExchange = 468992

func TestPaperStep(t *testing.T) {
	inChild(t)
	cfg, err := config.Load("alexnet", nil)
	must(t, err)
	devs := openDevices(t, Options{}, 2)
	tr := trainingOf(t, cfg, 2, 256, device.FP32, devs)
	tr.step(0, 2, 33, 1000)
	must(t, tr.net.Sync())
	var counted int64
	for _, x := range tr.net.Exchange() {
		counted += x.Forward + x.Backward
		if x.Time <= 0 {
			t.Errorf("%s took %v", x.Name, x.Time)
		}
	}
	if counted != 2*paperExchange {
		t.Errorf("the links counted %d bytes, want %d", counted, 2*paperExchange)
	}
}

// One step of the paper's net moves between the GPUs what it should and not a byte more, as the emulated GPUs count it
// themselves.
func TestPaperBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("the paper's net, in a short run")
	}
	stats := child(t, "TestPaperStep")
	// As much each way: the halves there, their gradients back. fc7 goes from GPU 1 to 0 alone, its gradient from 0
	// to 1.
	crossed(t, stats, patternBytes+paperExchange, patternBytes+paperExchange)
}

// crossed wants the emulated GPUs to have counted so many bytes from 0 to 1, and from 1 to 0: patternBytes where the
// way was tried, and what steps moved.
func crossed(t *testing.T, stats counts, there, back int64) {
	t.Helper()
	if stats.Peer[0][1] != there || stats.Peer[1][0] != back {
		t.Errorf("%d bytes went from GPU 0 to 1 and %d from 1 to 0, want %d and %d", stats.Peer[0][1], stats.Peer[1][0],
			there, back)
	}
}

// What the last layer reads goes to the GPU that has it, and nothing comes back: rows of half of homePage's fc2.
func TestHomeBytes(t *testing.T) {
	crossed(t, child(t, "TestPassesInFlight"), patternBytes, patternBytes+homePasses*homeRows*8*4)
}

// TestStagedSteps is TestTwentySteps without access from GPU to GPU; devicetest's part about two devices runs so too.
func TestStagedSteps(t *testing.T) {
	inChild(t)
	if w := way(openDevices(t, Options{}, 2)[0].(*Device), openDevices(t, Options{}, 2)[1].(*Device)); w != wayHost {
		t.Fatalf("what crosses goes by %s", w)
	}
	t.Run("steps", TestTwentySteps)
}

func TestWithoutPeerAccess(t *testing.T) {
	crossed(t, child(t, "TestStagedSteps", "SOFTGPU_PEER=0"), 0, 0)
	child(t, "TestStagedDevices", "SOFTGPU_PEER=0")
}

// Whatever order the GPUs work in, as far as events leave it open, the result is the same: a wait that is missing shows
// as wrong numbers.
func TestSchedules(t *testing.T) {
	if testing.Short() {
		t.Skip("some processes, in a short run")
	}
	for _, peer := range []string{"SOFTGPU_PEER=1", "SOFTGPU_PEER=0"} {
		for seed := range 6 {
			setting := fmt.Sprintf("SOFTGPU_SEED=%d", 100+seed)
			t.Run(peer+" "+setting, func(t *testing.T) {
				t.Parallel()
				child(t, "TestStagedDevices|TestPassesInFlight|TestTwoGPUs", peer, setting)
			})
		}
	}
}

// TestTwoGPUs is the part of TestTwentySteps that is about two GPUs.
func TestTwoGPUs(t *testing.T) {
	inChild(t)
	agree(t, after(t, openDevices(t, Options{}, 2)), after(t, reference.Open(1)), 1e-4)
}

func TestStagedDevices(t *testing.T) {
	inChild(t)
	runColumns(t)
}

// homePage is a net whose columns meet in the last layer alone: nothing holds device 1 back when device 0 is slow.
const homePage = `
model:
  columns: 2
  classes: 6
  act: relu
  input: {channels: 3, size: 24}
  layers:
    - {name: conv1, kind: conv, kernels: 16, size: 5, stride: 2, init: {std: 0.003, bias: 0.1}}
    - {name: fc2, kind: fc, units: 16, init: {std: 0.1}}
    - {name: fc3, kind: fc, inputs: both, act: none, init: {std: 0.2}}
    - {name: prob, kind: softmax}
`

const homeRows, homePasses = 4, 8

// Passes that are enqueued one behind the other do not overtake: what device 1 computes for the next pass waits until
// device 0 has fetched what it computed for this one.
func TestPassesInFlight(t *testing.T) {
	inChild(t)
	const rows = homeRows
	run := func(devs []device.Device) (all [][]float32) {
		cfg, err := config.Parse([]byte(homePage), nil)
		must(t, err)
		arch, err := model.Of(cfg, 0)
		must(t, err)
		m, err := model.Open(arch, devs)
		must(t, err)
		net, err := m.Compile(model.Options{
			Rows: rows, Input: recipe.Recipe{Height: trainingSide, Width: trainingSide},
		})
		must(t, err)
		must(t, net.Alloc())
		defer func() { must(t, net.Close()); must(t, m.Close()) }()
		must(t, m.Init(7))
		var last [2]device.Ticket
		for pass := range homePasses {
			b := net.Stage()
			src := philox.NewSource(5, philox.PurposeTest, uint32(pass), 3)
			for i := range b.Pixels {
				b.Pixels[i] = uint8(src.Uint32())
			}
			net.Forward(b, model.Pass{Rows: rows, Divisor: rows})
			p := make([]float32, rows*6)
			all = append(all, p)
			last[pass%2] = net.Probabilities(p)
		}
		must(t, last[0].Wait())
		must(t, last[1].Wait())
		return all
	}
	want, got := run(reference.Open(1)), run(openDevices(t, Options{}, 2))
	for pass := range want {
		if d := apart(got[pass], want[pass]); !(d <= 1e-5) {
			t.Errorf("pass %d is off by %.3g", pass, d)
		}
	}
}

// A step that was captured is what the ops are one by one, checks included: after twenty steps, fewer rows now and
// then, all bits are the same, and a gradient out of range is found in its step.
func TestReplay(t *testing.T) {
	if os.Getenv("ALEXNET_CHILD") == "" && emulated() {
		// The first step goes op by op, the second is captured and launched, as are the eighteen behind it and the one
		// that fails.
		if stats := child(t, "TestReplay"); stats.GraphLaunches < 20 {
			t.Errorf("%d launches of a graph in 21 steps", stats.GraphLaunches)
		}
		return
	}
	run := func(o Options) (*training, map[string][]float32) {
		o.Deterministic = true
		tr := newTraining(t, columnsPage, trainingRows, openOn(t, o, 0))
		for step := range 20 {
			tr.step(step, trainingRows, 5, 6)
		}
		must(t, tr.net.Sync())
		return tr, tr.tensors()
	}
	_, want := run(Options{})
	tr, got := run(Options{Graphs: true})
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s differs by %.2g", name, apart(got[name], want[name]))
		}
	}
	tr.divisor = 1e-44
	tr.step(20, trainingRows, 5, 6)
	tr.divisor = 0
	tr.step(21, trainingRows, 5, 6)
	var bad *device.NonFiniteError
	if err := tr.net.Sync(); !errors.As(err, &bad) || bad.Step != 20 {
		t.Errorf("a gradient out of range at step 20 gives %v", err)
	}
}

// tf32 computes with factors of ten bits: a step's gradients differ from those in fp32, and not by much.
func TestTF32(t *testing.T) {
	if err := device.Supports(openDevices(t, Options{}, 1)[0], device.TF32); err != nil {
		t.Skip(err)
	}
	step := func(p device.Precision, devs []device.Device) map[string][]float32 {
		cfg, err := config.Parse([]byte(columnsPage), nil)
		must(t, err)
		tr := trainingOf(t, cfg, trainingRows, trainingSide, p, devs)
		tr.step(0, trainingRows, 5, 6)
		must(t, tr.net.Sync())
		return tr.tensors()
	}
	want := step(device.FP32, reference.Open(1))
	for n := 1; n <= 2; n++ {
		if worst := agree(t, step(device.TF32, openDevices(t, Options{}, n)), want, 5e-2); worst < 1e-4 {
			t.Errorf("on %d devices no tensor is further than %.2g from fp32's", n, worst)
		}
		agree(t, step(device.FP32, openDevices(t, Options{}, n)), want, 1e-5)
	}
}

// A step allocates nothing in Go, but for gorgonia.org/cu's reading of a clock: once a transfer.
func TestStepAllocatesNothing(t *testing.T) {
	for n := 1; n <= 2; n++ {
		tr := newTraining(t, columnsPage, trainingRows, openDevices(t, Options{}, n))
		run := func() { tr.step(0, trainingRows, 5, 6); must(t, tr.net.Sync()) }
		run()
		want := float64(2 * len(tr.net.Plan().Links))
		if allocs := testing.AllocsPerRun(10, run); allocs > want {
			t.Errorf("%v allocations a step on %d devices, want %v", allocs, n, want)
		}
	}
}
