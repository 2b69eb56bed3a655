//go:build cuda

package gpu

import (
	"path/filepath"
	"testing"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
	"alexnet/internal/gpu/dynlib"
	"alexnet/internal/gpu/dynlib/dynlibtest"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
)

// NVIDIA's own cuDNN takes every convolution of every net in configs, on one device and on one a column, in every
// precision, as the compiler describes them, and gives our shapes. cuda.NewConv asks it.
func TestRealDescriptors(t *testing.T) {
	again(t, "TestDescriptors", "LD_LIBRARY_PATH="+dynlibtest.CUDNN(t))
}

func TestDescriptors(t *testing.T) {
	inChild(t)
	if folder, err := filepath.EvalSymlinks(filepath.Dir(dynlib.CUDNN.Path())); err != nil ||
		dynlib.CUDNNVersion() < 90000 {
		t.Fatalf("cuDNN %d in %s: %v", dynlib.CUDNNVersion(), folder, err)
	}
	for _, name := range config.Names() {
		page, err := config.Load(name, nil)
		must(t, err)
		for devices := 1; devices <= page.Model.Columns; devices++ {
			for d, prog := range programs(t, page, devices) {
				for precision := device.FP32; precision <= device.BF16; precision++ {
					prog.Precision = precision
					if n := describeAll(t, prog); n == 0 {
						t.Errorf("%s on %d devices, %v: device %d has no convolution", name, devices, precision, d)
					}
				}
			}
		}
	}
}

// programs plans the net as training does, with classes of ImageNet where the page leaves them to the data.
func programs(t *testing.T, page *config.Config, devices int) []device.Program {
	t.Helper()
	arch, err := model.Of(page, 1000)
	must(t, err)
	m, err := model.Open(arch, reference.Open(devices))
	must(t, err)
	in := arch.Input
	net, err := m.Compile(model.Options{
		Rows: page.Train.Batch, Train: true, Input: recipe.Recipe{Height: in.H, Width: in.W},
	})
	must(t, err)
	return net.Plan().Programs
}

// describeAll has the compiler describe a program's convolutions on a device that there need not be, and counts them.
func describeAll(t *testing.T, prog device.Program) (n int) {
	t.Helper()
	d := &Device{card: &card{}, name: "none"}
	declared, err := d.NewParams(prog.Params.Specs())
	must(t, err)
	params := declared.(*Params)
	if prog.Precision != device.FP32 {
		params.layout = cuda.NHWC
	}
	c := newCompiler(&Net{dev: d, prog: prog, params: params, ops: make([]prepared, len(prog.Ops))})
	c.planInput()
	for _, spec := range prog.Ops {
		if o, ok := c.operation(spec).(*conv); ok {
			if err := o.describe(c); err != nil {
				t.Errorf("%s, %v: %v", spec.Base().Name, prog.Precision, err)
			}
			for _, p := range o.parts {
				t.Logf("%s, %v: %+v", spec.Base().Name, prog.Precision, p.settings)
			}
			n += len(o.parts)
		}
	}
	must(t, closeConvs(c.convs))
	return n
}
