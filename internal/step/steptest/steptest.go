// Package steptest holds what the tests of training, measuring and inference have in common: a net with all kinds of
// layers and a few pictures, both small enough for tens of steps in a test, and how numbers are compared.
package steptest

import (
	"math"
	"sync"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/model"
)

// tinyPage is a two-column net with all kinds of layers, dropout and exchange, small enough to train for tens of steps
// in a test.
const tinyPage = `
model:
  columns: 2
  input: {channels: 3, size: 14}
  layers:
    - {name: conv1, kind: conv, kernels: 8, size: 3, pad: 1, act: relu, init: {std: 0.01, bias: 0}}
    - {name: lrn1, kind: lrn, size: 5, alpha: 0.0001, beta: 0.75, k: 2}
    - {name: pool1, kind: pool, pool: max, size: 3, stride: 2, round: up}
    - {name: fc2, kind: fc, inputs: both, units: 24, act: relu, init: {std: 0.05, bias: 0.1}}
    - {name: drop2, kind: dropout, rate: 0.5}
    - {name: fc3, kind: fc, inputs: both, act: none, init: {std: 0.05, bias: 0}}
    - {name: prob, kind: softmax}
train:
  epochs: 3
  batch: 16
  lr: 0.01
  momentum: 0.9
  weight_decay: 0.0005
  bias_lr: 2
  bias_decay: 0
  dropout: true
  precision: fp32
  seed: 1
  checkpoint_steps: 0
  schedule: {kind: plateau, factor: 0.5, patience: 1, drops: 3}
  augment: {crop: random, flip: true, color: 0.1}
data: {val_share: 0.1, resize: 16, mean: image, workers: 1}
`

// Config is that net's configuration, with some keys set otherwise.
func Config(sets ...string) (*config.Config, error) { return config.Parse([]byte(tinyPage), sets) }

// Page is Config, which must not fail.
func Page(t testing.TB, sets ...string) *config.Config {
	t.Helper()
	cfg, err := Config(sets...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Pictures are 60 to train on, thus four batches an epoch, the last one of 12, and 20 for validation. They are made
// once: a source keeps what was decoded.
var Pictures = sync.OnceValue(func() *data.Source {
	s, err := demo.Open(demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1})
	if err != nil {
		panic(err)
	}
	return s
})

// OpenFolder opens pictures in class folders; none is held out but what lies in val/.
func OpenFolder(t testing.TB, dir string) *data.Source {
	t.Helper()
	s, err := data.Open(t.Context(), files.OS, data.At(dir), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TensorsOf are a model's parameters by name.
func TensorsOf(t testing.TB, m *model.Model, part device.Part) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for i, p := range m.Arch().Params {
		v := make([]float32, p.Len())
		if err := m.Fetch(i, part, v); err != nil {
			t.Fatal(err)
		}
		all[p.Name] = v
	}
	return all
}

// Distance is |a-b| / |a|.
func Distance(a, b []float32) float64 {
	var diff, norm float64
	for k := range a {
		d := float64(a[k]) - float64(b[k])
		diff, norm = diff+d*d, norm+float64(a[k])*float64(a[k])
	}
	return math.Sqrt(diff / norm)
}

// Near tells that a is b but for rounding.
func Near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }
