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

// CPU is the processor's name; ARM kernels give numbers instead.
func CPU() string {
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
	status := read("/proc/self/status")
	if m.Total > 0 {
		m.Limits = append(m.Limits, Limit{Resident, "the machine's memory", m.Total, kilobytes(status, "VmRSS")})
	}
	groups := groupLimits("/", read("/proc/self/cgroup"), read("/proc/self/mountinfo"))
	for _, l := range groups {
		if m.Limit == 0 || l.Bytes < m.Limit {
			m.Limit, m.Used = l.Bytes, l.Used
		}
	}
	m.Limits = append(m.Limits, groups...)
	for _, r := range []struct {
		of       Bound
		resource int
		name     string
		used     string
	}{
		{Mapped, unix.RLIMIT_AS, "RLIMIT_AS (ulimit -v)", "VmSize"},
		{Writable, unix.RLIMIT_DATA, "RLIMIT_DATA (ulimit -d)", "VmData"},
	} {
		var limit unix.Rlimit
		if unix.Getrlimit(r.resource, &limit) == nil && limit.Cur < unlimited {
			m.Limits = append(m.Limits, Limit{r.of, r.name, int64(limit.Cur), kilobytes(status, r.used)})
		}
	}
	return m
}

// groupLimits are the limits of the process's control groups and of those around them, of both versions, from the
// texts of /proc/self/cgroup and mountinfo. Inside a container the paths that the former tells may be those outside: a
// part of them lies below the mount's root, or the mount is the group itself.
func groupLimits(root, self, mounts string) []Limit {
	var all []Limit
	for line := range strings.Lines(self) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			all = append(all, walkGroups(root, parts[2], mountOf(mounts, "cgroup2", ""), groupV2)...)
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			all = append(all, walkGroups(root, parts[2], mountOf(mounts, "cgroup", "memory"), groupV1)...)
		}
	}
	return all
}

// mount is where a hierarchy of groups is seen: its group at root lies at the path.
type mount struct{ root, at string }

// mountOf finds the mount of a file system type with a controller: lines of
//
//	36 35 0:30 /group /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
func mountOf(mounts, kind, controller string) *mount {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 || g[0] != kind {
			continue
		}
		if controller == "" || slices.Contains(strings.Split(g[2], ","), controller) {
			return &mount{unescape(f[3]), unescape(f[4])}
		}
	}
	return nil
}

// unescape is a path of mountinfo as it is: there blanks and the like are octal, "\\040".
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// walkGroups reads the limits of a group and of all above it, as far as the mount shows them.
func walkGroups(root, own string, m *mount, limits func(dir, name string) []Limit) []Limit {
	if m == nil {
		return nil
	}
	below, inside := strings.CutPrefix(path.Clean(own)+"/", strings.TrimSuffix(m.root, "/")+"/")
	if !inside { // a path from another point of view
		below = ""
	}
	var all []Limit
	for at := path.Join("/", below); ; at = path.Dir(at) {
		all = append(all, limits(path.Join(root, m.at, at), at)...)
		if at == "/" {
			return all
		}
	}
}

func groupV2(dir, name string) (all []Limit) {
	stat := read(path.Join(dir, "memory.stat"))
	used := number(read(path.Join(dir, "memory.current")))
	used = max(0, used-number(field(stat, "inactive_file", " "))-number(field(stat, "active_file", " ")))
	for _, file := range []string{"memory.max", "memory.high"} {
		if n := number(read(path.Join(dir, file))); n > 0 && n < unlimited {
			all = append(all, Limit{Resident, file + " of the control group " + name, n, used})
		}
	}
	return all
}

func groupV1(dir, name string) []Limit {
	n := number(read(path.Join(dir, "memory.limit_in_bytes")))
	if n <= 0 || n >= unlimited {
		return nil
	}
	stat := read(path.Join(dir, "memory.stat"))
	used := number(read(path.Join(dir, "memory.usage_in_bytes"))) - number(field(stat, "total_inactive_file", " ")) -
		number(field(stat, "total_active_file", " "))
	return []Limit{{Resident, "memory.limit_in_bytes of the control group " + name, n, max(0, used)}}
}

// number reads a file's only number; 0 where there is none, as of "max".
func number(text string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n
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
