// libcublas.so.13, and .12: matrix products on the streams of the emulated driver.
#include "gemm.h"
#include "number.h"
#include "softgpu.h"

#pragma GCC visibility push(default)
#include <cublas_v2.h>
#pragma GCC visibility pop

#include <algorithm>
#include <vector>

struct cublasContext {
    CUcontext context;
    CUstream stream;
    cublasMath_t math;
    softgpu::Range workspace;
};

namespace softgpu {

// One of the matrices of a call, column-major as BLAS has it.
struct Operand {
    const char *name;
    uint64_t at;
    cudaDataType type;
    size_t rows, columns, leading;
    long long stride; // from one of a batch to the next, elements
};

struct Product {
    size_t m, n, k, count;
    bool transposeA, transposeB;
    float alpha, beta;
    Operand a, b, c;
    Inputs inputs;
};

static size_t bytesOf(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

// The memory of all of a batch.
static Range rangeOf(const Operand &o, size_t count) {
    if (!o.rows || !o.columns || !count) return {o.at, 0, o.name};
    size_t elements = (count - 1) * (size_t)o.stride + (o.columns - 1) * o.leading + o.rows;
    return {o.at, elements * bytesOf(o.type), o.name};
}

// Rows of the result are columns of c: as row-major matrices c' = b' a'.
static Matrix asMatrix(const float *at, size_t leading, bool transposed) {
    return transposed ? Matrix{at, 1, leading} : Matrix{at, leading, 1};
}

// The matrix as fp32, rounded as the multiplication takes it, in held unless it is that already.
static const float *load(const Operand &o, size_t number, Inputs in, std::vector<float> &held, size_t *leading) {
    uint64_t at = o.at + number * (size_t)o.stride * bytesOf(o.type);
    *leading = o.leading;
    if (o.type == CUDA_R_32F && in == Full) return (const float *)at;
    *leading = o.rows;
    held.resize(o.rows * o.columns);
    for (size_t j = 0; j < o.columns; j++)
        for (size_t i = 0; i < o.rows; i++)
            held[j * o.rows + i] = o.type == CUDA_R_32F ? rounded(((const float *)at)[j * o.leading + i], in) :
                toFloat(((const bf16 *)at)[j * o.leading + i]);
    return held.data();
}

template <class T> static void store(const Product &p, size_t number, const std::vector<float> &sums) {
    T *to = (T *)p.c.at + number * (size_t)p.c.stride;
    for (size_t j = 0; j < p.n; j++)
        for (size_t i = 0; i < p.m; i++) {
            T &c = to[j * p.c.leading + i];
            float value = p.alpha * sums[j * p.m + i];
            if (p.beta != 0) value += p.beta * toFloat(c); // with beta 0 what was there does not matter, NaN or not
            c = fromFloat<T>(value);
        }
}

static void run(const Product &p) {
    std::vector<float> a, b, sums(p.m * p.n);
    for (size_t i = 0; i < p.count; i++) {
        size_t la, lb;
        const float *fa = load(p.a, i, p.inputs, a, &la), *fb = load(p.b, i, p.inputs, b, &lb);
        multiply(p.n, p.m, p.k, asMatrix(fb, lb, p.transposeB), asMatrix(fa, la, p.transposeA), sums.data(), false);
        p.c.type == CUDA_R_32F ? store<float>(p, i, sums) : store<bf16>(p, i, sums);
    }
}

static bool typesGoTogether(const Product &p) {
    if (p.a.type != p.b.type) return false;
    if (p.a.type == CUDA_R_32F) return p.c.type == CUDA_R_32F;
    return p.a.type == CUDA_R_16BF && capability() >= 80 && (p.c.type == CUDA_R_32F || p.c.type == CUDA_R_16BF);
}

// What the computation type and the handle's math mode make of the inputs.
static bool inputsOf(cublasComputeType_t compute, cublasMath_t math, Inputs *in) {
    bool fast = capability() >= 80 && (math & 0xF) != CUBLAS_PEDANTIC_MATH;
    switch (compute) {
    case CUBLAS_COMPUTE_32F: *in = fast && (math & 0xF) == CUBLAS_TF32_TENSOR_OP_MATH ? TF32 : Full; return true;
    case CUBLAS_COMPUTE_32F_PEDANTIC: *in = Full; return true;
    case CUBLAS_COMPUTE_32F_FAST_TF32: *in = fast ? TF32 : Full; return true;
    case CUBLAS_COMPUTE_32F_FAST_16BF: *in = fast ? BF16 : Full; return true;
    default: return false;
    }
}

static cublasStatus_t submitProduct(cublasHandle_t handle, const char *what, Product p, cublasComputeType_t compute) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (p.a.leading < std::max<size_t>(1, p.a.rows) || p.b.leading < std::max<size_t>(1, p.b.rows) ||
        p.c.leading < std::max<size_t>(1, p.m)) {
        say("%s: a leading dimension is smaller than the rows", what);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!typesGoTogether(p) || !inputsOf(compute, handle->math, &p.inputs)) {
        say("%s: types %d, %d, %d with compute type %d are not emulated", what, p.a.type, p.b.type, p.c.type, compute);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (!p.m || !p.n || !p.count) return CUBLAS_STATUS_SUCCESS;
    std::vector<Range> ranges = {rangeOf(p.a, p.count), rangeOf(p.b, p.count), rangeOf(p.c, p.count),
        handle->workspace};
    return submit(handle->context, handle->stream, what, ranges, [p] { run(p); }) ? CUBLAS_STATUS_EXECUTION_FAILED :
        CUBLAS_STATUS_SUCCESS;
}

// A product from what all the calls have in common; false where a number is out of range.
static bool productOf(Product &p, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, int count) {
    if (m < 0 || n < 0 || k < 0 || count < 0) return false;
    if ((ta != CUBLAS_OP_N && ta != CUBLAS_OP_T) || (tb != CUBLAS_OP_N && tb != CUBLAS_OP_T)) return false;
    p.m = (size_t)m, p.n = (size_t)n, p.k = (size_t)k, p.count = (size_t)count;
    p.transposeA = ta == CUBLAS_OP_T, p.transposeB = tb == CUBLAS_OP_T;
    return true;
}

static Operand operand(const char *name, const void *at, cudaDataType type, size_t rows, size_t columns,
    bool transposed, int leading, long long stride) {
    return {name, (uint64_t)at, type, transposed ? columns : rows, transposed ? rows :
        columns, (size_t)std::max(0, leading), stride};
}

} // namespace softgpu

using namespace softgpu;

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
    if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
    CUcontext context = nullptr;
    if (cuCtxGetCurrent(&context) || !context) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (driverVersion() < SOFTGPU_CUBLAS * 1000) {
        say("cublasCreate: libcublas.so.%d under driver %d", SOFTGPU_CUBLAS, driverVersion());
        return CUBLAS_STATUS_NOT_INITIALIZED;
    }
    *handle = new cublasContext{context, nullptr, CUBLAS_DEFAULT_MATH, {0, 0, "workspace"}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    delete handle;
    return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

// As the real one, it goes back to the library's own workspace.
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->stream = stream;
    handle->workspace.bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *at, size_t bytes) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if ((uint64_t)at % 256) return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = {(CUdeviceptr)at, bytes, "workspace"};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
    if ((mode & 0xF) > CUBLAS_TF32_TENSOR_OP_MATH) return CUBLAS_STATUS_INVALID_VALUE;
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t, int *version) {
    if (!version) return CUBLAS_STATUS_INVALID_VALUE;
    *version = SOFTGPU_CUBLAS * 10000;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED: return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE: return "an invalid value was used as an argument";
    case CUBLAS_STATUS_ARCH_MISMATCH: return "an absent device architectural feature is required";
    case CUBLAS_STATUS_MAPPING_ERROR: return "an access to GPU memory space failed";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_INTERNAL_ERROR: return "an internal operation failed";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the requested functionality is not supported";
    case CUBLAS_STATUS_LICENSE_ERROR: return "the functionality requested requires some license";
    }
    return "unknown status";
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
    const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta, float *c, int ldc) {
    return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, CUDA_R_32F, lda, b, CUDA_R_32F, ldb, beta, c, CUDA_R_32F,
        ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
    const void *alpha, const void *a, cudaDataType aType, int lda, const void *b, cudaDataType bType, int ldb,
    const void *beta, void *c, cudaDataType cType, int ldc, cublasComputeType_t compute, cublasGemmAlgo_t algo) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, aType, lda, 0, b, bType, ldb, 0, beta, c,
        cType, ldc, 0, 1, compute, algo);
}

// alpha and beta are on the host: the pointer mode cannot be set.
cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb, int m,
    int n, int k, const void *alpha, const void *a, cudaDataType aType, int lda, long long aStride, const void *b,
    cudaDataType bType, int ldb, long long bStride, const void *beta, void *c, cudaDataType cType, int ldc,
    long long cStride, int count, cublasComputeType_t compute, cublasGemmAlgo_t) {
    Product p = {};
    if (!productOf(p, ta, tb, m, n, k, count) || !alpha || !beta || aStride < 0 || bStride < 0 || cStride < 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    p.alpha = *(const float *)alpha, p.beta = *(const float *)beta;
    p.a = operand("A", a, aType, p.m, p.k, p.transposeA, lda, aStride);
    p.b = operand("B", b, bType, p.k, p.n, p.transposeB, ldb, bStride);
    p.c = operand("C", c, cType, p.m, p.n, false, ldc, cStride);
    return submitProduct(handle, "cublasGemm", p, compute);
}
