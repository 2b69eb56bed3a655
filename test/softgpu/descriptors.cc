// cuDNN's handle and descriptors: tensors and filters of four dimensions, convolutions of two.
#include "cudnn.h"

#include <cstdarg>
#include <cstdio>

namespace softgpu {

static thread_local char lastError[256];

cudnnStatus_t fail(cudnnStatus_t status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(lastError, sizeof lastError, format, list);
    va_end(list);
    say("%s", lastError);
    return status;
}

static bool known(cudnnDataType_t type) { return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16; }

static cudnnStatus_t setTensor(cudnnTensorStruct *t, cudnnDataType_t type, const int size[4], const int stride[4]) {
    if (!t) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (!known(type))
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "a tensor of type %d: only float and bfloat16 are emulated", type);
    for (int i = 0; i < 4; i++)
        if (size[i] < 1 || stride[i] < 1)
            return fail(CUDNN_STATUS_BAD_PARAM, "a tensor's dimension %d has size %d and stride %d", i, size[i],
                stride[i]);
    t->set = true;
    t->type = type;
    for (int i = 0; i < 4; i++) t->size[i] = (size_t)size[i], t->stride[i] = (size_t)stride[i];
    return CUDNN_STATUS_SUCCESS;
}

// Dense strides of sizes n, c, h, w in a format.
static bool strides(cudnnTensorFormat_t format, const int s[4], int stride[4]) {
    const int nchw[4] = {s[1] * s[2] * s[3], s[2] * s[3], s[3], 1}, nhwc[4] = {s[1] * s[2] * s[3], 1, s[3] * s[1],
        s[1]};
    if (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC) return false;
    for (int i = 0; i < 4; i++) stride[i] = format == CUDNN_TENSOR_NCHW ? nchw[i] : nhwc[i];
    return true;
}

static Tensor tensor(cudnnDataType_t type, const void *at) { return {(void *)at, type == CUDNN_DATA_BFLOAT16, {}, {}}; }

Tensor tensorOf(const cudnnTensorStruct *d, const void *at) {
    Tensor t = tensor(d->type, at);
    for (int i = 0; i < 4; i++) t.size[i] = d->size[i], t.stride[i] = d->stride[i];
    return t;
}

Tensor tensorOf(const cudnnFilterStruct *f, const void *at) {
    Tensor t = tensor(f->type, at);
    int size[4], stride[4];
    for (int i = 0; i < 4; i++) size[i] = (int)(t.size[i] = f->size[i]);
    strides(f->format, size, stride);
    for (int i = 0; i < 4; i++) t.stride[i] = (size_t)stride[i];
    return t;
}

cudnnStatus_t outputOf(const cudnnConvolutionStruct *c, const cudnnTensorStruct *x, const cudnnFilterStruct *w,
    size_t size[4]) {
    if (!c || !x || !w) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (!c->set || !x->set || !w->set) return fail(CUDNN_STATUS_BAD_PARAM, "a descriptor was not set");
    const Shape &s = c->shape;
    if (x->size[1] != w->size[1] * s.groups || w->size[0] % s.groups)
        return fail(CUDNN_STATUS_BAD_PARAM, "%zu channels, filters of %zu x %zu, %zu groups", x->size[1], w->size[0],
            w->size[1], s.groups);
    size[0] = x->size[0], size[1] = w->size[0];
    for (int i = 0; i < 2; i++) {
        long room = (long)x->size[i + 2] + 2 * s.pad[i] - s.dilation[i] * ((long)w->size[i + 2] - 1) - 1;
        if (room < 0) return fail(CUDNN_STATUS_BAD_PARAM, "the filter is larger than the picture");
        size[i + 2] = (size_t)(room / s.stride[i] + 1);
    }
    return CUDNN_STATUS_SUCCESS;
}

template <class T> static cudnnStatus_t create(T **descriptor) {
    if (!descriptor) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    *descriptor = new T{};
    return CUDNN_STATUS_SUCCESS;
}

template <class T> static cudnnStatus_t destroy(T *descriptor) {
    delete descriptor;
    return CUDNN_STATUS_SUCCESS;
}

} // namespace softgpu

using namespace softgpu;

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    if (!handle) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    CUcontext context = nullptr;
    if (cuCtxGetCurrent(&context) || !context)
        return fail(CUDNN_STATUS_NOT_INITIALIZED, "cudnnCreate on a thread without a context");
    *handle = new cudnnContext{context, nullptr};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return destroy(handle); }

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    if (!handle) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

size_t cudnnGetVersion() { return CUDNN_VERSION; }
size_t cudnnGetCudartVersion() { return CUDA_VERSION; }

const char *cudnnGetErrorString(cudnnStatus_t status) {
    switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_BAD_PARAM_NULL_POINTER: return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case CUDNN_STATUS_NOT_SUPPORTED_LAYOUT: return "CUDNN_STATUS_NOT_SUPPORTED_LAYOUT";
    case CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH: return "CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    default: return "CUDNN_UNKNOWN_STATUS";
    }
}

