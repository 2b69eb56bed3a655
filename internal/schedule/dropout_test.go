package schedule

import (
	"math"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/philox"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
)

// behindDropout is a net whose fc2 has the keys that the pages torchvision and caffenet give a layer behind dropout:
// twice the init.std, four times lr, a quarter of weight_decay and of bias_lr. Decays are large, so that they show
// within a few steps.
const behindDropout = `
model:
  classes: 4
  input: {channels: 3, size: 3}
  layers:
    - {name: fc1, kind: fc, units: 12, act: relu, init: {std: 0.5, bias: 0.3}}
    - {name: drop1, kind: dropout, rate: 0.5}
    - {name: fc2, kind: fc, init: {std: 0.6, bias: 0.2}, lr: 4, bias_lr: 0.25, weight_decay: 0.025}
    - {name: prob, kind: softmax}
train: {lr: 0.05, momentum: 0.9, weight_decay: 0.1, bias_lr: 1, bias_decay: 0.1, seed: 5, schedule: {kind: constant}}
data: {resize: 3}
`

const (
	doubledRows  = 8
	doubledSteps = 6
)

// TestDropoutThatDoubles: PyTorch and Caffe double the units that dropout keeps, in training, and change none when
// predicting. A net of that form, computed here in plain float64, and ours with the pages' keys take the same steps:
// after each, fc2's weights are twice the other's and all else is equal, and so is what the two predict.
func TestDropoutThatDoubles(t *testing.T) {
	cfg, err := config.Parse([]byte(behindDropout), nil)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := model.New(cfg.Model, true)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(arch, []device.Device{reference.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o := model.Options{
		Rows: doubledRows, Train: true, Input: recipe.Recipe{
			Height: 3, Width: 3, Scale: []float32{1. / 128, 1. / 128, 1. / 128},
		},
	}
	net := ready(t, m, o)
	o.Train = false
	use := ready(t, m, o)
	if err := m.Init(cfg.Train.Seed); err != nil {
		t.Fatal(err)
	}
	pass := model.Pass{
		Seed: cfg.Train.Seed, Rows: doubledRows, Divisor: doubledRows, Momentum: float32(cfg.Train.Momentum),
		LR: make([]float32, len(arch.Params)), Decay: make([]float32, len(arch.Params)),
	}
	At(cfg.Train.Schedule, Plateau{}, 0).Apply(arch, cfg.Train, pass.LR, pass.Decay)
	other := doubling{
		w1: fetched(t, m, 0), b1: fetched(t, m, 1), w2: fetched(t, m, 2), b2: fetched(t, m, 3), train: cfg.Train,
	}
	for i := range other.w2.v {
		other.w2.v[i] /= 2
	}
	for ; pass.Step < doubledSteps; pass.Step++ {
		batch := net.Stage()
		x := picturesOf(batch, pass.Step)
		net.Forward(batch, pass)
		net.Backward()
		net.Update()
		other.step(x, batch.Labels, pass.Step)
		for i, want := range []*tensor{other.w1, other.b1, other.w2, other.b2} {
			factor := 1.
			if want == other.w2 {
				factor = 2
			}
			agree(t, arch.Params[i].Name, fetched(t, m, i).v, want.v, factor)
		}
	}
	batch := use.Stage()
	x := picturesOf(batch, 99)
	use.Forward(batch, model.Pass{Rows: doubledRows, Divisor: 1})
	probs := make([]float32, 4*doubledRows)
	if err := use.Probabilities(probs).Wait(); err != nil {
		t.Fatal(err)
	}
	for r := range doubledRows {
		_, want := other.forward(x[r], nil)
		got := make([]float64, 4)
		for i := range got {
			got[i] = float64(probs[4*r+i])
		}
		agree(t, "probabilities when predicting", got, want, 1)
	}
}

func ready(t *testing.T, m *model.Model, o model.Options) *model.Net {
	t.Helper()
	n, err := m.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Alloc(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// picturesOf fills a batch with noise and returns it as the net sees it: (C, H, W), /128.
func picturesOf(b *device.Batch, step uint64) [][]float64 {
	x := make([][]float64, doubledRows)
	for r := range x {
		x[r] = make([]float64, 27)
		b.Labels[r] = int32(r % 4)
		for i := range 27 {
			v := uint8(philox.Block(philox.Key(7, philox.PurposeInit),
				[4]uint32{uint32(i), uint32(r), uint32(step), 0})[0])
			b.Pixels[27*r+i] = v
			x[r][i%3*9+i/3] = float64(v) / 128 // pixels are (H, W, C)
		}
	}
	return x
}

// tensor is a parameter with momentum and gradient.
type tensor struct{ v, momentum, grad []float64 }

func fetched(t *testing.T, m *model.Model, param int) *tensor {
	t.Helper()
	buf := make([]float32, m.Arch().Params[param].Len())
	if err := m.Fetch(param, device.Weight, buf); err != nil {
		t.Fatal(err)
	}
	w := &tensor{make([]float64, len(buf)), make([]float64, len(buf)), make([]float64, len(buf))}
	for i, v := range buf {
		w.v[i] = float64(v)
	}
	return w
}

func agree(t *testing.T, what string, got, want []float64, factor float64) {
	t.Helper()
	var diff, norm float64
	for i := range got {
		w := factor * want[i]
		diff, norm = diff+(got[i]-w)*(got[i]-w), norm+w*w
	}
	if !(math.Sqrt(diff/norm) < 1e-5) { // float32 against float64; measured: 3e-7
		t.Errorf("%s: off by %.2g of its norm", what, math.Sqrt(diff/norm))
	}
}

// doubling is the net with the other dropout: fc1, ReLU, kept units doubled, fc2, softmax.
type doubling struct {
	w1, b1, w2, b2 *tensor
	train          config.Train
}

// forward gives the hidden units after dropout and the probabilities; keep is 2 or 0 for each unit, nil when
// predicting.
func (d *doubling) forward(x, keep []float64) (hidden, prob []float64) {
	hidden = linear(d.w1.v, d.b1.v, x)
	for u := range hidden {
		hidden[u] = max(hidden[u], 0)
		if keep != nil {
			hidden[u] *= keep[u]
		}
	}
	prob = linear(d.w2.v, d.b2.v, hidden)
	sum := 0.
	for i := range prob {
		prob[i] = math.Exp(prob[i])
		sum += prob[i]
	}
	for i := range prob {
		prob[i] /= sum
	}
	return hidden, prob
}

func linear(w, b, x []float64) []float64 {
	y := make([]float64, len(b))
	for o := range y {
		y[o] = b[o]
		for i, v := range x {
			y[o] += w[o*len(x)+i] * v
		}
	}
	return y
}

// step is one of gradient descent with the rates of train, which know no layer.
func (d *doubling) step(x [][]float64, labels []int32, step uint64) {
	for r := range x {
		keep := make([]float64, 12)
		for u := range keep {
			if philox.Dropout(d.train.Seed, step, philox.Stream("drop1"), uint64(r), uint64(u)) >= philox.Threshold(
				0.5) {
				keep[u] = 2
			}
		}
		hidden, dy := d.forward(x[r], keep)
		dy[labels[r]]--
		dh := make([]float64, len(hidden))
		for o := range dy {
			dy[o] /= doubledRows
			d.b2.grad[o] += dy[o]
			for u, h := range hidden {
				d.w2.grad[o*len(hidden)+u] += dy[o] * h
				dh[u] += dy[o] * d.w2.v[o*len(hidden)+u]
			}
		}
		for u, h := range hidden {
			if h == 0 { // dropped, or cut off by ReLU
				continue
			}
			d.b1.grad[u] += dh[u] * 2
			for i, v := range x[r] {
				d.w1.grad[u*len(x[r])+i] += dh[u] * 2 * v
			}
		}
	}
	for _, w := range []*tensor{d.w1, d.b1, d.w2, d.b2} {
		for i := range w.v {
			w.momentum[i] = d.train.Momentum*w.momentum[i] - d.train.LR*(d.train.WeightDecay*w.v[i]+w.grad[i])
			w.v[i] += w.momentum[i]
			w.grad[i] = 0
		}
	}
}
