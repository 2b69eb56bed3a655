package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestList holds the list against what the .cu files declare, macros resolved: names, arguments in their order, types.
func TestList(t *testing.T) {
	files, err := filepath.Glob("*.cu")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	all, err := os.ReadFile("all.cu")
	if err != nil {
		t.Fatal(err)
	}
	headers, _ := filepath.Glob("*.h")
	for _, f := range append(files, headers...) {
		if _, err := os.ReadFile(f); err != nil { // tells go test what a cached result depends on
			t.Fatal(err)
		}
		if include := fmt.Sprintf("#include %q", f); filepath.Ext(f) == ".cu" && f != "all.cu" &&
			!strings.Contains(string(all), include) {
			t.Errorf("all.cu lacks %s", include)
		}
	}
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("no g++, which resolves the kernels' macros")
	}
	out, err := exec.Command("g++", "-E", "-P", "-x", "c++", "all.cu").Output()
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]string{}
	parameter := regexp.MustCompile(`^(?:[\w ]+ \*|i64 |double )(\w+)$`)
	for _, m := range regexp.MustCompile(`extern "C" __global__ void __launch_bounds__\(256, `+
		`3\)\s+(\w+)\(([^)]*)\)`).FindAllStringSubmatch(string(out), -1) {
		var names []string
		for _, p := range strings.Split(m[2], ",") {
			p = strings.Join(strings.Fields(p), " ")
			name := parameter.FindStringSubmatch(p)
			if name == nil {
				t.Errorf("%s: parameter %q is neither a pointer nor i64 nor double", m[1], p)
				continue
			}
			names = append(names, name[1])
		}
		declared[m[1]] = strings.Join(names, " ")
	}
	for _, k := range List {
		if got, ok := declared[k.Name]; !ok || got != k.Args {
			t.Errorf("%s has arguments %q in the .cu files, %q in the list", k.Name, got, k.Args)
		}
		delete(declared, k.Name)
	}
	if len(declared) > 0 {
		t.Errorf("not in the list: %v", declared)
	}
	listed := names()
	slices.Sort(listed)
	if len(slices.Compact(listed)) != len(List) {
		t.Error("a kernel is listed twice")
	}
}

func TestGrids(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int64
	}{
		{"nothing to do", int64(Find("home_f32").Blocks(0)), 1},
		{"one element more than a block", int64(Find("home_f32").Blocks(2049)), 2},
		{"very much", int64(Find("home_f32").Blocks(1 << 30)), maxBlocks},
		{"check_loss", int64(Find("check_loss").Blocks(1 << 30)), 1},
		{"tiles of the paper's LRN1", LRNTiles(128, 96, 55*55, 2), 128 * 95 * 2 * 2},
		{"splits of conv1's bias", int64(BiasSplits(128, 96, 55*55)), 1024 / 96},
		{"splits of fc6's bias", int64(BiasSplits(128, 4096, 1)), 1},
		{"chunks", Chunks(4097), 2},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.name, c.got, c.want)
		}
	}
}
