//go:build cuda

package dynlib

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What CUDA 13's cuda.h makes of names that gorgonia.org/cu calls, whatever headers this is built with; and the
// functions that drivers for CUDA 12.0 have.
var renamed = map[string]struct{ to, want string }{
	"cuCtxCreate":            {"cuCtxCreate_v4", "cuCtxCreate_v2"},
	"cuEventElapsedTime":     {"cuEventElapsedTime_v2", "cuEventElapsedTime"},
	"cuGraphAddDependencies": {"cuGraphAddDependencies_v2", "cuGraphAddDependencies"},
	"cuGraphGetEdges":        {"cuGraphGetEdges_v2", "cuGraphGetEdges"},
	"cuMemAdvise":            {"cuMemAdvise_v2", "cuMemAdvise"},
	"cuMemPrefetchAsync":     {"cuMemPrefetchAsync_v2", "cuMemPrefetchAsync"},
}

// A program that was built with CUDA 13 runs with the drivers for CUDA 12.
func TestOldNames(t *testing.T) {
	dir := t.TempDir()
	header, source := "#define CUDA_VERSION 13000\n", "#include <cuda.h>\n"
	for name, r := range renamed {
		header += "#define " + name + " " + r.to + "\n"
		source += "NAME " + name + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "cuda.h"), []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("cc", "-E", "-P", "-Icompat", "-I"+dir, "-x", "c", "-")
	c.Stdin = strings.NewReader(source)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range renamed {
		if !strings.Contains(string(out), "NAME "+r.want+"\n") {
			t.Errorf("%s does not stand for %s:\n%s", name, r.want, out)
		}
	}
}
