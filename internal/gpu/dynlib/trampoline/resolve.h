// What package dynlib asks the trampolines besides calling through them.
#ifndef ALEXNET_RESOLVE_H
#define ALEXNET_RESOLVE_H

enum alexnet_library { ALEXNET_CUDA, ALEXNET_CUBLAS, ALEXNET_CUBLASLT, ALEXNET_CUDNN, ALEXNET_LIBRARIES };

// Opens a library, once. NULL where it is open, otherwise what dlopen said, for each name that was tried.
const char *alexnet_open(enum alexnet_library);
// The file that was opened, "" if none is.
const char *alexnet_path(enum alexnet_library);
// What the driver's own cuInit says: the entry cuInit only promises success (see resolve.c).
// CUDA_ERROR_SHARED_OBJECT_INIT_FAILED where there is no driver.
int alexnet_init(void);
// The function that was called last of those that a library lacks although it is there; NULL if that never happened.
const char *alexnet_missing_symbol(enum alexnet_library);

#endif
