package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"alexnet/internal/gpu"
	"alexnet/internal/machine"
)

// TestBatchThatFits: the batch that a refusal names does fit, and the next larger one does not, though with fewer rows
// cuDNN takes other algorithms, whose workspace is larger.
func TestBatchThatFits(t *testing.T) {
	if gpu.Available() != nil || !strings.Contains(os.Getenv("LD_LIBRARY_PATH"), "softgpu") {
		t.Skip("no emulated GPUs")
	}
	// 512 MiB are left to the libraries.
	for _, c := range []struct{ gpus, memory string }{{"0", "543870912"}, {"0,1", "544370912,543870912"}} {
		t.Run(c.gpus+" "+c.memory, func(t *testing.T) {
			dir := t.TempDir()
			train := func(args ...string) (string, error) {
				x := exec.Command("alexnet",
					append([]string{"train", "--config", "demo", "--steps", "1", "--gpus", c.gpus}, args...)...)
				x.Dir, x.Env = dir, append(os.Environ(), "SOFTGPU_MEMORY="+c.memory)
				out, err := x.CombinedOutput()
				return string(out), err
			}
			out, err := train()
			named := regexp.MustCompile(`next:  --batch ([0-9]+)`).FindStringSubmatch(out)
			if err == nil || named == nil {
				t.Fatalf("no batch is named: %v\n%s", err, out)
			}
			if out, err := train("--batch", named[1]); err != nil {
				t.Errorf("a batch of %s: %v\n%s", named[1], err, out)
			}
			n, err := strconv.Atoi(named[1])
			if err != nil {
				t.Fatal(err)
			}
			if out, err := train("--batch", strconv.Itoa(n+1)); err == nil {
				t.Errorf("a batch of %d fits too, and %d was named\n%s", n+1, n, out)
			}
		})
	}
}

// TestGPULine names the driver as nvidia-smi does, where the system knows it.
func TestGPULine(t *testing.T) {
	f := &gpu.Facts{Driver: "12.8", CUDNN: "9.27.0", CUBLAS: "12.8.4", Kernels: "PTX", GPUs: make([]gpu.Fact, 1)}
	r := doctorResult{Machine: machine.Facts{NVIDIA: "570.86.15"}}
	if got, want := r.gpuLine(f),
		"1 GPU, driver 570.86.15 for CUDA 12.8, cuDNN 9.27.0, cuBLAS 12.8.4, kernels as PTX"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r = doctorResult{}
	if got := r.gpuLine(f); !strings.Contains(got, ", driver for CUDA 12.8, ") {
		t.Error(got)
	}
}
