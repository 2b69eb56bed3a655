package reference_test

import (
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/reference"
)

func TestGoldenTmp(t *testing.T) {
	devicetest.RunGolden(t, func(t *testing.T, n int) []device.Device {
		d := reference.New()
		t.Cleanup(func() { d.Close() })
		return []device.Device{d}
	})
}
