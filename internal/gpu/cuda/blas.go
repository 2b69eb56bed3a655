//go:build cuda

package cuda

// #include <cublas_v2.h>
// static const void *factor(int one) { static const float factors[] = {0, 1}; return &factors[one]; }
import "C"

import (
	"unsafe"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"

	"alexnet/internal/gpu/dynlib"
)

// Type is the type of numbers in device memory.
type Type int

// Types.
const (
	Float32 Type = iota
	BFloat16
)

// Size is that of a number in bytes.
func (t Type) Size() int64 {
	if t == BFloat16 {
		return 2
	}
	return 4
}

func (t Type) blas() C.cudaDataType { return [...]C.cudaDataType{C.CUDA_R_32F, C.CUDA_R_16BF}[t] }

// BLAS is a cuBLAS handle of the context that was current when it was made.
type BLAS struct{ own *cublas.Standard }

// NewBLAS makes one whose work goes into stream. gorgonia's New panics where cuBLAS is missing.
func NewBLAS(stream cu.Stream) (b *BLAS, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, cublasError("cublasCreate", panicked(r))
		}
	}()
	b = &BLAS{cublas.New()}
	return b, cublasStatus("cublasSetStream", C.cublasSetStream(b.c(), C.cudaStream_t(unsafe.Pointer(stream.C()))))
}

func (b *BLAS) c() C.cublasHandle_t { return C.cublasHandle_t(dynlib.Raw(b.own)) }

// Close destroys the handle.
func (b *BLAS) Close() error {
	return cublasError("cublasDestroy", b.own.Close())
}

// SetWorkspace gives cuBLAS memory to work in, so that it takes none by itself and its sums are the same from run to
// run.
func (b *BLAS) SetWorkspace(p cu.DevicePtr, bytes int64) error {
	return cublasStatus("cublasSetWorkspace", C.cublasSetWorkspace(b.c(), pointer(p), C.size_t(bytes)))
}

// Version is that of cuBLAS, 120403 for 12.4.3.
func (b *BLAS) Version() (int, error) {
	var v C.int
	err := cublasStatus("cublasGetVersion", C.cublasGetVersion(b.c(), &v))
	return int(v), err
}

// zero and one as the libraries take factors; in Go they would be allocated anew for each call.
var zero, one = C.factor(0), C.factor(1)

func factor(isOne bool) unsafe.Pointer {
	if isOne {
		return one
	}
	return zero
}

// Matrix is one in row-major order, or its transpose.
type Matrix struct {
	Data   cu.DevicePtr
	Type   Type
	Stride int // numbers from row to row as it lies in memory
	Trans  bool
}

func (m Matrix) op() C.cublasOperation_t {
	if m.Trans {
		return C.CUBLAS_OP_T
	}
	return C.CUBLAS_OP_N
}

// Gemm computes c (m, n) = a (m, k) b (k, n), or adds that to c. Sums are fp32; with tf32 the factors are rounded to
// that. cuBLAS counts columns first: it is asked for the transpose, which is b' a'.
func (b *BLAS) Gemm(m, n, k int, a, x Matrix, add bool, c Matrix, tf32 bool) error {
	compute := C.cublasComputeType_t(C.CUBLAS_COMPUTE_32F)
	if tf32 {
		compute = C.CUBLAS_COMPUTE_32F_FAST_TF32
	}
	return cublasStatus("cublasGemmEx", C.cublasGemmEx(b.c(), x.op(), a.op(), C.int(n), C.int(m), C.int(k),
		factor(true), pointer(x.Data), x.Type.blas(), C.int(x.Stride), pointer(a.Data), a.Type.blas(), C.int(a.Stride),
		factor(add), pointer(c.Data), c.Type.blas(), C.int(c.Stride), compute, C.CUBLAS_GEMM_DEFAULT))
}

// pointer is a device pointer as the libraries take it. It is an address of no memory of this process: nothing looks
// behind it.
func pointer(p cu.DevicePtr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }
