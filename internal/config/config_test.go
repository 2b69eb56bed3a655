package config

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/crafted"
)

// page is a small valid page; bad replaces one line of it.
const page = `model:
  columns: 2
  input: {channels: 3, size: 8}
  layers:
    - {name: conv1, kind: conv, kernels: 4, size: 3, act: relu}
    - {name: pool1, kind: pool, size: 3, stride: 2}
    - {name: fc2, kind: fc, inputs: both}
    - {name: prob, kind: softmax}
train:
  lr: 0.1
  schedule: {kind: steps, epochs: [2, 4]}
data: {resize: 8}
`

func TestBadPages(t *testing.T) {
	for _, c := range []struct{ old, bad, want string }{
		{"columns: 2", "colums: 2", "page.yaml:2:3: model.colums is not a key; nearest: model.columns"},
		{"columns: 2", "columns: two", `page.yaml:2:12: model.columns is "two", must be a whole number`},
		{"columns: 2", "columns: 1.5", "page.yaml:2:12: model.columns is 1.5, must be a whole number"},
		{"columns: 2", "columns: 0", "page.yaml:2:3: model.columns is 0, must be 1 to 64"},
		{"columns: 2", "columns:", "page.yaml:2:11: model.columns is empty, must be a whole number"},
		{
			"columns: 2", "columns: 2\n  columns: 2",
			`page.yaml:3:3: YAML: mapping key "columns" already defined at [2:3]`,
		},
		{"columns: 2", "default_classes: 0", "page.yaml:2:3: model.default_classes is 0, must be 2 to 1048576"},
		{"columns: 2", "classes: 1", "page.yaml:2:3: model.classes is 1, must be 0 (follow the data) or 2 to 1048576"},
		{"kind: conv", "kind: covn", `page.yaml:5:27: model.layers[0].kind is "covn", must be one of conv, fc, lrn, ` +
			`pool, dropout, activation, softmax; nearest: conv`},
		{"name: conv1, ", "", "page.yaml:5:7: model.layers[0] must have a name and a kind"},
		{"name: conv1", "name: 7", "page.yaml:5:14: model.7.name is 7, must be a word"},
		{
			"name: conv1", "name: Conv1",
			"page.yaml:5:7: model.Conv1 is not a name for a layer: lower-case letters, digits and _, a letter first",
		},
		{
			"name: conv1", "name: input",
			"page.yaml:5:7: model.input is not a name for a layer: the word has another meaning",
		},
		{"name: pool1", "name: conv1", "page.yaml:6:7: model.conv1 is there twice"},
		{"kernels: 4", "kernel: 4", "page.yaml:5:33: model.conv1.kernel is not a key; nearest: model.conv1.kernels"},
		{"kernels: 4, ", "", "page.yaml:5:7: model.conv1.kernels is 0, must be 1 to 1048576"},
		{"size: 3, act", "size: 0, act", "page.yaml:5:45: model.conv1.size is 0, must be 1 to 4096"},
		{
			"act: relu", "act: rleu",
			`page.yaml:5:54: model.conv1.act is "rleu", must be one of relu, tanh, none; nearest: relu`,
		},
		{"act: relu", "init: {std: -1}", "page.yaml:5:61: model.conv1.init.std is -1, must be 0 to 1e6"},
		{"act: relu", "init: 0.01", "page.yaml:5:60: model.conv1.init is 0.01, must be keys with values"},
		{"act: relu", "bias_lr: -1", "page.yaml:5:54: model.conv1.bias_lr is -1, must be 0 to 1e6"},
		{"act: relu", "weight_decay: -1", "page.yaml:5:54: model.conv1.weight_decay is -1, must be 0 to 1e6"},
		{
			"stride: 2", "kernels: 2",
			"page.yaml:6:42: model.pool1.kernels is not a key; there are name, kind, pool, size, stride, pad, round",
		},
		{"stride: 2", "pad: 2", "page.yaml:6:42: model.pool1.pad is 2, must be at most half of the size, 3"},
		{
			"{name: prob, kind: softmax}", "{name: prob, kind: dropout}",
			"page.yaml:8:7: model.prob is not a name for a layer of kind dropout: it is the softmax layer's",
		},
		{
			"{name: prob, kind: softmax}", "{name: drop, kind: dropout, rate: 1}",
			"page.yaml:8:7: model.drop is of kind dropout: the last layer, and no other, must be softmax",
		},
		{
			"{name: prob, kind: softmax}", "prob",
			`page.yaml:8:7: model.layers[3] is "prob", must be {name: ..., kind: ..., ...}`,
		},
		{"lr: 0.1", "lr: 0", "page.yaml:10:3: train.lr is 0, must be above 0 and at most 1e30"},
		{"lr: 0.1", "lr: .inf", "page.yaml:10:7: train.lr is .inf, must be a number"},
		{"lr: 0.1", `lr: "0.1"`, `page.yaml:10:7: train.lr is "0.1", must be a number`},
		{"lr: 0.1", "momentum: 1", "page.yaml:10:3: train.momentum is 1, must be at least 0 and below 1"},
		{"lr: 0.1", "dropout: no", `page.yaml:10:12: train.dropout is "no", must be true or false`},
		{"lr: 0.1", "seed: -1", "page.yaml:10:9: train.seed is -1, must be a whole number from 0"},
		{"lr: 0.1", "batch: 3000000000", "page.yaml:10:10: train.batch is 3000000000, must be a whole number"},
		{
			"lr: 0.1", "precision: fp23",
			`page.yaml:10:3: train.precision is "fp23", must be one of fp32, tf32, bf16; nearest: fp32`,
		},
		{"epochs: [2, 4]", "epochs: [4, 2]", "page.yaml:11:27: train.schedule.epochs has 2 after 4, must rise"},
		{
			"epochs: [2, 4]", "epochs: [2, x]",
			`page.yaml:11:39: train.schedule.epochs[1] is "x", must be a whole number`,
		},
		{"epochs: [2, 4]", "epochs: 2", "page.yaml:11:35: train.schedule.epochs is 2, must be a list"},
		{", epochs: [2, 4]", "", "page.yaml:11:3: train.schedule.epochs is empty: kind steps needs the epochs of the " +
			"drops, as in [30, 60, 80]"},
		{
			"resize: 8", "resize: 7",
			"page.yaml:12:8: data.resize is 7, must be 0 (keep the size) or at least model.input.size, 8",
		},
		{"resize: 8", "mean: picture", `page.yaml:12:8: data.mean is "picture", must be one of image, channel`},
		{"data: {resize: 8}", "dat: {resize: 8}", "page.yaml:12:1: dat is not a key; nearest: data"},
		{"data: {resize: 8}", "data: {resize: 8, std: 64}", "page.yaml:12:24: data.std is 64, must be a list"},
		{
			"data: {resize: 8}", "data: {resize: 8, std: [1, 2]}",
			"page.yaml:12:19: data.std has 2 numbers, must have one, or one for each of the 3 channels",
		},
		{"data: {resize: 8}", "data: {resize: 8, std: [0]}", "page.yaml:12:19: data.std has 0, must be 1e-6 to 1e6"},
		{"data: {resize: 8}", "data: [1", "page.yaml:12:7: YAML: sequence end token ']' not found"},
		{page, "", "page.yaml: is empty"},
		{page, "# nothing", "page.yaml: is empty"},
		{page, "- 1", "page.yaml:1:1: is not a configuration: it holds a list, a page holds keys with values"},
		{
			page, strings.Repeat("root:x:0:0:root:/bin/sh\n", 50),
			"page.yaml:1:1: is not a configuration: it holds plain text, a page holds keys with values",
		},
		{
			"columns: 2", "columns: " + strings.Repeat("long", 50),
			`page.yaml:2:12: model.columns is "longlonglonglonglonglonglonglonglonglong...", must be a whole number`,
		},
		{
			"columns: 2", strings.Repeat("long", 50) + ": 2",
			"page.yaml:2:3: model.longlonglonglonglonglonglonglonglonglong... is not a key; there are columns, " +
				"classes, default_classes, act, input, layers",
		},
		{"columns: 2", "\"\\e[31m\": 2", "page.yaml:2:3: model.\uFFFD[31m is not a key; there are columns, classes, " +
			"default_classes, act, input, layers"},
		{page, page + "---\n" + page, "page.yaml:14:6: there is more than one YAML document"},
	} {
		bad := strings.Replace(page, c.old, c.bad, 1)
		if bad == page {
			t.Fatalf("%q is not in the page", c.old)
		}
		check(t, c.bad, func() (*Config, error) { return parse("page.yaml", []byte(bad), nil) }, c.want)
	}
}

