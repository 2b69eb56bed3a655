//go:build cgo && dnnl && linux

package cpu

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
	"golang.org/x/sys/cpu"
	"pgregory.net/rapid"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/reference"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openDevices(t testing.TB, n int) []device.Device {
	t.Helper()
	return openWith(t, n, options{})
}

func openWith(t testing.TB, n int, o options) []device.Device {
	t.Helper()
	devs, err := openAll(n, o) // built with the tag dnnl, a test binary that does not find oneDNN has failed
	if err != nil {
		t.Fatal(err)
	}
	return devicetest.CloseLater(t, devs)
}

func TestDevice(t *testing.T) { testDevice(t, options{}) }

func testDevice(t *testing.T, o options) {
	devicetest.Run(t, func(t *testing.T, n int) []device.Device { return openWith(t, n, o) })
}

func TestHalf(t *testing.T) { testHalf(t, options{}) }

func testHalf(t *testing.T, o options) {
	if err := device.Supports(openWith(t, 1, o)[0], device.BF16); err != nil {
		t.Skip(err)
	}
	devicetest.RunHalf(t, func(t *testing.T, n int) []device.Device { return openWith(t, n, o) }, true)
}

// testBoth runs the suite in fp32 and in bf16 on devices that were asked for something.
func testBoth(t *testing.T, o options) {
	t.Run("fp32", func(t *testing.T) { testDevice(t, o) })
	t.Run("bf16", func(t *testing.T) { testHalf(t, o) })
}

// The same wherever Winograd's algorithm can be, also where it does not pay.
func TestWinograd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	o := options{winograd: true}
	seen := backwardSteps(newRig(t, openWith(t, 1, o)[0], narrow(1, true)).net)
	if runsWinograd() && seen["*cpu.winogradWeights"] != 1 {
		t.Errorf("conv2 of a net of one row runs %v", seen)
	}
	testBoth(t, o)
}

// runsWinograd tells that the processor has what winograd.c is compiled for.
func runsWinograd() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512DQ
}

// backwardSteps counts the kinds of steps that a net's gradients take.
func backwardSteps(n *Net) map[string]int {
	seen := map[string]int{}
	for _, op := range n.ops {
		for _, s := range op.backward {
			seen[fmt.Sprintf("%T", s)]++
		}
	}
	return seen
}

// The same with channels last, which oneDNN wants of bf16 with AMX, and, where there are no tiles, with tiles.c in
// plain C; rows are laid out one by one.
func TestChannelsLast(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	o := options{channelsLast: true, tileBytes: 1}
	d := openWith(t, 1, o)[0]
	if device.Supports(d, device.BF16) == nil {
		w := narrow(4, true)
		w.Precision = device.BF16
		seen := backwardSteps(newRig(t, d, w).net)
		if seen["*cpu.tilesWeights"] != 2 || seen["*cpu.foldInput"] != 1 {
			t.Errorf("conv1 and conv2 of a net in bf16 run %v", seen)
		}
	}
	testBoth(t, o)
}

func TestInt8(t *testing.T) {
	open := func(t *testing.T, n int) []device.Device { return openDevices(t, n) }
	t.Run("fp32", func(t *testing.T) { devicetest.RunInt8(t, open, device.FP32) })
	t.Run("bf16", func(t *testing.T) {
		if err := device.Supports(openDevices(t, 1)[0], device.BF16); err != nil {
			t.Skip(err)
		}
		devicetest.RunInt8(t, open, device.BF16)
	})
}

// A cpu device and one of another kind are two devices like any: what crosses between them is in logical order.
func TestBesideReference(t *testing.T) {
	devicetest.RunPairs(t, func(t *testing.T, n int) []device.Device {
		devs := openDevices(t, 1)
		if n == 2 {
			devs = append(devs, reference.New())
		}
		return devs
	})
}

