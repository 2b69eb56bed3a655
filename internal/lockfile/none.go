//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package lockfile

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Acquire fails: without flock two trainers could write one file.
func Acquire(path string) (*os.File, error) {
	return nil, fmt.Errorf("%s: locking files is not supported on %s: %w", path, runtime.GOOS, errors.ErrUnsupported)
}
