//go:build cuda

package link

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	cudnn "gorgonia.org/cu/dnn"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/gpu/link/linktest"
	"alexnet/internal/model"
	"alexnet/internal/reference"
)

// realCUDNN is the folder of NVIDIA's own cuDNN 9 in the cache. Without a GPU it makes and checks descriptors, but computes nothing.
func realCUDNN(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache folder: %v", err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "alexnet", "cudnn-9.*", "lib", "libcudnn.so.9"))
	if err != nil || len(found) == 0 {
		t.Skip("cuDNN's library is not in the cache folder: scripts/cuda.sh cudnn fetches it (770 MB)")
	}
	return filepath.Dir(found[len(found)-1])
}

// Every convolution, normalisation and pooling of every net in configs, on one device and on one a column, in the formats and types that devices use:
// cuDNN takes the descriptors and gives the shapes of our own arithmetic.
func TestDescriptors(t *testing.T) {
	lines := ask(t, realCUDNN(t), "descriptors")
	last := lines[len(lines)-1]
	for _, l := range lines[:len(lines)-1] {
		t.Error(l)
	}
	var c counts
	if _, err := fmt.Sscanf(last, counted, &c.nets, &c.convolutions, &c.normalisations, &c.poolings, &c.version); err != nil {
		t.Fatalf("%q: %v", last, err)
	}
	if c.nets < len(config.Names()) || c.convolutions == 0 || c.normalisations == 0 || c.poolings == 0 || c.version < 90000 {
		t.Errorf("too few: %s", last)
	}
	t.Log(last)
}

type counts struct{ nets, convolutions, normalisations, poolings, version int }

const counted = "checked: %d plans, %d convolutions, %d normalisations, %d poolings, cuDNN %d"

// describeNets prints a line for each descriptor that cuDNN refuses, and each wrong shape, and last how many it checked.
func describeNets() {
	var c counts
	for _, name := range config.Names() {
		page, err := config.Load(name, nil)
		if err != nil {
			fmt.Println(name, err)
			continue
		}
		for devices := 1; devices <= page.Model.Columns; devices++ {
			programs, err := programs(page, devices)
			if err != nil {
				fmt.Println(name, err)
				continue
			}
			c.nets++
			for _, p := range programs {
				c.describe(name, &p)
			}
		}
	}
	c.version = CUDNNVersion()
	fmt.Printf(counted+"\n", c.nets, c.convolutions, c.normalisations, c.poolings, c.version)
}

// programs plans the net as training does, with classes of ImageNet where the page leaves them to the data.
func programs(page *config.Config, devices int) ([]device.Program, error) {
	arch, err := model.Of(page, 1000)
	if err != nil {
		return nil, err
	}
	m, err := model.Open(arch, reference.Open(devices))
	if err != nil {
		return nil, err
	}
	in := arch.Input
	net, err := m.Compile(model.Options{Rows: page.Train.Batch, Train: true, Input: model.Preprocess{Height: in.H, Width: in.W}})
	if err != nil {
		return nil, err
	}
	return net.Plan().Programs, nil
}

// describe hands cuDNN what one device computes.
func (c *counts) describe(net string, p *device.Program) {
	for _, spec := range p.Ops {
		name := net + " " + spec.Base().Name
		var err error
		switch op := spec.(type) {
		case *device.Conv:
			for _, form := range forms {
				for _, in := range op.In {
					if e := form.convolution(p, op, in); e != nil {
						fmt.Println(name, form.name, e, linktest.CUDNNLastError())
					}
					c.convolutions++
				}
			}
		case *device.LRN:
			_, err = cudnn.NewLRN(uint(op.Size), float64(op.Alpha), float64(op.Beta), float64(op.K))
			c.normalisations++
		case *device.Pool:
			if !op.RoundUp || exact(p, op) { // cuDNN only rounds down
				err = pooling(p, op)
				c.poolings++
			}
		}
		if err != nil {
			fmt.Println(name, err)
		}
	}
}

// form is how values lie in memory, and how they are multiplied.
type form struct {
	name   string
	format cudnn.TensorFormat
	values cudnn.DataType
	bytes  int
	math   cudnn.MathType
}

