// Convolutions and products as numbers on standard input say, results to standard output: softgpu_test.go compares them
// with what PyTorch computed. And what the two libraries refuse.
#include "selftest.h"

#include "../number.h"

#include <cublas_v2.h>
#include <cudnn.h>

using softgpu::bf16;

#define DNN(call) isTrue((call) == CUDNN_STATUS_SUCCESS, #call, __FILE__, __LINE__)
#define BLAS(call) isTrue((call) == CUBLAS_STATUS_SUCCESS, #call, __FILE__, __LINE__)

static long number() {
    long n;
    TRUE(scanf("%ld", &n) == 1);
    return n;
}

static float fraction() {
    float x;
    TRUE(scanf("%f", &x) == 1);
    return x;
}

// Raw floats, behind the newline that ends the numbers.
static std::vector<float> floats(size_t n) {
    std::vector<float> x(n);
    TRUE(fread(x.data(), 4, n, stdin) == n);
    return x;
}

static void print(const std::vector<float> &x) { fwrite(x.data(), 4, x.size(), stdout); }

// Dense numbers in device memory as fp32 or bf16.
static CUdeviceptr upload(const std::vector<float> &x, bool half) {
    if (!half) return memory(x);
    std::vector<bf16> h;
    for (float f : x) h.push_back(softgpu::toBF16(f));
    CUdeviceptr p = memory(2 * h.size());
    OK(cuMemcpyHtoD(p, h.data(), 2 * h.size()));
    OK(cuStreamSynchronize(nullptr));
    return p;
}

static std::vector<float> download(CUdeviceptr p, size_t n, bool half) {
    if (!half) return values(p, n);
    std::vector<bf16> h(n);
    OK(cuMemcpyDtoH(h.data(), p, 2 * n));
    std::vector<float> x;
    for (bf16 b : h) x.push_back(softgpu::toFloat(b));
    return x;
}

// A tensor (n, c, h, w) in device memory, in either layout, as a slice of the channels of a wider one: margin channels
// lie on either side of it.
struct DeviceTensor {
    long size[4], stride[4], margin;
    bool half;
    CUdeviceptr all;
    std::vector<float> filled; // what all was filled with

    DeviceTensor(const long s[4], bool half, bool nhwc, long margin, const std::vector<float> &x) : margin(margin),
        half(half) {
        long wide = s[1] + 2 * margin, nchw[4] = {wide * s[2] * s[3], s[2] * s[3], s[3], 1},
            last[4] = {wide * s[2] * s[3], 1, s[3] * wide, wide};
        for (int i = 0; i < 4; i++) size[i] = s[i], stride[i] = nhwc ? last[i] : nchw[i];
        filled.assign((size_t)(s[0] * wide * s[2] * s[3]), 7);
        each([&](size_t at, size_t i) { filled[at] = x.empty() ? NAN : x[i]; });
        all = upload(filled, half);
    }
    template <class F> void each(F f) const {
        size_t i = 0;
        for (long n = 0; n < size[0]; n++)
            for (long c = 0; c < size[1]; c++)
                for (long h = 0; h < size[2]; h++)
                    for (long w = 0; w < size[3]; w++)
                        f((size_t)(n * stride[0] + (c + margin) * stride[1] + h * stride[2] + w * stride[3]), i++);
    }
    void *at() const { return (void *)(all + (size_t)(margin * stride[1]) * (half ? 2 : 4)); }
    cudnnDataType_t type() const { return half ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT; }
    cudnnTensorDescriptor_t descriptor() const {
        cudnnTensorDescriptor_t d;
        DNN(cudnnCreateTensorDescriptor(&d));
        int s[4], t[4];
        for (int i = 0; i < 4; i++) s[i] = (int)size[i], t[i] = (int)stride[i];
        DNN(cudnnSetTensorNdDescriptor(d, type(), 4, s, t));
        return d;
    }
    // What it holds now; the margin must be as it was.
    std::vector<float> read() const {
        std::vector<float> now = download(all, filled.size(), half), x(filled.size()), rest = now;
        size_t n = 0;
        each([&](size_t at, size_t i) { x[i] = now[at], rest[at] = filled[at], n = i + 1; });
        for (size_t i = 0; i < rest.size(); i++) TRUE(rest[i] == filled[i] || std::isnan(filled[i]));
        x.resize(n);
        return x;
    }
};

