// Package lockfile takes files for one process alone, by flock: the kernel gives the lock back when its holder ends,
// however it ends, so what a killed process left behind is never in the way.
package lockfile

import "errors"

// ErrLocked says that another open file holds the lock.
var ErrLocked = errors.New("locked by another process")
