//go:build cgo && dnnl && linux

package cpu

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"alexnet/internal/device"
)

// threadsChild is set where the test binary is to be the program of TestThreads.
const threadsChild = "ALEXNET_TEST_THREADS"

// tried is what that program tells.
type tried struct {
	Threads, Team int
	Fewer         string
	Bits          uint32 // of the parameters after steps
}

// TestThreadsProgram takes steps of a net in which oneDNN's and our own loops divide everything among the threads.
func TestThreadsProgram(t *testing.T) {
	if os.Getenv(threadsChild) == "" {
		t.Skip("a part of TestThreads")
	}
	d := openDevices(t, 1)[0].(*Device)
	r := newRig(t, d, narrow(8, true))
	for range 20 {
		r.step()
	}
	r.check(r.net.Sync())
	out := tried{Threads: Threads(), Team: d.threads}
	if f := FewerThreads(); f != nil {
		out.Fewer = f.Error()
	}
	for id, spec := range r.params.Specs() {
		n := 1
		for _, d := range spec.Shape {
			n *= d
		}
		numbers := make([]float32, n)
		r.check(r.params.Fetch(device.Param(id), device.Weight, numbers))
		out.Bits = crc32.Update(out.Bits, crc32.IEEETable, unsafe.Slice((*byte)(unsafe.Pointer(&numbers[0])), 4*n))
	}
	text, err := json.Marshal(out)
	r.check(err)
	fmt.Printf("tried %s\n", text)
}

// TestThreads: whatever the environment asks of OpenMP, a device trains, says how many threads it has, and its results
// are those of that many. With fewer threads than oneDNN was promised its barriers would wait for ever.
func TestThreads(t *testing.T) {
	all := len(mustAffinity(t))
	all = min(all, runtime.GOMAXPROCS(0))
	if all < 2 {
		t.Skip("needs two cores")
	}
	bits := map[int]uint32{}
	for n := 1; n <= all; n *= all {
		bits[n] = try(t, fmt.Sprintf("OMP_NUM_THREADS=%d", n)).Bits
	}
	first := mustAffinity(t)[0]
	for _, c := range []struct {
		env  string
		want int
		says string
	}{
		{"OMP_THREAD_LIMIT=1", 1, "OMP_THREAD_LIMIT=1"},
		{"OMP_MAX_ACTIVE_LEVELS=0", 1, "OMP_MAX_ACTIVE_LEVELS=0"},
		{"OMP_DYNAMIC=true", all, ""},
		{"OMP_DYNAMIC=true OMP_THREAD_LIMIT=1", 1, "OMP_THREAD_LIMIT=1"},
		{"OMP_NESTED=true", all, ""},
		{"OMP_WAIT_POLICY=active", all, ""},
		{"OMP_PROC_BIND=spread", all, ""},
		{"OMP_PROC_BIND=close OMP_PLACES=cores", 0, ""},
		{fmt.Sprintf("OMP_PROC_BIND=true OMP_PLACES={%d}", first), 1, ""},
		{fmt.Sprintf("GOMP_CPU_AFFINITY=%d", first), 1, ""},
		{"OMP_STACKSIZE=4000g", 1, "OMP_STACKSIZE=4000g"},
	} {
		got := try(t, strings.Fields(c.env)...)
		if c.want == 0 { // as many as cores, which may have two threads each
			c.want = got.Team
		}
		if got.Team != c.want || got.Threads != c.want || !strings.Contains(got.Fewer, c.says) ||
			c.says == "" && got.Fewer != "" {
			t.Errorf("%s: %+v, want %d threads, %q", c.env, got, c.want, c.says)
		}
		if want, ok := bits[got.Team]; ok && got.Bits != want {
			t.Errorf("%s: other bits than those of %d threads", c.env, got.Team)
		}
	}
}

// TestThreadsUnderLoad: OMP_DYNAMIC makes teams smaller where other programs use the cores, as the load of the machine
// tells.
func TestThreadsUnderLoad(t *testing.T) {
	if min(len(mustAffinity(t)), runtime.GOMAXPROCS(0)) < 2 {
		t.Skip("needs two cores")
	}
	busy := filepath.Join(t.TempDir(), "busy.so")
	cc := exec.Command("cc", "-shared", "-fPIC", "-x", "c", "-o", busy, "-")
	cc.Stdin = strings.NewReader("int getloadavg(double *a, int n) { for (int i = 0; i < n; i++) a[i] = 9; return n; }")
	if out, err := cc.CombinedOutput(); err != nil {
		t.Skipf("no C compiler: %v %s", err, out)
	}
	if got := try(t, "OMP_DYNAMIC=true", "LD_PRELOAD="+busy); got.Team < 2 {
		t.Errorf("%+v", got)
	}
}

func mustAffinity(t *testing.T) []int {
	t.Helper()
	openDevices(t, 1)
	cores, err := affinity()
	if err != nil {
		t.Fatal(err)
	}
	return cores
}

// try runs the program with these variables.
func try(t *testing.T, env ...string) tried {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, self, "-test.run=^TestThreadsProgram$")
	c.Env = slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "OMP_") || strings.HasPrefix(s, "GOMP_")
	})
	c.Env = append(append(c.Env, threadsChild+"=1"), env...)
	text, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", env, err, text)
	}
	_, line, _ := strings.Cut(string(text), "tried ")
	var out tried
	if err := json.NewDecoder(strings.NewReader(line)).Decode(&out); err != nil {
		t.Fatalf("%v: %v\n%s", env, err, text)
	}
	return out
}

// TestStack reads OMP_STACKSIZE as OpenMP does.
func TestStack(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "2048": 2 << 20, "64k": 64 << 10, " 100 M": 100 << 20, "2G": 2 << 30, "65536B": 64 << 10, "1k": 0,
		"much": 0, "9999999999999999999": 0, "9000000000G": 0,
	} {
		env := func(name string) string {
			if name == "OMP_STACKSIZE" {
				return text
			}
			return ""
		}
		if got := ompStack(env); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
