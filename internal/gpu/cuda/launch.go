//go:build cuda

package cuda

/*
#include <cuda.h>

// The driver wants the address of each argument. C makes the list of them. gorgonia.org/cu's Function.Launch writes it
// from Go into memory of malloc's: then Go's write barrier takes what was left there for a pointer of Go's. Where by
// chance it is one, the program ends with "found pointer to free object" (golang/go#45364).
static CUresult launch(CUfunction f, unsigned blocks, unsigned threads, CUstream stream, unsigned long long *cells,
	int n) {
	void *args[n + 1];
	for (int i = 0; i < n; i++) args[i] = cells + i;
	return cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, 0, stream, args, 0);
}
*/
import "C"

import (
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"alexnet/internal/gpu/dynlib"
)

// Launch is a kernel with its arguments, to be launched as often as wanted. Each argument has a cell of 8 bytes.
type Launch struct {
	call    string // for errors
	fn      cu.Function
	blocks  int
	threads int
	cells   []C.ulonglong
}

// NewLaunch takes device pointers (cu.DevicePtr), integers and floats, which become doubles.
func NewLaunch(name string, fn cu.Function, blocks, threads int, args ...any) *Launch {
	l := &Launch{
		call: "cuLaunchKernel(" + name + ")", fn: fn, blocks: blocks, threads: threads,
		cells: make([]C.ulonglong, len(args)),
	}
	for i, a := range args {
		l.cells[i] = C.ulonglong(cell(a))
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
	return driver(l.call, C.launch(C.CUfunction(dynlib.Raw(&l.fn)), C.uint(l.blocks), C.uint(l.threads), stream(s),
		unsafe.SliceData(l.cells), C.int(len(l.cells))))
}