struct Convolution {
    bool half, nhwc;
    long x[4], w[4], y[4];
    cudnnHandle_t handle;
    cudnnConvolutionDescriptor_t conv;
    cudnnFilterDescriptor_t filter;
};

static size_t count(const long s[4]) { return (size_t)(s[0] * s[1] * s[2] * s[3]); }

static Convolution readConvolution(long *margin) {
    Convolution c = {};
    c.half = number(), c.nhwc = number();
    auto math = (cudnnMathType_t)number();
    *margin = number();
    for (auto s : {c.x, c.w, c.y})
        for (int i = 0; i < 4; i++) s[i] = number();
    int pad[2], stride[2], dilation[2];
    for (auto p : {pad, stride, dilation})
        for (int i = 0; i < 2; i++) p[i] = (int)number();
    DNN(cudnnCreate(&c.handle));
    DNN(cudnnSetStream(c.handle, stream()));
    DNN(cudnnCreateConvolutionDescriptor(&c.conv));
    DNN(cudnnSetConvolutionNdDescriptor(c.conv, 2, pad, stride, dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    DNN(cudnnSetConvolutionGroupCount(c.conv, (int)number()));
    DNN(cudnnSetConvolutionMathType(c.conv, math));
    DNN(cudnnCreateFilterDescriptor(&c.filter));
    DNN(cudnnSetFilter4dDescriptor(c.filter, c.half ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT,
        c.nhwc ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW, (int)c.w[0], (int)c.w[1], (int)c.w[2], (int)c.w[3]));
    getchar(); // the newline
    return c;
}

// Runs one pass by every algorithm that is offered, into fresh memory, and once more added to itself; all must agree.
// Returns the result.
template <class Perf, class Run> static std::vector<float> every(const Convolution &c, const std::vector<Perf> &offers,
    const DeviceTensor &first, Run run) {
    std::vector<float> result;
    for (auto &o : offers) {
        if (o.status != CUDNN_STATUS_SUCCESS) continue;
        CUdeviceptr space = o.memory ? memory(o.memory) : 0;
        const float one = 1, zero = 0, half = .5f;
        DeviceTensor out = first;
        out.all = upload(first.filled, c.half);
        DNN(run(o.algo, (void *)space, o.memory, out, &one, &zero));
        if (o.memory) TRUE(run(o.algo, (void *)space, o.memory - 1, out, &one, &zero) == CUDNN_STATUS_BAD_PARAM);
        OK(cuCtxSynchronize());
        std::vector<float> got = out.read();
        if (result.empty()) result = got;
        if (o.determinism == CUDNN_DETERMINISTIC) TRUE(got == result);
        DNN(run(o.algo, (void *)space, o.memory, out, &half, &one));
        OK(cuCtxSynchronize());
        std::vector<float> more = out.read();
        for (size_t i = 0; i < got.size() && !c.half; i++)
            TRUE(std::fabs(more[i] - 1.5f * got[i]) <= 1e-5f * (1 + std::fabs(more[i])));
        OK(cuMemFree(out.all));
        if (space) OK(cuMemFree(space));
    }
    return result;
}

CASE(conv) {
    context(0);
    long margin;
    Convolution c = readConvolution(&margin);
    std::vector<float> vx = floats(count(c.x)), vw = floats(count(c.w)), vdy = floats(count(c.y));
    DeviceTensor x(c.x, c.half, c.nhwc, margin, vx), w(c.w, c.half, c.nhwc, 0, vw),
        dy(c.y, c.half, c.nhwc, margin, vdy);
    DeviceTensor y(c.y, c.half, c.nhwc, margin, {}), dx(c.x, c.half, c.nhwc, margin, {}),
        dw(c.w, c.half, c.nhwc, 0, {});
    auto xd = x.descriptor(), yd = y.descriptor();
    int n = 0, k, h, width;
    DNN(cudnnGetConvolution2dForwardOutputDim(c.conv, xd, c.filter, &n, &k, &h, &width));
    TRUE(n == c.y[0] && k == c.y[1] && h == c.y[2] && width == c.y[3]);
    std::vector<cudnnConvolutionFwdAlgoPerf_t> forward(8);
    DNN(cudnnGetConvolutionForwardAlgorithm_v7(c.handle, xd, c.filter, c.conv, yd, 8, &n, forward.data()));
    forward.resize((size_t)n);
    print(every(c, forward, y, [&](auto algo, void *space, size_t bytes, const DeviceTensor &out, const float *alpha,
        const float *beta) {
        return cudnnConvolutionForward(c.handle, alpha, xd, x.at(), c.filter, w.at(), c.conv, algo, space, bytes, beta,
            yd, out.at());
    }));
    std::vector<cudnnConvolutionBwdDataAlgoPerf_t> data(8);
    DNN(cudnnGetConvolutionBackwardDataAlgorithm_v7(c.handle, c.filter, yd, c.conv, xd, 8, &n, data.data()));
    data.resize((size_t)n);
    print(every(c, data, dx, [&](auto algo, void *space, size_t bytes, const DeviceTensor &out, const float *alpha,
        const float *beta) {
        return cudnnConvolutionBackwardData(c.handle, alpha, c.filter, w.at(), yd, dy.at(), c.conv, algo, space, bytes,
            beta, xd, out.at());
    }));
    std::vector<cudnnConvolutionBwdFilterAlgoPerf_t> weights(8);
    DNN(cudnnGetConvolutionBackwardFilterAlgorithm_v7(c.handle, xd, yd, c.conv, c.filter, 8, &n, weights.data()));
    weights.resize((size_t)n);
    print(every(c, weights, dw, [&](auto algo, void *space, size_t bytes, const DeviceTensor &out, const float *alpha,
        const float *beta) {
        return cudnnConvolutionBackwardFilter(c.handle, alpha, xd, x.at(), yd, dy.at(), c.conv, algo, space, bytes,
            beta, c.filter, out.at());
    }));
}

// One matrix of a batch, column-major with extra rows, as itself or transposed.
struct DeviceMatrix {
    size_t rows, columns, leading, batch;
    bool transposed, half;
    CUdeviceptr at;
    size_t elements() const { return batch * leading * (transposed ? rows : columns); }
    size_t index(size_t number, size_t i, size_t j) const {
        return number * leading * (transposed ? rows : columns) + (transposed ? j + i * leading : i + j * leading);
    }
    // x: row by row
    DeviceMatrix(size_t rows, size_t columns, size_t batch, bool transposed, bool half, const std::vector<float> &x)
        : rows(rows), columns(columns), leading((transposed ? columns : rows) + 3), batch(batch),
        transposed(transposed), half(half) {
        std::vector<float> all(elements(), NAN);
        for (size_t b = 0; b < batch; b++)
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++) all[index(b, i, j)] = x[(b * rows + i) * columns + j];
        at = upload(all, half);
    }
    std::vector<float> read() const {
        std::vector<float> all = download(at, elements(), half), x;
        for (size_t b = 0; b < batch; b++)
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++) x.push_back(all[index(b, i, j)]);
        return x;
    }
    long long stride() const { return (long long)(elements() / batch); }
    cudaDataType type() const { return half ? CUDA_R_16BF : CUDA_R_32F; }
    cublasOperation_t operation() const { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }
};

