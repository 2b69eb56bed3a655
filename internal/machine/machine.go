// Package machine tells what the computer at hand is and what of it this process may use, for reports that people paste
// and for what is planned by it. What cannot be found out is left empty, or 0: nothing here fails. It imports
// files, whose system tells how much room a disk has, and nothing else of the program.
package machine

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"

	"alexnet/internal/files"
)

// Facts are about one machine, at one moment.
type Facts struct {
	Platform string `json:"platform"`         // "linux/amd64"
	System   string `json:"system,omitempty"` // "Debian GNU/Linux 12 (bookworm)"
	Kernel   string `json:"kernel,omitempty"`
	CPU      string `json:"cpu,omitempty"` // its model
	// version of NVIDIA's kernel module, which nvidia-smi calls the driver's: "570.86.15"
	NVIDIA   string          `json:"nvidia,omitempty"`
	Cores    Cores           `json:"cores"`
	Features map[string]bool `json:"features"` // instruction sets that matter here
	Memory   Memory          `json:"memory"`
	Disks    []Disk          `json:"disks"`
}

// Cores are logical processors, and what limits their use.
type Cores struct {
	Machine    int    `json:"machine,omitempty"`
	Affinity   int    `json:"affinity"` // what the process may run on
	GOMAXPROCS int    `json:"gomaxprocs"`
	OMPThreads string `json:"omp_num_threads,omitempty"` // as the environment says
}

// Memory is in bytes.
type Memory struct {
	Total     int64 `json:"total,omitempty"`
	Available int64 `json:"available,omitempty"` // the system's estimate of what can be had without swapping
	Limit     int64 `json:"limit,omitempty"`     // of the control group (a container); 0: none
	Used      int64 `json:"used,omitempty"`      // by the control group, where it has a limit
	// All that bounds this process: the machine's memory, control groups (those of containers too), resource limits.
	Limits []Limit `json:"limits,omitempty"`
}

// Usable is what this process may use in all, what it uses now included: the least of all limits; 0 where none is
// known.
func (m Memory) Usable() int64 {
	least := m.Total
	for _, l := range m.Limits {
		n := l.Bytes
		if l.Of != Resident { // of what is mapped or may be written most is never used
			n = l.Left()
		}
		if least == 0 || n < least {
			least = n
		}
	}
	return least
}

// Disk is the free space around one folder.
type Disk struct {
	Use  string `json:"use"` // "working folder"
	Path string `json:"path"`
	Free int64  `json:"free"` // bytes that this user may write
}

// Look finds out the facts.
func Look() Facts {
	f := Facts{
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		System:   system(), Kernel: kernelRelease(), CPU: CPU(), NVIDIA: nvidia(), Features: features(),
		Memory: MemoryNow(),
		Cores: Cores{
			Machine: online(), Affinity: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
			OMPThreads: os.Getenv("OMP_NUM_THREADS"),
		},
	}
	if dir, err := os.Getwd(); err == nil {
		f.disk("working folder", dir)
	}
	if dir, err := os.UserCacheDir(); err == nil {
		f.disk("cache", dir)
	}
	return f
}

// disk adds the free space at path, or at the nearest folder above it that exists.
func (f *Facts) disk(use, path string) {
	disk, is := files.OS.(files.Meter)
	if !is {
		return
	}
	for at := path; ; {
		if s, err := disk.Space(at); err == nil {
			f.Disks = append(f.Disks, Disk{use, path, s.Free})
			return
		}
		up := at[:max(strings.LastIndexByte(at, os.PathSeparator), 0)]
		if up == "" {
			return
		}
		at = up
	}
}

// features are those that oneDNN, or package cpu's own loops, have code for.
func features() map[string]bool {
	switch runtime.GOARCH {
	case "amd64", "386":
		return map[string]bool{
			"avx2": cpu.X86.HasAVX2, "avx512f": cpu.X86.HasAVX512F, "avx512_bf16": cpu.X86.HasAVX512BF16,
			"amx_bf16": cpu.X86.HasAMXBF16,
		}
	case "arm64":
		return map[string]bool{"neon": cpu.ARM64.HasASIMD, "sve": cpu.ARM64.HasSVE, "bf16": flag("bf16")}
	}
	return map[string]bool{}
}

// field is the value of the first line "key : value" or "key=value" of a text; "" where there is none.
func field(text, key, separator string) string {
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(line, separator)
		if ok && strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return ""
}

// kilobytes is the number of "MemTotal:  24689764 kB", in bytes.
func kilobytes(text, key string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(field(text, key, ":"), " kB"), 10, 64) // 0 where there is none
	return n << 10
}
