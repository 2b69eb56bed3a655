//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Threads is the number of cores that Open shares among its devices: results depend on it in the last bit. 0 where
// there is no device.
func Threads() int {
	if Available() != nil {
		return 0
	}
	cores, _, err := usableCores()
	if err != nil {
		return 0
	}
	return len(cores)
}

// FewerThreads tells why Open's devices have fewer threads than cores that they may use; nil: they have not.
func FewerThreads() *Fewer {
	if Available() != nil {
		return nil
	}
	_, fewer, _ := usableCores() // Open tells
	return fewer
}

// usableCores are those that devices share.
func usableCores() ([]int, *Fewer, error) {
	cores, err := affinity()
	if err != nil {
		return nil, nil, err
	}
	cores = cores[:max(1, min(len(cores), int(C.cpu_max_threads()), runtime.GOMAXPROCS(0)))]
	n, reason := threadsFor(len(cores))
	if n == len(cores) {
		return cores, nil, nil
	}
	return cores[:n], &Fewer{Cores: len(cores), Threads: n, Reason: reason}, nil
}

// affinity are the cores that the process may run on, and where OpenMP binds threads to places, of these.
func affinity() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("reading the process's affinity: %w", err)
	}
	var cores []int
	for i := 0; len(cores) < set.Count(); i++ {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	places := make([]C.int, C.cpu_places(nil, 0))
	if len(places) == 0 {
		return cores, nil
	}
	C.cpu_places(&places[0], C.int(len(places)))
	own := slices.DeleteFunc(slices.Clone(cores), func(c int) bool { return !slices.Contains(places, C.int(c)) })
	if len(own) == 0 {
		return cores, nil
	}
	return own, nil
}

// team is what threadsFor found out.
type team struct {
	threads int
	reason  string
}

var teams = struct {
	sync.Mutex
	of map[int]team
}{of: map[int]team{}}

// spare are threads that the rest of the program starts meanwhile: Go's own, one for each device, and whoever waits in
// a system call for a file.
const spare = 8

// threadsFor is how many of n threads the devices can have, and why not all. The system is asked first, for OpenMP ends
// the process where it cannot start a thread.
func threadsFor(n int) (int, string) {
	if n == 1 {
		return 1, ""
	}
	teams.Lock()
	defer teams.Unlock()
	if t, ok := teams.of[n]; ok {
		return t.threads, t.reason
	}
	found := make(chan team)
	go func() { // a thread that ends: with it goes the team that was tried
		runtime.LockOSThread()
		t := team{threads: n}
		others := spare + runtime.GOMAXPROCS(0)
		if can := int(C.cpu_startable(C.int(n-1+others), C.int64_t(ompStack(os.Getenv)))); can < n-1+others {
			t = team{max(1, 1+can-others), unstartable(can)}
		}
		if t.threads > 1 {
			if given := int(C.cpu_team(C.int(t.threads))); given < t.threads {
				t = team{given, limited()}
			}
		}
		found <- t
	}()
	t := <-found
	teams.of[n] = t
	return t.threads, t.reason
}

// unstartable says that the process can start only so many threads more.
func unstartable(can int) string {
	text := fmt.Sprintf("the system starts no more than %d further threads for this process", can)
	if stack := os.Getenv("OMP_STACKSIZE"); stack != "" {
		return text + ", with OMP_STACKSIZE=" + stack
	}
	return text + " (a limit of processes or of memory)"
}

// limited names what limits OpenMP's teams.
func limited() string {
	var set []string
	for _, name := range []string{"OMP_THREAD_LIMIT", "OMP_MAX_ACTIVE_LEVELS", "KMP_DEVICE_THREAD_LIMIT"} {
		if value := os.Getenv(name); value != "" {
			set = append(set, name+"="+value)
		}
	}
	if len(set) == 0 {
		return "OpenMP gives no more"
	}
	return strings.Join(set, ", ")
}

// ompStack is the stack that OpenMP gives its threads, in bytes: OMP_STACKSIZE, a number of kilobytes, or of what its
// last letter says. 0: the system's usual one.
func ompStack(env func(string) string) int64 {
	text := strings.ToUpper(strings.TrimSpace(cmp.Or(env("OMP_STACKSIZE"), env("GOMP_STACKSIZE"))))
	if text == "" {
		return 0
	}
	shift := 10
	if i := strings.IndexByte("BKMG", text[len(text)-1]); i >= 0 {
		shift, text = 10*i, strings.TrimSpace(text[:len(text)-1])
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 16<<10>>shift || n > 1<<(62-shift) { // OpenMP passes over what it cannot read as well
		return 0
	}
	return n << shift
}
