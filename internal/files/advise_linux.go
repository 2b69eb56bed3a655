package files

import "golang.org/x/sys/unix"

// WillNeed makes the system read ahead, into its own cache. It is only advice: what fails is found out by who reads.
func (f file) WillNeed(off, size int64) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.Fadvise(int(fd), off, size, unix.FADV_WILLNEED) })
}