// What a device that computes in bf16 sends to one that is not of this package is floats in logical order.
func TestHalfToOthers(t *testing.T) {
	d := openDevices(t, 1)[0]
	if err := device.Supports(d, device.BF16); err != nil {
		t.Skip(err)
	}
	w := &writer{Program: device.Program{Rows: 3, Precision: device.BF16}}
	w.Input = device.Input{Channels: 3, Height: 8, Width: 8}
	w.Values = []device.ValueInfo{{Name: "input", Shape: device.Shape{C: 3, H: 8, W: 8}}}
	w.conv("conv1", 20, 3, 1, 1, 1, false)
	link := device.NewLink("conv1 0>1", 0, 1, w.Values[w.at].Shape)
	w.Ops = append(w.Ops, &device.Send{
		Op: device.Op{Name: "send", In: []device.Value{w.at}, Out: device.None}, Link: link,
	})
	w.Keep = []device.Value{w.at}
	r := newRig(t, d, w)
	r.net.Begin(r.batch, r.pass)
	r.net.Forward(0)
	r.net.Forward(1)
	want := make([]float32, w.Rows*w.Values[w.at].Shape.Len())
	r.check(r.net.Fetch(w.at, false, want).Wait())
	parcel := link.Forward.Get()
	if bytes, _ := link.Forward.Traffic(); parcel.Layout != nil || bytes != int64(4*len(want)) {
		t.Errorf("a parcel in layout %v, %d bytes for %d numbers", parcel.Layout, bytes, len(want))
	}
	if !slices.Equal(parcel.Data[:len(want)], want) {
		t.Error("what was sent is not the value")
	}
	link.Forward.Return(parcel, 0)
}

// The packed weights that the update writes are what packing makes of the new weights.
func TestUpdatePacks(t *testing.T) {
	d := openDevices(t, 1)[0]
	if err := device.Supports(d, device.BF16); err != nil {
		t.Skip(err)
	}
	w := narrow(4, true)
	w.Precision = device.BF16
	r := newRig(t, d, w)
	r.step()
	r.check(r.net.Sync())
	seen := 0
	for _, q := range r.params.(*Params).params {
		k := q.paired()
		if k == nil {
			continue
		}
		seen++
		if k.version != q.version {
			t.Errorf("%s: version %d, its packed copy %d", q.spec.Name, q.version, k.version)
		}
		bytes := unsafe.Slice((*byte)(k.data.data), k.data.Bytes)
		got := slices.Clone(bytes)
		clear(bytes)
		r.check(r.net.dev.do(func() { r.check(k.fill.run(r.net)) }))
		if i := slices.IndexFunc(got, func(b byte) bool { return b != 0 }); i < 0 || !slices.Equal(got, bytes) {
			t.Errorf("%s: the update packed other numbers than packing does", q.spec.Name)
		}
	}
	if isa := ISA(); seen != 2 && strings.HasPrefix(Version(), "oneDNN 2.") && strings.Contains(isa, "bf16") ||
		seen > 2 {
		t.Errorf("the update packs %d weights, want fc6's and fc8's (%s)", seen, isa)
	}
}

// narrow is a net of few weights that has all of the paper's ops.
func narrow(rows int, train bool) *writer {
	w := &writer{Program: device.Program{Rows: rows, Train: train}}
	w.Input = device.Input{Channels: 3, Height: 40, Width: 40}
	w.Values = []device.ValueInfo{{Name: "input", Shape: device.Shape{C: 3, H: 35, W: 35}}}
	w.conv("conv1", 32, 5, 1, 0, 1, true) // 32x31x31
	w.lrn("lrn1")
	w.pool("pool1") // 32x15x15
	w.conv("conv2", 64, 3, 1, 1, 2, false)
	w.pool("pool2") // 64x7x7
	w.fc("fc6", 50, device.ReLU)
	w.dropout("drop6")
	w.fc("fc8", 10, device.Linear)
	w.loss(10)
	return w
}

