// The descriptors of the emulated libcudnn.so.9.
#pragma once

#include "conv.h"
#include "softgpu.h"

#pragma GCC visibility push(default)
#include <cudnn.h>
#pragma GCC visibility pop

struct cudnnContext {
    CUcontext context;
    CUstream stream;
};

struct cudnnTensorStruct {
    bool set;
    cudnnDataType_t type;
    size_t size[4], stride[4]; // n, c, h, w
};

struct cudnnFilterStruct {
    bool set;
    cudnnDataType_t type;
    cudnnTensorFormat_t format;
    size_t size[4]; // kernels, channels of a group, h, w
};

struct cudnnConvolutionStruct {
    bool set;
    softgpu::Shape shape;
    cudnnMathType_t math;
};

namespace softgpu {

// Says why, where SOFTGPU_LOG asks for it, keeps it for cudnnGetLastErrorString, and passes the status on.
cudnnStatus_t fail(cudnnStatus_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The size of what a convolution gives: n, kernels, h, w.
cudnnStatus_t outputOf(const cudnnConvolutionStruct *c, const cudnnTensorStruct *x, const cudnnFilterStruct *w,
    size_t size[4]);

Tensor tensorOf(const cudnnTensorStruct *t, const void *at);
Tensor tensorOf(const cudnnFilterStruct *f, const void *at);

} // namespace softgpu
