//go:build cgo && dnnl && linux

package cpu

import (
	"math"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// writer builds a program op by op.
type writer struct {
	device.Program
	specs []device.ParamSpec
	at    device.Value // the last value
}

func (w *writer) value(name string, s device.Shape) device.Op {
	op := device.Op{Name: name, In: []device.Value{w.at}, Out: device.Value(len(w.Values))}
	w.Values = append(w.Values, device.ValueInfo{Name: name, Shape: s})
	w.at = op.Out
	return op
}

func (w *writer) params(name string, shape ...int) (weight, bias device.Param) {
	weight = device.Param(len(w.specs))
	w.specs = append(w.specs, device.ParamSpec{Name: name + ".weight", Shape: shape}, device.ParamSpec{
		Name: name + ".bias", Shape: shape[:1],
	})
	return weight, weight + 1
}

func (w *writer) conv(name string, kernels, kernel, stride, pad, groups int, up bool) {
	in := w.Values[w.at].Shape
	size := device.ConvSize(in.H, kernel, stride, pad, up)
	weight, bias := w.params(name, kernels, in.C/groups, kernel, kernel)
	w.Ops = append(w.Ops, &device.Conv{
		Op: w.value(name, device.Shape{C: kernels, H: size, W: size}), Weight: weight, Bias: bias,
		Kernel: kernel, Stride: stride, Pad: pad, Groups: groups, RoundUp: up, Act: device.ReLU,
	})
}

func (w *writer) lrn(name string) {
	w.Ops = append(w.Ops, &device.LRN{
		Op: w.value(name, w.Values[w.at].Shape), Size: 5, Alpha: 1e-4, Beta: .75, K: 2, Groups: 2,
	})
}

func (w *writer) pool(name string) {
	in := w.Values[w.at].Shape
	size := device.PoolSize(in.H, 3, 2, 0, false)
	w.Ops = append(w.Ops, &device.Pool{
		Op: w.value(name, device.Shape{C: in.C, H: size, W: size}), Window: 3, Stride: 2,
	})
}

func (w *writer) fc(name string, units int, act device.Activation) {
	weight, bias := w.params(name, units, w.Values[w.at].Shape.Len())
	w.Ops = append(w.Ops, &device.FC{
		Op: w.value(name, device.Shape{C: units, H: 1, W: 1}), Weight: weight, Bias: bias, Act: act,
	})
}

func (w *writer) dropout(name string) {
	w.Ops = append(w.Ops, &device.Dropout{
		Op: w.value(name, w.Values[w.at].Shape), Rate: .5, Stream: philox.Stream(name),
	})
}

func (w *writer) loss(classes int) {
	loss := &device.SoftmaxLoss{Op: w.value("prob", device.Shape{C: classes, H: 1, W: 1})}
	loss.Stats = w.value("stats", device.Shape{C: 3, H: 1, W: 1}).Out
	w.Ops = append(w.Ops, loss)
}

// paper is the whole net of the paper on one device: two columns as groups.
func paper(rows int, train bool) *writer {
	w := &writer{Program: device.Program{Rows: rows, Train: train}}
	w.Input = device.Input{Channels: 3, Height: 256, Width: 256, Mean: []float32{123, 117, 104}}
	w.Values = []device.ValueInfo{{Name: "input", Shape: device.Shape{C: 3, H: 224, W: 224}}}
	w.conv("conv1", 96, 11, 4, 0, 1, true) // 96x55x55
	w.lrn("lrn1")
	w.pool("pool1") // 96x27x27
	w.conv("conv2", 256, 5, 1, 2, 2, false)
	w.lrn("lrn2")
	w.pool("pool2")                         // 256x13x13
	w.conv("conv3", 384, 3, 1, 1, 1, false) // both columns
	w.conv("conv4", 384, 3, 1, 1, 2, false)
	w.conv("conv5", 256, 3, 1, 1, 2, false)
	w.pool("pool5") // 256x6x6
	w.fc("fc6", 4096, device.ReLU)
	w.dropout("drop6")
	w.fc("fc7", 4096, device.ReLU)
	w.dropout("drop7")
	w.fc("fc8", 1000, device.Linear)
	w.loss(1000)
	return w
}

// rig is a net with what a step needs.
type rig struct {
	testing.TB
	params device.Params
	net    *Net
	batch  *device.Batch
	pass   device.Pass
	stats  []float32
}

// newBatch makes a batch for a net.
func newBatch(n *Net) *device.Batch {
	return device.NewBatch(n.prog.Rows, make([]uint8, n.prog.Rows*n.prog.Input.PictureBytes()))
}

func newRig(t testing.TB, d device.Device, w *writer) *rig {
	t.Helper()
	r := &rig{TB: t, stats: make([]float32, 3*w.Rows)}
	var err error
	if r.params, err = d.NewParams(w.specs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.check(r.params.Close()) })
	w.Params = r.params
	r.net = r.compile(d, w)
	r.check(r.net.Alloc())
	r.batch = newBatch(r.net)
	r.pass = device.Pass{
		Seed: 1, Rows: w.Rows, Divisor: float32(w.Rows), Momentum: .9,
		LR: make([]float32, len(w.specs)), Decay: make([]float32, len(w.specs)),
	}
	for i := range w.specs {
		r.pass.LR[i], r.pass.Decay[i] = .001, .0005
	}
	r.draw(w)
	return r
}

func (r *rig) compile(d device.Device, w *writer) *Net {
	r.Helper()
	w.Params = r.params
	n, err := d.Compile(w.Program)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { r.check(n.Close()) })
	return n.(*Net)
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// draw gives the weights a spread at which signals keep their size through ReLU, and stages random pictures.
func (r *rig) draw(w *writer) {
	src := philox.NewSource(1, philox.PurposeTest, 0, 0)
	for i, s := range w.specs {
		x := make([]float32, s.Len())
		if len(s.Shape) > 1 {
			width := math.Sqrt(12 * 2 / float64(s.Len()/s.Shape[0])) // of a uniform number whose variance is 2/inputs
			for j := range x {
				x[j] = float32((src.Float64() - .5) * width)
			}
		}
		r.check(r.params.Store(device.Param(i), device.Weight, x))
	}
	for j := range r.batch.Pixels {
		r.batch.Pixels[j] = uint8(src.Uint32())
	}
	for j := range r.batch.Labels {
		r.batch.Labels[j] = int32(src.Intn(10))
	}
}

func (r *rig) step() {
	r.net.Begin(r.batch, r.pass)
	ops := len(r.net.prog.Ops)
	for i := range ops {
		r.net.Forward(i)
	}
	if r.net.prog.Train {
		for i := range ops {
			r.net.Backward(ops - 1 - i)
		}
		r.net.Update()
	}
	ticket := r.net.Fetch(r.net.prog.Ops[ops-1].(*device.SoftmaxLoss).Stats, false, r.stats)
	r.check(ticket.Wait())
	r.pass.Step++
}
