//go:build cgo && dnnl && linux

package cpu

import (
	"testing"
	"time"

	"alexnet/internal/device"
)

// What the probe says it did is possible for a processor: the loops were not optimised away. (A factor of two would not
// be noticed.)
func TestProbe(t *testing.T) {
	d := openDevices(t, 1)[0].(*Device)
	for _, precision := range []device.Precision{device.FP32, device.BF16} {
		if d.Supports(precision) != nil {
			continue
		}
		p, err := d.Probe(precision)
		if err != nil {
			t.Fatal(err)
		}
		rate := func(f func() float64) float64 {
			best := 0.
			for range 5 {
				start := time.Now()
				amount := f()
				best = max(best, amount/time.Since(start).Seconds())
			}
			return best / float64(d.threads)
		}
		flops, bytes := rate(p.Multiply), rate(p.Triad)
		p.Close()
		t.Logf("%v, %s: %.4g operations and %.4g bytes a second a thread", precision, p.Instructions(), flops, bytes)
		// From a crowded 1 GHz core without vectors to 6 GHz with tiles, 1024 operations a cycle; memory of .1 to 200
		// GB/s.
		if flops < 2e8 || flops > 6e9*1024 || bytes < 1e8 || bytes > 2e11 {
			t.Errorf("%v: %.4g operations and %.4g bytes a second a thread", precision, flops, bytes)
		}
	}
	if _, err := d.Probe(device.TF32); err == nil {
		t.Error("a probe of tf32")
	}
}
