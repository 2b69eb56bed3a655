// Kernels for the emulator's own tests.

// y = a * x.
extern "C" __global__ void test_scale(float *y, const float *x, double a, long long n) {
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x)
        y[i] = (float)a * x[i];
}

// total = the sum of x, by one block of 256.
extern "C" __global__ void test_sum(float *total, const float *x, long long n) {
    __shared__ float part[256];
    int t = (int)threadIdx.x;
    part[t] = 0;
    for (long long i = t; i < n; i += 256) part[t] += x[i];
    __syncthreads();
    for (int half = 128; half; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (!t) *total = part[0];
}

// Half of a block leaves before the barrier.
extern "C" __global__ void test_divergent(float *x) {
    if (threadIdx.x < blockDim.x / 2) return;
    __syncthreads();
    x[threadIdx.x] = 1;
}

// Writes x[at], wherever that is.
extern "C" __global__ void test_write(float *x, long long at) { x[at] = 1; }
