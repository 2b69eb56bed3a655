package interop

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/model"
)

func arch(t *testing.T, page string, sets ...string) *model.Arch {
	t.Helper()
	var cfg *config.Config
	var err error
	if strings.Contains(page, "\n") {
		cfg, err = config.Parse([]byte(page), sets)
	} else {
		cfg, err = config.Load(page, sets)
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := cfg.Model.ForClasses(0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := model.New(m, cfg.Train.Dropout)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// halved is the names of the parameters with a factor of 0.5; all others must have 1.
func halved(t *testing.T, params []param) string {
	t.Helper()
	var names []string
	for _, p := range params {
		switch p.Factor {
		case 0.5:
			names = append(names, p.Name)
		case 1:
		default:
			t.Errorf("%s times %g", p.Name, p.Factor)
		}
	}
	return strings.Join(names, " ")
}

// Every page goes out under its own names, and the weights after dropout halved, the biases not.
func TestPlain(t *testing.T) {
	after := map[string]string{
		"alexnet": "fc7.weight fc8.weight", "alexnet-merged": "fc7.weight fc8.weight",
		"alexnet-one-column": "fc7.weight fc8.weight", "caffenet": "fc7.weight fc8.weight",
		"bvlc-alexnet": "fc7.weight fc8.weight",
		"torchvision":  "fc6.weight fc7.weight", "cifar10": "fc7.weight fc8.weight", "demo": "fc5.weight",
	}
	for _, page := range config.Names() {
		a := arch(t, page)
		params, err := plain(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := halved(t, params); got != after[page] {
			t.Errorf("%s: %q halved, want %q", page, got, after[page])
		}
		if len(params) != len(a.Params) {
			t.Errorf("%s: %d parameters of %d", page, len(params), len(a.Params))
		}
		for i, p := range params {
			if p.Index != i || p.Name != a.Params[i].Name {
				t.Errorf("%s: %+v is number %d, %s", page, p, i, a.Params[i].Name)
			}
		}
		if params, err = plain(arch(t, page, "train.dropout=false")); err != nil || halved(t, params) != "" {
			t.Errorf("%s without dropout: %+v, %v", page, params, err)
		}
	}
}

// strange is a net with dropout layers in places where no page has them.
const strange = `
model:
  classes: 4
  input: {channels: 3, size: 12}
  layers:
    - {name: drop0, kind: dropout, rate: 0.25}
    - {name: drop00, kind: dropout, rate: 0.5}
    - {name: conv1, kind: conv, kernels: 8, size: 3}
    - {name: drop1, kind: dropout, rate: 0.5}
    - {name: act1, kind: activation, act: relu}
    - {name: pool1, kind: pool, pool: avg, size: 2}
    - {name: between, kind: activation, act: tanh}
    - {name: fc2, kind: fc}
    - {name: last, kind: dropout}
    - {name: prob, kind: softmax}
data: {resize: 12}
`

func TestDropoutAnywhere(t *testing.T) {
	params, err := plain(arch(t, strange, "model.between.act=relu", "model.last=off"))
	if err != nil {
		t.Fatal(err)
	}
	// both dropout layers before conv1; through relu and pooling to fc2
	for i, want := range []float32{0.375, 1, 0.5, 1} {
		if params[i].Factor != want {
			t.Errorf("%s times %g, want %g", params[i].Name, params[i].Factor, want)
		}
	}
	for _, c := range []struct{ sets, reason, dropout string }{
		{
			"model.between.act=tanh model.last=off", "between (tanh) stands between drop1 and the next weights",
			"drop1",
		},
		{"model.between.act=relu", "prob (softmax) stands between last and the next weights", "last"},
	} {
		_, err := plain(arch(t, strange, strings.Fields(c.sets)...))
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.reason) ||
			refused.Dropout != c.dropout {
			t.Errorf("%s: error %v", c.sets, err)
		}
	}
}

// The names and shapes are those of torchvision.models.alexnet().state_dict(), in its order.
func TestTorchvision(t *testing.T) {
	a := arch(t, "torchvision", "model.classes=7")
	params, err := torchvision(a)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range params {
		got = append(got, p.Name+" "+fmt.Sprint(a.Params[p.Index].Shape))
	}
	want := []string{
		"features.0.weight [64 3 11 11]", "features.0.bias [64]", "features.3.weight [192 64 5 5]",
		"features.3.bias [192]", "features.6.weight [384 192 3 3]", "features.6.bias [384]",
		"features.8.weight [256 384 3 3]", "features.8.bias [256]",
		"features.10.weight [256 256 3 3]", "features.10.bias [256]", "classifier.1.weight [4096 9216]",
		"classifier.1.bias [4096]", "classifier.4.weight [4096 4096]", "classifier.4.bias [4096]",
		"classifier.6.weight [7 4096]", "classifier.6.bias [7]",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("parameters %q\nwant       %q", got, want)
	}
	if h := halved(t, params); h != "classifier.1.weight classifier.4.weight" {
		t.Errorf("%q halved", h)
	}
	for _, sets := range []string{"train.dropout=false", "model.drop5=off model.drop6=off"} {
		if params, err = torchvision(arch(t, "torchvision", strings.Fields(sets)...)); err != nil ||
			halved(t, params) != "" {
			t.Errorf("%s: %v", sets, err)
		}
	}
	// the same net when predicting
	for _, sets := range []string{
		"model.drop6=off", "model.drop5.rate=0.25", "model.input.size=227", "model.conv2.round=up",
	} {
		if _, err = torchvision(arch(t, "torchvision", sets)); err != nil {
			t.Errorf("%s: %v", sets, err)
		}
	}
}

func TestTorchvisionRefuses(t *testing.T) {
	for _, c := range []struct{ page, sets, want string }{
		{"alexnet", "", "this net has 2 columns, that one has one"},
		{"alexnet-one-column", "", "conv1.pad is 0, of features.0 there it is 2"},
		{"caffenet", "", "conv1.pad is 0, of features.0 there it is 2"},
		{"fig1", "", "conv1.size is 5, of features.0 there it is 11"},
		{"torchvision", "model.conv1.kernels=96", "conv1.weight is 96x3x11x11, features.0.weight there is 64x3x11x11"},
		{"torchvision", "model.conv2.groups=2", "conv2.weight is 192x32x5x5, features.3.weight there is 192x64x5x5"},
		{
			"torchvision", "model.input.channels=1 data.std=[58]",
			"conv1.weight is 64x1x11x11, features.0.weight there is 64x3x11x11",
		},
		{"torchvision", "model.input.size=256", "fc6.weight is 4096x12544, classifier.1.weight there is 4096x9216"},
		{"torchvision", "model.conv3.act=tanh", "conv3.act is tanh, of features.6 there it is relu"},
		{"torchvision", "model.fc8.act=relu", "fc8.act is relu, of classifier.6 there it is none"},
		{"torchvision", "model.conv1.stride=2", "conv1.stride is 2, of features.0 there it is 4"},
		{"torchvision", "model.conv1.round=up", "conv1.round is up, of features.0 there it is down"},
		{"torchvision", "model.pool2.pool=avg", "pool2.pool is avg, of features.5 there it is max"},
		{"torchvision", "model.pool1.pad=1", "pool1.pad is 1, of features.2 there it is 0"},
		{"torchvision", "model.pool5=off", "drop5 (dropout) stands where that one has features.12 (max pool)"},
		{"torchvision", "model.conv4=off", "pool5 (max pool) stands where that one has features.10 (conv)"},
		{"torchvision", "model.fc7=off", "fc8.act is none, of classifier.4 there it is relu"},
	} {
		params, err := torchvision(arch(t, c.page, strings.Fields(c.sets)...))
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) ||
			refused.Dropout != "" {
			t.Errorf("%s %s: error %v, want %s", c.page, c.sets, err, c.want)
		}
		if params != nil {
			t.Errorf("%s %s: parameters in spite of it", c.page, c.sets)
		}
	}
}

// Layers in torchvision's order but with another one among them, after them, or too few.
func TestTorchvisionOrder(t *testing.T) {
	const conv = "- {name: conv1, kind: conv, kernels: 64, size: 11, stride: 4, pad: 2, act: relu}\n    "
	const end = "- {name: fc8, kind: fc}\n    - {name: prob, kind: softmax}\n"
	for layers, want := range map[string]string{
		conv + "- {name: lrn1, kind: lrn}\n    " + end: "lrn1 (lrn) stands where that one has features.2 (max pool)",
		end: "fc8 (fc) stands where that one has features.0 (conv)",
	} {
		_, err := torchvision(arch(t, "model:\n  classes: 4\n  layers:\n    "+layers))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	a := arch(t, "torchvision")
	late := *a // dropout after fc7 too, as in the paper
	late.Layers = slices.Insert(slices.Clone(a.Layers), len(a.Layers)-2, model.Layer{Layer: config.Layer{
		Name: "drop7", Kind: "dropout", Rate: 0.5,
	}})
	if _, err := torchvision(&late); err == nil ||
		!strings.Contains(err.Error(), "drop7 (dropout) stands where that one has classifier.6 (fc)") {
		t.Errorf("error %v", err)
	}
	more := *a
	softmax := a.Layers[len(a.Layers)-1]
	more.Layers = append(slices.Clone(a.Layers), softmax)
	if _, err := torchvision(&more); err == nil ||
		!strings.Contains(err.Error(), "prob (softmax) comes after all of its layers") {
		t.Errorf("error %v", err)
	}
	fewer := *a
	fewer.Layers = append(slices.Clone(a.Layers[:len(a.Layers)-2]), softmax)
	if _, err := torchvision(&fewer); err == nil ||
		!strings.Contains(err.Error(), "this net has no layer for classifier.6") {
		t.Errorf("error %v", err)
	}
}
