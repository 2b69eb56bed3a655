//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package files

import (
	"errors"
	"fmt"
	"runtime"
)

// noFollow and NonBlock are flags that these systems lack: a look before opening has to do.
const (
	noFollow = 0
	NonBlock = 0
)

// Lock fails: it is for the caller to go on without.
func (f file) Lock() error {
	return fmt.Errorf("%s: locking files is not supported on %s: %w", f.Name(), runtime.GOOS, errors.ErrUnsupported)
}
