// Stands before NVIDIA's cuda.h, so that gorgonia.org/cu v0.9.6 compiles unmodified against the headers of CUDA 13 too.
// They gave five names that it calls to newer functions with other parameters, and cuEventElapsedTime to one that only
// drivers from CUDA 12.8 on have. The old functions are still in the driver: here the names are theirs again, so that a
// program built with headers of CUDA 13 calls what one built with those of CUDA 12 does, and runs with the same
// drivers.
#ifndef ALEXNET_COMPAT_CUDA_H
#define ALEXNET_COMPAT_CUDA_H
#include_next <cuda.h>

#if CUDA_VERSION >= 13000
#undef cuCtxCreate
#undef cuMemAdvise
#undef cuMemPrefetchAsync
#undef cuGraphAddDependencies
#undef cuGraphGetEdges
#undef cuEventElapsedTime
#define cuCtxCreate cuCtxCreate_v2
CUresult CUDAAPI cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);
CUresult CUDAAPI cuMemAdvise(CUdeviceptr data, size_t bytes, CUmem_advise advice, CUdevice device);
CUresult CUDAAPI cuMemPrefetchAsync(CUdeviceptr data, size_t bytes, CUdevice to, CUstream stream);
CUresult CUDAAPI cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t n);
CUresult CUDAAPI cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *n);
CUresult CUDAAPI cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to);
#endif
#endif
