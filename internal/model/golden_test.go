package model_test

import (
	"fmt"
	"testing"

	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/golden"
	"alexnet/internal/model/modeltest"
	"alexnet/internal/reference"
)

func openReference(t *testing.T, n int) []device.Device {
	return devicetest.CloseLater(t, reference.Open(n))
}

func openCPU(t *testing.T, n int) []device.Device {
	devs, err := cpu.Open(n)
	if err != nil {
		t.Fatal(err)
	}
	return devicetest.CloseLater(t, devs)
}

func TestGolden(t *testing.T) {
	t.Run("reference", func(t *testing.T) { modeltest.RunGolden(t, openReference) })
	t.Run("cpu", func(t *testing.T) {
		if !cpu.Built {
			t.Skip(cpu.Available())
		}
		modeltest.RunGolden(t, openCPU)
	})
}

func TestHalf(t *testing.T) {
	if !cpu.Built {
		t.Skip(cpu.Available())
	}
	if testing.Short() {
		t.Skip("the paper's net, in a short run")
	}
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprintf("on %d", n), func(t *testing.T) {
			devs := openCPU(t, n)
			if err := device.Supports(devs[0], device.BF16); err != nil {
				t.Skip(err)
			}
			modeltest.Half(t, devs)
		})
	}
}

// mistaken is a device that compiles something else than it was told.
type mistaken struct {
	device.Device
	alter func(device.Spec)
}

func (m mistaken) Compile(p device.Program) (device.Net, error) {
	for _, s := range p.Ops {
		m.alter(s)
	}
	return m.Device.Compile(p)
}

// A golden that lets a mistake pass is worth nothing. Each of these is one that implementations have made, and the ten
// steps must be off by ten times a gate or more.
func TestGoldenNotices(t *testing.T) {
	for _, c := range []struct {
		mistake string
		devices int
		alter   func(device.Spec)
		sets    []string
	}{
		{mistake: "alpha not divided by size", sets: []string{"model.lrn1.alpha=2.5", "model.lrn2.alpha=2.5"}},
		{mistake: "lrn across the border of the columns", alter: func(s device.Spec) {
			if l, ok := s.(*device.LRN); ok {
				l.Groups = 1
			}
		}},
		{mistake: "lrn with k of 1", sets: []string{"model.lrn2.k=1"}},
		{mistake: "lrn left out", sets: []string{"model.lrn1=off"}},
		{mistake: "average for maximum", sets: []string{"model.pool1.pool=avg"}},
		{mistake: "maximum for average", sets: []string{"model.pool2.pool=max"}},
		{mistake: "relu for tanh", sets: []string{"model.fc5.act=relu"}},
		{mistake: "no activation", sets: []string{"model.conv3.act=none"}},
		{mistake: "no dropout", sets: []string{"train.dropout=false"}},
		{mistake: "another rate of dropout", sets: []string{"model.drop5.rate=0.5"}},
		{mistake: "masks of another layer", alter: func(s device.Spec) {
			if d, ok := s.(*device.Dropout); ok {
				d.Stream++
			}
		}},
		{mistake: "the same mask in both columns", devices: 2, alter: func(s device.Spec) {
			if d, ok := s.(*device.Dropout); ok {
				d.FirstUnit = 0
			}
		}},
		{mistake: "no decay", sets: []string{"train.weight_decay=0"}},
		{mistake: "biases decay", sets: []string{"train.bias_decay=0.0005"}},
		{mistake: "biases at the weights' rate", sets: []string{"train.bias_lr=1"}},
		{mistake: "momentum of .89", sets: []string{"train.momentum=0.89"}},
		{mistake: "a rate 1% too high", sets: []string{"train.lr=0.0202"}},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			devs := openReference(t, max(c.devices, 1))
			for i := range devs {
				if c.alter != nil {
					devs[i] = mistaken{devs[i], c.alter}
				}
			}
			d := modeltest.Steps(t, devs, c.sets)
			loss, change, momentum := d.Worst()
			t.Log(d)
			if max(loss/golden.Forward, change/golden.Gradient, momentum/golden.Gradient) < 10 {
				t.Error("the golden hardly notices it")
			}
		})
	}
}
