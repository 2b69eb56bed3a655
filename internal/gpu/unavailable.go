//go:build !cuda

package gpu

import (
	"fmt"

	"alexnet/internal/device"
)

// Built tells that this build has the device; whether it runs, Available says.
const Built = false

// Available tells why no GPU can be used.
func Available() error {
	return fmt.Errorf("%w: this build computes on the CPU only, it holds no CUDA kernels", ErrUnavailable)
}

// Count is 0: this build knows of no GPU.
func Count() int { return 0 }

// Open fails: this build has no CUDA.
func Open([]int, Options) ([]device.Device, error) { return nil, Available() }

// Look fails: this build has no CUDA.
func Look() (*Facts, error) { return nil, Available() }
