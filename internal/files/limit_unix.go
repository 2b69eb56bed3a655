//go:build linux || darwin

package files

import "golang.org/x/sys/unix"

// Descriptors is how many files this process may have open at a time (ulimit -n).
func Descriptors() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return usualDescriptors
	}
	return int(min(l.Cur, 1<<20))
}
