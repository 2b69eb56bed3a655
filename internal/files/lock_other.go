//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package files

import (
	"errors"
	"fmt"
	"runtime"
)

// Lock fails: without flock two trainers could write one file.
func (f file) Lock() error {
	return fmt.Errorf("%s: locking files is not supported on %s: %w", f.Name(), runtime.GOOS, errors.ErrUnsupported)
}