// gorgonia has no names for these: CUDNN_DATA_BFLOAT16, CUDNN_TENSOR_OP_MATH and CUDNN_FMA_MATH (no TF32).
var forms = []form{
	{"fp32", cudnn.NCHW, cudnn.Float, 4, cudnn.MathType(3)},
	{"tf32", cudnn.NHWC, cudnn.Float, 4, cudnn.MathType(1)},
	{"bf16", cudnn.NHWC, cudnn.DataType(9), 2, cudnn.MathType(1)},
}

// convolution describes op over one of its inputs: with several, each makes a partial sum from its own channels.
func (f form) convolution(p *device.Program, op *device.Conv, in device.Value) error {
	from, to := p.Values[in].Shape, p.Values[op.Out].Shape
	// cuDNN pads alike on all sides and rounds down: pixels that rounding up misses are zeros behind the input's last ones.
	h, w := max(from.H, (to.H-1)*op.Stride+op.Kernel-2*op.Pad), max(from.W, (to.W-1)*op.Stride+op.Kernel-2*op.Pad)
	shape := []int{p.Rows, from.C, h, w}
	x, err := cudnn.NewTensorDescriptor(f.format, f.values, shape, nil)
	if err != nil {
		return fmt.Errorf("input %v: %w", shape, err)
	}
	if got, want := linktest.TensorBytes(Raw(x)), p.Rows*from.C*h*w*f.bytes; got != want {
		return fmt.Errorf("input %v takes %d bytes, want %d", shape, got, want)
	}
	shape = []int{to.C, from.C / op.Groups, op.Kernel, op.Kernel}
	weight, err := cudnn.NewFilter(f.values, f.format, shape)
	if err != nil {
		return fmt.Errorf("weight %v: %w", shape, err)
	}
	if got, want := p.Params.Specs()[op.Weight].Len()/len(op.In)*f.bytes, linktest.FilterBytes(Raw(weight)); got != want {
		return fmt.Errorf("weight %v takes %d bytes, the parameter's part has %d", shape, want, got)
	}
	pad, stride := []int{op.Pad, op.Pad}, []int{op.Stride, op.Stride}
	convolution, err := cudnn.NewConvolution(f.math, op.Groups, pad, stride, []int{1, 1}, cudnn.CrossCorrelation, cudnn.Float)
	if err != nil {
		return fmt.Errorf("convolution: %w", err)
	}
	if got := linktest.Groups(Raw(convolution)); got != op.Groups {
		return fmt.Errorf("cuDNN keeps %d groups of %d", got, op.Groups)
	}
	got, err := convolution.ForwardOutputShape(x, weight, 2)
	return compareShape(got, []int{p.Rows, to.C, to.H, to.W}, err)
}

// exact tells whether the windows fit, so that rounding up is rounding down.
func exact(p *device.Program, op *device.Pool) bool {
	s := p.Values[op.In[0]].Shape
	return (s.H+2*op.Pad-op.Window)%op.Stride == 0 && (s.W+2*op.Pad-op.Window)%op.Stride == 0
}

func pooling(p *device.Program, op *device.Pool) error {
	from, to := p.Values[op.In[0]].Shape, p.Values[op.Out].Shape
	x, err := cudnn.NewTensorDescriptor(cudnn.NCHW, cudnn.Float, []int{p.Rows, from.C, from.H, from.W}, nil)
	if err != nil {
		return err
	}
	mode := map[device.PoolKind]cudnn.PoolingMode{device.Max: cudnn.MaxPooling, device.Avg: cudnn.AverageCountExcludePadding}[op.Kind]
	two := func(n int) []int { return []int{n, n} }
	pool, err := cudnn.NewPooling(mode, cudnn.PropagateNan, two(op.Window), two(op.Stride), two(op.Pad))
	if err != nil {
		return err
	}
	got, err := pool.OutputShape(x, 2)
	return compareShape(got, []int{p.Rows, to.C, to.H, to.W}, err)
}

func compareShape(got, want []int, err error) error {
	if err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("cuDNN gives %v, want %v", got, want)
	}
	return err
}
