//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"unsafe"

	"alexnet/internal/device"
)

// probe measures the device's cores: see device.Probe.
type probe struct {
	dev    *Device
	half   C.int     // 2: on tiles
	bytes  C.int64_t // of each of the three arrays
	arrays *C.float
	sink   []float32
}

// Probe takes memory for three arrays that do not fit into the last cache.
func (d *Device) Probe(p device.Precision) (device.Probe, error) {
	if err := d.Supports(p); err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	b := &probe{dev: d, half: flag(p == device.BF16), bytes: C.cpu_probe_bytes(), sink: make([]float32, 16*d.threads)}
	if b.half != 0 && amx() {
		b.half = 2
	}
	if b.arrays = (*C.float)(C.cpu_arena(3 * b.bytes)); b.arrays == nil {
		return nil, fmt.Errorf("%s: no memory: %d MiB for measuring memory", d.name, 3*b.bytes>>20)
	}
	// until it is written all of it is one page of zeros
	if err := d.do(func() { C.cpu_zero(unsafe.Pointer(b.arrays), 3*b.bytes) }); err != nil {
		b.Close()
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return b, nil
}

func (b *probe) Instructions() string { return C.GoString(C.cpu_probe_name(b.half)) }

func (b *probe) Multiply() (operations float64) {
	_ = b.dev.do(func() { // fails after Close only: nothing was multiplied
		operations = float64(C.cpu_probe_multiply(b.half, C.int(b.dev.threads), (*C.float)(&b.sink[0])))
	})
	return operations
}

func (b *probe) Triad() (bytes float64) {
	_ = b.dev.do(func() { bytes = float64(C.cpu_probe_triad(b.arrays, b.bytes)) })
	return bytes
}

func (b *probe) Close() {
	C.cpu_arena_free(unsafe.Pointer(b.arrays), 3*b.bytes)
}
