//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"
)

// Launch is a kernel with its arguments, to be launched as often as wanted. Each argument has a cell of 8 bytes, for
// gorgonia.org/cu reads 8 of each.
type Launch struct {
	call    string // for errors
	fn      cu.Function
	blocks  int
	threads int
	cells   []uint64
	args    []unsafe.Pointer
}

// NewLaunch takes device pointers (cu.DevicePtr), integers and floats, which become doubles.
func NewLaunch(name string, fn cu.Function, blocks, threads int, args ...any) *Launch {
	l := &Launch{
		call: "cuLaunchKernel(" + name + ")", fn: fn, blocks: blocks, threads: threads,
		cells: make([]uint64, len(args)), args: make([]unsafe.Pointer, len(args)),
	}
	for i, a := range args {
		l.cells[i] = cell(a)
		l.args[i] = unsafe.Pointer(&l.cells[i])
	}
	return l
}

func cell(a any) uint64 {
	switch a := a.(type) {
	case cu.DevicePtr:
		return uint64(a)
	case int:
		return uint64(a)
	case int64:
		return uint64(a)
	case uint64:
		return a
	case uint32:
		return uint64(a)
	case float32:
		return math.Float64bits(float64(a))
	case float64:
		return math.Float64bits(a)
	}
	panic(fmt.Sprintf("cuda: an argument of type %T", a))
}

// Run enqueues the kernel.
func (l *Launch) Run(s cu.Stream) error {
	return Wrap(l.call, l.fn.Launch(l.blocks, 1, 1, l.threads, 1, 1, 0, s, l.args))
}
