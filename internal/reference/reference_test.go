package reference

import (
	"fmt"
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

func TestInt8(t *testing.T) {
	devicetest.RunInt8(t, func(t *testing.T, n int) []device.Device { return devicetest.CloseLater(t, Open(n)) },
		device.FP32)
}

// TestDevice64: what is held to PyTorch and the part of the suite about two devices, in float64. Two such devices are
// made by hand, as Open64 gives one. The rest of the suite counts on float32's range.
func TestDevice64(t *testing.T) {
	open := func(t *testing.T, n int) []device.Device {
		var devs []device.Device
		for i := range n {
			d := Open64().(*Device)
			if n > 1 {
				d.name = fmt.Sprintf("reference64:%d", i)
			}
			devs = append(devs, d)
		}
		return devs
	}
	devicetest.RunGolden(t, open)
	devicetest.RunPairs(t, open)
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

func TestSupports(t *testing.T) {
	d := New()
	if err := device.Supports(d, device.FP32); err != nil {
		t.Error(err)
	}
	if err := device.Supports(d, device.BF16); err == nil || !strings.Contains(err.Error(), "bf16") {
		t.Errorf("bf16 on the reference: %v", err)
	}
}
