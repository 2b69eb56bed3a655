//go:build cuda

package cuda

// #include <cuda.h>
import "C"

import (
	"errors"
	"runtime"

	"gorgonia.org/cu"
)

// Info is what the driver tells about a GPU.
type Info struct {
	Ordinal      int
	Name         string // "NVIDIA H100 80GB HBM3"
	Memory       int64  // bytes
	Major, Minor int    // compute capability
	PCI          string // "0000:17:00.0"
	Processors   int    // multiprocessors
}

// Count is the number of GPUs that the process may use; CUDA_VISIBLE_DEVICES hides others.
func Count() (int, error) {
	n, err := cu.NumDevices()
	return n, Wrap("cuDeviceGetCount", err)
}

// Describe asks the driver about a GPU.
func Describe(ordinal int) (i Info, err error) {
	i.Ordinal = ordinal
	d, err := cu.GetDevice(ordinal)
	if err != nil {
		return i, Wrap("cuDeviceGet", err)
	}
	if i.Name, err = d.Name(); err != nil {
		return i, Wrap("cuDeviceGetName", err)
	}
	if i.Memory, err = d.TotalMem(); err != nil {
		return i, Wrap("cuDeviceTotalMem", err)
	}
	for _, a := range []struct {
		name cu.DeviceAttribute
		to   *int
	}{
		{cu.ComputeCapabilityMajor, &i.Major}, {cu.ComputeCapabilityMinor, &i.Minor}, {
			cu.MultiprocessorCount, &i.Processors,
		},
	} {
		if *a.to, err = d.Attribute(a.name); err != nil {
			return i, Wrap("cuDeviceGetAttribute", err)
		}
	}
	var bus [32]C.char
	if err := driver("cuDeviceGetPCIBusId", C.cuDeviceGetPCIBusId(&bus[0], C.int(len(bus)), C.CUdevice(d))); err !=
		nil {
		return i, err
	}
	i.PCI = C.GoString(&bus[0])
	return i, nil
}

// CanAccess tells whether kernels and copies of one GPU may reach into another's memory.
func CanAccess(from, to int) (bool, error) {
	yes, err := cu.Device(from).CanAccessPeer(cu.Device(to))
	return yes != 0, Wrap("cuDeviceCanAccessPeer", err)
}

// Context is a GPU's primary context: that of the runtime library and of other frameworks in the process. It is
// retained while open.
type Context struct {
	Ordinal int
	ctx     cu.CUContext
}

// OpenContext retains the primary context of a GPU.
func OpenContext(ordinal int) (*Context, error) {
	ctx, err := cu.Device(ordinal).RetainPrimaryCtx()
	if err != nil {
		return nil, Wrap("cuDevicePrimaryCtxRetain", err)
	}
	return &Context{Ordinal: ordinal, ctx: ctx}, nil
}

// Close gives it back.
func (c *Context) Close() error {
	return Wrap("cuDevicePrimaryCtxRelease", cu.Device(c.Ordinal).ReleasePrimaryCtx())
}

// Enter makes the context current on this thread and keeps the goroutine there until Leave.
func (c *Context) Enter() error {
	runtime.LockOSThread()
	return Wrap("cuCtxSetCurrent", cu.SetCurrentContext(c.ctx))
}

// Leave lets the goroutine change threads again.
func (c *Context) Leave() { runtime.UnlockOSThread() }

// C is the context as gorgonia.org/cu's copies between devices want it.
func (c *Context) C() cu.CUContext { return c.ctx }

// Reach lets the current context, which must not be peer's, reach into peer's memory.
func (c *Context) Reach(peer *Context) error {
	if err := peer.ctx.EnablePeerAccess(0); err != nil && !errors.Is(err, cu.PeerAccessAlreadyEnabled) {
		return Wrap("cuCtxEnablePeerAccess", err)
	}
	return nil
}

// Withdraw takes that back.
func (c *Context) Withdraw(peer *Context) error {
	return Wrap("cuCtxDisablePeerAccess", peer.ctx.DisablePeerAccess())
}
