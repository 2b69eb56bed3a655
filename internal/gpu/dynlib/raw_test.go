//go:build cuda

package dynlib

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"

	"alexnet/internal/gpu/dynlib/dynlibtest"
)

// Raw reads the first field of structs that are gorgonia's own. This is what they look like in v0.9.6; with another
// version, look again, at the fields and at what compat/ promises, and change the number here.
func TestLayoutOfGorgonia(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\tgorgonia.org/cu v0.9.6\n") {
		t.Error("go.mod does not name gorgonia.org/cu v0.9.6")
	}
	for _, c := range []struct {
		object any
		handle string
	}{
		{cu.CUContext{}, "CUcontext"},
		{cu.Stream{}, "CUstream"},
		{cu.Event{}, "CUevent"},
		{cu.Module{}, "CUmodule"},
		{cu.Function{}, "CUfunction"},
		{cublas.Standard{}, "cublasHandle_t"},
		{cudnn.Context{}, "cudnnHandle_t"},
		{cudnn.TensorDescriptor{}, "cudnnTensorDescriptor_t"},
		{cudnn.Filter{}, "cudnnFilterDescriptor_t"},
		{cudnn.Convolution{}, "cudnnConvolutionDescriptor_t"},
		{cudnn.Pooling{}, "cudnnPoolingDescriptor_t"},
		{cudnn.LRN{}, "cudnnLRNDescriptor_t"},
	} {
		f := reflect.TypeOf(c.object).Field(0)
		// cgo's name for a type of C
		if f.Offset != 0 || f.Type.Size() != 8 || !strings.HasSuffix(f.Type.String(), "._Ctype_"+c.handle) {
			t.Errorf("%T begins with %s %v of %d bytes, want a %s", c.object, f.Name, f.Type, f.Type.Size(), c.handle)
		}
	}
}

// readHandles makes objects of gorgonia's and lets cuDNN read something through their handles.
func readHandles() {
	x, err := cudnn.NewTensorDescriptor(cudnn.NHWC, cudnn.Half, []int{2, 96, 27, 27}, nil)
	fmt.Println(err, dynlibtest.TensorBytes(Raw(x)))
	w, err := cudnn.NewFilter(cudnn.Half, cudnn.NHWC, []int{256, 48, 5, 5})
	fmt.Println(err, dynlibtest.FilterBytes(Raw(w)))
	c, err := cudnn.NewConvolution(cudnn.DefaultMath, 2, []int{2, 2}, []int{1, 1}, []int{1, 1}, cudnn.CrossCorrelation,
		cudnn.Float)
	fmt.Println(err, dynlibtest.Groups(Raw(c)))
	n, err := cudnn.NewLRN(5, 1e-4, .75, 2)
	fmt.Println(err, dynlibtest.LRNSize(Raw(n)))
}

// handles is a libcudnn.so.9 whose handles tell the objects apart.
const handles = `
	#include <stddef.h>
	#define MAKE(kind, handle, number, type) \
		int cudnnCreate##kind##Descriptor(void **made) { *made = (void *)handle; return 0; } \
		int cudnnDestroy##kind##Descriptor(void *old) { return 0; } \
		static type read_##kind(void *h) { return h == (void *)handle ? number : -1; }
	MAKE(Tensor, 0x10, 279936, size_t)
	MAKE(Filter, 0x20, 614400, size_t)
	MAKE(Convolution, 0x30, 2, int)
	MAKE(LRN, 0x40, 5, unsigned)
	int cudnnSetTensor4dDescriptor(void) { return 0; }
	int cudnnSetFilter4dDescriptor(void) { return 0; }
	int cudnnSetConvolutionMathType(void) { return 0; }
	int cudnnSetConvolutionGroupCount(void) { return 0; }
	int cudnnSetConvolution2dDescriptor(void) { return 0; }
	int cudnnSetLRNDescriptor(void) { return 0; }
	int cudnnGetTensorSizeInBytes(void *h, size_t *n) { *n = read_Tensor(h); return 0; }
	int cudnnGetFilterSizeInBytes(void *h, size_t *n) { *n = read_Filter(h); return 0; }
	int cudnnGetConvolutionGroupCount(void *h, int *n) { *n = read_Convolution(h); return 0; }
	int cudnnGetLRNDescriptor(void *h, unsigned *n, double *a, double *b, double *k) { *n = read_LRN(h); return 0; }`

func TestRaw(t *testing.T) {
	want := []string{
		"<nil> 279936", // 2 96 27 27 numbers of 2 bytes
		"<nil> 614400", // 256 48 5 5 of 2
		"<nil> 2", "<nil> 5",
	}
	t.Run("fake cuDNN", func(t *testing.T) {
		compare(t, ask(t, fakes(t, map[string]string{"libcudnn.so.9": handles}), "raw"), want...)
	})
	t.Run("cuDNN", func(t *testing.T) { compare(t, ask(t, dynlibtest.CUDNN(t), "raw"), want...) })
}
