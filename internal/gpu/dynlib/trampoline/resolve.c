// Finds the functions behind the entries of entry.S, when they are first called. Where a library is missing, or lacks a
// function, the call returns a status like any other failure: no call through these entries ends the program.
#define _GNU_SOURCE
#include <cublas_v2.h>
#include <cuda.h>
#include <cudnn.h>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "resolve.h"

enum returns { STATUS, TEXT, NUMBER };

static const struct {
	const char *name;
	unsigned char library, returns;
} functions[] = {
#define F(number, name, library, returns) {#name, ALEXNET_##library, returns},
#include "functions.inc"
#undef F
};
enum { N = sizeof functions / sizeof functions[0] };

extern void *alexnet_table[N] __attribute__((visibility("hidden")));

static struct library {
	void *handle;
	char err[512], path[512];
	const char *missing;
	pthread_once_t once;
} libraries[ALEXNET_LIBRARIES] = {
	{.once = PTHREAD_ONCE_INIT}, {.once = PTHREAD_ONCE_INIT}, {.once = PTHREAD_ONCE_INIT}, {.once = PTHREAD_ONCE_INIT}};

// Tries one name. The libraries see each other's functions, as they would if the program had been linked with them.
static int try(struct library *l, const char *name) {
	if (l->handle) return 1;
	l->handle = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
	if (!l->handle) {
		size_t n = strlen(l->err);
		snprintf(l->err + n, sizeof l->err - n, "%s%s", n ? "; " : "", dlerror());
		return 0;
	}
	struct link_map *map;
	if (dlinfo(l->handle, RTLD_DI_LINKMAP, &map) == 0) snprintf(l->path, sizeof l->path, "%s", map->l_name);
	return 1;
}

static void open_cuda(void) { try(&libraries[ALEXNET_CUDA], "libcuda.so.1"); }
static void open_cudnn(void) { try(&libraries[ALEXNET_CUDNN], "libcudnn.so.9"); }

// The version of CUDA that the driver is for, 1000 major + 10 minor; 0 without a driver. It may be asked before cuInit.
static int driver_version(void) {
	CUresult (*get)(int *) = NULL;
	int version = 0;
	if (!alexnet_open(ALEXNET_CUDA))
		get = (CUresult (*)(int *))dlsym(libraries[ALEXNET_CUDA].handle, "cuDriverGetVersion");
	return get && get(&version) == CUDA_SUCCESS ? version : 0;
}

// cuBLAS 13 does not run under a driver for CUDA 12, cuBLAS 12 runs under both.
static void open_generation(struct library *l, const char *thirteen, const char *twelve) {
	if (driver_version() < 13000 || !try(l, thirteen)) try(l, twelve);
}
static void open_cublas(void) { open_generation(&libraries[ALEXNET_CUBLAS], "libcublas.so.13", "libcublas.so.12"); }
static void open_cublaslt(void) {
	open_generation(&libraries[ALEXNET_CUBLASLT], "libcublasLt.so.13", "libcublasLt.so.12");
}

const char *alexnet_open(enum alexnet_library which) {
	static void (*const openers[ALEXNET_LIBRARIES])(void) = {open_cuda, open_cublas, open_cublaslt, open_cudnn};
	struct library *l = &libraries[which];
	pthread_once(&l->once, openers[which]);
	return l->handle ? NULL : l->err;
}

const char *alexnet_path(enum alexnet_library which) { return alexnet_open(which) ? "" : libraries[which].path; }

const char *alexnet_missing_symbol(enum alexnet_library which) {
	return __atomic_load_n(&libraries[which].missing, __ATOMIC_ACQUIRE);
}

int alexnet_init(void) {
	if (alexnet_open(ALEXNET_CUDA)) return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
	CUresult (*init)(unsigned) = (CUresult (*)(unsigned))dlsym(libraries[ALEXNET_CUDA].handle, "cuInit");
	if (init) return init(0);
	__atomic_store_n(&libraries[ALEXNET_CUDA].missing, "cuInit", __ATOMIC_RELEASE);
	return CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND;
}

// gorgonia's package cu calls cuInit when the program starts, whatever it is going to do, and ends it where that fails.
// So cuInit does nothing: the program calls alexnet_init when it wants a GPU.
static CUresult promise(unsigned flags) { return CUDA_SUCCESS; }

// What stands in for a function that is not there. A status tells a missing library from a function that an older
// library lacks.
static CUresult no_cuda(void) { return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED; }
static CUresult old_cuda(void) { return CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND; }
static cublasStatus_t no_cublas(void) { return CUBLAS_STATUS_NOT_INITIALIZED; }
static cublasStatus_t old_cublas(void) { return CUBLAS_STATUS_NOT_SUPPORTED; }
static cudnnStatus_t no_cudnn(void) { return CUDNN_STATUS_NOT_INITIALIZED; }
static cudnnStatus_t old_cudnn(void) { return CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH; }
static const char *text(void) { return "unknown: the library that would know is missing or lacks the function"; }
static size_t zero(void) { return 0; }
static CUresult cuda_text(CUresult status, const char **out) {
	*out = status == CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND ? "the driver lacks a function" : text();
	return CUDA_SUCCESS;
}
static void cudnn_text(char *out, size_t size) { if (size) snprintf(out, size, "%s", text()); }

static void *instead(unsigned i, int there) {
	static void *const no[] = {no_cuda, no_cublas, no_cublas, no_cudnn},
		*const old[] = {old_cuda, old_cublas, old_cublas, old_cudnn};
	const char *name = functions[i].name;
	if (!strcmp(name, "cuGetErrorString") || !strcmp(name, "cuGetErrorName")) return cuda_text;
	if (!strcmp(name, "cudnnGetLastErrorString")) return cudnn_text;
	if (functions[i].returns == TEXT) return text;
	if (functions[i].returns == NUMBER) return zero;
	return (there ? old : no)[functions[i].library];
}

// The address of function i, from entry.S. What is missing is not written into the table, so that each call of it comes
// here and leaves its name.
__attribute__((visibility("hidden"))) void *alexnet_resolve(unsigned i) {
	enum alexnet_library which = functions[i].library;
	if (!strcmp(functions[i].name, "cuInit")) return promise;
	int there = !alexnet_open(which);
	void *address = there ? dlsym(libraries[which].handle, functions[i].name) : NULL;
	if (address) {
		__atomic_store_n(&alexnet_table[i], address, __ATOMIC_RELEASE);
		return address;
	}
	if (there) __atomic_store_n(&libraries[which].missing, functions[i].name, __ATOMIC_RELEASE);
	return instead(i, there);
}
