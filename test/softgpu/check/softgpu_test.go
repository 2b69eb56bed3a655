//go:build cuda

// Package check tests the emulated GPUs themselves: build/softgpu/selftest runs one case a process, in the environment
// that the case is about. cuDNN's and cuBLAS's results are held to what PyTorch computed.
package check

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/golden"
)

const folder = "../../../build/softgpu"

// selftest runs a case and returns what it printed.
func selftest(t *testing.T, input []byte, name string, environment ...string) []byte {
	t.Helper()
	path, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "selftest")); err != nil {
		if strings.Contains(os.Getenv("LD_LIBRARY_PATH"), "softgpu") {
			t.Fatalf("the emulated GPUs are to be used, but are not built (make softgpu): %v", err)
		}
		t.Skip("the emulated GPUs are not built (make softgpu)")
	}
	c := exec.Command(filepath.Join(path, "selftest"), name)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SOFTGPU_") && !strings.HasPrefix(v, "CUDA_VISIBLE_DEVICES") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, "SOFTGPU_KERNELS="+filepath.Join(path, "testkernels.so"), "LD_LIBRARY_PATH="+path)
	c.Env = append(c.Env, environment...)
	c.Stdin = bytes.NewReader(input)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("selftest %s with %v: %v\n%s%s", name, environment, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// environments holds what a case needs; cases that want nothing run under several seeds.
var environments = map[string][]string{
	"images":     {"SOFTGPU_DRIVER=12040"},
	"limit":      {"SOFTGPU_MEMORY=1048576"},
	"no_device":  {"SOFTGPU_DEVICES=0"},
	"no_peer":    {"SOFTGPU_PEER=0"},
	"old_driver": {"SOFTGPU_DRIVER=12040"},
	"turing":     {"SOFTGPU_CAPABILITY=75"},
}

// elsewhere are the cases with a test of their own below.
var elsewhere = []string{
	"bytes", "conv", "devices", "event_missing", "event_present", "exchange", "overtaken", "overtakes",
	"pageable_upload", "pinned_reuse", "product",
}

func TestCases(t *testing.T) {
	for _, name := range strings.Fields(string(selftest(t, nil, "list"))) {
		if slices.Contains(elsewhere, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for seed := range 6 {
				selftest(t, nil, name, append(environments[name], fmt.Sprintf("SOFTGPU_SEED=%d", seed))...)
			}
		})
	}
}

// seeds counts what a case says under many seeds.
func seeds(t *testing.T, name string, environment ...string) map[string]int {
	t.Helper()
	said := map[string]int{}
	for seed := range 24 {
		said[strings.TrimSpace(
			string(selftest(t, nil, name, append(environment, fmt.Sprintf("SOFTGPU_SEED=%d", seed))...)))]++
	}
	t.Log(name, environment, said)
	return said
}

// An event that is missing shows under some seed; with all of them in place nothing does under any.
func TestMissingEventShows(t *testing.T) {
	if said := seeds(t, "event_present"); said["new"] != 24 {
		t.Error("wrong numbers in spite of the event")
	}
	if said := seeds(t, "event_missing"); said["old"] == 0 || said["new"] == 0 {
		t.Error("without the event no seed, or every seed, gave old numbers")
	}
	if said := seeds(t, "pinned_reuse"); said["old"] == 0 || said["new"] == 0 {
		t.Error("pinned memory used again too early: no seed, or every seed, shows it")
	}
	for _, name := range []string{"overtaken", "overtakes", "pageable_upload"} {
		if said := seeds(t, name); said["old"] == 0 || said["new"] == 0 {
			t.Errorf("%s: the default stream and one that does not block: no seed, or every seed, has one overtake "+
				"the other", name)
		}
	}
	if said := seeds(t, "exchange"); said["right"] != 24 {
		t.Error("wrong numbers in an exchange that has all its events")
	}
	for _, skip := range []string{"ready", "arrived"} {
		if said := seeds(t, "exchange", "SKIP="+skip); said["wrong"] == 0 {
			t.Errorf("the exchange lacks event %s, and no seed shows it", skip)
		}
	}
}

// A seed gives the same order every time.
func TestSeedRepeats(t *testing.T) {
	for seed := range 8 {
		s := fmt.Sprintf("SOFTGPU_SEED=%d", seed)
		if a, b := selftest(t, nil, "event_missing", s), selftest(t, nil, "event_missing", s); !bytes.Equal(a, b) {
			t.Errorf("seed %d: %s, then %s", seed, a, b)
		}
	}
}

func TestBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stats.json")
	for seed := range 4 {
		selftest(t, nil, "bytes", "SOFTGPU_STATS="+path, fmt.Sprintf("SOFTGPU_SEED=%d", seed))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		for name, want := range map[string]string{
			"peer": "[[0 110] [3 0]]", "h2d": "[0 7]", "d2h": "[11 0]", "d2d": "[113 0]", "launches": "[2 0]",
			"library_calls": "[0 0]", "peer_unmapped": "113", "peer_arguments": "1", "allocated": "[1000 1000]",
			"peak": "[2000 1000]", "graph_launches": "0",
		} {
			if s := fmt.Sprint(got[name]); s != want {
				t.Errorf("seed %d: %s is %s, want %s", seed, name, s, want)
			}
		}
	}
}

func TestDevices(t *testing.T) {
	for _, c := range []struct{ environment, want string }{
		{"SOFTGPU_DRIVER=12020", "driver 12020: emulated GPU 0 (8.0, id 0) emulated GPU 1 (8.0, id 1)"},
		{"SOFTGPU_DEVICES=1", "driver 13000: emulated GPU 0 (8.0, id 0)"},
		{"SOFTGPU_CAPABILITY=90", "driver 13000: emulated GPU 0 (9.0, id 0) emulated GPU 1 (9.0, id 1)"},
		{"SOFTGPU_CAPABILITY=90,61", "driver 13000: emulated GPU 0 (9.0, id 0) emulated GPU 1 (6.1, id 1)"},
		{"CUDA_VISIBLE_DEVICES=1", "driver 13000: emulated GPU 1 (8.0, id 1)"},
		{"CUDA_VISIBLE_DEVICES=1,0", "driver 13000: emulated GPU 1 (8.0, id 1) emulated GPU 0 (8.0, id 0)"},
		{"CUDA_VISIBLE_DEVICES=0,7,1", "driver 13000: emulated GPU 0 (8.0, id 0)"},
		{"CUDA_VISIBLE_DEVICES=GPU-736f6674-6770-7520-656d-756c61746f01", "driver 13000: emulated GPU 1 (8.0, id 1)"},
	} {
		if got := strings.TrimSpace(string(selftest(t, nil, "devices", c.environment))); got != c.want {
			t.Errorf("%s: %s, want %s", c.environment, got, c.want)
		}
	}
	for _, none := range []string{"", "0,0", "x"} {
		selftest(t, nil, "no_device", "CUDA_VISIBLE_DEVICES="+none)
	}
}

