//go:build cuda

package gpu

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
)

// stepNames are the types of the steps that call cuDNN or cuBLAS, or wait for the other device or tell it something.
func stepNames(steps []step) string {
	var names []string
	for _, s := range steps {
		switch s.(type) {
		case *convolve, *gemm, *await, *signal:
			names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", s), "*gpu."))
		}
	}
	return strings.Join(names, " ")
}

// The half of a layer that reads a device's own column is computed before the wait for the other half, and the gradient
// that the other device waits for before all others. Which things overlap shows on hardware alone; that they can is in
// the order of what is enqueued.
func TestOwnHalfFirst(t *testing.T) {
	tr := newTraining(t, columnsPage, trainingRows, openDevices(t, Options{}, 2))
	want := map[string][2]string{
		"conv3": {"convolve await convolve", "convolve signal convolve convolve convolve"},
		"fc4":   {"gemm await gemm", "gemm signal gemm gemm gemm"},
	}
	for end := range 2 {
		n := tr.net.Plan().Links[0].Ends[end].(*port).net
		seen := 0
		for i, spec := range n.prog.Ops {
			w, ok := want[spec.Base().Name]
			if !ok {
				continue
			}
			seen++
			if got := [2]string{stepNames(n.ops[i].forward), stepNames(n.ops[i].backward)}; got != w {
				t.Errorf("%s: %s is %q, want %q", n.dev.name, spec.Base().Name, got, w)
			}
		}
		if seen != len(want) {
			t.Errorf("%s has %d of the layers %v", n.dev.name, seen, slices.Collect(maps.Keys(want)))
		}
	}
}

// compiled is a training net that takes no memory, and the algorithms that its device chose for it.
func compiled(t *testing.T, d *Device) (*Net, map[string]int) {
	t.Helper()
	cfg, err := config.Parse([]byte(columnsPage), nil)
	must(t, err)
	arch, err := model.Of(cfg, 0)
	must(t, err)
	m, err := model.Open(arch, []device.Device{d})
	must(t, err)
	net, err := m.Compile(model.Options{
		Rows: trainingRows, Train: true, Input: recipe.Recipe{Height: trainingSide, Width: trainingSide},
	})
	must(t, err)
	t.Cleanup(func() { must(t, net.Close()); must(t, m.Close()) })
	return d.waiting[0], maps.Clone(d.Algorithms())
}

// A checkpoint's algorithms are taken again where cuDNN offers them, and the best elsewhere.
func TestAlgorithmsTakenAgain(t *testing.T) {
	needGPU(t)
	choose := func(name string, o Options) (chosen map[string]int) {
		t.Run(name, func(t *testing.T) { _, chosen = compiled(t, openOn(t, o, 0)[0].(*Device)) })
		return chosen
	}
	best, again := choose("best", Options{}), 0
	for number := range 8 { // cuDNN has so many for a direction at most
		want := map[string]int{}
		for key := range best {
			want[key] = number
		}
		for key, got := range choose(fmt.Sprint(number), Options{Algorithms: want}) {
			if got != number && got != best[key] {
				t.Errorf("%s: algorithm %d, want %d or, where that does not do, %d", key, got, number, best[key])
			}
			if got == number && number != best[key] {
				again++
			}
		}
	}
	if again == 0 {
		t.Errorf("of %v none was changed by a checkpoint's", best)
	}
}

// Convolutions keep to the workspace that their GPU allows, and take what is fast where there is more.
func TestWorkspaceBudget(t *testing.T) {
	needGPU(t)
	largest := func(memory int64) (most int64) {
		t.Run(fmt.Sprint(memory), func(t *testing.T) {
			d := openOn(t, Options{}, 0)[0].(*Device)
			d.info.Memory = memory
			n, _ := compiled(t, d)
			for _, p := range parts(n) {
				for dir, fit := range p.algos {
					for _, a := range fit {
						if most = max(most, a.Workspace); a.Workspace > memory/16 {
							t.Errorf("%v: %d bytes of workspace, %d allowed", cuda.Direction(dir), a.Workspace,
								memory/16)
						}
					}
				}
			}
		})
		return most
	}
	roomy := largest(8 << 30)
	if tight := largest(8 * roomy); tight >= roomy {
		t.Errorf("workspaces of %d and %d bytes at most", tight, roomy)
	}
}

// parts are the convolutions that a net runs.
func parts(n *Net) (all []*convPart) {
	for _, op := range n.ops {
		for _, s := range op.forward {
			if c, ok := s.(*convolve); ok {
				all = append(all, c.part)
			}
		}
	}
	return all
}
