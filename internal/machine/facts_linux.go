package machine

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func read(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(b)
}

func system() string { return field(read("/etc/os-release"), "PRETTY_NAME", "=") }

func kernelRelease() string { return strings.TrimSpace(read("/proc/sys/kernel/osrelease")) }

func nvidia() string { return strings.TrimSpace(read("/sys/module/nvidia/version")) }

// model is the processor's name; ARM kernels give numbers instead.
func model() string {
	info := read("/proc/cpuinfo")
	if name := field(info, "model name", ":"); name != "" {
		return name
	}
	if part := field(info, "CPU part", ":"); part != "" {
		return "implementer " + field(info, "CPU implementer", ":") + ", part " + part
	}
	return ""
}

// flag tells whether the kernel lists a feature of the processor.
func flag(name string) bool {
	return slices.Contains(strings.Fields(field(read("/proc/cpuinfo"), "Features", ":")), name)
}

// online counts the machine's logical processors, those included that this process may not use.
func online() int {
	n := 0
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if strings.HasPrefix(line, "processor") {
			n++
		}
	}
	return n
}

// MemoryNow tells of the memory as it is now.
func MemoryNow() Memory {
	info := read("/proc/meminfo")
	m := Memory{Total: kilobytes(info, "MemTotal"), Available: kilobytes(info, "MemAvailable")}
	m.Limit, m.Used = groupLimit("/sys/fs/cgroup", read("/proc/self/cgroup"))
	return m
}

// groupLimit is the least memory limit of the process's control group (version 2) and of those around it, and what that
// group uses. Inside a container its own group is the root.
func groupLimit(root, self string) (limit, used int64) {
	at := "/"
	for line := range strings.Lines(self) {
		if own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			at = own
		}
	}
	for ; ; at = path.Dir(at) {
		if n, err := strconv.ParseInt(strings.TrimSpace(read(path.Join(root, at, "memory.max"))), 10, 64); err == nil &&
			(limit == 0 || n < limit) {
			limit = n
			// 0 where it is not told
			used, _ = strconv.ParseInt(strings.TrimSpace(read(path.Join(root, at, "memory.current"))), 10, 64)
		}
		if at == "/" || at == "." {
			return limit, used
		}
	}
}

func freeSpace(dir string) (int64, bool) {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // 32 bits wide on some machines
}

// Loaded is the file of the first shared library in this process whose name begins so; "" where none is.
func Loaded(name string) string {
	for line := range strings.Lines(read("/proc/self/maps")) {
		f := strings.Fields(line)
		if file := f[len(f)-1]; strings.HasPrefix(path.Base(file), name) {
			return file
		}
	}
	return ""
}
