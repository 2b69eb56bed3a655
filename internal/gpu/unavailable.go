//go:build !cuda

package gpu

import (
	"errors"

	"alexnet/internal/device"
	"alexnet/internal/gpu/dynlib"
)

// Built tells that this build has the device; whether it runs, Available says.
const Built = false

// Available tells why no GPU can be used.
func Available() error {
	return &Unavailable{&dynlib.Error{
		What: "this build computes on the CPU only", Err: errors.New("it holds no CUDA kernels"),
		Advice: "make cuda builds the program with CUDA (Linux on x86-64)",
	}}
}

// Count is 0: this build knows of no GPU.
func Count() int { return 0 }

// Version is empty: this build has no CUDA.
func Version() string { return "" }

// Open fails: this build has no CUDA.
func Open([]int, Options) ([]device.Device, error) { return nil, Available() }

// Look fails: this build has no CUDA.
func Look() (*Facts, error) { return nil, Available() }
