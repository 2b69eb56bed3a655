// What all kernels share: numbers in memory, the loop over what there is to do, division, sums over a block.
#pragma once

#define THREADS 256 // kernels.Threads
// At least 3 blocks are to fit a multiprocessor: up to 80 registers a thread. Left alone, ptxas saves registers for 6
// and spills some to memory for it.
#define KERNEL extern "C" __global__ void __launch_bounds__(THREADS, 3)

typedef long long i64; // what the host passes as int64

// ---- numbers: fp32, or bf16, the upper half of one

struct bf16 {
	unsigned short bits;
};

__device__ inline float get(float x) { return x; }
__device__ inline float get(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

__device__ inline void put(float *to, float x) { *to = x; }

// put rounds to the nearest, to even where two are as near; NaN stays NaN.
__device__ inline void put(bf16 *to, float x) {
	const unsigned u = __float_as_uint(x);
	to->bits = (unsigned short)(x != x ? u >> 16 | 64 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
}

__device__ inline bool finite(float x) { return (__float_as_uint(x) & 0x7f800000) != 0x7f800000; }

// Lanes are the numbers that a thread handles together.
template <int N> struct Lanes {
	float at[N];
};
typedef Lanes<4> Four; // 16 bytes of fp32, 8 of bf16

__device__ inline Four load_wide(const float *p) {
	const float4 v = *(const float4 *)p;
	return {{v.x, v.y, v.z, v.w}};
}

__device__ inline Four load_wide(const bf16 *p) {
	const uint2 v = *(const uint2 *)p;
	return {{__uint_as_float(v.x << 16), __uint_as_float(v.x & 0xffff0000), __uint_as_float(v.y << 16),
		__uint_as_float(v.y & 0xffff0000)}};
}

__device__ inline void store_wide(float *p, Four v) { *(float4 *)p = make_float4(v.at[0], v.at[1], v.at[2], v.at[3]); }

__device__ inline void store_wide(bf16 *p, Four v) {
	bf16 b[4];
	for (int k = 0; k < 4; k++) put(&b[k], v.at[k]);
	*(uint2 *)p = make_uint2(b[0].bits | (unsigned)b[1].bits << 16, b[2].bits | (unsigned)b[3].bits << 16);
}

template <class T> __device__ inline bool is_wide(const T *p) { return (unsigned long long)p % (4 * sizeof(T)) == 0; }

// load reads p[i], p[i+1], ... as far as they are below n; the others are 0.
template <int N, class T> __device__ inline Lanes<N> load(const T *p, i64 i, i64 n) {
	if constexpr (N == 4) {
		if (i + 4 <= n && is_wide(p + i)) return load_wide(p + i);
	}
	Lanes<N> v;
#pragma unroll
	for (int k = 0; k < N; k++) v.at[k] = i + k < n ? get(p[i + k]) : 0;
	return v;
}

template <int N, class T> __device__ inline void store(T *p, i64 i, i64 n, Lanes<N> v) {
	if constexpr (N == 4) {
		if (i + 4 <= n && is_wide(p + i)) {
			store_wide(p + i, v);
			return;
		}
	}
#pragma unroll
	for (int k = 0; k < N; k++)
		if (i + k < n) put(&p[i + k], v.at[k]);
}

// ---- who does what

__device__ inline i64 first() { return (i64)blockIdx.x * THREADS + threadIdx.x; }
__device__ inline i64 step() { return (i64)gridDim.x * THREADS; }

// Divider divides numbers below 2^31 by one that does not change, for the price of a multiplication (Granlund,
// Montgomery, "Division by invariant integers using multiplication", PLDI 1994).
struct Divider {
	unsigned by, magic, shift;

	__device__ explicit Divider(i64 d) : by((unsigned)d), shift(0) {
		while (1ull << shift < by) shift++;
		magic = (unsigned)(((1ull << 32) * ((1ull << shift) - by)) / by + 1);
	}
	__device__ unsigned quotient(unsigned n) const { return (__umulhi(n, magic) + n) >> shift; }
	// split takes n apart: n becomes the quotient, the rest is returned.
	__device__ unsigned split(unsigned *n) const {
		const unsigned q = quotient(*n), rest = *n - q * by;
		*n = q;
		return rest;
	}
};

// ---- over a block

// reduce gives every thread f over the values of all, in an order that is always the same. shared holds THREADS
// numbers.
template <class T, class F> __device__ inline T reduce(T v, T *shared, F f) {
	const int t = threadIdx.x;
	shared[t] = v;
	__syncthreads();
	for (int k = THREADS / 2; k > 0; k /= 2) {
		if (t < k) shared[t] = f(shared[t], shared[t + k]);
		__syncthreads();
	}
	v = shared[0];
	__syncthreads(); // before shared is used again
	return v;
}

template <class T> __device__ inline T sum(T v, T *shared) {
	return reduce(v, shared, [](T a, T b) { return a + b; });
}

// ---- what the host lays into device memory: kernels.Pass, kernels.Tensor

struct Pass {
	unsigned long long seed, step, first;
	i64 rows;
	float divisor, momentum;
};

struct Tensor {
	float *weight, *momentum;
	const float *gradient;
	bf16 *half;
	i64 len, first_chunk;
};

static_assert(sizeof(Pass) == 40 && sizeof(Tensor) == 48, "kernels.Pass and kernels.Tensor have other sizes");