func TestStepAllocatesNothing(t *testing.T) {
	r := newRig(t, openDevices(t, 1)[0], narrow(8, true))
	r.step()
	if n := testing.AllocsPerRun(20, r.step); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// The paper's net changes the layout of a value once forward and once back, where maps become a vector (pool5, fc6).
// Winograd's convolutions transform their weights in each pass; others get a packed copy for the gradient of their
// input. conv1's input has no gradient, and fully connected weights have one order throughout.
func TestReorders(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a GiB")
	}
	r := newRig(t, openDevices(t, 1)[0], paper(8, true))
	r.step()
	before := r.net.moves.Reorders
	r.step()
	// AVX-512 needs no others, nor do some processors with AVX2 only; on others of these (an EPYC) oneDNN 2.6 wants
	// three more. Elsewhere its convolutions may want the NCHW of the ops between them in yet another order, forward
	// and back.
	got, want, most := r.net.moves.Reorders-before, 2+4, 2+4+3
	winograd := runsWinograd()
	if winograd {
		want, most = 2+1+2*4, 2+1+2*4
	}
	t.Logf("%d copies between layouts a step, values in blocks of %d channels", got, r.net.values[1].block)
	if blocked := r.net.values[1].block > 1; got < want || blocked && got > most {
		t.Errorf("%d copies between layouts a step, want %d to %d", got, want, most)
	}
	evaluation := r.compile(r.net.dev, paper(8, false))
	for _, m := range evaluation.Memory() {
		// 49 floats for each pair of channels, 16 times 3 in conv1; in huge pages
		points := winograd && m.Purpose == device.PurposePacked &&
			m.Bytes == backend.RoundUp(4*49*(48*96+2*48*128+256*384+2*192*192+2*192*128), hugePage)
		if m.Purpose == device.PurposePacked && !points || m.Purpose == device.PurposeWeights {
			t.Errorf("evaluation takes %d bytes more for %s", m.Bytes, m.Purpose)
		}
	}
}

func total(nets ...*Net) (bytes int64) {
	for _, n := range nets {
		bytes += n.Memory().Total()
	}
	return bytes
}

// What Alloc takes is what Memory said, and Close gives it back.
func TestMemoryIsAsPlanned(t *testing.T) {
	before := arenaBytes.Load()
	t.Cleanup(func() { // runs after newRig's
		if got := arenaBytes.Load(); got != before {
			t.Errorf("%d bytes left after Close", got-before)
		}
	})
	r := newRig(t, openDevices(t, 1)[0], narrow(8, true))
	evaluation := r.compile(r.net.dev, narrow(64, false))
	inGo := int64(8 * 4) // labels
	if got, want := arenaBytes.Load()-before, total(r.net)-inGo; got != want {
		t.Errorf("training took %d bytes, the plan says %d", got, want)
	}
	r.check(evaluation.Alloc())
	inGo += 64 * 4
	if got, want := arenaBytes.Load()-before, total(r.net, evaluation)-inGo; got != want {
		t.Errorf("with evaluation %d bytes, the plans say %d", got, want)
	}
}

// Without gradients a value's memory is free once its consumer has read it.
func TestInferenceReusesMemory(t *testing.T) {
	r := newRig(t, openDevices(t, 1)[0], narrow(8, true))
	evaluation := r.compile(r.net.dev, narrow(64, false))
	var largest, sum, planned int64
	for _, v := range evaluation.values {
		bytes := int64(4 * 64 * v.shape.Len())
		largest, sum = max(largest, bytes), sum+bytes
	}
	for _, m := range evaluation.Memory() {
		if m.Purpose == device.PurposeActivations {
			planned = m.Bytes
		}
		if m.Purpose == device.PurposeBackward {
			t.Errorf("%d bytes for gradients", m.Bytes)
		}
	}
	if planned < largest || planned > sum*2/3 {
		t.Errorf("%d bytes for values of which the largest has %d and all have %d", planned, largest, sum)
	}
}

// A net for one picture, whose fully connected layers are product.go's, predicts what a net for two does: odd numbers
// of inputs and outputs too.
func TestOneRow(t *testing.T) {
	d := openDevices(t, 1)[0]
	for p, off := range map[device.Precision]float64{device.FP32: 1e-5, device.BF16: 1e-2} { // of the largest logit
		if device.Supports(d, p) != nil {
			continue
		}
		predictor := func(rows int) *writer {
			w := &writer{Program: device.Program{Rows: rows, Precision: p}}
			w.Input = device.Input{Channels: 3, Height: 13, Width: 13}
			w.Values = []device.ValueInfo{{Name: "input", Shape: device.Shape{C: 3, H: 13, W: 13}}}
			w.fc("fc1", 103, device.ReLU)
			w.fc("fc2", 37, device.Tanh)
			w.fc("fc3", 10, device.Linear)
			w.Keep = []device.Value{w.at}
			w.loss(10)
			return w
		}
		var logits [2][]float32
		one := predictor(1)
		r := newRig(t, d, one)
		for i, rows := range []int{1, 2} {
			if rows == 2 {
				r.net = r.compile(d, predictor(rows))
				r.check(r.net.Alloc())
			}
			b := newBatch(r.net)
			for j := range b.Pixels {
				b.Pixels[j] = uint8(j % (13 * 13 * 3) * 7)
			}
			b.Labels[0] = 0
			r.net.Begin(b, device.Pass{Rows: 1, Divisor: 1})
			for op := range r.net.prog.Ops {
				r.net.Forward(op)
			}
			logits[i] = make([]float32, 10) // of the one row in use
			r.check(r.net.Fetch(one.Keep[0], false, logits[i]).Wait())
		}
		want := logits[1]
		for j, y := range logits[0] {
			if !(math.Abs(float64(y-want[j])) <= off*float64(slices.Max(want))) {
				t.Errorf("%v: logit %d is %v, of two rows %v", p, j, y, want[j])
			}
		}
	}
}

