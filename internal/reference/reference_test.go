package reference

import (
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDevice(t *testing.T) {
	devicetest.Run(t, func(t *testing.T, n int) []device.Device {
		devs := make([]device.Device, n)
		for i := range devs {
			devs[i] = New()
			t.Cleanup(func() {
				if err := devs[i].Close(); err != nil {
					t.Error(err)
				}
			})
		}
		return devs
	})
}
