//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"slices"
	"sync/atomic"
	"unsafe"

	"alexnet/internal/device"
)

// buffer is a piece of an arena. Times are places in the walk forward and back: buffers that are never in use at the
// same time share memory.
type buffer struct {
	purpose     string
	bytes       int64
	first, last int
	offset      int64          // in the arena
	data        unsafe.Pointer // after Alloc
}

// use notes that the buffer holds something at that time.
func (b *buffer) use(time int) *buffer {
	b.first, b.last = min(b.first, time), max(b.last, time)
	return b
}

func (b *buffer) floats() *C.float { return (*C.float)(b.data) }

// slice is the buffer's memory as Go sees it: valid until the arena is freed.
func (b *buffer) slice() []float32 { return unsafe.Slice((*float32)(b.data), b.bytes/4) }

// arena is memory for one purpose.
type arena struct {
	purpose string
	bytes   int64
	buffers []*buffer
	data    unsafe.Pointer
}

const (
	page     = 4 << 10
	hugePage = 2 << 20
	line     = 64 // bytes of the widest vector and of a line of the cache
)

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

// arenas plans one arena for each purpose.
func arenas(buffers []*buffer) []*arena {
	var all []*arena
	for _, purpose := range []string{
		device.PurposeWeights, device.PurposeMomentum, device.PurposeGradients, device.PurposePacked,
		device.PurposeActivations, device.PurposeBackward, device.PurposeWorkspace, device.PurposeStaging,
		device.PurposeExchange,
	} {
		a := &arena{purpose: purpose}
		for _, b := range buffers {
			if b.purpose == purpose && b.bytes > 0 {
				a.buffers = append(a.buffers, b)
			}
		}
		if len(a.buffers) > 0 {
			a.pack()
			all = append(all, a)
		}
	}
	return all
}

// pack gives each buffer, the largest first, the lowest place that is free all the time it is in use.
func (a *arena) pack() {
	largest := slices.Clone(a.buffers)
	slices.SortStableFunc(largest, func(x, y *buffer) int { return int(y.bytes - x.bytes) })
	var placed []*buffer // by offset
	for _, b := range largest {
		align := int64(line)
		if b.bytes >= 16*page {
			align = page
		}
		b.offset = 0
		for _, p := range placed {
			if b.last < p.first || p.last < b.first {
				continue
			}
			if b.offset+b.bytes <= p.offset {
				break
			}
			b.offset = max(b.offset, roundUp(p.offset+p.bytes, align))
		}
		at, _ := slices.BinarySearchFunc(placed, b.offset, func(p *buffer, offset int64) int {
			return int(p.offset - offset)
		})
		placed = slices.Insert(placed, at, b)
		a.bytes = max(a.bytes, b.offset+b.bytes)
	}
	a.bytes = roundUp(a.bytes, page)
	if a.bytes >= hugePage {
		a.bytes = roundUp(a.bytes, hugePage)
	}
}

// arenaBytes counts what all arenas of the process hold now: tests compare it with the plans.
var arenaBytes atomic.Int64

func (a *arena) alloc() error {
	if a.data != nil {
		return nil
	}
	if a.data = C.cpu_arena(C.int64_t(a.bytes)); a.data == nil {
		return fmt.Errorf("no memory: %d MiB for %s", (a.bytes+1<<20-1)>>20, a.purpose)
	}
	arenaBytes.Add(a.bytes)
	for _, b := range a.buffers {
		b.data = unsafe.Add(a.data, b.offset)
	}
	return nil
}

func (a *arena) free() {
	if a.data == nil {
		return
	}
	C.cpu_arena_free(a.data, C.int64_t(a.bytes))
	arenaBytes.Add(-a.bytes)
	a.data = nil
	for _, b := range a.buffers {
		b.data = nil
	}
}

func allocAll(all []*arena) error {
	for _, a := range all {
		if err := a.alloc(); err != nil {
			return err
		}
	}
	return nil
}

func freeAll(all []*arena) {
	for _, a := range all {
		a.free()
	}
}