CASE(product) {
    context(0);
    bool half = number(), halfOut = number();
    auto math = (cublasMath_t)number();
    bool ta = number(), tb = number();
    auto m = (size_t)number(), n = (size_t)number(), k = (size_t)number(), batch = (size_t)number();
    float alpha = fraction(), beta = fraction();
    getchar();
    std::vector<float> va = floats(batch * m * k), vb = floats(batch * k * n), vc = floats(batch * m * n);
    if (beta == 0) vc.assign(vc.size(), NAN);
    DeviceMatrix a(m, k, batch, ta, half, va), b(k, n, batch, tb, half, vb), c(m, n, batch, false, halfOut, vc);
    cublasHandle_t handle;
    BLAS(cublasCreate(&handle));
    BLAS(cublasSetStream(handle, stream()));
    BLAS(cublasSetMathMode(handle, math));
    if (batch == 1)
        BLAS(cublasGemmEx(handle, a.operation(), b.operation(), (int)m, (int)n, (int)k, &alpha, (void *)a.at, a.type(),
            (int)a.leading, (void *)b.at, b.type(), (int)b.leading, &beta, (void *)c.at, c.type(), (int)c.leading,
            CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    else
        BLAS(cublasGemmStridedBatchedEx(handle, a.operation(), b.operation(), (int)m, (int)n, (int)k, &alpha,
            (void *)a.at, a.type(), (int)a.leading, a.stride(), (void *)b.at, b.type(), (int)b.leading, b.stride(),
            &beta, (void *)c.at, c.type(), (int)c.leading, c.stride(), (int)batch, CUBLAS_COMPUTE_32F,
            CUBLAS_GEMM_DEFAULT));
    OK(cuCtxSynchronize());
    print(c.read());
}

// Roundings at their edges, through products of 1 x 1.
CASE(rounding) {
    context(0);
    cublasHandle_t handle;
    BLAS(cublasCreate(&handle));
    auto product = [&](float x, float y, bool half, cublasComputeType_t compute) {
        CUdeviceptr a = upload({x}, half), b = upload({y}, half), c = memory(4);
        const float one = 1, zero = 0;
        cudaDataType type = half ? CUDA_R_16BF : CUDA_R_32F;
        BLAS(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, (void *)a, type, 1, (void *)b, type, 1,
            &zero, (void *)c, CUDA_R_32F, 1, compute, CUBLAS_GEMM_DEFAULT));
        OK(cuCtxSynchronize());
        return values(c, 1)[0];
    };
    auto power = [](int n) { return std::ldexp(1.f, n); };
    float fine = 1 + power(-20);
    TRUE(product(fine, 1, false, CUBLAS_COMPUTE_32F) == fine);
    TRUE(product(fine, 1, false, CUBLAS_COMPUTE_32F_FAST_TF32) == 1);
    TRUE(product(1 + power(-10), 1, false, CUBLAS_COMPUTE_32F_FAST_TF32) == 1 + power(-10));
    TRUE(product(1 + power(-11), 1, false, CUBLAS_COMPUTE_32F_FAST_TF32) == 1 + power(-10)); // a tie goes up
    TRUE(product(1 + power(-11) - power(-20), 1, false, CUBLAS_COMPUTE_32F_FAST_TF32) == 1);
    TRUE(product(1 + power(-8), 1, true, CUBLAS_COMPUTE_32F) == 1); // a tie goes to even
    TRUE(product(1 + 3 * power(-8), 1, true, CUBLAS_COMPUTE_32F) == 1 + 4 * power(-8));
    // the product is not rounded
    TRUE(product(1 + power(-7), 1 + power(-7), true, CUBLAS_COMPUTE_32F) == (1 + power(-7)) * (1 + power(-7)));
    TRUE(product(1 + power(-8) + power(-20), 1, false, CUBLAS_COMPUTE_32F_FAST_16BF) == 1 + power(-7));
    BLAS(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH));
    TRUE(product(fine, 1, false, CUBLAS_COMPUTE_32F) == 1);
    TRUE(product(fine, 1, false, CUBLAS_COMPUTE_32F_PEDANTIC) == fine);
}

