//go:build cuda

package cuda

// #include <cudnn.h>
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"

	"alexnet/internal/gpu/dynlib"
)

// DNN is a cuDNN handle of the context that was current when it was made.
type DNN struct{ own *cudnn.Context }

// NewDNN makes one whose work goes into stream. gorgonia's NewContext panics where cuDNN is missing.
func NewDNN(stream cu.Stream) (d *DNN, err error) {
	defer func() {
		if r := recover(); r != nil {
			d, err = nil, cudnnError("cudnnCreate", panicked(r))
		}
	}()
	d = &DNN{cudnn.NewContext()}
	return d, cudnnStatus("cudnnSetStream", C.cudnnSetStream(d.c(), C.cudaStream_t(unsafe.Pointer(stream.C()))))
}

func (d *DNN) c() C.cudnnHandle_t { return C.cudnnHandle_t(dynlib.Raw(d.own)) }

// Close destroys the handle.
func (d *DNN) Close() error {
	return cudnnError("cudnnDestroy", d.own.Close())
}

func (t Type) dnn() cudnn.DataType {
	return [...]cudnn.DataType{cudnn.Float, cudnn.DataType(C.CUDNN_DATA_BFLOAT16)}[t]
}

// Math is what a convolution may do with fp32 numbers.
type Math int

// Kinds of math.
const (
	Full   Math = iota // fp32 throughout
	TF32               // factors rounded to tf32 on tensor cores
	Tensor             // factors are bf16 as they are: tensor cores
)

// Without FMA_MATH cuDNN takes TF32 for fp32 by itself, on GPUs that have it.
func (m Math) dnn() cudnn.MathType {
	return [...]cudnn.MathType{
		cudnn.MathType(C.CUDNN_FMA_MATH), cudnn.MathType(C.CUDNN_DEFAULT_MATH),
		cudnn.MathType(C.CUDNN_TENSOR_OP_MATH),
	}[m]
}

// Layout is the order of a map's numbers.
type Layout int

// Layouts.
const (
	NCHW Layout = iota
	NHWC
)

func (l Layout) dnn() cudnn.TensorFormat { return [...]cudnn.TensorFormat{cudnn.NCHW, cudnn.NHWC}[l] }

// Convolution is cross-correlation of x (rows, channels, height, width) with w (kernels, channels/groups, size, size),
// without bias.
type Convolution struct {
	Rows, Channels, Height, Width int
	Kernels, Size, Stride, Pad    int
	Groups                        int
	OutHeight, OutWidth           int
	Type                          Type
	Math                          Math
	Layout                        Layout
}

// Direction is one of a convolution's three computations.
type Direction int

// Directions.
const (
	Forward Direction = iota
	Data              // gradient of x
	Filter            // gradient of w
)

func (d Direction) String() string {
	return [...]string{"forward", "data gradient", "weight gradient"}[d]
}

// Conv is a convolution as cuDNN describes it. gorgonia destroys descriptors when nothing refers to them: they live as
// long as this does.
type Conv struct {
	spec  Convolution
	x, y  *cudnn.TensorDescriptor
	w     *cudnn.Filter
	convs [3]*cudnn.Convolution // by Direction, for each algorithm has a math type
}