func check(t *testing.T, what string, load func() (*Config, error), want string) {
	t.Helper()
	_, err := load()
	var ours *Error
	if !errors.As(err, &ours) {
		t.Errorf("%s: error %v, want an *Error saying %s", what, err, want)
	} else if err.Error() != want {
		t.Errorf("%s:\n got %v\nwant %s", what, err, want)
	}
}

func TestBadSets(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"train.bacth=3", "train.bacth is not a key; nearest: train.batch"},
		{"train.lr=fast", `train.lr is "fast", must be a number`},
		{"train.lr=-1", "train.lr is -1, must be above 0 and at most 1e30"},
		{"train.lr", "must be key=value"},
		{"train.lr=", "must be key=value"},
		{"=3", "must be key=value"},
		{"train=3", "train is 3, must be keys with values"},
		{"train.lr.x=3", "train.lr.x is not a key; train.lr has no keys"},
		{"train.schedule.epochs=[3", "YAML: sequence end token ']' not found"},
		{"model.cnov4=off", "model.cnov4 is not a key; nearest: model.conv4"},
		{"model.conv4=none", `model.conv4 is "none", can only be off, which removes the layer; its keys: inputs, ` +
			`kernels, size, stride, pad, round, groups, act, init, lr, bias_lr, weight_decay, freeze`},
		{"model.conv4.kernel=3", "model.conv4.kernel is not a key; nearest: model.conv4.kernels"},
		{"model.conv4.kind=fc", "model.conv4.kind is not a key; there are inputs, kernels, size, stride, pad, round, " +
			"groups, act, init, lr, bias_lr, weight_decay, freeze"},
		{"model.conv4.init.sdt=3", "model.conv4.init.sdt is not a key; nearest: model.conv4.init.std"},
		{"model.lrn1.size=4", "model.lrn1.size is 4, must be odd, 1 to 4095"},
		{"model.layers=[]", "model.layers cannot be set; name the layer, as in model.conv1.act=tanh"},
		{"model.input.size=300", "data.resize is 256, must be 0 (keep the size) or at least model.input.size, 300"},
		{
			"train.schedule={kind: stepz}",
			`train.schedule.kind is "stepz", must be one of constant, steps, plateau, authors2012; nearest: steps`,
		},
		{
			"train.schedule.kind=steps",
			"train.schedule.epochs is empty: kind steps needs the epochs of the drops, as in [30, 60, 80]",
		},
		{"data.retry=5", "data.retry is 5, must be a duration, as 90s or 5m"},
		{"data.retry=soon", `data.retry is "soon", must be a duration, as 90s or 5m`},
		{"data.retry=-1s", "data.retry is -1s, must be 0 to 168h"},
		{"data.retry=1000h", "data.retry is 1000h, must be 0 to 168h"},
		{"data.shuffle=windows", `data.shuffle is "windows", must be one of full, window; nearest: window`},
		{"data.window=0", "data.window is 0, must be 1 to 65536"},
		{"data.cache=-1", "data.cache is -1, must be 0 to 1e6"},
		{"data.retry=[5m]", "data.retry is a list, must be a duration, as 90s or 5m"},
		{"data.bad_share=1.1", "data.bad_share is 1.1, must be 0 to 1"},
		{"data.bad_share=-0.1", "data.bad_share is -0.1, must be 0 to 1"},
		{"data.resize=100", "data.resize is 100, must be 0 (keep the size) or at least model.input.size, 224"},
	} {
		check(t, c.set, func() (*Config, error) { return Load("alexnet", []string{c.set}) }, c.set+": "+c.want)
	}
}

