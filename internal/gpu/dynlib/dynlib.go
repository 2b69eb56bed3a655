//go:build cuda

package dynlib

/*
#cgo CFLAGS: -I${SRCDIR}/trampoline
#cgo LDFLAGS: -lcuda -ldl -lpthread
#include <cuda.h>
#include <cudnn.h>
#include <cublas_v2.h>
#include "resolve.h"

// Calls by which package dynlib itself tells whether a library is one that the program can use.
static const char *name(int status) {
	const char *text = "unknown";
	cuGetErrorName(status, &text);
	return text;
}
static const char *describe(int status) {
	const char *text = "unknown";
	cuGetErrorString(status, &text);
	return text;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// Library is one of NVIDIA's libraries.
type Library int

// The libraries.
const (
	CUDA     Library = C.ALEXNET_CUDA // the driver
	CUBLAS   Library = C.ALEXNET_CUBLAS
	CUBLASLt Library = C.ALEXNET_CUBLASLT
	CUDNN    Library = C.ALEXNET_CUDNN
)

func (l Library) String() string { return [...]string{"CUDA driver", "cuBLAS", "cuBLASLt", "cuDNN"}[l] }

// Path is the file that was opened, "" where there is none.
func (l Library) Path() string { return C.GoString(C.alexnet_path(C.enum_alexnet_library(l))) }

// open tells why the library cannot be opened, or nil.
func (l Library) open() error {
	if err := C.alexnet_open(C.enum_alexnet_library(l)); err != nil {
		return errors.New(C.GoString(err))
	}
	return nil
}

// Oldest is the least version of CUDA whose drivers run this program, 1000 major + 10 minor: cuBLAS 12 and cuDNN 9 want
// it.
const Oldest = 12000

// oldestCUDNN is cuDNN 9.0.0 as the library says it.
const oldestCUDNN = 90000

const (
	installDriver = "install NVIDIA's driver, 525 or newer, and look whether nvidia-smi shows the GPUs (in a " +
		"container: start it with --gpus all)"
	installCUBLAS = "install cuBLAS, of CUDA 12 or, where the driver is for CUDA 13, of either (Python wheels: " +
		"nvidia-cublas-cu12, nvidia-cublas); " +
		"outside of the system's folders name its folder in LD_LIBRARY_PATH"
	installCUDNN = "install cuDNN 9 for the CUDA that the driver is for (Python wheels: nvidia-cudnn-cu12, " +
		"nvidia-cudnn-cu13) and libz.so.1, which it needs; " +
		"outside of the system's folders name its folder in LD_LIBRARY_PATH"
)

// Init opens the driver and starts it. It must have succeeded before anything of cu, cu/blas or cu/dnn is used. An
// error is an *Error.
var Init = sync.OnceValue(func() error {
	if err := CUDA.open(); err != nil {
		return &Error{"no CUDA driver", err, installDriver}
	}
	switch status := C.alexnet_init(); status {
	case C.CUDA_SUCCESS:
	case C.CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND:
		return Lacks(CUDA)
	case C.CUDA_ERROR_NO_DEVICE:
		return &Error{
			"no GPU", statusError(status),
			"look whether nvidia-smi shows the GPUs, and whether CUDA_VISIBLE_DEVICES hides them",
		}
	default:
		return &Error{
			"the CUDA driver does not start", statusError(status),
			"look whether nvidia-smi works; after an update of the driver restart the machine",
		}
	}
	if v := DriverVersion(); v < Oldest {
		return &Error{
			"the CUDA driver is too old", fmt.Errorf("it is for CUDA %s, CUDA %s or newer is needed", Version(v),
				Version(Oldest)), installDriver,
		}
	}
	return nil
})

func statusError(status C.int) error {
	return fmt.Errorf("%s (%s)", C.GoString(C.describe(status)), C.GoString(C.name(status)))
}

// Lacks is the error of a call that failed because the library, although it is there, lacks its MissingSymbol.
func Lacks(l Library) error {
	err := fmt.Errorf("%s has no %s", l.Path(), l.MissingSymbol())
	if l == CUDA {
		return &Error{"the CUDA driver is too old", err, installDriver}
	}
	return &Error{l.String() + " is too old", err, "install a newer " + l.String()}
}

// MissingSymbol names the function that was called last of those that the library lacks although it is there: the cause
// of CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, CUBLAS_STATUS_NOT_SUPPORTED and
// CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH, where it is not "".
func (l Library) MissingSymbol() string {
	return C.GoString(C.alexnet_missing_symbol(C.enum_alexnet_library(l)))
}

// DriverVersion is the version of CUDA that the driver is for, 1000 major + 10 minor; 0 without a driver.
func DriverVersion() int {
	var v C.int
	if C.cuDriverGetVersion(&v) != C.CUDA_SUCCESS {
		return 0
	}
	return int(v)
}

// Version writes 12080 as 12.8.
func Version(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// CheckCUBLAS opens cuBLAS. An error is an *Error.
func CheckCUBLAS() error {
	if err := CUBLAS.open(); err != nil {
		return &Error{"no cuBLAS", err, installCUBLAS}
	}
	return nil
}

// CheckCUDNN opens cuDNN and tells whether it is new enough, and the driver new enough for it. An error is an *Error.
func CheckCUDNN() error {
	if err := CUDNN.open(); err != nil {
		return &Error{"no cuDNN", err, installCUDNN}
	}
	if v := CUDNNVersion(); v < oldestCUDNN { // another one by that name; without cudnnGetVersion 0
		return &Error{
			"cuDNN is too old", fmt.Errorf("%s says that it is version %d, %d or newer is needed", CUDNN.Path(), v,
				oldestCUDNN), installCUDNN,
		}
	}
	if made, driver := int(C.cudnnGetCudartVersion()), DriverVersion(); driver != 0 && made/1000 > driver/1000 {
		return &Error{
			"cuDNN is not for this driver", fmt.Errorf("%s was made with CUDA %s, the driver is for CUDA %s",
				CUDNN.Path(), Version(made), Version(driver)), installCUDNN,
		}
	}
	return nil
}

// CUDNNVersion is the library's version, 9.27.0 as 92700; 0 where there is none.
func CUDNNVersion() int { return int(C.cudnnGetVersion()) }

// Raw is the C handle that an object of gorgonia's packages keeps in its first field: for the calls that those packages
// lack. The layouts are those of gorgonia.org/cu v0.9.6; a test holds them. The object must outlive the handle's use
// (runtime.KeepAlive): its finalizer destroys the handle.
func Raw[T any](p *T) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(p)) }
