// Package reference is a device in plain Go: every op as the loops of its definition, so that fast backends have
// something obvious to disagree with, and so that the program runs where nothing else is installed. Convolutions and
// fully connected layers go through gonum's matrix product, which makes it slow but usable (some thirtieth of a good
// library's speed on a wide vector unit).
//
// Ops run at once, in the caller's goroutine, spread over the cores by rows of the batch. What a core works on, and the
// order of every sum, is fixed by the shapes alone: the same step gives the same bits, however many cores take part.
//
// Each op's arithmetic is a function over float32 or float64, one op a file. The device uses float32; the same in
// float64, [Open64], is there to hold gradients against finite differences, and other devices' rounding against.
//
// It may import packages device and backend and gonum's BLAS, nothing else of the program except philox.
package reference

import (
	"fmt"
	"runtime"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// Device is the reference device. It implements device.Device.
type Device struct {
	backend.Activity
	name   string
	double bool // computes in float64
	closed bool
}

// New gives a device named "reference".
func New() *Device { return &Device{name: "reference"} }

// Open gives n devices: "reference", or where there are several "reference:0", "reference:1" and so on. They are the
// same but for their names; all run in the goroutine that calls them.
func Open(n int) []device.Device {
	if n == 1 {
		return []device.Device{New()}
	}
	all := make([]device.Device, n)
	for i := range all {
		all[i] = &Device{name: fmt.Sprintf("reference:%d", i)}
	}
	return all
}

// Open64 gives the device "reference64", which computes in float64: what the gradients and the rounding of other
// devices are held against. What crosses package device's border is float32 all the same, but for its nets' Fetch64
// (device.Precise).
func Open64() device.Device { return &Device{name: "reference64", double: true} }

// Name is "reference", or "reference:0" of several.
func (d *Device) Name() string { return d.name }

// Hardware is the architecture: all processors of one round alike.
func (d *Device) Hardware() string { return runtime.GOARCH }

// Supports refuses all but fp32.
func (d *Device) Supports(p device.Precision) error {
	if p == device.FP32 {
		return nil
	}
	return &device.PrecisionError{Precision: p, Reason: "this backend computes only in fp32"}
}

// Close has nothing to end, for the device owns no threads: it refuses what comes later.
func (d *Device) Close() error {
	d.closed = true
	return nil
}

// NewParams declares parameters. Memory comes with the first Alloc of a net compiled on them.
func (d *Device) NewParams(specs []device.ParamSpec) (device.Params, error) {
	if d.closed {
		return nil, fmt.Errorf("%s: %w", d.name, backend.ErrDeviceClosed)
	}
	if err := backend.CheckSpecs(specs); err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	if d.double {
		return newParams[float64](d, specs), nil
	}
	return newParams[float32](d, specs), nil
}

// Compile checks the program and lays out its memory. It refuses every precision but fp32.
func (d *Device) Compile(p device.Program) (device.Net, error) {
	if d.closed {
		return nil, fmt.Errorf("%s: %w", d.name, backend.ErrDeviceClosed)
	}
	if d.double {
		return compile[float64](d, p)
	}
	return compile[float32](d, p)
}

func compile[T Float](d *Device, p device.Program) (device.Net, error) {
	params, ok := p.Params.(*params[T])
	own := ok && params.dev == d
	if err := backend.CheckProgram(d, &p, own, own && params.nets > 0); err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	params.compiled(&p)
	return newNet(d, p, params), nil
}
