// cuDNN's convolutions: which algorithms there are, the workspace they want, and the three calls. Every algorithm is
// the same sum in here; what differs is what a caller must mind: workspace, determinism, and where each is refused,
// after the tables in NVIDIA's documentation of cudnnConvolutionForward and its two gradients.
#include "cudnn.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace softgpu {

enum Pass { Forward, BackwardData, BackwardFilter };

// A convolution with all its descriptors; x and y may be the gradients.
struct Conv {
    Pass pass;
    const cudnnConvolutionStruct *conv;
    const cudnnTensorStruct *x, *y;
    const cudnnFilterStruct *w;
};

// What an algorithm wants, in the order in which the library would choose.
struct Algorithm {
    int number;
    bool deterministic;
    size_t workspace;   // bytes
    bool applies;
};

static bool layout(const Conv &c, const cudnnTensorStruct *t) {
    return c.w->format == CUDNN_TENSOR_NHWC ? t->stride[1] == 1 || t->size[1] == 1 :
        t->stride[3] == 1 || t->size[3] == 1;
}

static cudnnStatus_t check(const Conv &c) {
    size_t size[4];
    if (!c.y) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    cudnnStatus_t status = outputOf(c.conv, c.x, c.w, size);
    if (status) return status;
    if (!c.y->set || memcmp(size, c.y->size, sizeof size))
        return fail(CUDNN_STATUS_BAD_PARAM, "the output is %zu x %zu x %zu x %zu, not what the descriptor says",
            size[0], size[1], size[2], size[3]);
    if (c.x->type != c.y->type || c.x->type != c.w->type)
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "types %d, %d, %d are not emulated together", c.x->type, c.w->type,
            c.y->type);
    if (c.x->type == CUDNN_DATA_BFLOAT16 && capability() < 80)
        return fail(CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH,
            "bfloat16 needs compute capability 8.0, the device has %d.%d", capability() / 10, capability() % 10);
    if (!layout(c, c.x) || !layout(c, c.y))
        return fail(CUDNN_STATUS_NOT_SUPPORTED_LAYOUT, "the filter's format %d is not the tensors'", c.w->format);
    return CUDNN_STATUS_SUCCESS;
}

// Winograd's wants space for both tensors in the other domain, 36 numbers for 16.
static size_t winogradBytes(const Conv &c) {
    return 4 * 36 / 16 * c.x->size[0] * (c.x->size[1] * c.x->size[2] * c.x->size[3] +
        c.y->size[1] * c.y->size[2] * c.y->size[3]);
}

// What there is with a math type; FMA_MATH wants more workspace than the others.
static std::vector<Algorithm> algorithms(const Conv &c, int math) {
    const Shape &s = c.conv->shape;
    bool plain = c.x->type == CUDNN_DATA_FLOAT && c.w->format == CUDNN_TENSOR_NCHW, unit = s.stride[0] == 1 &&
        s.stride[1] == 1 && s.dilation[0] == 1 && s.dilation[1] == 1;
    bool winograd = plain && unit && c.w->size[2] == c.w->size[3] && (c.w->size[2] == 3 || c.w->size[2] == 5);
    size_t taps = c.w->size[1] * c.w->size[2] * c.w->size[3], positions = c.y->size[2] * c.y->size[3];
    size_t table = 4 * (taps + positions) + (math == CUDNN_FMA_MATH ? 256 : 0), matrix = 4 * taps * positions;
    if (c.pass == Forward)
        return {{CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, true, winogradBytes(c), winograd},
                {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, true, table, true},
                {CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, true, 0, true},
                {CUDNN_CONVOLUTION_FWD_ALGO_GEMM, true, matrix, plain && s.groups == 1}};
    if (c.pass == BackwardData)
        return {{CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED, true, winogradBytes(c), winograd},
                {CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, true, table, true},
                {CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, false, 0, true}};
    return {{CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED, true, winogradBytes(c), winograd},
            {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3, false, table, plain},
            {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, true, table, true},
            {CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, false, 0, true}};
}

