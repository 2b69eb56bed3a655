//go:build cgo && dnnl && linux

package cpu

import (
	"errors"
	"testing"

	"alexnet/internal/device"
)

// A batch of which oneDNN would count 2^32 numbers as 0, and divide by that, is refused; the largest that is named is
// taken.
func TestCountable(t *testing.T) {
	p := &device.Program{
		Rows: 1 << 16, Values: []device.ValueInfo{
			{Shape: device.Shape{C: 3, H: 8, W: 8}}, {Shape: device.Shape{C: 100, H: 64, W: 64}},
		},
	}
	var batch *device.BatchError
	if err := countable(p); !errors.As(err, &batch) || batch.Largest != 5242 {
		t.Fatalf("error %v, largest %+v, want 5242", err, batch)
	}
	if p.Rows = batch.Largest; countable(p) != nil {
		t.Errorf("%d rows: %v", p.Rows, countable(p))
	}
}