// Every function that the program calls is there under the name that the headers give it (cuMemAlloc is cuMemAlloc_v2),
// and nothing else is shown.
func TestSymbols(t *testing.T) {
	selftest(t, nil, "list") // skips where nothing is built
	for library, want := range map[string]string{
		"libcuda.so.1": `cuCtxCreate_v2 cuCtxCreate_v4 cuCtxDestroy_v2 cuCtxDisablePeerAccess cuCtxEnablePeerAccess
			cuCtxGetCurrent cuCtxGetDevice cuCtxPopCurrent_v2 cuCtxPushCurrent_v2 cuCtxSetCurrent cuCtxSynchronize
			cuDeviceCanAccessPeer cuDeviceGet cuDeviceGetAttribute cuDeviceGetCount cuDeviceGetName
			cuDeviceGetP2PAttribute cuDeviceGetPCIBusId cuDeviceGetUuid cuDeviceGetUuid_v2
			cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxRetain cuDeviceTotalMem_v2 cuDriverGetVersion cuEventCreate
			cuEventDestroy_v2 cuEventElapsedTime cuEventElapsedTime_v2 cuEventQuery cuEventRecord cuEventSynchronize
			cuFuncGetAttribute cuGetErrorName cuGetErrorString cuGraphDestroy cuGraphExecDestroy
			cuGraphInstantiateWithFlags cuGraphLaunch cuInit cuLaunchKernel cuMemAlloc_v2 cuMemFreeHost cuMemFree_v2
			cuMemGetInfo_v2 cuMemHostAlloc cuMemcpy2DAsync_v2 cuMemcpyDtoDAsync_v2 cuMemcpyDtoD_v2
			cuMemcpyDtoHAsync_v2 cuMemcpyDtoH_v2 cuMemcpyHtoDAsync_v2 cuMemcpyHtoD_v2 cuMemcpyPeer cuMemcpyPeerAsync
			cuMemsetD32Async cuMemsetD32_v2 cuMemsetD8Async cuMemsetD8_v2 cuModuleGetFunction cuModuleLoadData
			cuModuleLoadDataEx cuModuleUnload cuStreamBeginCapture_v2 cuStreamCreate cuStreamCreateWithPriority
			cuStreamDestroy_v2 cuStreamEndCapture cuStreamQuery cuStreamSynchronize cuStreamWaitEvent`,
		"libcublas.so.13": `cublasCreate_v2 cublasDestroy_v2 cublasGemmEx cublasGemmStridedBatchedEx
			cublasGetStatusString cublasGetVersion_v2 cublasSetMathMode cublasSetStream_v2 cublasSetWorkspace_v2
			cublasSgemm_v2`,
		"libcudnn.so.9": `cudnnConvolutionBackwardData cudnnConvolutionBackwardFilter cudnnConvolutionForward
			cudnnCreate cudnnCreateConvolutionDescriptor cudnnCreateFilterDescriptor cudnnCreateTensorDescriptor
			cudnnDestroy cudnnDestroyConvolutionDescriptor cudnnDestroyFilterDescriptor cudnnDestroyTensorDescriptor
			cudnnGetConvolution2dForwardOutputDim cudnnGetConvolutionBackwardDataAlgorithm_v7
			cudnnGetConvolutionBackwardDataWorkspaceSize cudnnGetConvolutionBackwardFilterAlgorithm_v7
			cudnnGetConvolutionBackwardFilterWorkspaceSize cudnnGetConvolutionForwardAlgorithm_v7
			cudnnGetConvolutionForwardWorkspaceSize cudnnGetConvolutionNdForwardOutputDim cudnnGetCudartVersion
			cudnnGetErrorString cudnnGetLastErrorString cudnnGetVersion cudnnSetConvolution2dDescriptor
			cudnnSetConvolutionGroupCount cudnnSetConvolutionMathType cudnnSetConvolutionNdDescriptor
			cudnnSetFilter4dDescriptor cudnnSetFilterNdDescriptor cudnnSetStream cudnnSetTensor4dDescriptor
			cudnnSetTensor4dDescriptorEx cudnnSetTensorNdDescriptor cudnnSetTensorNdDescriptorEx`,
	} {
		if got := exported(t, filepath.Join(folder, library)); strings.Join(got,
			" ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%s shows\n%s", library, strings.Join(got, "\n"))
		}
	}
}

