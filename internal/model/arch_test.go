package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/config"
	"alexnet/internal/device"
)

// load resolves an embedded page.
func load(t *testing.T, name string, sets ...string) *Arch {
	t.Helper()
	cfg, err := config.Load(name, sets)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cfg.Model.ForClasses(0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(m, cfg.Train.Dropout)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func summary(t *testing.T, a *Arch, devices, batch int) Summary {
	t.Helper()
	s, err := a.Summary(devices, batch)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Parameters and multiply-adds of the nets; the paper's are 60,965,224 and 0.724 G, the merged net's 62,378,344 and
// 1.135 G. torchvision's documentation gives 61,100,840 and 0.71 G for its own. The paper speaks of 650,000 neurons:
// 96x55x55 + 256x27x27 + 2 x 384x13x13 + 256x13x13 + 2 x 4096 + 1000.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name                  string
		params, macs, neurons int64
	}{
		{"alexnet", 60_965_224, 724_406_816, 659_272},
		{"alexnet-merged", 62_378_344, 1_135_256_096, 659_272},
		// 48x3x121+48, 128x48x25+128, 192x128x9+192, 192x192x9+192, 256x192x9+256, 9216x4096+4096, 4096x4096+4096,
		// 4096x1000+1000
		{
			"alexnet-one-column", 17_472 + 153_728 + 221_376 + 331_968 + 442_624 + 37_752_832 + 16_781_312 + 4_097_000,
			391_514_384, 355_864,
		},
		// 32x3x25+32, 32x32x25+32, 64x32x25+64, 1024x10+10
		{
			"fig1", 2_432 + 25_632 + 51_264 + 10_250, 2_400*1024 + 25_600*256 + 51_200*64 + 10_240,
			32*1024 + 32*256 + 64*64 + 10,
		},
		// the two-column net's: groups of 2 see as little as its columns do, and a 227 input has the same maps
		{"caffenet", 60_965_224, 724_406_816, 659_272},
		{"bvlc-alexnet", 60_965_224, 724_406_816, 659_272},
		// 64x3x121+64, 192x64x25+192, 384x192x9+384, 256x384x9+256, 256x256x9+256, 9216x4096+4096, 4096x4096+4096,
		// 4096x1000+1000
		{
			"torchvision", 23_296 + 307_392 + 663_936 + 884_992 + 590_080 + 37_752_832 + 16_781_312 + 4_097_000,
			// = 714,188,480
			23_232*3025 + 307_200*729 + (663_552+884_736+589_824)*169 + 37_748_736 + 16_777_216 + 4_096_000,
			64*3025 + 192*729 + (384+256+256)*169 + 2*4096 + 1000,
		},
		// 32x3x25+32, 32x32x25+32, 64x32x25+64, 1024x64+64, 64x10+10
		{
			"cifar10-quick", 2_432 + 25_632 + 51_264 + 65_600 + 650, 2_400*1024 + 25_600*256 + 51_200*64 + 65_536 + 640,
			32*1024 + 32*256 + 64*64 + 64 + 10,
		},
		// 64x3x25+64, 128x32x9+128, 128x128x9+128, 128x64x9+128, 96x64x9+96, 864x128+128, 128x128+128, 128x10+10
		{
			"cifar10", 4_864 + 36_992 + 147_584 + 73_856 + 55_392 + 110_720 + 16_512 + 1_290,
			4_800*784 + 36_864*196 + (147_456+73_728+55_296)*49 + 110_592 + 16_384 + 1_280,
			64*784 + 128*196 + (128+128+96)*49 + 128 + 128 + 10,
		},
		// 16x3x25+16, 32x16x9+32, 64x16x9+64, 576x128+128, 128x10+10
		{
			"demo", 1_216 + 4_640 + 9_280 + 73_856 + 1_290, 1_200*784 + 4_608*196 + 9_216*49 + 73_728 + 1_280,
			16*784 + 32*196 + 64*49 + 128 + 10,
		},
	} {
		s := summary(t, load(t, c.name), 1, 128)
		if s.Parameters != c.params || s.MultiplyAdds != c.macs || s.Neurons != c.neurons {
			t.Errorf("%s: %d parameters, %d multiply-adds, %d neurons; want %+v", c.name, s.Parameters, s.MultiplyAdds,
				s.Neurons, c)
		}
		if s.Exchange == nil || len(s.Exchange) != 0 || s.BytesPerStep != 0 {
			t.Errorf("%s: exchange on one device: %+v", c.name, s.Exchange)
		}
	}
}

// Caffe's AlexNet has the paper's maps, normalisation before pooling and across all maps, and biases of .1.
func TestCaffesAlexNet(t *testing.T) {
	a, paper := load(t, "bvlc-alexnet"), load(t, "alexnet")
	if len(a.Layers) != len(paper.Layers) || a.Columns != 1 || a.Input.H != 227 {
		t.Fatalf("%d layers in %d columns, input %v", len(a.Layers), a.Columns, a.Input)
	}
	for i := range a.Layers {
		l, p := &a.Layers[i], &paper.Layers[i]
		if l.Name != p.Name || l.Out != p.Out || l.Kind == config.LRN && (l.K != 1 || l.Size != 5) {
			t.Errorf("%s of %v, the paper's is %s of %v: %+v", l.Name, l.Out, p.Name, p.Out, l)
		}
	}
	for i := range a.Params {
		p, q := &a.Params[i], &paper.Params[i]
		if p.Name != q.Name || fmt.Sprint(p.Shape) != fmt.Sprint(q.Shape) || p.Value != q.Value/10 {
			t.Errorf("%s %v begins at %g; the paper's %s %v at %g", p.Name, p.Shape, p.Value, q.Name, q.Shape, q.Value)
		}
	}
	plan, err := newPlan(a, 1, Options{Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range plan.Programs[0].Ops {
		if l, ok := op.(*device.LRN); ok && l.Groups != 1 {
			t.Errorf("%s stops at the border of %d groups", l.Name, l.Groups)
		}
	}
}

func TestShapes(t *testing.T) {
	want := map[string]string{
		"conv1": "96x55x55", "lrn1": "96x55x55", "pool1": "96x27x27", "conv2": "256x27x27", "lrn2": "256x27x27",
		"pool2": "256x13x13", "conv3": "384x13x13", "conv4": "384x13x13", "conv5": "256x13x13", "pool5": "256x6x6",
		"fc6": "4096x1x1", "drop6": "4096x1x1",
		"fc7": "4096x1x1", "drop7": "4096x1x1", "fc8": "1000x1x1", "prob": "1000x1x1",
	}
	got := map[string]string{}
	a := load(t, "alexnet")
	for _, l := range a.Layers {
		got[l.Name] = l.Out.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	params := map[string]string{}
	for _, p := range a.Params {
		params[p.Name] = fmt.Sprint(p.Shape, p.Std, p.Value)
	}
	wantParams := map[string]string{
		"conv1.weight": "[96 3 11 11] 0.01 0", "conv1.bias": "[96] 0 0", "conv2.weight": "[256 48 5 5] 0.01 0",
		"conv2.bias": "[256] 0 1", "conv3.weight": "[384 256 3 3] 0.01 0", "conv3.bias": "[384] 0 0",
		"conv4.weight": "[384 192 3 3] 0.01 0", "conv4.bias": "[384] 0 1",
		"conv5.weight": "[256 192 3 3] 0.01 0", "conv5.bias": "[256] 0 1", "fc6.weight": "[4096 9216] 0.01 0",
		"fc6.bias": "[4096] 0 1", "fc7.weight": "[4096 4096] 0.01 0", "fc7.bias": "[4096] 0 1",
		"fc8.weight": "[1000 4096] 0.01 0", "fc8.bias": "[1000] 0 0",
	}
	if diff := cmp.Diff(wantParams, params); diff != "" {
		t.Error(diff)
	}
}

// Below the lowest layer that learns there are no gradients: on one device and on two its programs begin to learn with
// its op, and nothing crosses back before.
func TestFrozen(t *testing.T) {
	for _, k := range []struct {
		still    string // layers of lr 0; with !, frozen
		frozen   int    // of them, those of which no gradient is computed
		backward int64  // bytes a batch of one picture
	}{
		{"", 0, 234_496},
		{"conv2", 0, 234_496},
		{"conv1", 1, 234_496},
		{"conv1 conv2", 2, 234_496 - 173_056},
		{"conv1! conv2", 2, 234_496 - 173_056},
		{"conv1! conv2!", 2, 234_496 - 173_056},
		{"conv1 conv2 conv3 conv4 conv5 fc6", 6, 8_192},
		{"conv1 conv2 conv3 conv4 conv5 fc6 fc7", 7, 0},
		{"conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8", 0, 234_496}, // nothing learns: as if all did
	} {
		var sets []string
		for _, name := range strings.Fields(k.still) {
			if is, frozen := strings.CutSuffix(name, "!"); frozen {
				sets = append(sets, "model."+is+".freeze=true", "model."+is+".lr=2")
				continue
			}
			sets = append(sets, "model."+name+".lr=0")
		}
		a := load(t, "alexnet", sets...)
		if n := len(a.Frozen()); n != k.frozen {
			t.Errorf("%q: %d layers are frozen, want %d", k.still, n, k.frozen)
		}
		for i := range a.Params {
			if a.Learns(i) != (i >= 2*k.frozen) {
				t.Errorf("%q: %s learns: %v", k.still, a.Params[i].Name, a.Learns(i))
			}
		}
		for devices := 1; devices <= 2; devices++ {
			plan, err := newPlan(a, devices, Options{Rows: 1, Train: true})
			if err != nil {
				t.Fatal(err)
			}
			for d, prog := range plan.Programs {
				switch first := prog.Ops[min(prog.Frozen, len(prog.Ops)-1)].Base().Name; {
				case k.frozen == 0 && prog.Frozen != 0, k.frozen > 0 && prog.Frozen == 0:
					t.Errorf("%q: %d ops of device %d of %d are frozen", k.still, prog.Frozen, d, devices)
				case k.frozen > 0 && prog.Frozen < len(prog.Ops) && first != a.Params[2*k.frozen].Layer:
					t.Errorf("%q: device %d of %d begins to learn with %s", k.still, d, devices, first)
				}
			}
			for _, o := range []Options{
				{Rows: 1}, {Rows: 1, InputGrad: true}, {Rows: 1, Train: true, InputGrad: true},
			} {
				if plan, err = newPlan(a, devices, o); err != nil || plan.Programs[0].Frozen != 0 {
					t.Errorf("%q, %+v: %d ops are frozen, %v", k.still, o, plan.Programs[0].Frozen, err)
				}
			}
		}
		s, err := a.Summary(2, 1)
		if err != nil {
			t.Fatal(err)
		}
		if s.BackwardBytes != k.backward || s.ForwardBytes != 234_496 || s.BytesPerStep != 234_496+k.backward {
			t.Errorf("%q: %d bytes cross back, want %d", k.still, s.BackwardBytes, k.backward)
		}
	}
}

// What crosses between two devices in a step of the paper's net at batch 128; 30,015,488 bytes each way.
func TestExchangeOfThePaper(t *testing.T) {
	s := summary(t, load(t, "alexnet"), 2, 128)
	want := []ExchangeRow{
		{"pool2", "conv3", 173_056, 22_151_168, true},
		{"pool5", "fc6", 36_864, 4_718_592, true},
		{"fc6", "fc7", 16_384, 2_097_152, true},
		{"fc7", "fc8", 8_192, 1_048_576, true}, // to device 0 alone
	}
	if diff := cmp.Diff(want, s.Exchange); diff != "" {
		t.Error(diff)
	}
	if s.ForwardBytes != 30_015_488 || s.BackwardBytes != 30_015_488 || s.BytesPerStep != 60_030_976 ||
		s.BytesPerPicture != 468_992 {
		t.Errorf("forward %d, backward %d, a step %d, a picture %d", s.ForwardBytes, s.BackwardBytes, s.BytesPerStep,
			s.BytesPerPicture)
	}
	if p := s.Devices[0].Parameters + s.Devices[1].Parameters; p != s.Parameters ||
		s.Devices[0].Parameters-s.Devices[1].Parameters != 4_097_000 {
		t.Errorf("devices hold %+v: fc8, 4,097,000 parameters, is device 0's alone", s.Devices)
	}
	off, err := New(mustModel(t, "alexnet"), false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, summary(t, off, 2, 128).Exchange); diff != "" {
		t.Errorf("without dropout: %s", diff)
	}
}

func mustModel(t *testing.T, name string) config.Model {
	t.Helper()
	cfg, err := config.Load(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cfg.Model.ForClasses(0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSummaryJSON(t *testing.T) {
	s := summary(t, load(t, "demo"), 2, 4)
	s.Opened([]string{"a", "b"}, []device.MemoryPlan{
		{{Purpose: device.PurposeWeights, Bytes: 5}}, {{Purpose: device.PurposeWeights, Bytes: 7}},
	})
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`"parameters":`, `"multiply_adds":`,
		`"layers":[{"name":"conv1","kind":"conv","inputs":"own","output":[16,28,28],"parameters":1216,` +
			`"multiply_adds":940800}`,
		`"devices":[{"name":"a","parameters":`, `"memory":[{"purpose":"weights","bytes":7}],"memory_total":7}`,
		`"exchange_bytes_per_step":`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		page string
		sets []string
		want string
	}{
		{"alexnet", []string{"model.conv1.kernels=97"}, "model.conv1.kernels is 97, does not divide into 2 columns"},
		{"alexnet", []string{"model.fc6.units=4095"}, "model.fc6.units is 4095, does not divide into 2 columns"},
		{
			"alexnet",
			[]string{"model.conv3.groups=2"},
			"model.conv3.groups is 2; groups divide a column, and this layer reads more than its own",
		},
		{
			"alexnet",
			[]string{"model.conv2.groups=5"},
			"model.conv2.groups is 5, must divide the 48 channels and the 128 kernels of a column",
		},
		{
			"alexnet",
			[]string{"model.conv5.size=16"},
			"model.conv5.size is 16, does not fit into maps of 13x13 with pad 1",
		},
		{
			"alexnet",
			[]string{"model.pool5.size=14"},
			"model.pool5.size is 14, does not fit into maps of 13x13 with pad 0",
		},
		{"alexnet", []string{"model.fc8.inputs=own"}, "model.fc8.inputs is own, must be both: the last layer with " +
			"weights lies whole on one device and reads every column"},
		{"alexnet", []string{"model.fc8=off"}, "model.prob gets 4096x1x1, must get 1000x1x1, one number a class"},
	} {
		cfg, err := config.Load(c.page, c.sets)
		if err != nil {
			t.Fatal(err)
		}
		m, err := cfg.Model.ForClasses(0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(m, true)
		wantUsage(t, err, c.want)
	}
	_, err := New(config.Model{}, true)
	wantUsage(t, err, "model.classes is 0, must be at least 2")
	wantSpread(t, load(t, "alexnet-merged").CheckDevices(2),
		"the net has one column and cannot be spread over 2 devices")
	wantSpread(t, load(t, "alexnet").CheckDevices(3),
		"the net has 2 columns and cannot be spread over 3 devices")
	_, err = load(t, "demo").Summary(3, 1)
	wantSpread(t, err, "the net has 2 columns and cannot be spread over 3 devices")
	single := load(t, "alexnet")
	single.Params = single.Params[:2]
	wantSpread(t, single.CheckDevices(2),
		"the net has one layer with weights, which cannot be spread over 2 devices")
}

func wantSpread(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.As(err, new(*DevicesError)) || err.Error() != want {
		t.Errorf("got %v\nwant a *DevicesError: %s", err, want)
	}
}

func wantUsage(t *testing.T, err error, want string) {
	t.Helper()
	var usage *config.Error
	if !errors.As(err, &usage) || err.Error() != want {
		t.Errorf("got %v\nwant a *config.Error: %s", err, want)
	}
}
