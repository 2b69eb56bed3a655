package data

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// memory is what this process may use, in bytes: the machine's, or what a container (control group v2) leaves of it.
func memory() int64 {
	n := int64(assumedMemory)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		n = int64(uint64(info.Totalram) * uint64(info.Unit)) //nolint:unconvert // 32 bits wide on some machines
	}
	if limit, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if m, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil {
			n = min(n, m)
		}
	}
	return n
}
