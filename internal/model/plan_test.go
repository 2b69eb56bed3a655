package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/recipe"
)

// Every page compiles on one device and, where it has two columns, on two, for training and for use, with everything
// kept or nothing.
func TestProgramsCheck(t *testing.T) {
	for _, name := range config.Names() {
		a := load(t, name)
		for _, devices := range slices.Compact([]int{1, a.Columns}) {
			for _, o := range []Options{
				staged(a, 2, true), staged(a, 2, false),
				{Rows: 1, InputGrad: true, Keep: a.Names(), Input: recipe.Recipe{Height: a.Input.H, Width: a.Input.W}},
			} {
				_, devs := fakes(devices)
				n := compile(t, open(t, a, devs), o) // fake's Compile calls Program.Check
				checkOrder(t, n.Plan())
			}
		}
	}
}

// checkOrder: each op once, each device's in its own order, every Send of an exchange before its Recvs.
func checkOrder(t *testing.T, p *Plan) {
	t.Helper()
	next := make([]int, len(p.Programs))
	sent, receiving := map[*device.Link]bool{}, false
	for _, s := range p.Order {
		if s.Op != next[s.Device] {
			t.Fatalf("device %d runs op %d, its next is %d", s.Device, s.Op, next[s.Device])
		}
		next[s.Device]++
		switch op := p.Programs[s.Device].Ops[s.Op].(type) {
		case *device.Send:
			if receiving || sent[op.Link] || op.Link.From != s.Device {
				t.Fatalf("%s on device %d: out of order", op.Name, s.Device)
			}
			sent[op.Link] = true
		case *device.Recv:
			receiving = true
			if !sent[op.Link] || op.Link.To != s.Device {
				t.Fatalf("%s on device %d: nothing was sent", op.Name, s.Device)
			}
		default:
			receiving = false
		}
	}
	for d := range next {
		if next[d] != len(p.Programs[d].Ops) {
			t.Fatalf("device %d runs %d of %d ops", d, next[d], len(p.Programs[d].Ops))
		}
	}
}

// The paper's net on two devices, as the figure has it.
func TestPlanOfThePaper(t *testing.T) {
	plan, err := newPlan(load(t, "alexnet"), 2, Options{Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	common := []string{"conv1", "lrn1", "pool1", "conv2", "lrn2", "pool2"}
	first := append(slices.Clone(common), "send pool2 0>1", "recv pool2 1>0", "conv3", "conv4", "conv5", "pool5",
		"send pool5 0>1", "recv pool5 1>0", "fc6", "drop6", "send fc6 0>1", "recv fc6 1>0", "fc7", "drop7",
		"recv fc7 1>0", "fc8", "prob")
	second := append(slices.Clone(common), "send pool2 1>0", "recv pool2 0>1", "conv3", "conv4", "conv5", "pool5",
		"send pool5 1>0", "recv pool5 0>1", "fc6", "drop6", "send fc6 1>0", "recv fc6 0>1", "fc7", "drop7",
		"send fc7 1>0")
	if diff := cmp.Diff([][]string{first, second},
		[][]string{specsOf(&plan.Programs[0]), specsOf(&plan.Programs[1])}); diff != "" {
		t.Error(diff)
	}
	for d := range plan.Programs {
		p := &plan.Programs[d]
		var reads []string
		for _, v := range find[*device.Conv](t, p, "conv3").In {
			reads = append(reads, p.Values[v].Name)
		}
		if want := [][]string{{"pool2", "pool2@1"}, {"pool2@0", "pool2"}}[d]; !slices.Equal(reads, want) {
			t.Errorf("conv3 on device %d reads %v, want %v", d, reads, want)
		}
		if u := find[*device.Dropout](t, p, "drop6").FirstUnit; u != d*2048 {
			t.Errorf("drop6 on device %d starts at unit %d", d, u)
		}
		if g := find[*device.Conv](t, p, "conv2").Groups; g != 1 {
			t.Errorf("conv2 on device %d has %d groups", d, g)
		}
	}
}

// On one device columns are groups, wherever a layer does not read both.
func TestGroupsOnOneDevice(t *testing.T) {
	plan, err := newPlan(load(t, "alexnet"), 1, Options{Rows: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := &plan.Programs[0]
	got := map[string]int{}
	for _, op := range p.Ops {
		switch op := op.(type) {
		case *device.Conv:
			got[op.Name] = op.Groups
		case *device.LRN:
			got[op.Name] = op.Groups
		case *device.Send, *device.Recv:
			t.Errorf("%s on one device", op.Base().Name)
		}
	}
	if diff := cmp.Diff(map[string]int{
		"conv1": 1, "lrn1": 2, "conv2": 2, "lrn2": 2, "conv3": 1, "conv4": 2,
		"conv5": 2,
	}, got); diff != "" {
		t.Error(diff)
	}
}

// With Int8 all fully connected layers have int8 weights, on either device; Program.Check lets no net with gradients
// have them.
func TestInt8(t *testing.T) {
	a := load(t, "alexnet")
	for devices := 1; devices <= 2; devices++ {
		plan, err := newPlan(a, devices, Options{Rows: 1, Int8: true})
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, p := range plan.Programs {
			for _, op := range p.Ops {
				if fc, ok := op.(*device.FC); ok {
					seen++
					if !fc.Int8 {
						t.Errorf("%s on %d devices has no int8 weights", fc.Name, devices)
					}
				}
			}
		}
		if want := 2*devices + 1; seen != want { // fc8 is on the first device alone
			t.Errorf("%d fully connected layers on %d devices, want %d", seen, devices, want)
		}
	}
	_, devs := fakes(1)
	o := staged(a, 2, true)
	o.Int8 = true
	if _, err := open(t, a, devs).Compile(o); err == nil ||
		!strings.Contains(err.Error(), "int8 weights in a program with gradients") {
		t.Errorf("a net that trains with int8 weights: %v", err)
	}
}

// A value before its activation can be kept; the activation then stands alone. fc8 has none, so fc8.pre is fc8.
func TestKeepBeforeActivation(t *testing.T) {
	plan, err := newPlan(load(t, "demo"), 2, Options{Rows: 1, Keep: []string{"conv1.pre", "fc5.pre", "prob", "input"}})
	if err != nil {
		t.Fatal(err)
	}
	for d := range plan.Programs {
		p := &plan.Programs[d]
		if act := find[*device.Conv](t, p, "conv1").Act; act != device.Linear {
			t.Errorf("device %d: conv1 has activation %v", d, act)
		}
		if act := find[*device.Activate](t, p, "conv1.act").Act; act != device.ReLU {
			t.Errorf("device %d: conv1.act is %v", d, act)
		}
		if act := find[*device.Conv](t, p, "conv2").Act; act != device.ReLU {
			t.Errorf("device %d: conv2 has activation %v", d, act)
		}
		var kept []string
		for _, v := range p.Keep {
			kept = append(kept, p.Values[v].Name)
		}
		if want := [][]string{{"conv1.pre", "fc5"}, {"conv1.pre"}}[d]; !slices.Equal(kept, want) {
			t.Errorf("device %d keeps %v, want %v", d, kept, want)
		}
	}
	_, err = newPlan(load(t, "fig1"), 1, Options{Rows: 1, Keep: []string{"conv4"}})
	wantUsage(t, err, "the net has no layer conv4; nearest: conv1; there are input, conv1.pre, conv1, pool1, act1, "+
		"conv2.pre, conv2, pool2, "+
		"conv3.pre, conv3, pool3, fc10.pre, fc10, prob")
}
