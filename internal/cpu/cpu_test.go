//go:build cgo && dnnl && linux

package cpu

import (
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
)

func openDevices(t testing.TB, n int) []device.Device {
	t.Helper()
	devs, err := Open(n)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		for _, d := range devs {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return devs
}

func TestDevice(t *testing.T) {
	devicetest.Run(t, func(t *testing.T, n int) []device.Device { return openDevices(t, n) })
}
