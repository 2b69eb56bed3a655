package train

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/data/demo"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/reference"
	"alexnet/internal/report"
	"alexnet/internal/run"
	"alexnet/internal/safetensors"
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

func page(t testing.TB, sets ...string) *config.Config {
	t.Helper()
	cfg, err := config.Parse([]byte(tinyPage), sets)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// pictures are 60 to train on, thus four batches an epoch, the last one of 12, and 20 for validation. They are made
// once: a source keeps what was decoded.
var pictures = sync.OnceValue(func() *data.Source {
	s, err := demo.Open(demo.Options{Train: 6, Val: 2, Size: 16, Seed: 1})
	if err != nil {
		panic(err)
	}
	return s
})

const (
	tinyTrain = 60
	tinySteps = 4 // an epoch
)

func references(n int) []device.Device {
	devs := make([]device.Device, n)
	for i := range devs {
		devs[i] = reference.New()
	}
	return devs
}

// log is a Progress that remembers.
type log struct {
	start  []Start
	steps  []report.Metrics
	epochs []report.Metrics
	notes  []string
	onStep func(report.Metrics)
}

func (l *log) Start(s Start) { l.start = append(l.start, s) }
func (l *log) Step(m report.Metrics) {
	l.steps = append(l.steps, m)
	if l.onStep != nil {
		l.onStep(m)
	}
}
func (l *log) Epoch(m report.Metrics) { l.epochs = append(l.epochs, m) }
func (l *log) Note(s string)          { l.notes = append(l.notes, s) }

func (l *log) losses() []float64 {
	var all []float64
	for _, m := range l.steps {
		all = append(all, *m.Loss)
	}
	return all
}

func (l *log) noted(part string) bool {
	return slices.ContainsFunc(l.notes, func(n string) bool { return strings.Contains(n, part) })
}

func options(t testing.TB, sets ...string) (Options, *log) {
	t.Helper()
	l := &log{}
	return Options{Config: page(t, sets...), Devices: references(1), Source: pictures(), Progress: l}, l
}

func folder(t testing.TB) *run.Dir {
	t.Helper()
	d, err := run.Create(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func load(t testing.TB, path string) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func mustRun(t testing.TB, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// state is all that a checkpoint has to say about where a run is: every bit of weights and momentum, the cursor,
// schedule and best.
func state(t testing.TB, path string) string {
	t.Helper()
	c := load(t, path)
	s := fmt.Sprintf("step %d sample %d epoch %d schedule %s", c.Step, c.Sample, c.Epoch, c.Schedule)
	if c.Best != nil {
		s += fmt.Sprintf(" best %v", *c.Best)
	}
	for _, part := range [][]safetensors.Tensor{c.Params, c.Momentum} {
		for _, p := range part {
			v, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			s += fmt.Sprintf("\n%s %x", p.Name, v)
		}
	}
	return s
}

// same compares two states without printing thousands of numbers.
func same(t testing.TB, what, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(g) != len(w) {
		t.Errorf("%s: %d tensors, want %d", what, len(g)-1, len(w)-1)
		return
	}
	for i := range g {
		if g[i] != w[i] {
			t.Errorf("%s: differs: %.300s\nwant: %.300s", what, g[i], w[i])
			return
		}
	}
}

// tensorsOf are a model's parameters by name.
func tensorsOf(t testing.TB, m *model.Model, part device.Part) map[string][]float32 {
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