// Buffers that are in use at the same time never share memory.
func TestPack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var buffers []*buffer
		for range rapid.IntRange(1, 20).Draw(t, "buffers") {
			first := rapid.IntRange(0, 20).Draw(t, "first")
			buffers = append(buffers, &buffer{Buffer: backend.Buffer{
				Bytes: rapid.Int64Range(1, 200000).Draw(t, "bytes"),
				Life:  backend.Life{First: first, Last: first + rapid.IntRange(0, 10).Draw(t, "more")},
			}})
		}
		a := arenas(buffers)[0]
		for i, x := range buffers {
			if x.Offset < 0 || x.Offset%line != 0 || x.Offset+x.Bytes > a.Bytes {
				t.Errorf("buffer at %d of %d bytes in an arena of %d", x.Offset, x.Bytes, a.Bytes)
			}
			for _, y := range buffers[:i] {
				if x.Life.First <= y.Life.Last && y.Life.First <= x.Life.Last &&
					x.Offset < y.Offset+y.Bytes && y.Offset < x.Offset+x.Bytes {
					t.Errorf("%+v and %+v share memory", x, y)
				}
			}
		}
	})
}

func TestRefuses(t *testing.T) {
	d := openDevices(t, 1)[0]
	for _, c := range []struct {
		name   string
		change func(*writer)
		want   string
	}{
		{"tf32", func(w *writer) {
			w.Precision = device.TF32
		}, "cpu: tf32 is not available: it is a format of CUDA's tensor cores"},
		{"wide maximum", func(w *writer) {
			p := w.Ops[2].(*device.Pool)
			p.Window, p.Stride = 17, 1
			w.Values[p.Out].Shape = device.Shape{C: 32, H: 15, W: 15}
		}, "max pooling with window 17 is not available (at most 15)"},
		{"wide normalisation", func(w *writer) {
			w.Ops[1].(*device.LRN).Size = 131
		}, "normalisation of size 131 is not available (at most 129)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := narrow(2, true)
			c.change(w)
			params, err := d.NewParams(w.specs)
			if err != nil {
				t.Fatal(err)
			}
			w.Params = params
			if _, err := d.Compile(w.Program); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err := params.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Devices share the cores without overlap; each worker, and so its team, stays on its own.
func TestShare(t *testing.T) {
	cores := []int{0, 1, 4, 5, 6}
	if a, b := shareCores(cores, 0, 2), shareCores(cores, 1, 2); !slices.Equal(a, []int{0, 1}) ||
		!slices.Equal(b, []int{4, 5, 6}) {
		t.Errorf("two devices have cores %v and %v", a, b)
	}
	if a, b := shareCores([]int{3}, 0, 2), shareCores([]int{3}, 1, 2); !slices.Equal(a, b) ||
		!slices.Equal(a, []int{3}) {
		t.Errorf("two devices on one core have %v and %v", a, b)
	}
}

// BenchmarkPaper takes whole steps of the paper's net: input, dropout, checks and update included.
func BenchmarkPaper(b *testing.B) {
	for _, c := range []struct {
		name  string
		rows  int
		train bool
	}{{"train128", 128, true}, {"infer128", 128, false}, {"infer1", 1, false}} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, openDevices(b, 1)[0], paper(c.rows, c.train))
			r.step()
			b.ReportAllocs()
			for b.Loop() {
				r.step()
			}
			b.ReportMetric(float64(c.rows)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
