//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// buffer is a piece of an arena. Times are places in the walk forward and back: buffers that are never in use at the
// same time share memory.
type buffer struct {
	purpose string
	bytes   int64
	life    backend.Life
	offset  int64          // in the arena
	data    unsafe.Pointer // after Alloc
}

// use notes that the buffer holds something at that time.
func (b *buffer) use(time int) *buffer {
	b.life.Extend(time)
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

// pack finds each buffer a place.
func (a *arena) pack() {
	pieces := make([]backend.Piece, len(a.buffers))
	for i, b := range a.buffers {
		pieces[i] = backend.Piece{Bytes: b.bytes, Life: b.life}
	}
	a.bytes = backend.RoundUp(backend.Pack(pieces, alignment), page)
	if a.bytes >= hugePage {
		a.bytes = backend.RoundUp(a.bytes, hugePage)
	}
	for i, b := range a.buffers {
		b.offset = pieces[i].Offset
	}
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
