//go:build cuda

package gpu

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/gpu/cuda"
	"alexnet/internal/gpu/dynlib/dynlibtest"
	"alexnet/kernels"
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
	devicetest.Run(t, func(t *testing.T, n int) []device.Device {
		return openDevices(t, Options{Deterministic: true}, n)
	})
}

func TestHalf(t *testing.T) {
	if err := device.Supports(openDevices(t, Options{}, 1)[0], device.BF16); err != nil {
		t.Skip(err)
	}
	devicetest.RunHalf(t, func(t *testing.T, n int) []device.Device { return openDevices(t, Options{}, n) }, false)
}

// Int8 weights are refused with the layer's name.
func TestRefusesInt8(t *testing.T) {
	d := openDevices(t, Options{}, 1)[0]
	params, err := d.NewParams([]device.ParamSpec{
		{Name: "fc6.weight", Shape: []int{4, 12}}, {Name: "fc6.bias", Shape: []int{4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer params.Close()
	_, err = d.Compile(device.Program{
		Rows: 1, Params: params, Input: device.Input{Channels: 3, Height: 2, Width: 2},
		Values: []device.ValueInfo{
			{Name: "input", Shape: device.Shape{C: 3, H: 2, W: 2}}, {
				Name: "fc6", Shape: device.Shape{C: 4, H: 1, W: 1},
			},
		},
		Ops: []device.Spec{&device.FC{
			Op: device.Op{Name: "fc6", In: []device.Value{0}, Out: 1}, Weight: 0, Bias: 1, Int8: true,
		}},
	})
	if !errors.As(err, new(*device.Int8Error)) ||
		!strings.Contains(err.Error(), d.Name()+": fc6: GPUs have no int8 weights") {
		t.Errorf("refusal of int8 weights: %v", err)
	}
}

// Two logical devices on one GPU are two devices like any.
func TestOneGPU(t *testing.T) {
	devicetest.RunPairs(t, func(t *testing.T, n int) []device.Device {
		return openOn(t, Options{Deterministic: true}, make([]int, n)...)
	})
}

// runColumns is the part of the suite that is about two devices.
func runColumns(t *testing.T) {
	devicetest.RunPairs(t, func(t *testing.T, n int) []device.Device {
		return openDevices(t, Options{Deterministic: true}, n)
	})
}

// A launch takes nothing that C's memory held before for a pointer of Go's. Where it does, the collector that runs
// meanwhile ends the program: "found pointer to free object".
func TestLaunchWhileCollecting(t *testing.T) {
	d := openDevices(t, Options{}, 1)[0].(*Device)
	// 112 bytes of addresses of arguments; of numbers 0 x 1 x 1 x 1 nothing is copied
	args := []any{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1}
	empty := cuda.NewLaunch("copy_f32", d.functs["copy_f32"], 1, kernels.Threads, args...)
	kept := make([]*[14]uint64, 4000)
	for i := range kept {
		kept[i] = new([14]uint64)
	}
	var freed []uint64
	for i := 0; i < len(kept); i += 2 { // those between keep the collector's spans in use
		freed = append(freed, uint64(uintptr(unsafe.Pointer(kept[i]))))
		kept[i] = nil
	}
	runtime.GC()
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	err := d.do(func() error {
		for i := 0; now.NumGC < before.NumGC+50; i++ {
			dynlibtest.Leave(8*len(args), freed[i%len(freed)])
			if err := empty.Run(d.main); err != nil {
				return err
			}
			if i%100 == 0 {
				runtime.ReadMemStats(&now)
			}
		}
		return d.main.Synchronize()
	})
	close(stop)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(kept)
}
