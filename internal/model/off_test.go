package model

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/recipe"
)

// TestEveryLayerOff switches off each layer of each page, one at a time, as --set model.conv4=off does: what is left
// must be a net whose programs hold together, on one device and on one a column. Only a softmax and the last layer with
// weights, which gives a number a class, cannot go, and a grouped convolution that is left with channels that do not
// divide says so under its own key.
func TestEveryLayerOff(t *testing.T) {
	const groups = "model.conv2.groups is 2, must divide the 3 channels and the 256 kernels of a column"
	refused := map[string]string{"caffenet conv1": groups, "bvlc-alexnet conv1": groups}
	for _, page := range config.Names() {
		base, err := config.Load(page, nil)
		if err != nil {
			t.Fatal(err)
		}
		last := config.LastWeighted(base.Model.Layers)
		for i, l := range base.Model.Layers {
			if l.Kind == "softmax" || i == last {
				continue
			}
			what := page + " " + l.Name
			a, err := without(t, page, l.Name)
			if want, ok := refused[what]; ok {
				wantUsage(t, err, want)
				continue
			}
			if err != nil {
				t.Errorf("%s off: %v", what, err)
				continue
			}
			checkWithout(t, what, a, l.Name)
		}
	}
}

func without(t *testing.T, page, layer string) (*Arch, error) {
	t.Helper()
	cfg, err := config.Load(page, []string{"model." + layer + "=off"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := cfg.Model.ForClasses(0)
	if err != nil {
		t.Fatal(err)
	}
	return New(m, cfg.Train.Dropout)
}

// checkWithout plans the net for training and for use; Program.Check is what every backend begins Compile with.
func checkWithout(t *testing.T, what string, a *Arch, gone string) {
	t.Helper()
	for i := range a.Layers {
		if a.Layers[i].Name == gone {
			t.Errorf("%s is still there", what)
		}
	}
	for _, p := range a.Params {
		if strings.HasPrefix(p.Name, gone+".") {
			t.Errorf("%s: %s is still there", what, p.Name)
		}
	}
	places := []int{1}
	if a.Columns > 1 {
		places = append(places, a.Columns)
	}
	for _, devices := range places {
		for _, train := range []bool{true, false} {
			if err := plans(a, devices, train); err != nil {
				t.Errorf("%s off, %d devices, train %v: %v", what, devices, train, err)
			}
		}
	}
}

func plans(a *Arch, devices int, train bool) error {
	side := a.Input.H + 4
	plan, err := newPlan(a, devices, Options{Rows: 2, Train: train, Input: recipe.Recipe{Height: side, Width: side}})
	if err != nil {
		return err
	}
	for d := range plan.Programs {
		p := &plan.Programs[d]
		p.Params = specsOnly{specs: a.paramSpecs(devices, d)}
		err = errors.Join(err, p.Check())
	}
	return err
}

// specsOnly are parameters without memory: nets of half a gigabyte are only looked at.
type specsOnly struct {
	device.Params
	specs []device.ParamSpec
}

func (p specsOnly) Specs() []device.ParamSpec { return p.specs }

// What reads a layer that is gone takes the shape of the one before it.
func TestOffShapes(t *testing.T) {
	for _, c := range []struct{ page, off, layer, in, weight string }{
		// both columns read the picture, after lrn1 and pool1
		{"alexnet", "conv1", "conv2", "3x111x111", "[256 3 5 5]"},
		{"alexnet", "conv4", "conv5", "384x13x13", "[256 192 3 3]"},
		{"alexnet", "pool5", "fc6", "256x13x13", "[4096 43264]"},
		{"alexnet", "fc6", "fc7", "256x6x6", "[4096 9216]"},
		{"caffenet", "conv3", "conv4", "256x13x13", "[384 128 3 3]"},
		{"torchvision", "conv2", "conv3", "64x13x13", "[384 64 3 3]"},
		{"cifar10", "conv2", "conv3", "64x7x7", "[128 64 3 3]"},
		{"cifar10-quick", "fc64", "fc10", "64x4x4", "[10 1024]"},
	} {
		a, err := without(t, c.page, c.off)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		for _, l := range a.Layers {
			if l.Name == c.layer && (l.In.String() != c.in || shapeOf(a, l.Params[0]) != c.weight) {
				t.Errorf("%s without %s: %s gets %v, %s; want %s, %s", c.page, c.off, c.layer, l.In,
					shapeOf(a, l.Params[0]), c.in, c.weight)
			}
		}
	}
}

func shapeOf(a *Arch, param int) string { return fmt.Sprint(a.Params[param].Shape) }
