//go:build cuda

package gpu

import (
	"os"
	"strings"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
)

// needGPU skips the test where there is no GPU; under make test-cuda, which brings emulated ones, it fails.
func needGPU(t testing.TB) {
	t.Helper()
	err := Available()
	if err != nil && !strings.Contains(os.Getenv("LD_LIBRARY_PATH"), "softgpu") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// openDevices opens n devices, on GPUs of their own as far as there are some.
func openDevices(t testing.TB, o Options, n int) []device.Device {
	t.Helper()
	needGPU(t)
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i % Count()
	}
	return openOn(t, o, numbers...)
}

func openOn(t testing.TB, o Options, numbers ...int) []device.Device {
	t.Helper()
	needGPU(t)
	devs, err := Open(numbers, o)
	if err != nil {
		t.Fatal(err)
	}
	return devicetest.CloseLater(t, devs)
}

func TestDevice(t *testing.T) {
	devicetest.Run(t, func(t *testing.T, n int) []device.Device { return openDevices(t, Options{Deterministic: true}, n) })
}

func TestHalf(t *testing.T) {
	if err := device.Supports(openDevices(t, Options{}, 1)[0], device.BF16); err != nil {
		t.Skip(err)
	}
	devicetest.RunHalf(t, func(t *testing.T, n int) []device.Device { return openDevices(t, Options{}, n) }, false)
}

// Two logical devices on one GPU are two devices like any.
func TestOneGPU(t *testing.T) {
	devicetest.RunPairs(t, func(t *testing.T, n int) []device.Device {
		return openOn(t, Options{Deterministic: true}, make([]int, n)...)
	})
}

// runColumns is the part of the suite that is about two devices.
func runColumns(t *testing.T) {
	devicetest.RunPairs(t, func(t *testing.T, n int) []device.Device { return openDevices(t, Options{Deterministic: true}, n) })
}
