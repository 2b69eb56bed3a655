//go:build cuda

// Package dynlibtest finds NVIDIA's cuDNN and calls functions of NVIDIA's libraries for the tests of package dynlib:
// tests cannot contain cgo.
package dynlibtest

/*
#cgo LDFLAGS: -lcuda -ldl -lpthread
#include <cublasLt.h>
#include <cublas_v2.h>
#include <cudnn.h>
#include <stdlib.h>

// So many freed blocks of one size the C library keeps at hand.
enum { KEPT = 7 };

static void leave(size_t bytes, unsigned long long word) {
	unsigned long long *block[KEPT];
	for (int i = 0; i < KEPT; i++) {
		volatile unsigned long long *words = block[i] = malloc(bytes);
		for (size_t k = 0; words && k < bytes / sizeof word; k++) words[k] = word;
	}
	for (int i = 0; i < KEPT; i++) free(block[i]);
}

static unsigned lrn_size(void *lrn) {
	unsigned n = 0;
	double alpha, beta, k;
	cudnnGetLRNDescriptor(lrn, &n, &alpha, &beta, &k);
	return n;
}

static int groups(void *convolution) {
	int n = -1;
	cudnnGetConvolutionGroupCount(convolution, &n);
	return n;
}

static size_t tensor_bytes(void *tensor) {
	size_t n = 0;
	cudnnGetTensorSizeInBytes(tensor, &n);
	return n;
}

static size_t filter_bytes(void *filter) {
	size_t n = 0;
	cudnnGetFilterSizeInBytes(filter, &n);
	return n;
}
*/
import "C"

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"
)

// CUDNN is the folder of NVIDIA's own cuDNN 9, which without a GPU makes and checks descriptors, but computes nothing:
// ALEXNET_CUDNN, where it must be, or the one in the cache folder, without which the test is skipped.
func CUDNN(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("ALEXNET_CUDNN")
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("no cache folder: %v", err)
		}
		folder = filepath.Join(cache, "alexnet", "cudnn-9.*", "lib")
	}
	found, err := filepath.Glob(filepath.Join(folder, "libcudnn.so.9"))
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if os.Getenv("ALEXNET_CUDNN") != "" {
		t.Fatalf("ALEXNET_CUDNN=%s has no libcudnn.so.9", folder)
	}
	t.Skip("cuDNN's library is not in the cache folder: scripts/cuda.sh cudnn fetches it (770 MB)")
	return ""
}

// CUDNNError is what cuDNN calls a status.
func CUDNNError(status int) string { return C.GoString(C.cudnnGetErrorString(C.cudnnStatus_t(status))) }

// CUDNNLastError is what cuDNN tells about the last failure.
func CUDNNLastError() string {
	var text [256]C.char
	text[0] = 0
	C.cudnnGetLastErrorString(&text[0], C.size_t(len(text)))
	return C.GoString(&text[0])
}

// CUBLASError is what cuBLAS calls a status.
func CUBLASError(status int) string {
	return C.GoString(C.cublasGetStatusName(C.cublasStatus_t(status))) + ": " +
		C.GoString(C.cublasGetStatusString(C.cublasStatus_t(status)))
}

// CUBLASVersion is the status of asking cuBLAS for its version, and the version.
func CUBLASVersion() (status, version int) {
	var v C.int
	s := C.cublasGetVersion(nil, &v)
	return int(s), int(v)
}

// CUBLASLtVersion asks cuBLASLt for its version; 0 where it is missing.
func CUBLASLtVersion() int { return int(C.cublasLtGetVersion()) }

// LRNSize is the window that cuDNN keeps in a cudnnLRNDescriptor_t.
func LRNSize(lrn unsafe.Pointer) int { return int(C.lrn_size(lrn)) }

// Groups is the number of groups in a cudnnConvolutionDescriptor_t.
func Groups(convolution unsafe.Pointer) int { return int(C.groups(convolution)) }

// TensorBytes is the size of what a cudnnTensorDescriptor_t describes.
func TensorBytes(tensor unsafe.Pointer) int { return int(C.tensor_bytes(tensor)) }

// FilterBytes is the size of what a cudnnFilterDescriptor_t describes.
func FilterBytes(filter unsafe.Pointer) int { return int(C.filter_bytes(filter)) }

// Leave fills freed memory of C, blocks of a size, with a word: what malloc gives next holds it.
func Leave(bytes int, word uint64) { C.leave(C.size_t(bytes), C.ulonglong(word)) }
