//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
)

// What hardware may do to a program, as the emulated GPUs do it where their settings say so.

// notes collects what a device tells.
func notes(o Options) (Options, *[]string) {
	told := &[]string{}
	o.Note = func(text string) { *told = append(*told, text) }
	return o, told
}

// mentions wants one of the texts to hold what ALEXNET_NOTE says, or all to be empty where that is.
func mentions(t *testing.T, texts ...string) {
	t.Helper()
	want := os.Getenv("ALEXNET_NOTE")
	if all := strings.Join(texts, "\n"); (all == "") != (want == "") || !strings.Contains(all, want) {
		t.Errorf("told %q, want %q", texts, want)
	}
}

// TestFewSteps trains on two GPUs, and holds what comes out to the reference, and what crosses to ALEXNET_WAY.
func TestFewSteps(t *testing.T) {
	inChild(t)
	few := func(devs []device.Device) map[string][]float32 {
		tr := newTraining(t, columnsPage, trainingRows, devs)
		for step := range 3 {
			tr.step(step, trainingRows, 5, 6)
		}
		must(t, tr.net.Sync())
		return tr.tensors()
	}
	o, told := notes(Options{})
	devs := openDevices(t, o, 2)
	if w := way(devs[0].(*Device), devs[1].(*Device)); w != os.Getenv("ALEXNET_WAY") {
		t.Errorf("what crosses goes by %s", w)
	}
	got := few(devs)
	for name, want := range few(reference.Open(1)) {
		if d := apart(got[name], want); !(d <= 1e-4) {
			t.Errorf("%s differs by %.3g", name, d)
		}
	}
	mentions(t, *told...)
}

// Parameters are where a kernel reads them in whatever order the streams go on, though cuMemcpyHtoD leaves memory that
// is not pinned before it has arrived.
func TestStoresArrive(t *testing.T) {
	for seed := range 8 {
		child(t, "TestFewSteps", "ALEXNET_WAY=peer", fmt.Sprintf("SOFTGPU_SEED=%d", seed))
	}
}

// The driver's word for peer access is not taken: where it cannot be enabled, or copies arrive damaged, or the user
// does not want it, the host's memory is the way.
func TestPeerAccessTried(t *testing.T) {
	for note, setting := range map[string]string{
		"cuCtxEnablePeerAccess":                       "SOFTGPU_PEER_FAULT=enable",
		"copies from cuda:0 to cuda:1 arrive damaged": "SOFTGPU_PEER_FAULT=copies",
		"ALEXNET_PEER=0":                              "ALEXNET_PEER=0",
		// the driver says so itself: summary and doctor tell
		"": "SOFTGPU_PEER=0",
	} {
		child(t, "TestFewSteps", setting, "ALEXNET_WAY=staged", "ALEXNET_NOTE="+note)
		again(t, "TestPathsTold", setting, "ALEXNET_WAY=staged", "ALEXNET_NOTE="+note)
	}
	again(t, "TestPathsTold", "ALEXNET_WAY=peer")
}

func TestPathsTold(t *testing.T) {
	inChild(t)
	f, err := Look()
	must(t, err)
	for _, p := range f.Paths {
		if p.Peer != (os.Getenv("ALEXNET_WAY") == wayPeer) {
			t.Errorf("the way from %d to %d is told as %+v", p.From, p.To, p)
		}
		mentions(t, p.Note)
	}
}

// cuDNN's heuristics may name an algorithm that fails, or another math type than asked for, whose workspace is another.
func TestAlgorithmsThatFail(t *testing.T) {
	child(t, "TestFewSteps", "ALEXNET_WAY=peer", "SOFTGPU_CUDNN_MATH=0")
	child(t, "TestFewSteps", "ALEXNET_WAY=peer",
		"SOFTGPU_CUDNN_FAILS=forward/7,forward/1,data/5,data/1,filter/5,filter/3",
		"ALEXNET_NOTE=cuda:0: conv1: cuDNN's algorithm 1 for its forward fails, number 0 is tried")
	child(t, "TestNoAlgorithmRuns", "SOFTGPU_CUDNN_FAILS=data/5,data/1,data/0")
	child(t, "TestNoAlgorithmFits", "SOFTGPU_CUDNN_MATH=2")
}

// columnsNet is columnsPage, compiled on GPU 0 or on those that are named, and not allocated.
func columnsNet(t *testing.T, rows int, p device.Precision, gpus ...int) (*model.Net, error) {
	t.Helper()
	cfg, err := config.Parse([]byte(columnsPage), nil)
	must(t, err)
	arch, err := model.Of(cfg, 0)
	must(t, err)
	if gpus == nil {
		gpus = []int{0}
	}
	m, err := model.Open(arch, openOn(t, Options{}, gpus...))
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	return m.Compile(model.Options{
		Rows: rows, Train: true, Precision: p, Input: recipe.Recipe{Height: trainingSide, Width: trainingSide},
	})
}

func TestNoAlgorithmRuns(t *testing.T) {
	inChild(t)
	net, err := columnsNet(t, trainingRows, device.FP32)
	must(t, err)
	if err := net.Alloc(); err == nil || !strings.Contains(err.Error(), "conv2: cudnnConvolutionBackwardData") {
		t.Errorf("no algorithm runs: %v", err)
	}
	must(t, net.Close())
}