// NewConv describes a convolution, and checks the size of its output with cuDNN.
func NewConv(s Convolution) (*Conv, error) {
	c := &Conv{spec: s}
	var err error
	describe := func(shape ...int) (t *cudnn.TensorDescriptor) {
		if err == nil {
			t, err = cudnn.NewTensorDescriptor(s.Layout.dnn(), s.Type.dnn(), shape, nil)
		}
		return t
	}
	c.x = describe(s.Rows, s.Channels, s.Height, s.Width)
	c.y = describe(s.Rows, s.Kernels, s.OutHeight, s.OutWidth)
	if err != nil {
		return nil, cudnnError("cudnnSetTensor4dDescriptor", err)
	}
	if c.w, err = cudnn.NewFilter(s.Type.dnn(), s.Layout.dnn(),
		[]int{s.Kernels, s.Channels / s.Groups, s.Size, s.Size}); err != nil {
		return nil, cudnnError("cudnnSetFilter4dDescriptor", err)
	}
	for d := range c.convs {
		c.convs[d], err = cudnn.NewConvolution(s.Math.dnn(), s.Groups, []int{s.Pad, s.Pad}, []int{s.Stride, s.Stride},
			[]int{1, 1}, cudnn.CrossCorrelation, cudnn.Float)
		if err != nil {
			return nil, cudnnError("cudnnSetConvolutionNdDescriptor", err)
		}
	}
	return c, c.checkOutput()
}

func (c *Conv) checkOutput() error {
	got, err := c.convs[Forward].CalcForwardOutputShape(c.x, c.w, 2)
	if err != nil {
		return cudnnError("cudnnGetConvolution2dForwardOutputDim", err)
	}
	s := c.spec
	if want := []int{s.Rows, s.Kernels, s.OutHeight, s.OutWidth}; !slices.Equal(got, want) {
		return fmt.Errorf("cuDNN makes %v of what should be %v", got, want)
	}
	return nil
}

// Close frees the filter's descriptor, which gorgonia never does.
func (c *Conv) Close() error {
	return cudnnStatus("cudnnDestroyFilterDescriptor", C.cudnnDestroyFilterDescriptor(c.filter()))
}

func (c *Conv) xDesc() C.cudnnTensorDescriptor_t { return C.cudnnTensorDescriptor_t(dynlib.Raw(c.x)) }

func (c *Conv) yDesc() C.cudnnTensorDescriptor_t { return C.cudnnTensorDescriptor_t(dynlib.Raw(c.y)) }

func (c *Conv) filter() C.cudnnFilterDescriptor_t {
	return C.cudnnFilterDescriptor_t(dynlib.Raw(c.w))
}

func (c *Conv) desc(d Direction) C.cudnnConvolutionDescriptor_t {
	return C.cudnnConvolutionDescriptor_t(dynlib.Raw(c.convs[d]))
}

// Forward computes y = w * x, or adds that to y.
func (c *Conv) Forward(d *DNN, a Algorithm, x, w, work cu.DevicePtr, add bool, y cu.DevicePtr) error {
	return cudnnStatus("cudnnConvolutionForward", C.cudnnConvolutionForward(d.c(), factor(true), c.xDesc(), pointer(x),
		c.filter(), pointer(w), c.desc(Forward), C.cudnnConvolutionFwdAlgo_t(a.Number), pointer(work),
		C.size_t(a.Workspace), factor(add), c.yDesc(), pointer(y)))
}

// Data computes dx of dy.
func (c *Conv) Data(d *DNN, a Algorithm, w, dy, work, dx cu.DevicePtr) error {
	return cudnnStatus("cudnnConvolutionBackwardData", C.cudnnConvolutionBackwardData(d.c(), factor(true), c.filter(),
		pointer(w), c.yDesc(), pointer(dy), c.desc(Data), C.cudnnConvolutionBwdDataAlgo_t(a.Number), pointer(work),
		C.size_t(a.Workspace), factor(false), c.xDesc(), pointer(dx)))
}

// Filter computes dw of x and dy.
func (c *Conv) Filter(d *DNN, a Algorithm, x, dy, work, dw cu.DevicePtr) error {
	return cudnnStatus("cudnnConvolutionBackwardFilter", C.cudnnConvolutionBackwardFilter(d.c(), factor(true),
		c.xDesc(), pointer(x), c.yDesc(), pointer(dy), c.desc(Filter), C.cudnnConvolutionBwdFilterAlgo_t(a.Number),
		pointer(work), C.size_t(a.Workspace), factor(false), c.filter(), pointer(dw)))
}
