package infer

import (
	"bytes"
	"slices"
	"testing"

	"alexnet/internal/builtin"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/model"
	"alexnet/internal/sharedtest"
	"alexnet/internal/step"
)

// form is how the weights and values of a net are rounded.
type form struct {
	precision string
	int8      bool
}

// TestInt8Answers: the built-in net errs as often with int8 weights as without, and gives nearly all of CIFAR-10's test
// pictures the same name.
func TestInt8Answers(t *testing.T) {
	set := cifar(t)
	devs := cpus(t)
	var exact []int
	for _, f := range []form{{"fp32", false}, {"fp32", true}, {"bf16", false}, {"bf16", true}} {
		if f.precision == "bf16" && device.Supports(devs[0], device.BF16) != nil {
			continue
		}
		names := answers(t, devs, f, set)
		wrong, others := 0, 0
		for i, name := range names {
			if name != int(set.Label(i)) {
				wrong++
			}
			if exact != nil && name != exact[i] {
				others++
			}
		}
		t.Logf("%s, int8 %v: %d of %d wrong, %d others than in fp32", f.precision, f.int8, wrong, len(names), others)
		if exact == nil {
			exact = names
		}
		if wrong > len(names)/5 || others > len(names)/400 {
			t.Errorf("%s, int8 %v: %d of %d wrong, %d others than in fp32", f.precision, f.int8, wrong, len(names),
				others)
		}
	}
}

// cifar are the test pictures of CIFAR-10.
func cifar(t *testing.T) *data.Set {
	t.Helper()
	src, err := data.Open(t.Context(), files.OS, data.At(sharedtest.Data(t, "cifar10-test.tar")), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src.Train
}

// cpus is a cpu device; skipped without oneDNN.
func cpus(t *testing.T) []device.Device {
	t.Helper()
	if err := cpu.Available(); err != nil {
		t.Skip(err)
	}
	devs, err := cpu.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { devs[0].Close() })
	return devs
}

// answers are the numbers of the most probable classes.
func answers(t *testing.T, devs []device.Device, f form, set *data.Set) []int {
	t.Helper()
	c, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Config = bytes.Replace(c.Config, []byte("precision: fp32"), []byte("precision: "+f.precision), 1)
	if cfg, err := config.Parse(c.Config, nil); err != nil || cfg.Train.Precision != f.precision {
		t.Fatalf("the built-in net's configuration is not in %s: %v", f.precision, err)
	}
	n, err := open(c, devs, func(int) int { return 100 }, false, model.Options{Int8: f.int8})
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	l, err := data.NewLoader(t.Context(), set, data.LoaderOptions{
		Batch: n.rows, Recipe: n.recipe, Workers: 2, Slots: step.Slots{Net: n.net},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var names []int
	for len(names) < set.Len() {
		info, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		n.net.Forward(n.net.Slot(info.Slot), model.Pass{Rows: info.Rows, Divisor: 1})
		prob := make([]float32, info.Rows*n.arch.Classes)
		if err := n.net.Probabilities(prob).Wait(); err != nil {
			t.Fatal(err)
		}
		for row := range slices.Chunk(prob, n.arch.Classes) {
			names = append(names, slices.Index(row, slices.Max(row)))
		}
	}
	return names
}
