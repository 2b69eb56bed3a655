//go:build cuda

package dynlib

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"

	"alexnet/internal/gpu/dynlib/dynlibtest"
)

// A process opens each library once. So every case starts this program anew, with the folder of libraries that it is
// about, and a question.
func TestMain(m *testing.M) {
	if q := os.Getenv("LINK_QUESTION"); q != "" {
		answers[q]()
		return
	}
	os.Exit(m.Run())
}

// answers print what a case wants to know.
var answers = map[string]func(){
	"init": func() {
		err := Init()
		fmt.Println(err)
		var e *Error
		if errors.As(err, &e) {
			fmt.Println(e.Advice)
		}
	},
	"stream": func() { // a function that the fake driver lacks
		fmt.Println(Init())
		_, _, err := cu.StreamPriorityRange()
		fmt.Println(err)
		fmt.Println(Lacks(CUDA))
		_, err = cu.NumDevices()
		fmt.Println(err, CUDA.MissingSymbol())
		_, _, err = cu.StreamPriorityRange() // the second call of it tells as much as the first
		fmt.Println(err, CUDA.MissingSymbol())
	},
	"texts": func() {
		fmt.Println(statusError(999))
		fmt.Println(dynlibtest.CUDNNError(1001))
		fmt.Println(dynlibtest.CUDNNLastError())
		fmt.Println(dynlibtest.CUBLASError(1))
	},
	"blas": func() {
		status, version := dynlibtest.CUBLASVersion()
		fmt.Println(CheckCUBLAS(), filepath.Base(CUBLAS.Path()), status, version, filepath.Base(CUBLASLt.Path()),
			dynlibtest.CUBLASLtVersion())
	},
	"paths": func() {
		for _, l := range []Library{CUDA, CUBLAS, CUDNN} {
			fmt.Println(l.Path())
		}
	},
	"dnn": func() { fmt.Println(CheckCUDNN(), CUDNNVersion()) },
	"numbers": func() {
		lrn, err := cudnn.NewLRN(5, 1e-4, .75, 2)
		fmt.Println(err, lrn != nil)
		_, err = cudnn.NewLRN(7, 1e-4, .75, 2)
		fmt.Println(err)
		p := unsafe.Pointer(new(int))
		fn := cu.Function{}
		fmt.Println(fn.Launch(1, 2, 3, 4, 5, 6, 7, cu.NoStream, []unsafe.Pointer{p}))
	},
	"raw": readHandles,
}

// ask runs the program again with the libraries in folder and gives the lines that it printed.
func ask(t *testing.T, folder, question string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), "LINK_QUESTION="+question, "LD_LIBRARY_PATH="+folder)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("asked for %s: %v\n%s", question, err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// fakes compiles libraries, name to C source, into a new folder.
func fakes(t *testing.T, sources map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, source := range sources {
		c := exec.Command("cc", "-shared", "-fPIC", "-o", filepath.Join(dir, name), "-x", "c", "-")
		c.Stdin = strings.NewReader(source)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// driver is a libcuda.so.1 for a version of CUDA with two devices; a real one has five hundred functions more.
func driver(version int, more ...string) string {
	return fmt.Sprintf(`
		int cuInit(unsigned flags) { return 0; }
		int cuDriverGetVersion(int *v) { *v = %d; return 0; }
		int cuDeviceGetCount(int *n) { *n = 2; return 0; }
		`, version) + strings.Join(more, "\n")
}

// nothing is a folder without libraries, on a machine whose own folders have none either.
func nothing(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if there := ask(t, dir, "paths"); strings.Join(there, "") != "" {
		t.Skipf("this machine has %q", there)
	}
	return dir
}

func compare(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("line %d: got %q, want %q", i, got[i], want[i])
		}
	}
}

func TestNoDriver(t *testing.T) {
	compare(t, ask(t, nothing(t), "init"), "no CUDA driver: libcuda.so.1: cannot open shared object file",
		"install NVIDIA's driver")
}

func TestBrokenDriver(t *testing.T) {
	for _, c := range []struct{ name, source, err, advice string }{
		{"no GPU", "int cuInit(unsigned f) { return 100; }", "no GPU: ", "CUDA_VISIBLE_DEVICES"},
		{
			"not started", "int cuInit(unsigned f) { return 999; } int cuGetErrorName(int s, const char **t) { *t = " +
				"\"CUDA_ERROR_UNKNOWN\"; return 0; }", "the CUDA driver does not start: unknown", "nvidia-smi",
		},
		{
			"old", driver(11040), "the CUDA driver is too old: it is for CUDA 11.4, CUDA 12.0 or newer is needed",
			"525 or newer",
		},
		{"no cuInit", "int other;", "libcuda.so.1 has no cuInit", "525 or newer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			compare(t, ask(t, fakes(t, map[string]string{"libcuda.so.1": c.source}), "init"), c.err, c.advice)
		})
	}
}

