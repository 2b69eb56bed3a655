//go:build cuda

package cuda

// #include <cuda.h>
// #include <cublas_v2.h>
// #include <cudnn.h>
import "C"

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"

	"alexnet/internal/gpu/dynlib"
)

// Error is a call that a library refused.
type Error struct {
	Call string // the function
	Err  error  // what the library says
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Call, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Wrap names the function that err, one of gorgonia.org/cu's, came from. A function that the driver lacks is told by
// name.
func Wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, cu.SharedObjectSymbolNotFound) {
		err = dynlib.Lacks(dynlib.CUDA)
	}
	return &Error{call, err}
}

func driver(call string, status C.CUresult) error {
	switch status {
	case C.CUDA_SUCCESS:
		return nil
	case C.CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND:
		return &Error{call, dynlib.Lacks(dynlib.CUDA)}
	}
	var text *C.char
	if C.cuGetErrorString(status, &text) != C.CUDA_SUCCESS || text == nil {
		return &Error{call, fmt.Errorf("status %d", int(status))}
	}
	return &Error{call, errors.New(C.GoString(text))}
}

func cublasStatus(call string, status C.cublasStatus_t) error {
	if status == C.CUBLAS_STATUS_SUCCESS {
		return nil
	}
	if status == C.CUBLAS_STATUS_NOT_SUPPORTED && dynlib.CUBLAS.MissingSymbol() != "" {
		return &Error{call, dynlib.Lacks(dynlib.CUBLAS)}
	}
	return &Error{call, errors.New(C.GoString(C.cublasGetStatusString(status)))}
}

// cudnnStatus adds what cuDNN noted about its last failure.
func cudnnStatus(call string, status C.cudnnStatus_t) error {
	if status == C.CUDNN_STATUS_SUCCESS {
		return nil
	}
	if status == C.CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH && dynlib.CUDNN.MissingSymbol() != "" {
		return &Error{call, dynlib.Lacks(dynlib.CUDNN)}
	}
	text := C.GoString(C.cudnnGetErrorString(status))
	var more [512]C.char
	C.cudnnGetLastErrorString(&more[0], C.size_t(len(more)))
	if last := C.GoString(&more[0]); last != "" {
		text += " (" + last + ")"
	}
	return &Error{call, errors.New(text)}
}

// cublasError names the function that err, one of gorgonia.org/cu/blas's, came from; its texts know few of cuBLAS's
// statuses.
func cublasError(call string, err error) error {
	var status cublas.Status
	if errors.As(err, &status) {
		return cublasStatus(call, C.cublasStatus_t(status))
	}
	return otherError(call, err)
}

// cudnnError is the same of gorgonia.org/cu/dnn's.
func cudnnError(call string, err error) error {
	var status cudnn.Status
	if errors.As(err, &status) {
		return cudnnStatus(call, C.cudnnStatus_t(status))
	}
	return otherError(call, err)
}

func otherError(call string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{call, err}
}

// panicked is what gorgonia panics with where a handle cannot be made.
func panicked(r any) error {
	if err, ok := r.(error); ok {
		return err
	}
	return fmt.Errorf("%v", r)
}
