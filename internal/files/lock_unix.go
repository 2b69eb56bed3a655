//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package files

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	noFollow = unix.O_NOFOLLOW // of OpenFile: a link in the place of the file itself is an error

	// NonBlock makes OpenFile of a pipe that nobody reads fail with ENXIO instead of waiting, and lets Close end a
	// Write that waits.
	NonBlock = unix.O_NONBLOCK
)

func (f file) Lock() error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("%s: %w", f.Name(), ErrLocked)
		default:
			return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}
