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
	"alexnet/internal/device/backend"
)

// buffer is a piece of an arena. Times are places in the walk forward and back.
type buffer struct {
	backend.Buffer
	data unsafe.Pointer // after Alloc
}

// use notes that the buffer holds something at that time.
func (b *buffer) use(time int) *buffer {
	b.Life.Extend(time)
	return b
}

func (b *buffer) floats() *C.float { return (*C.float)(b.data) }

// slice is the buffer's memory as Go sees it: valid until the arena is freed.
func (b *buffer) slice() []float32 { return unsafe.Slice((*float32)(b.data), b.Bytes/4) }

// arena is memory for one purpose.
type arena struct {
	backend.Arena[*buffer]
	data unsafe.Pointer
}

const (
	page     = 4 << 10
	hugePage = 2 << 20
	line     = 64 // bytes of the widest vector and of a line of the cache
)

// purposes are what memory is planned for, in the order of the plan.
var purposes = []string{
	device.PurposeWeights, device.PurposeMomentum, device.PurposeGradients, device.PurposePacked,
	device.PurposeActivations, device.PurposeBackward, device.PurposeWorkspace, device.PurposeStaging,
	device.PurposeExchange,
}

// arenas plans one arena for each purpose, of whole pages.
func arenas(buffers []*buffer) []*arena {
	var all []*arena
	for _, a := range backend.Arenas(buffers, alignment) {
		a.Bytes = backend.RoundUp(a.Bytes, page)
		if a.Bytes >= hugePage {
			a.Bytes = backend.RoundUp(a.Bytes, hugePage)
		}
		all = append(all, &arena{Arena: a})
	}
	slices.SortFunc(all, func(a, b *arena) int {
		return slices.Index(purposes, a.Purpose) - slices.Index(purposes, b.Purpose)
	})
	return all
}

// alignment is what a buffer of so many bytes begins at a multiple of.
func alignment(bytes int64) int64 {
	if bytes >= 16*page {
		return page
	}
	return line
}

// arenaBytes counts what all arenas of the process hold now: tests compare it with the plans.
var arenaBytes atomic.Int64

func (a *arena) alloc() error {
	if a.data != nil {
		return nil
	}
	if a.data = C.cpu_arena(C.int64_t(a.Bytes)); a.data == nil {
		return fmt.Errorf("no memory: %d MiB for %s", (a.Bytes+1<<20-1)>>20, a.Purpose)
	}
	arenaBytes.Add(a.Bytes)
	for _, b := range a.Buffers {
		b.data = unsafe.Add(a.data, b.Offset)
	}
	return nil
}

func (a *arena) free() {
	if a.data == nil {
		return
	}
	C.cpu_arena_free(a.data, C.int64_t(a.Bytes))
	arenaBytes.Add(-a.Bytes)
	a.data = nil
	for _, b := range a.Buffers {
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