// exported lists the functions that a library shows, in order, but for those of C++.
func exported(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && !strings.HasPrefix(s.Name, "_Z") {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}

//go:embed testdata/libraries.safetensors
var truth []byte

// conv is a convolution in the golden file.
type conv struct {
	Name                     string
	X, W, Y                  [4]int
	Pad, Stride, Dilation    [2]int
	Groups                   int
	Draw                     string
	half, nhwc, margin, tf32 int
}

func size(s [4]int) int { return s[0] * s[1] * s[2] * s[3] }

// draw gives the inputs that scripts/golden.py drew.
func draw(g *golden.File, kind, name string, n int) []float32 {
	if kind == "uniform" {
		return g.Uniform(name, n, 1)
	}
	x := make([]float32, n)
	for i, w := range g.Words(name, n) {
		x[i] = float32(w>>24)/128 - 1
	}
	return x
}

func write(b *bytes.Buffer, numbers []any, tensors ...[]float32) {
	fmt.Fprintln(b, numbers...)
	for _, x := range tensors {
		binary.Write(b, binary.LittleEndian, x) //nolint:errcheck // a Buffer takes everything
	}
}

func read(t *testing.T, data []byte) []float32 {
	t.Helper()
	if len(data)%4 != 0 {
		t.Fatalf("%d bytes of results: %s", len(data), data)
	}
	x := make([]float32, len(data)/4)
	if _, err := binary.Decode(data, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	return x
}

// half rounds to bf16: to nearest, ties to even.
func half(x float32) float32 {
	w := math.Float32bits(x)
	return math.Float32frombits((w + 0x7FFF + w>>16&1) &^ 0xFFFF)
}

// compare wants equality to the bit where inputs are multiples of 2^-7 and so all sums are exact; elsewhere a distance
// between two bounds.
func compare(t *testing.T, g *golden.File, name string, got []float32, exact, rounded bool, least, most float64) {
	t.Helper()
	if !exact {
		if d := g.Deviation(t, name, got); d < least || d > most || math.IsNaN(d) {
			t.Errorf("%s is off by %.2g, not by %g to %g", name, d, least, most)
		}
		return
	}
	want := g.Tensor(t, name)
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", name, len(got), len(want))
	}
	for i, w := range want {
		if rounded {
			w = half(w)
		}
		if got[i] != w {
			t.Fatalf("%s[%d] is %v, want %v", name, i, got[i], w)
		}
	}
}

func (c conv) run(t *testing.T, g *golden.File) {
	t.Helper()
	const fma, standard = 3, 0 // cudnnMathType_t
	var b bytes.Buffer
	mathType := fma
	if c.tf32 == 1 {
		mathType = standard
	}
	numbers := []any{c.half, c.nhwc, mathType, c.margin}
	for _, s := range [][4]int{c.X, c.W, c.Y} {
		numbers = append(numbers, s[0], s[1], s[2], s[3])
	}
	for _, p := range [][2]int{c.Pad, c.Stride, c.Dilation} {
		numbers = append(numbers, p[0], p[1])
	}
	numbers = append(numbers, c.Groups)
	x, w, dy := draw(g, c.Draw, c.Name+".x", size(c.X)), draw(g, c.Draw, c.Name+".w", size(c.W)),
		draw(g, c.Draw, c.Name+".dy", size(c.Y))
	write(&b, numbers, x, w, dy)
	got := read(t, selftest(t, b.Bytes(), "conv"))
	if want := size(c.X) + size(c.W) + size(c.Y); len(got) != want {
		t.Fatalf("%d numbers, want %d", len(got), want)
	}
	y, dx, dw := got[:size(c.Y)], got[size(c.Y):size(c.Y)+size(c.X)], got[size(c.Y)+size(c.X):]
	least, most := 0.0, 5e-7 // fp32
	if c.tf32 == 1 {
		least, most = 1e-5, 1e-3
	}
	if c.half == 1 {
		least, most = 1e-4, 1e-2
	}
	for part, v := range map[string][]float32{".y": y, ".dx": dx, ".dw": dw} {
		compare(t, g, c.Name+part, v, c.Draw == "eighths", c.half == 1, least, most)
	}
}

func TestConvolutions(t *testing.T) {
	g := golden.Open(t, truth)
	var convs []conv
	g.Meta(t, "convs", &convs)
	for _, c := range convs {
		t.Run(c.Name, func(t *testing.T) {
			for i := range 12 {
				v := c
				v.half, v.nhwc, v.margin = i&1, i>>1&1, i>>2
				v.run(t, g)
				if v.half == 0 {
					v.tf32 = 1
					v.run(t, g)
				}
			}
		})
	}
}

// product is a matrix product in the golden file.
type product struct {
	Name           string
	M, N, K, Count int
	Alpha, Beta    float32
	Draw           string
}

func (p product) run(t *testing.T, g *golden.File, in, out, ta, tb, mode int) {
	t.Helper()
	var b bytes.Buffer
	write(&b, []any{in, out, mode, ta, tb, p.M, p.N, p.K, p.Count, p.Alpha, p.Beta},
		draw(g, p.Draw, p.Name+".a", p.Count*p.M*p.K), draw(g, p.Draw, p.Name+".b", p.Count*p.K*p.N),
		draw(g, p.Draw, p.Name+".c", p.Count*p.M*p.N))
	got := read(t, selftest(t, b.Bytes(), "product"))
	least, most := 0.0, 5e-7
	if mode != 0 {
		least, most = 1e-5, 1e-3
	}
	if in == 1 {
		least, most = 1e-4, 1e-2
	}
	compare(t, g, p.Name+".c", got, p.Draw == "eighths", out == 1, least, most)
}

func TestProducts(t *testing.T) {
	const tf32 = 3 // cublasMath_t
	g := golden.Open(t, truth)
	var products []product
	g.Meta(t, "products", &products)
	for _, p := range products {
		t.Run(p.Name, func(t *testing.T) {
			for i := range 4 {
				p.run(t, g, 0, 0, i&1, i>>1, 0)
				p.run(t, g, 0, 0, i&1, i>>1, tf32)
				p.run(t, g, 1, 0, i&1, i>>1, 0)
				p.run(t, g, 1, 1, i&1, i>>1, 0)
			}
		})
	}
}