void cudnnGetLastErrorString(char *message, size_t bytes) {
    if (message && bytes) snprintf(message, bytes, "%s", lastError);
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *t) { return create(t); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t t) { return destroy(t); }
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *f) { return create(f); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t f) { return destroy(f); }
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t c) { return destroy(c); }

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *c) {
    cudnnStatus_t status = create(c);
    if (!status) (*c)->shape.groups = 1;
    return status;
}

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t t, cudnnDataType_t type, int n, int c, int h, int w,
    int ns, int cs, int hs, int ws) {
    const int size[4] = {n, c, h, w}, stride[4] = {ns, cs, hs, ws};
    return setTensor(t, type, size, stride);
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format, cudnnDataType_t type,
    int n, int c, int h, int w) {
    const int size[4] = {n, c, h, w};
    int stride[4];
    if (!strides(format, size, stride))
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "tensor format %d is not emulated", format);
    return setTensor(t, type, size, stride);
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t t, cudnnDataType_t type, int dims, const int size[],
    const int stride[]) {
    if (dims != 4) return fail(CUDNN_STATUS_NOT_SUPPORTED, "a tensor of %d dimensions: only 4 are emulated", dims);
    return setTensor(t, type, size, stride);
}

cudnnStatus_t cudnnSetTensorNdDescriptorEx(cudnnTensorDescriptor_t t, cudnnTensorFormat_t format, cudnnDataType_t type,
    int dims, const int size[]) {
    if (dims != 4) return fail(CUDNN_STATUS_NOT_SUPPORTED, "a tensor of %d dimensions: only 4 are emulated", dims);
    return cudnnSetTensor4dDescriptor(t, format, type, size[0], size[1], size[2], size[3]);
}

cudnnStatus_t cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t f, cudnnDataType_t type, cudnnTensorFormat_t format,
    int dims, const int size[]) {
    if (!f) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (dims != 4 || !known(type) || (format != CUDNN_TENSOR_NCHW && format != CUDNN_TENSOR_NHWC))
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "a filter of %d dimensions, type %d, format %d is not emulated", dims,
            type, format);
    for (int i = 0; i < 4; i++)
        if (size[i] < 1) return fail(CUDNN_STATUS_BAD_PARAM, "a filter's dimension %d has size %d", i, size[i]);
    f->set = true;
    f->type = type;
    f->format = format;
    for (int i = 0; i < 4; i++) f->size[i] = (size_t)size[i];
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t f, cudnnDataType_t type, cudnnTensorFormat_t format,
    int k, int c, int h, int w) {
    const int size[4] = {k, c, h, w};
    return cudnnSetFilterNdDescriptor(f, type, format, 4, size);
}

cudnnStatus_t cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t c, int dims, const int pad[],
    const int stride[], const int dilation[], cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
    if (!c) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (dims != 2 || compute != CUDNN_DATA_FLOAT)
        return fail(CUDNN_STATUS_NOT_SUPPORTED,
            "a convolution of %d dimensions, compute type %d: only 2 and float are emulated", dims, compute);
    for (int i = 0; i < 2; i++) {
        if (pad[i] < 0 || stride[i] < 1 || dilation[i] < 1)
            return fail(CUDNN_STATUS_BAD_PARAM, "a convolution with padding %d, stride %d, dilation %d", pad[i],
                stride[i], dilation[i]);
        c->shape.pad[i] = pad[i], c->shape.stride[i] = stride[i], c->shape.dilation[i] = dilation[i];
    }
    c->shape.flipped = mode == CUDNN_CONVOLUTION;
    c->set = true;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t c, int padH, int padW, int strideH,
    int strideW, int dilationH, int dilationW, cudnnConvolutionMode_t mode, cudnnDataType_t compute) {
    const int pad[2] = {padH, padW}, stride[2] = {strideH, strideW}, dilation[2] = {dilationH, dilationW};
    return cudnnSetConvolutionNdDescriptor(c, 2, pad, stride, dilation, mode, compute);
}

cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t c, int groups) {
    if (!c) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (groups < 1) return fail(CUDNN_STATUS_BAD_PARAM, "%d groups", groups);
    c->shape.groups = (size_t)groups;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t c, cudnnMathType_t math) {
    if (!c) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (math < CUDNN_DEFAULT_MATH || math > CUDNN_FMA_MATH) return fail(CUDNN_STATUS_BAD_PARAM, "math type %d", math);
    c->math = math;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolution2dForwardOutputDim(cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t x,
    cudnnFilterDescriptor_t w, int *n, int *k, int *h, int *width) {
    size_t size[4];
    cudnnStatus_t status = outputOf(c, x, w, size);
    if (status) return status;
    if (!n || !k || !h || !width) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    *n = (int)size[0], *k = (int)size[1], *h = (int)size[2], *width = (int)size[3];
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionNdForwardOutputDim(cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t x,
    cudnnFilterDescriptor_t w, int dims, int size[]) {
    if (dims != 4 || !size) return fail(CUDNN_STATUS_BAD_PARAM, "an output of %d dimensions", dims);
    return cudnnGetConvolution2dForwardOutputDim(c, x, w, &size[0], &size[1], &size[2], &size[3]);
}
