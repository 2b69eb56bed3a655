package reference

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDevice(t *testing.T) {
	devicetest.Run(t, func(t *testing.T, n int) []device.Device {
		devs := Open(n)
		for i := range devs {
			t.Cleanup(func() {
				if err := devs[i].Close(); err != nil {
					t.Error(err)
				}
			})
		}
		return devs
	})
}

func TestNames(t *testing.T) {
	if name := Open(1)[0].Name(); name != "reference" {
		t.Errorf("one device is called %s", name)
	}
	if two := Open(2); two[0].Name() != "reference:0" || two[1].Name() != "reference:1" {
		t.Errorf("two devices are called %s and %s", two[0].Name(), two[1].Name())
	}
}

func TestRefusesOtherPrecisions(t *testing.T) {
	for _, precision := range []device.Precision{device.TF32, device.BF16} {
		d := New()
		p := program(t, d, true)
		p.Precision = precision
		if _, err := d.Compile(p); err == nil || !strings.Contains(err.Error(), precision.String()) {
			t.Errorf("%v: %v", precision, err)
		}
	}
}
