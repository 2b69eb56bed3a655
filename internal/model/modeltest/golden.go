// Package modeltest holds the model, on the devices of any backend, to PyTorch: the paper's net, forward and every
// gradient, and ten steps of training of a small one. A backend's test calls RunGolden.
package modeltest

import (
	_ "embed" // the golden files
	"fmt"
	"math"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/golden"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
)

//go:embed testdata/paper.safetensors
var paperFile []byte

//go:embed testdata/steps.safetensors
var stepsFile []byte

//go:embed testdata/small.yaml
var smallPage []byte

// Opener gives n fresh devices of one kind and closes them when the test ends.
type Opener func(t *testing.T, n int) []device.Device

// RunGolden runs all goldens on one device and on two: the same net. The paper's takes seconds and, for its weights,
// momentum and gradients, 0.8 GB.
func RunGolden(t *testing.T, open Opener) {
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprintf("steps on %d", n), func(t *testing.T) {
			d := Steps(t, open(t, n), nil)
			t.Log(d)
			for _, over := range d.Beyond() {
				t.Error(over)
			}
		})
		t.Run(fmt.Sprintf("paper on %d", n), func(t *testing.T) {
			if testing.Short() {
				t.Skip("the paper's net, in a short run")
			}
			Paper(t, open(t, n))
		})
	}
}

// must fails the test.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// opened is a model with its training net and, where wanted, an inference net that keeps values.
type opened struct {
	t     testing.TB
	f     *golden.File
	model *model.Model
	train *model.Net
}

// open makes the model of a page, compiles a training net and stores the initial weights of the file's seed.
func open(t testing.TB, f *golden.File, cfg *config.Config, devs []device.Device, o model.Options) *opened {
	t.Helper()
	classes := 0
	f.Meta(t, "classes", &classes)
	arch, err := model.Of(cfg, classes)
	must(t, err)
	g := &opened{t: t, f: f}
	g.model, err = model.Open(arch, devs)
	must(t, err)
	g.train = g.compile(o)
	must(t, g.model.Init(f.Seed))
	return g
}

func (g *opened) compile(o model.Options) *model.Net {
	g.t.Helper()
	n, err := g.model.Compile(o)
	must(g.t, err)
	must(g.t, n.Alloc())
	return n
}

func (g *opened) close() {
	g.t.Helper()
	must(g.t, g.train.Close())
	must(g.t, g.model.Close())
}

// param reads a parameter, its momentum or gradient.
func (g *opened) param(i int, part device.Part) []float32 {
	g.t.Helper()
	x := make([]float32, g.model.Arch().Params[i].Len())
	must(g.t, g.model.Fetch(i, part, x))
	return x
}

func (g *opened) value(n *model.Net, rows int, name string, grad bool) []float32 {
	g.t.Helper()
	s, err := n.Shape(name)
	must(g.t, err)
	x := make([]float32, rows*s.Len())
	must(g.t, n.Fetch(name, grad, x))
	return x
}

// paper is configs/alexnet.yaml without dropout, with .03 in conv3..5 as in the 2012 code (see scripts/golden.py:
// paper_net), on the file's 4 pictures.
func paper(t *testing.T, devs []device.Device, p device.Precision) (g *opened, o model.Options, size int) {
	t.Helper()
	f := golden.Open(t, paperFile)
	t.Log(f)
	cfg, err := config.Load("alexnet", []string{
		"train.dropout=false", "model.conv3.init.std=.03", "model.conv4.init.std=.03", "model.conv5.init.std=.03",
	})
	must(t, err)
	var mean []float32
	f.Meta(t, "mean", &mean)
	size = cfg.Model.Input.Size
	o = model.Options{
		Rows: 4, Train: true, Precision: p, Keep: []string{"fc8"}, Input: recipe.Recipe{
			Height: size, Width: size, Mean: mean,
		},
	}
	return open(t, f, cfg, devs, o), o, size
}

// Paper runs the paper's net, forward and back, on 4 pictures: logits within 1e-5, every gradient within 1e-4. Then an
// inference net that keeps the value of every layer: each within 1e-5, and the input's gradient.
func Paper(t *testing.T, devs []device.Device) {
	g, o, size := paper(t, devs, device.FP32)
	defer g.close()
	g.pass(g.train, size)
	g.train.Backward()
	must(t, g.train.Sync())
	g.crossed(len(devs), o.Rows)
	logits := g.f.Check(t, "logits", g.value(g.train, 4, "fc8", false), golden.Forward)
	worst := 0.0
	for i := range g.model.Arch().Params {
		worst = max(worst, g.f.Check(t, "grad."+g.model.Arch().Params[i].Name, g.param(i, device.Gradient),
			golden.Gradient))
	}
	t.Logf("deviation of the logits %.2g, of the worst gradient %.2g, of the worst layer's values %.2g", logits, worst,
		g.everyLayer(o, size))
}