// An Alloc that fails gives back what it took, events and pinned memory too, and so do the nets that it was to exchange
// with; here on two GPUs whose exchange goes through the host.
func TestFailedAllocLeavesNothing(t *testing.T) {
	for _, setting := range []string{"SOFTGPU_PEER=1", "SOFTGPU_PEER=0"} {
		stats := child(t, "TestNoAlgorithmRunsOnTwo", "SOFTGPU_CUDNN_FAILS=data/5,data/1,data/0", setting)
		if stats.Pinned != 0 || stats.Events != 0 || slices.Max(stats.Allocated) != 0 {
			t.Errorf("%s: %d bytes of GPUs, %d bytes of pinned memory and %d events are left", setting, stats.Allocated,
				stats.Pinned, stats.Events)
		}
	}
}

func TestNoAlgorithmRunsOnTwo(t *testing.T) {
	inChild(t)
	net, err := columnsNet(t, trainingRows, device.FP32, 0, 1)
	must(t, err)
	if err := net.Alloc(); err == nil || !strings.Contains(err.Error(), "cudnnConvolutionBackwardData") {
		t.Errorf("no algorithm runs: %v", err)
	}
	must(t, net.Close())
}

// Arenas that are in use stay when another cannot be had; those that came before it are given back.
func TestTake(t *testing.T) {
	child(t, "TestTakeInChild", fmt.Sprintf("SOFTGPU_MEMORY=%d", 64<<20))
}

func TestTakeInChild(t *testing.T) {
	inChild(t)
	d := openOn(t, Options{}, 0)[0].(*Device)
	must(t, d.do(func() error {
		sized := func(bytes int64) *arena { return &arena{Arena: backend.Arena[*buffer]{Bytes: bytes}} }
		inUse, fits, large := sized(1<<20), sized(1<<20), sized(64<<20)
		must(t, take([]*arena{inUse}, d.main))
		before := inUse.base
		if err := take([]*arena{inUse, fits, large}, d.main); err == nil {
			t.Error("64 MiB are there, of which some are taken")
		}
		if inUse.base != before || fits.base != 0 || large.base != 0 {
			t.Errorf("arenas at %v, %v, %v after a refusal, want %v, 0, 0", inUse.base, fits.base, large.base, before)
		}
		return errors.Join(d.main.Synchronize(), release([]*arena{inUse}))
	}))
}

func TestNoAlgorithmFits(t *testing.T) {
	inChild(t)
	var precision *device.PrecisionError
	if _, err := columnsNet(t, trainingRows, device.TF32); !errors.As(err, &precision) ||
		!strings.Contains(err.Error(), "conv1: tf32 is not available") {
		t.Errorf("in tf32 no algorithm is allowed: %v", err)
	}
	if _, err := columnsNet(t, trainingRows, device.FP32); errors.As(err, &precision) || err == nil ||
		!strings.Contains(err.Error(), "conv1: cuDNN has no algorithm") {
		t.Errorf("in fp32 no algorithm is allowed: %v", err)
	}
}

// A batch whose tensors cuDNN does not count is refused by name, with the largest that it does.
func TestBatchTooLarge(t *testing.T) {
	const row = 16 * 11 * 11 // conv1's output: 11 = ceil((24-5)/2) + 1
	if _, err := columnsNet(t, (1<<31-1)/row, device.FP32); err != nil {
		t.Error(err)
	}
	_, err := columnsNet(t, (1<<31-1)/row+1, device.FP32)
	var batch *device.BatchError
	if want := fmt.Sprintf("conv1: a batch of %d has", (1<<31-1)/row+1); !errors.As(err, &batch) ||
		!strings.Contains(err.Error(), want) || batch.Largest != (1<<31-1)/row {
		t.Errorf("%v, want %s", err, want)
	}
}

// In fp32 Winograd's algorithm is for 3x3 taps alone.
func TestFullPrecision(t *testing.T) {
	const nonfused = 7
	for size, want := range map[string]bool{"size: 3, pad: 1": true, "size: 5, pad: 2": false} {
		devs := openOn(t, Options{}, 0)
		newTraining(t, strings.Replace(columnsPage, "kernels: 16, size: 3, pad: 1,", "kernels: 16, "+size+",", 1),
			trainingRows, devs)
		if got := devs[0].(*Device).Algorithms()["0 conv2/0 forward"]; (got == nonfused) != want {
			t.Errorf("conv2 with %s is computed by algorithm %d", size, got)
		}
	}
}

// Where libraries do not work under capture, steps go on op by op.
func TestCaptureFails(t *testing.T) {
	child(t, "TestGraphless", "SOFTGPU_CAPTURE=0", "ALEXNET_NOTE=no CUDA graph")
}

func TestGraphless(t *testing.T) {
	inChild(t)
	o, told := notes(Options{Graphs: true, Deterministic: true})
	run := func(o Options) map[string][]float32 {
		tr := newTraining(t, columnsPage, trainingRows, openOn(t, o, 0))
		for step := range 6 {
			tr.step(step, trainingRows, 5, 6)
		}
		must(t, tr.net.Sync())
		return tr.tensors()
	}
	want, got := run(Options{Deterministic: true}), run(o)
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s differs by %.2g", name, apart(got[name], want[name]))
		}
	}
	mentions(t, *told...)
	if len(*told) != 1 {
		t.Errorf("told %d times", len(*told))
	}
}