func TestMissingSymbol(t *testing.T) {
	const lacks = "SharedObjectSymbolNotFound"
	compare(t, ask(t, fakes(t, map[string]string{"libcuda.so.1": driver(12080)}), "stream"), "<nil>", lacks,
		"libcuda.so.1 has no cuCtxGetStreamPriorityRange", "<nil> cuCtxGetStreamPriorityRange",
		lacks+" cuCtxGetStreamPriorityRange")
}

func TestErrorTextsWithoutLibraries(t *testing.T) {
	compare(t, ask(t, nothing(t), "texts"), "unknown", "unknown", "unknown", "unknown")
}

func TestCUBLASGeneration(t *testing.T) {
	blas := func(version int) string {
		return fmt.Sprintf("int cublasGetVersion_v2(void *h, int *v) { *v = %d; return 0; } long "+
			"cublasLtGetVersion(void) { return -1; }", version)
	}
	lt := func(version int) string { return fmt.Sprintf("long cublasLtGetVersion(void) { return %d; }", version) }
	both := []string{"libcublas.so.12", "libcublas.so.13", "libcublasLt.so.12", "libcublasLt.so.13"}
	for _, c := range []struct {
		driver int
		have   []string
		want   string
	}{
		{12080, both, "<nil> libcublas.so.12 0 12 libcublasLt.so.12 12"},
		{13000, both, "<nil> libcublas.so.13 0 13 libcublasLt.so.13 13"},
		{13000, both[:1], "<nil> libcublas.so.12 0 12 . 0"},
		{
			12080, both[1:2],
			"no cuBLAS: libcublas.so.12: cannot open shared object file: No such file or directory . 1 0 . 0",
		},
		{
			0, both[1:2],
			"no cuBLAS: libcublas.so.12: cannot open shared object file: No such file or directory . 1 0 . 0",
		},
	} {
		t.Run(fmt.Sprint(c.driver, c.have), func(t *testing.T) {
			sources := map[string]string{"libcuda.so.1": driver(c.driver)}
			for _, name := range c.have {
				var generation int
				if _, err := fmt.Sscanf(filepath.Ext(name), ".%d", &generation); err != nil {
					t.Fatal(err)
				}
				sources[name] = blas(generation)
				if strings.Contains(name, "Lt") {
					sources[name] = lt(generation)
				}
			}
			compare(t, ask(t, fakes(t, sources), "blas"), c.want)
		})
	}
}

func TestCUDNNVersion(t *testing.T) {
	dnn := "long cudnnGetCudartVersion(void) { return 13000; } long cudnnGetVersion(void) { return 92700; }"
	compare(t, ask(t, fakes(t, map[string]string{"libcuda.so.1": driver(12080), "libcudnn.so.9": dnn}), "dnn"),
		"was made with CUDA 13.0, the driver is for CUDA 12.8 92700")
	compare(t, ask(t, fakes(t, map[string]string{"libcuda.so.1": driver(13000), "libcudnn.so.9": dnn}), "dnn"),
		"<nil> 92700")
	// 8.9.7 under the name of 9
	old := "long cudnnGetCudartVersion(void) { return 12010; } long cudnnGetVersion(void) { return 8907; }"
	compare(t, ask(t, fakes(t, map[string]string{"libcuda.so.1": driver(13000), "libcudnn.so.9": old}), "dnn"),
		"libcudnn.so.9 says that it is version 8907, 90000 or newer is needed 8907")
}

// The first call of a function goes through the resolver, which must leave its arguments alone: integers and
// floating-point numbers in registers, and those on the stack.
func TestArgumentsOfFirstCall(t *testing.T) {
	dnn := `
		int cudnnCreateLRNDescriptor(void **made) { *made = (void *)0x1230; return 0; }
		int cudnnDestroyLRNDescriptor(void *lrn) { return 0; }
		int cudnnSetLRNDescriptor(void *lrn, unsigned n, double alpha, double beta, double k) {
			return lrn == (void *)0x1230 && n == 5 && alpha == 1e-4 && beta == .75 && k == 2 ? 0 : 2000;
		}`
	launch := `
		int cuLaunchKernel(void *f, unsigned x, unsigned y, unsigned z, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **args, void **extra) {
			return !f && x == 1 && y == 2 && z == 3 && bx == 4 && by == 5 && bz == 6 && shared == 7 && !stream && args && args[0] && !extra ? 0 : 1;
		}`
	compare(t, ask(t, fakes(t, map[string]string{"libcuda.so.1": driver(12080, launch), "libcudnn.so.9": dnn}),
		"numbers"),
		// cuDNN 9's 2000, which gorgonia takes for NotSupported unless compat/cudnn.h is there
		"<nil> true", "BadParam", "<nil>")
}

// The program needs libc alone, and shows none of the trampolines to libraries that are opened later.
func TestNeedsLibcOnly(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		if !slices.Contains([]string{"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2"},
			l) {
			t.Errorf("the program needs %s", l)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, "cu") {
			t.Errorf("the program shows or wants %s", s.Name)
		}
	}
}