// Half runs the paper's net in bf16. Rounding decides ReLUs and maxima otherwise at every layer, so the gradients of
// the first layers are far from the truth, PyTorch's as well as these: no logit or gradient may be more than 1.25 times
// as far as PyTorch's own bf16 is.
func Half(t *testing.T, devs []device.Device) {
	g, _, size := paper(t, devs, device.BF16)
	defer g.close()
	theirs := map[string]float64{}
	g.f.Meta(t, "bf16", &theirs)
	g.pass(g.train, size)
	g.train.Backward()
	must(t, g.train.Sync())
	check := func(name string, got []float32) {
		ours, limit := g.f.Estimate(t, name, got), 1.25*theirs[name]
		t.Logf("%-18s %.4f from the truth, PyTorch's bf16 %.4f", name, ours, theirs[name])
		if !(ours <= limit) {
			t.Errorf("%s: %.4f from the truth, allowed %.4f", name, ours, limit)
		}
	}
	check("logits", g.value(g.train, 4, "fc8", false))
	for i := range g.model.Arch().Params {
		check("grad."+g.model.Arch().Params[i].Name, g.param(i, device.Gradient))
	}
}

// crossed checks the bytes that the devices counted in a step: what the summary foretells, the paper's 468,992 a
// picture on two.
func (g *opened) crossed(devices, rows int) {
	g.t.Helper()
	s, err := g.model.Arch().Summary(devices, rows)
	must(g.t, err)
	counted := g.train.Exchange()
	if len(counted) != len(s.Exchange) {
		g.t.Fatalf("%d values crossed, want %d", len(counted), len(s.Exchange))
	}
	var sum int64
	for i, row := range s.Exchange {
		if c := counted[i]; c.Name != row.Value || c.Forward != row.PerBatch || c.Backward != row.PerBatch {
			g.t.Errorf("counted %+v, want %d bytes of %s each way", c, row.PerBatch, row.Value)
		}
		sum += counted[i].Forward + counted[i].Backward
	}
	if want := int64(devices-1) * int64(rows) * 468_992; sum != want {
		g.t.Errorf("%d bytes crossed in a step, want %d", sum, want)
	}
}

// pass runs the pictures forward.
func (g *opened) pass(n *model.Net, size int) {
	g.t.Helper()
	var names []string
	var squares []int
	var labels []int32
	g.f.Meta(g.t, "pictures", &names)
	g.f.Meta(g.t, "squares", &squares)
	g.f.Meta(g.t, "labels", &labels)
	b := n.Stage()
	copy(b.Labels, labels)
	clear(b.Crop)
	clear(b.Flip)
	clear(b.Color)
	for r, name := range names {
		g.f.Picture(name, size, size, squares[r], b.Pixels[r*size*size*3:][:size*size*3])
	}
	n.Forward(b, model.Pass{Rows: len(names), Divisor: float32(len(names))})
}

// everyLayer checks each layer's value in a net that keeps them all, the loss, and the gradient of the input. It
// returns the worst value's deviation.
func (g *opened) everyLayer(o model.Options, size int) float64 {
	g.t.Helper()
	o.Train, o.InputGrad, o.Keep = false, true, nil
	names := []string{"input"}
	for i := range g.model.Arch().Layers {
		if l := &g.model.Arch().Layers[i]; l.Kind != "softmax" {
			names = append(names, l.Name)
		}
	}
	o.Keep = names
	n := g.compile(o)
	defer func() { must(g.t, n.Close()) }()
	g.pass(n, size)
	n.Backward()
	worst := 0.0
	for _, name := range names {
		worst = max(worst, g.f.Check(g.t, "value."+name, g.value(n, o.Rows, name, false), golden.Forward))
	}
	g.f.Check(g.t, "grad.input", g.value(n, o.Rows, "input", true), golden.Gradient)
	g.f.Check(g.t, "loss", []float32{float32(g.loss(n, o.Rows))}, golden.Forward)
	return worst
}

// loss is the mean over the rows of the last pass.
func (g *opened) loss(n *model.Net, rows int) float64 {
	g.t.Helper()
	stats := make([]float32, 3*rows)
	must(g.t, n.Stats(stats).Wait())
	var sum float64
	for r := range rows {
		sum += float64(stats[3*r])
	}
	return sum / float64(rows)
}

// Deviations are those of ten steps: of the loss of each, relative, and of what changed in each parameter and of its
// momentum at the end, relative norms.
type Deviations struct {
	Loss             []float64
	Change, Momentum map[string]float64
}

// Worst are the largest of each kind.
func (d *Deviations) Worst() (loss, change, momentum float64) {
	for _, v := range d.Loss {
		loss = math.Max(loss, v) // NaN stays
	}
	for name := range d.Change {
		change, momentum = math.Max(change, d.Change[name]), math.Max(momentum, d.Momentum[name])
	}
	return loss, change, momentum
}

func (d *Deviations) String() string {
	loss, change, momentum := d.Worst()
	return fmt.Sprintf("worst deviation of a loss %.2g, of a parameter's change %.2g, of momentum %.2g", loss, change,
		momentum)
}

// Beyond names what is not within the gates: losses 1e-5, change and momentum 1e-4.
func (d *Deviations) Beyond() []string {
	var over []string
	for i, v := range d.Loss {
		if !(v <= golden.Forward) {
			over = append(over, fmt.Sprintf("loss of step %d: %.3g from PyTorch, allowed %g", i, v, golden.Forward))
		}
	}
	for _, part := range []struct {
		what string
		of   map[string]float64
	}{{"change", d.Change}, {"momentum", d.Momentum}} {
		for name, v := range part.of {
			if !(v <= golden.Gradient) {
				over = append(over, fmt.Sprintf("%s of %s after the last step: %.3g from PyTorch, allowed %g",
					part.what, name, v, golden.Gradient))
			}
		}
	}
	return over
}
