package selftest

import (
	"context"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/reference"
)

// small page with all kinds of layers.
const everything = `
model:
  columns: 2
  classes: 4
  input: {channels: 3, size: 12}
  layers:
    - {name: conv1, kind: conv, kernels: 4, size: 5, stride: 2, round: up, act: relu}
    - {name: lrn1, kind: lrn, size: 3}
    - {name: pool1, kind: pool, size: 3, stride: 2, round: up}
    - {name: conv2, kind: conv, inputs: both, kernels: 6, size: 3, pad: 1, act: tanh}
    - {name: pool2, kind: pool, pool: avg, size: 2, stride: 1}
    - {name: fc3, kind: fc, inputs: both, units: 8, act: relu}
    - {name: drop3, kind: dropout, rate: 0.5}
    - {name: fc4, kind: fc, inputs: both}
    - {name: prob, kind: softmax}
`

func check(t *testing.T, double device.Device, devs []device.Device) []GradientCheck {
	t.Helper()
	cfg, err := config.Parse([]byte(everything), nil)
	if err != nil {
		t.Fatal(err)
	}
	checks, _, err := Gradients(context.Background(), GradientOptions{Config: cfg, Double: double, Devices: devs})
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

func TestGradients(t *testing.T) {
	checks := check(t, reference.Open64(), reference.Open(2))
	if len(checks) != 8 {
		t.Errorf("%d tensors", len(checks))
	}
	for _, c := range checks {
		if c.Verdict != Passed || c.Checked < 4 || c.Checked+c.Skipped > c.Numbers || c.Device.Relative == 0 {
			t.Errorf("%+v", c)
		}
		if c.Name == "conv2.bias" && c.Checked+c.Skipped != c.Numbers {
			t.Errorf("a tiny tensor not checked whole: %+v", c)
		}
	}
}

// wrongGradients gives gradients of one parameter that are off by one part in factor.
type wrongGradients struct {
	device.Device
	factor float32
}

type wrongParams struct {
	device.Params
	factor float32
}

func (w *wrongGradients) NewParams(s []device.ParamSpec) (device.Params, error) {
	p, err := w.Device.NewParams(s)
	return &wrongParams{p, w.factor}, err
}

func (w *wrongGradients) Compile(p device.Program) (device.Net, error) {
	p.Params = p.Params.(*wrongParams).Params
	return w.Device.Compile(p)
}

func (w *wrongParams) Fetch(p device.Param, part device.Part, dst []float32) error {
	err := w.Params.Fetch(p, part, dst)
	if part == device.Gradient && w.Specs()[p].Name == "conv2.weight" {
		for i := range dst {
			dst[i] *= w.factor
		}
	}
	return err
}

func TestWrongGradients(t *testing.T) {
	for name, checks := range map[string][]GradientCheck{
		"float64": check(t, &wrongGradients{reference.Open64(), 1 + 3e-6}, reference.Open(1)),
		"device":  check(t, reference.Open64(), []device.Device{&wrongGradients{reference.New(), 1 + 3e-4}}),
	} {
		for _, c := range checks {
			if want := map[bool]string{true: Failed, false: Passed}[c.Name == "conv2.weight"]; c.Verdict != want {
				t.Errorf("%s: %+v, want %s", name, c, want)
			}
		}
	}
}

// TestKink: a step over a ReLU's kink is passed over.
func TestKink(t *testing.T) {
	cfg, err := config.Parse([]byte(everything), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := GradientOptions{Config: cfg, Double: reference.Open64(), Devices: reference.Open(1)}
	g, err := openGradients(o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.double.close()
	if err := g.draw(1); err != nil {
		t.Fatal(err)
	}
	g.checks = make([]GradientCheck, len(g.arch.Params))
	g.choices++ // no pass will make these
	if err := g.tensor(0, 0, []int{0, 1, 2}, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if c := g.checks[0]; c.Skipped != 3 || c.Checked != 0 || c.Verdict != Undecided {
		t.Errorf("%+v", c)
	}
}
