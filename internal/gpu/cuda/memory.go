//go:build cuda

package cuda

// #include <cuda.h>
import "C"

import (
	"unsafe"

	"gorgonia.org/cu"
)

// Pinned is host memory that GPUs read and write by themselves, all of them.
type Pinned struct{ bytes []byte }

// AllocPinned takes pinned memory in the current context.
func AllocPinned(bytes int64) (*Pinned, error) {
	if bytes == 0 {
		return &Pinned{}, nil
	}
	var p unsafe.Pointer
	if err := driver("cuMemHostAlloc", C.cuMemHostAlloc(&p, C.size_t(bytes), C.CU_MEMHOSTALLOC_PORTABLE)); err != nil {
		return nil, err
	}
	return &Pinned{unsafe.Slice((*byte)(p), bytes)}, nil
}

// Free gives it back.
func (p *Pinned) Free() error {
	if p == nil || len(p.bytes) == 0 {
		return nil
	}
	err := Wrap("cuMemFreeHost", cu.MemFreeHost(unsafe.Pointer(&p.bytes[0])))
	p.bytes = nil
	return err
}

// At is the address of byte number offset.
func (p *Pinned) At(offset int64) unsafe.Pointer { return unsafe.Pointer(&p.bytes[offset]) }

// Slice is n numbers of pinned memory from byte number offset.
func Slice[T any](p *Pinned, offset int64, n int) []T {
	if n == 0 {
		return nil
	}
	var t T
	end := offset + int64(n)*int64(unsafe.Sizeof(t))
	return unsafe.Slice((*T)(unsafe.Pointer(&p.bytes[offset:end][0])), n)
}

// Alloc takes device memory in the current context; no bytes need none.
func Alloc(bytes int64) (cu.DevicePtr, error) {
	if bytes == 0 {
		return 0, nil
	}
	p, err := cu.MemAlloc(bytes)
	return p, Wrap("cuMemAlloc", err)
}

// Free gives device memory back.
func Free(p cu.DevicePtr) error {
	if p == 0 {
		return nil
	}
	return Wrap("cuMemFree", cu.MemFree(p))
}

// Write copies memory that is not pinned into the device, in the stream's order, and waits for it. cuMemcpyHtoD would
// return as soon as it has read the source, and a stream that does not block does not wait for what is left of the
// copy.
func Write(to cu.DevicePtr, from unsafe.Pointer, bytes int64, s cu.Stream) error {
	if err := cu.MemcpyHtoDAsync(to, from, bytes, s); err != nil {
		return Wrap("cuMemcpyHtoDAsync", err)
	}
	return Wrap("cuStreamSynchronize", s.Synchronize())
}
