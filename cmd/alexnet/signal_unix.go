//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// A limit on the size of files (ulimit -f) then is an error of the write, as a full disk is, and not the end of the
// process.
func init() { signal.Ignore(syscall.SIGXFSZ) }