CASE(libraries_refuse) {
    CUcontext c = context(0);
    cublasHandle_t blas;
    cudnnHandle_t dnn;
    BLAS(cublasCreate(&blas));
    DNN(cudnnCreate(&dnn));
    CUdeviceptr a = memory(4 * 12), big = memory(4096);
    const float one = 1, zero = 0;
    auto gemm = [&](CUdeviceptr at, int lda) {
        return cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, 3, 3, 4, &one, (float *)at, lda, (float *)big, 4, &zero,
            (float *)big + 100, 3);
    };
    BLAS(gemm(a, 3));
    TRUE(gemm(a, 2) == CUBLAS_STATUS_INVALID_VALUE);
    TRUE(gemm(a, 4) == CUBLAS_STATUS_EXECUTION_FAILED); // 4 x 4 numbers do not lie in 12
    TRUE(gemm(a + 4, 3) == CUBLAS_STATUS_EXECUTION_FAILED);
    BLAS(cublasSetWorkspace(blas, (void *)a, 4096));
    TRUE(gemm(a, 3) == CUBLAS_STATUS_EXECUTION_FAILED);
    BLAS(cublasSetStream(blas, nullptr)); // takes the workspace away
    BLAS(gemm(a, 3));
    context(1);
    TRUE(gemm(a, 3) == CUBLAS_STATUS_EXECUTION_FAILED); // another context
    OK(cuCtxSetCurrent(c));

    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t conv;
    DNN(cudnnCreateTensorDescriptor(&x));
    DNN(cudnnCreateTensorDescriptor(&y));
    DNN(cudnnCreateFilterDescriptor(&w));
    DNN(cudnnCreateConvolutionDescriptor(&conv));
    DNN(cudnnSetTensor4dDescriptor(x, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 4, 3, 3));
    DNN(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 2, 3, 3));
    DNN(cudnnSetFilter4dDescriptor(w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 2, 4, 3, 3));
    DNN(cudnnSetConvolution2dDescriptor(conv, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    auto run = [&](CUdeviceptr at, CUdeviceptr space, size_t bytes, cudnnConvolutionFwdAlgo_t algo) {
        return cudnnConvolutionForward(dnn, &one, x, (void *)at, w, (void *)(big + 1024), conv, algo, (void *)space,
            bytes, &zero, y, (void *)(big + 2048));
    };
    auto implicit = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
        planned = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
    size_t need;
    DNN(cudnnGetConvolutionForwardWorkspaceSize(dnn, x, w, conv, y, planned, &need));
    TRUE(need > 0);
    DNN(run(big, 0, 0, implicit));
    DNN(run(big, big + 3072, need, planned));
    TRUE(run(a, 0, 0, implicit) == CUDNN_STATUS_EXECUTION_FAILED); // 36 numbers do not lie in 12
    TRUE(run(big, big + 3072, need - 1, planned) == CUDNN_STATUS_BAD_PARAM);
    TRUE(run(big, big + 2048, need, planned) == CUDNN_STATUS_BAD_PARAM); // over y
    DNN(cudnnSetConvolutionGroupCount(conv, 2));
    TRUE(run(big, 0, 0, implicit) == CUDNN_STATUS_BAD_PARAM);
    DNN(cudnnSetConvolutionGroupCount(conv, 1));
    DNN(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 2, 3, 2));
    TRUE(run(big, 0, 0, implicit) == CUDNN_STATUS_BAD_PARAM);
    DNN(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT, 1, 2, 3, 3));
    TRUE(run(big, 0, 0, implicit) == CUDNN_STATUS_NOT_SUPPORTED_LAYOUT);
    char message[200];
    cudnnGetLastErrorString(message, sizeof message);
    TRUE(strstr(message, "format"));
    TRUE(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NCHW, CUDNN_DATA_HALF, 1, 2, 3, 3) == CUDNN_STATUS_NOT_SUPPORTED);
    TRUE(cudnnSetTensor4dDescriptor(y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 0, 3, 3) == CUDNN_STATUS_BAD_PARAM);
}

// SOFTGPU_CAPABILITY=75: neither bf16 nor TF32.
CASE(turing) {
    context(0);
    cublasHandle_t handle;
    BLAS(cublasCreate(&handle));
    const float one = 1, zero = 0, fine = 1 + std::ldexp(1.f, -20);
    CUdeviceptr a = memory(std::vector<float>{fine}), b = memory(std::vector<float>{1}), c = memory(4);
    auto product = [&](cudaDataType type) {
        return cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, (void *)a, type, 1, (void *)b, type, 1,
            &zero, (void *)c, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_GEMM_DEFAULT);
    };
    BLAS(product(CUDA_R_32F));
    OK(cuCtxSynchronize());
    TRUE(values(c, 1)[0] == fine);
    TRUE(product(CUDA_R_16BF) == CUBLAS_STATUS_NOT_SUPPORTED);
}

// The library of CUDA 13 under driver 12.4.
CASE(old_driver) {
    context(0);
    cublasHandle_t handle;
    TRUE(cublasCreate(&handle) == CUBLAS_STATUS_NOT_INITIALIZED);
}