func TestSets(t *testing.T) {
	base, err := Load("alexnet", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load("alexnet", []string{
		"train.lr=1e-3", "train.schedule={kind: steps, epochs: [20, 40]}", "model.conv4=off", "model.lrn1=off",
		"model.conv3.kernels=256", "model.fc6.init.bias=.1", "model.conv1.weight_decay=0",
		"train.seed=18446744073709551615", "train.dropout=false", "data.retry=2m30s",
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(base.Model.Layers) - len(c.Model.Layers); n != 2 {
		t.Errorf("%d layers removed, want 2", n)
	}
	layer := func(name string) Layer {
		for _, l := range c.Model.Layers {
			if l.Name == name {
				return l
			}
		}
		return Layer{}
	}
	if layer("conv4").Name != "" || layer("lrn1").Name != "" || layer("lrn2").Name == "" {
		t.Error("conv4 and lrn1, and only they, must be gone")
	}
	got := []any{
		layer("conv3").Kernels, layer("fc6").Init, *layer("conv1").WeightDecay, c.Train.LR, c.Train.Schedule,
		c.Train.Seed, c.Train.Dropout, c.Data.Retry,
	}
	want := []any{
		256,
		Init{.01, .1},
		0., 1e-3,
		Schedule{Kind: "steps", Factor: .1, Patience: 5, Drops: 3, Epochs: []int{20, 40}},
		^uint64(0), false, 150 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is written out loads to the same Config, for every page, and with values that no page has.
func TestRoundTrip(t *testing.T) {
	sets := [][]string{
		nil,
		{
			"train.lr=1.23456789012e-7", "model.conv1.lr=0", "model.conv1.bias_lr=0.25",
			"model.conv1.weight_decay=1e-5", "model.classes=2", "train.schedule.epochs=[1, 5]",
			"model.conv1.init.bias=-3", "data.retry=1h0.5s", "data.bad_share=1",
		},
		{"data.retry=0"},
		{"train.checkpoint_steps=0"},
	}
	for _, name := range Names() {
		for _, s := range sets {
			c, err := Load(name, s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c, writtenOut(t, c)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	if _, err := (&Config{}).YAML(); err == nil {
		t.Error("an empty Config was written out")
	}
}

// The paper's numbers, as the page has them.
func TestPaperPage(t *testing.T) {
	c, err := Load("alexnet", nil)
	if err != nil {
		t.Fatal(err)
	}
	train := Train{
		Epochs: 90, Batch: 128, LR: .01, Momentum: .9, WeightDecay: .0005, BiasLR: 2, BiasDecay: 0, Dropout: true,
		Precision: "fp32", Seed: 1, Schedule: Schedule{Kind: "plateau", Factor: .1, Patience: 5, Drops: 3},
		Augment: Augment{Crop: "random", Flip: true, Color: .1},
	}
	if diff := cmp.Diff(train, c.Train); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Data{
		ValShare: .1, Resize: 256, Fit: "crop", Interpolation: "antialiased", Exif: ApplyExif, Mean: "image",
		Retry: 5 * time.Minute, Shuffle: "full", Window: 16, Cache: 10, BadShare: .01,
	}, c.Data); diff != "" {
		t.Error(diff)
	}
	bias := map[string]float64{"conv2": 1, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1}
	both := map[string]bool{"conv3": true, "fc6": true, "fc7": true, "fc8": true}
	for _, l := range c.Model.Layers {
		if (l.Kind == "conv" || l.Kind == "fc") && (l.Init != Init{.01, bias[l.Name]} ||
			(l.Inputs == "both") != both[l.Name]) {
			t.Errorf("%s: init %v, inputs %s", l.Name, l.Init, l.Inputs)
		}
		if l.Kind == "lrn" && (l.Size != 5 || l.Alpha != 1e-4 || l.Beta != .75 || l.K != 2) {
			t.Errorf("%s: %+v", l.Name, l)
		}
		if l.Kind == "dropout" && l.Rate != .5 {
			t.Errorf("%s: rate %g", l.Name, l.Rate)
		}
	}
}

// What torchvision and Caffe train alike with our dropout: a layer behind it, and no other, starts twice as large, with
// four times lr, a quarter of weight_decay, and a quarter of bias_lr so that its bias keeps the rate (train's
// TestDropoutThatDoubles takes the steps).
func TestDropoutOfOthers(t *testing.T) {
	std := map[string]float64{ // as published; of torchvision 1/sqrt(3 inputs)
		"torchvision conv1": 1. / 33, "torchvision conv2": 1 / math.Sqrt(4800), "torchvision conv3": 1. / 72,
		"torchvision conv4": 1 / math.Sqrt(10368), "torchvision conv5": 1 / math.Sqrt(6912),
		"torchvision fc6": 1 / math.Sqrt(27648), "torchvision fc7": 1 / math.Sqrt(12288),
		"torchvision fc8": 1 / math.Sqrt(12288), "caffenet fc6": .005, "caffenet fc7": .005,
		"bvlc-alexnet fc6": .005, "bvlc-alexnet fc7": .005,
	}
	for _, name := range []string{"torchvision", "caffenet", "bvlc-alexnet"} {
		c, err := Load(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		behind := false
		for _, l := range c.Model.Layers {
			if l.Kind == "conv" || l.Kind == "fc" {
				want, known := std[name+" "+l.Name]
				if !known {
					want = .01
				}
				if behind {
					want *= 2
				}
				if math.Abs(l.Init.Std/want-1) > 1e-3 {
					t.Errorf("%s: %s starts at %g, want %g", name, l.Name, l.Init.Std, want)
				}
				given := l.LR != nil && l.BiasLR != nil && l.WeightDecay != nil
				if given != behind || behind && (*l.LR != 4 || *l.BiasLR != c.Train.BiasLR/4 ||
					*l.WeightDecay != c.Train.WeightDecay/4) {
					t.Errorf("%s: rates of %s: %+v", name, l.Name, l)
				}
			}
			behind = l.Kind == "dropout"
		}
	}
}

func TestNamesAndPaths(t *testing.T) {
	if diff := cmp.Diff([]string{
		"demo", "fig1", "alexnet", "cifar10", "caffenet", "torchvision", "bvlc-alexnet", "cifar10-quick",
		"alexnet-merged", "alexnet-one-column",
	}, Names()); diff != "" {
		t.Error(diff)
	}
	dir := t.TempDir()
	t.Chdir(dir) // a name needs no folder, and a file of that name does not hide it
	if err := os.WriteFile("demo", []byte("not: this"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		if _, err := Load(name, nil); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, "mine.yaml"} {
		c, err := Load(path, nil)
		if err != nil || c.Model.Layers[0].Kernels != 4 || c.Model.Layers[0].Stride != 1 || c.Train.Batch != 128 {
			t.Errorf("%s: %+v, %v", path, c, err)
		}
	}
	const all = "there are demo, fig1, alexnet, cifar10, caffenet, torchvision, bvlc-alexnet, cifar10-quick, " +
		"alexnet-merged, alexnet-one-column; the path of a YAML file works too"
	check(t, "a misspelt name", func() (*Config, error) {
		return Load("alexnte", nil)
	}, `no configuration is called "alexnte"; nearest: alexnet; `+all)
	check(t, "a strange name", func() (*Config, error) {
		return Load("vgg", nil)
	}, `no configuration is called "vgg"; `+all)
	check(t, "no file", func() (*Config, error) {
		return Load("my.yaml", nil)
	}, "my.yaml: cannot read the configuration: no such file or directory")
}

func TestForClasses(t *testing.T) {
	for _, c := range []struct{ page, data, want int }{{0, 0, 20}, {0, 7, 7}, {10, 0, 10}, {10, 10, 10}} {
		if m, err := (Model{Classes: c.page, DefaultClasses: 20}).ForClasses(c.data); err != nil ||
			m.Classes != c.want {
			t.Errorf("page %d, data %d: %d, %v; want %d", c.page, c.data, m.Classes, err, c.want)
		}
	}
	_, err := Model{Classes: 10}.ForClasses(7)
	if !errors.As(err, new(*ClassesError)) || err.Error() != "model.classes is 10, but the data has 7 classes" {
		t.Errorf("mismatch: %v", err)
	}
}

// Users' own pictures need no --set: the embedded pages leave the number of classes to the data.
func TestPagesFollowTheData(t *testing.T) {
	alone := map[string]int{"demo": 10, "fig1": 10, "cifar10": 10, "cifar10-quick": 10}
	for _, name := range Names() {
		c, err := Load(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		without, err := c.Model.ForClasses(0)
		want, known := alone[name]
		if !known {
			want = 1000
		}
		if err != nil || without.Classes != want {
			t.Errorf("%s without data: %d classes, %v; want %d", name, without.Classes, err, want)
		}
		if with, err := c.Model.ForClasses(3); err != nil || with.Classes != 3 {
			t.Errorf("%s with data of 3 classes: %d, %v", name, with.Classes, err)
		}
	}
	c, err := Load("demo", []string{"model.classes=10"})
	if err != nil {
		t.Fatal(err)
	}
	var classes *ClassesError
	if _, err := c.Model.ForClasses(3); !errors.As(err, &classes) || *classes != (ClassesError{Model: 10, Data: 3}) {
		t.Errorf("a number typed: %v", err)
	}
}

// Whatever the page holds, reading it ends in a Config that writes and loads again, or in an *Error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(page), "train.lr=1")
	f.Add([]byte("model: &a {layers: [*a]}\n? x\n: y"), "model.conv1=off")
	f.Add([]byte("model: {<<: {columns: 2}}\n--- !!str 1"), "train.schedule={epochs: [1"[:20])
	for _, p := range crafted.Pages() {
		if len(p.YAML) < 10_000 {
			f.Add(p.YAML, "data.workers=1")
		}
	}
	f.Fuzz(func(t *testing.T, page []byte, set string) {
		c, err := Parse(page, []string{set})
		var ours *Error
		if err != nil {
			if !errors.As(err, &ours) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(again, nil); err != nil {
			t.Fatal(err)
		}
	})
}

// TestEveryLayer: one override reaches all layers that have the key.
func TestEveryLayer(t *testing.T) {
	for _, name := range Names() {
		c, entries, err := Explain(name, []string{"model.*.act=tanh", "model.*.init.std=0.5"})
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Load(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range c.Model.Layers {
			before := plain.Model.Layers[i]
			had := slices.Contains(layerKeys[l.Kind], "act") && before.Act != Linear &&
				(before.Act != "" || plain.Model.Act != Linear)
			if had && l.Act != Tanh || !had && l.Act != before.Act {
				t.Errorf("%s: %s was %q and is %q", name, l.Name, before.Act, l.Act)
			}
			if l.Kind.Weighted() && l.Init.Std != .5 {
				t.Errorf("%s: %s has init.std %g", name, l.Name, l.Init.Std)
			}
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Key, ".init.std") && e.Source != "model.*.init.std=0.5" {
				t.Errorf("%s: %s comes from %q", name, e.Key, e.Source)
			}
		}
	}
	for set, says := range map[string]string{
		"model.*=off": "needs a key", "model.*.kernel=3": "nearest: model.*.kernels", "model.*.alpha=x": "number",
	} {
		if _, err := Load("alexnet", []string{set}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", set, err, says)
		}
	}
	if _, err := Load("fig1", []string{"model.*.rate=.1"}); err == nil || !strings.Contains(err.Error(), "rate") {
		t.Errorf("a key that no layer of the net has: %v", err)
	}
}

// TestUnfollowed: an override that would change nothing is refused; a page with such a key is read as it always was.
func TestUnfollowed(t *testing.T) {
	for _, name := range Names() {
		_, err := Load(name, []string{"model.act=tanh"})
		if follows := name == "fig1"; follows != (err == nil) {
			t.Errorf("%s with model.act: %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "model.*.act") {
			t.Errorf("%s: %v does not say what reaches the layers", name, err)
		}
	}
	page, err := Load("alexnet", nil)
	if err != nil {
		t.Fatal(err)
	}
	page.Model.Act = Tanh
	text, err := page.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(text, []string{"train.lr=1"}); err != nil {
		t.Error(err)
	}
}

func TestWithoutEffect(t *testing.T) {
	sets := []string{
		"train.schedule.kind=constant", "train.schedule.factor=0.5", "train.schedule.patience=2", "train.lr=1",
		"train.dropout=false", "model.default_classes=4",
	}
	c, err := Load("demo", append(sets, "model.classes=3"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"train.schedule.factor=0.5", "train.schedule.patience=2", "model.default_classes=4"}
	if !slices.ContainsFunc(c.Model.Layers, func(l Layer) bool { return l.Kind == Dropout }) {
		want = slices.Insert(want, 2, "train.dropout=false")
	}
	if got := WithoutEffect(c, sets); !slices.Equal(got, want) {
		t.Errorf("without effect: %q, want %q", got, want)
	}
	sets = []string{"model.conv1.lr=1", "model.conv1.init.std=0.1", "model.conv2.bias_lr=1"}
	if c, err = Load("alexnet", append(sets, "model.conv1.freeze=true")); err != nil {
		t.Fatal(err)
	}
	if got := WithoutEffect(c, sets); !slices.Equal(got, sets[:1]) {
		t.Errorf("of a frozen layer, without effect: %q", got)
	}
	sets = []string{"train.schedule.factor=0.5", "train.schedule.patience=2", "train.lr=1", "train.dropout=false"}
	if c, err = Load("alexnet", sets); err != nil {
		t.Fatal(err)
	}
	if got := WithoutEffect(c, sets); len(got) > 0 {
		t.Errorf("with plateau, dropout and classes by the data, without effect: %q", got)
	}
}

// writtenOut is the configuration that the page of one is read as.
func writtenOut(t *testing.T, c *Config) *Config {
	t.Helper()
	page, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(page, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, page)
	}
	return again
}

// TestCheckpointSteps: none given is another thing than 0, and stays so in what is written out.
func TestCheckpointSteps(t *testing.T) {
	for _, name := range Names() {
		for _, sets := range [][]string{nil, {"train.checkpoint_steps=0"}} {
			c, err := Load(name, sets)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []*Config{c, writtenOut(t, c)} {
				if got := c.Train.CheckpointSteps; (got == nil) != (sets == nil) || got != nil && *got != 0 {
					t.Errorf("%s with %q: %v", name, sets, got)
				}
			}
		}
	}
}