// The algorithms that apply, then those that do not, which say so.
template <class Result> static cudnnStatus_t choose(cudnnHandle_t handle, const Conv &c, int wanted, int *count,
    Result *results) {
    if (!handle || !count || !results || wanted < 1) return CUDNN_STATUS_BAD_PARAM;
    cudnnStatus_t status = check(c);
    if (status) return status;
    int math = cudnnMath(c.conv->math);
    std::vector<Algorithm> all = algorithms(c, math);
    std::stable_partition(all.begin(), all.end(), [](const Algorithm &a) { return a.applies; });
    *count = std::min(wanted, (int)all.size());
    for (int i = 0; i < *count; i++) {
        const Algorithm &a = all[(size_t)i];
        memset(&results[i], 0, sizeof results[i]);
        results[i].algo = (decltype(results[i].algo))a.number;
        results[i].status = a.applies ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
        results[i].time = -1;
        results[i].memory = a.applies ? a.workspace : 0;
        results[i].determinism = a.deterministic ? CUDNN_DETERMINISTIC : CUDNN_NON_DETERMINISTIC;
        results[i].mathType = (cudnnMathType_t)math;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t find(const Conv &c, int number, Algorithm *found) {
    cudnnStatus_t status = check(c);
    if (status) return status;
    for (auto &a : algorithms(c, c.conv->math))
        if (a.number == number && a.applies) {
            *found = a;
            return CUDNN_STATUS_SUCCESS;
        }
    return fail(CUDNN_STATUS_NOT_SUPPORTED, "algorithm %d does not apply", number);
}

static cudnnStatus_t workspace(cudnnHandle_t handle, const Conv &c, int number, size_t *bytes) {
    if (!handle || !bytes) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    Algorithm a;
    cudnnStatus_t status = find(c, number, &a);
    if (!status) *bytes = a.workspace;
    return status;
}

static Range rangeOf(const Tensor &t, const char *name) {
    size_t last = 0;
    for (int i = 0; i < 4; i++) last += (t.size[i] - 1) * t.stride[i];
    return {(CUdeviceptr)t.at, (last + 1) * (t.half ? 2 : 4), name};
}

static bool overlap(const Range &a, const Range &b) {
    return a.bytes && b.bytes && a.at < b.at + b.bytes && b.at < a.at + a.bytes;
}

// TF32 is on unless it is refused: CUDNN_DEFAULT_MATH allows it from Ampere on.
static Inputs inputsOf(const Conv &c) {
    return c.x->type == CUDNN_DATA_FLOAT && c.conv->math != CUDNN_FMA_MATH && capability() >= 80 ? TF32 : Full;
}

struct Call {
    cudnnHandle_t handle;
    const void *alpha, *beta;
    const void *x, *w, *y;
    int algorithm;
    void *space;
    size_t bytes;
};

static void run(Pass pass, const Tensor &x, const Tensor &w, const Tensor &y, const Shape &s, Inputs in, Blend blend,
    size_t first, const Range &space) {
    memset((void *)space.at, 0xFF, space.bytes); // an algorithm writes all of its workspace
    if (pass == Forward) convForward(x, w, y, s, in, blend);
    if (pass == BackwardData) convBackwardData(w, y, x, s, in, blend);
    if (pass == BackwardFilter) convBackwardFilter(x, y, w, s, in, blend, first);
}

static cudnnStatus_t convolve(const char *what, const Conv &c, const Call &call) {
    if (!call.handle || !call.alpha || !call.beta) return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    Algorithm a;
    cudnnStatus_t status = find(c, call.algorithm, &a);
    if (status) return status;
    if (call.bytes < a.workspace)
        return fail(CUDNN_STATUS_BAD_PARAM, "%s: %zu bytes of workspace, algorithm %d wants %zu", what, call.bytes,
            a.number, a.workspace);
    static const char *const names[] = {"forward", "data", "filter"};
    std::string name = std::string(names[c.pass]) + "/" + std::to_string(a.number);
    if (cudnnFails(name.c_str()))
        return fail(CUDNN_STATUS_EXECUTION_FAILED, "%s: SOFTGPU_CUDNN_FAILS has %s", what, name.c_str());
    Tensor x = tensorOf(c.x, call.x), w = tensorOf(c.w, call.w), y = tensorOf(c.y, call.y);
    std::vector<Range> ranges = {rangeOf(x, "x"), rangeOf(w, "w"), rangeOf(y, "y"),
        {(CUdeviceptr)call.space, a.workspace, "workspace"}};
    for (int i = 0; i < 3; i++)
        if (overlap(ranges[(size_t)i], ranges[3]))
            return fail(CUDNN_STATUS_BAD_PARAM, "%s: the workspace overlaps %s", what, ranges[(size_t)i].name);
    Blend blend = {*(const float *)call.alpha, *(const float *)call.beta};
    Shape shape = c.conv->shape;
    Inputs in = inputsOf(c);
    Range space = ranges[3];
    size_t first = a.deterministic ? 0 : draw() % c.x->size[0]; // what is not deterministic may begin its sums anywhere
    Pass pass = c.pass;
    CUresult result = submit(call.handle->context, call.handle->stream, what, ranges, [=] {
        run(pass, x, w, y, shape, in, blend, first, space);
    });
    return result ? fail(CUDNN_STATUS_EXECUTION_FAILED, "%s: error %d of the driver", what, result) :
        CUDNN_STATUS_SUCCESS;
}

} // namespace softgpu

using namespace softgpu;

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
    const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y,
    const int wanted, int *count, cudnnConvolutionFwdAlgoPerf_t *results) {
    return choose(handle, {Forward, c, x, y, w}, wanted, count, results);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
    const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t dx,
    const int wanted, int *count, cudnnConvolutionBwdDataAlgoPerf_t *results) {
    return choose(handle, {BackwardData, c, dx, dy, w}, wanted, count, results);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
    const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t dw,
    const int wanted, int *count, cudnnConvolutionBwdFilterAlgoPerf_t *results) {
    return choose(handle, {BackwardFilter, c, x, dy, dw}, wanted, count, results);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
    const cudnnFilterDescriptor_t w, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algorithm, size_t *bytes) {
    return workspace(handle, {Forward, c, x, y, w}, algorithm, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, const cudnnFilterDescriptor_t w,
    const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t c, const cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algorithm, size_t *bytes) {
    return workspace(handle, {BackwardData, c, dx, dy, w}, algorithm, bytes);
}

cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, const cudnnTensorDescriptor_t x,
    const cudnnTensorDescriptor_t dy, const cudnnConvolutionDescriptor_t c, const cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t *bytes) {
    return workspace(handle, {BackwardFilter, c, x, dy, dw}, algorithm, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd,
    const void *x, const cudnnFilterDescriptor_t wd, const void *w, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionFwdAlgo_t algorithm, void *space, size_t bytes, const void *beta, const cudnnTensorDescriptor_t yd,
    void *y) {
    return convolve("cudnnConvolutionForward", {Forward, c, xd, yd, wd}, {handle, alpha, beta, x, w, y, algorithm,
        space, bytes});
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t wd,
    const void *w, const cudnnTensorDescriptor_t dyd, const void *dy, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionBwdDataAlgo_t algorithm, void *space, size_t bytes, const void *beta,
    const cudnnTensorDescriptor_t dxd, void *dx) {
    return convolve("cudnnConvolutionBackwardData", {BackwardData, c, dxd, dyd, wd},
        {handle, alpha, beta, dx, w, dy, algorithm, space, bytes});
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t xd,
    const void *x, const cudnnTensorDescriptor_t dyd, const void *dy, const cudnnConvolutionDescriptor_t c,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void *space, size_t bytes, const void *beta,
    const cudnnFilterDescriptor_t dwd, void *dw) {
    return convolve("cudnnConvolutionBackwardFilter", {BackwardFilter, c, xd, dyd, dwd},
        {handle, alpha, beta, x, dw, dy, algorithm, space, bytes});
}
