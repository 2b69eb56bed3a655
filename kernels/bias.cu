// Gradient of bias and activation in one pass over (outer, channels, inner): dx = dy act'(y), dx may be dy; partial
// (splits, channels) gets the sums of dx, each of a part of the elements, before they are rounded; bias_sum adds the
// parts in their order. For LINEAR, y is not read and dx not written.
#include "activation.h"

// gradient is that of element i, written and returned.
template <class T> __device__ inline float gradient(const T *y, const T *dy, T *dx, unsigned i, int act) {
	const float g = get(dy[i]);
	if (act == LINEAR) return g;
	const float v = slope(get(y[i]), g, act);
	put(&dx[i], v);
	return v;
}

// Maps: a block sums part s of channel c, whose elements are runs of inner numbers.
template <class T>
__device__ void bias_maps(const T *y, const T *dy, T *dx, float *partial, i64 outer, i64 channels, i64 inner, int act,
	i64 splits, float *shared) {
	const Divider by_inner(inner);
	const i64 n = outer * inner;
	for (i64 tile = blockIdx.x; tile < channels * splits; tile += gridDim.x) {
		const i64 c = tile % channels, s = tile / channels;
		float total = 0;
		const unsigned end = (unsigned)(n * (s + 1) / splits);
		for (unsigned i = (unsigned)(n * s / splits) + threadIdx.x; i < end; i += THREADS) {
			unsigned o = i;
			const unsigned at = by_inner.split(&o);
			total += gradient(y, dy, dx, (o * (unsigned)channels + (unsigned)c) * (unsigned)inner + at, act);
		}
		total = sum(total, shared);
		if (threadIdx.x == 0) partial[s * channels + c] = total;
	}
}

// Rows: inner is 1, channels lie side by side. A block sums part s of 32 channels, a warp every eighth row.
template <class T>
__device__ void bias_rows(const T *y, const T *dy, T *dx, float *partial, i64 outer, i64 channels, int act, i64 splits,
	float *shared) {
	const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
	const i64 tiles = (channels + 31) / 32;
	for (i64 tile = blockIdx.x; tile < tiles * splits; tile += gridDim.x) {
		const i64 c = tile % tiles * 32 + lane, s = tile / tiles;
		float total = 0;
		if (c < channels)
			for (i64 o = outer * s / splits + line, end = outer * (s + 1) / splits; o < end; o += THREADS / 32)
				total += gradient(y, dy, dx, (unsigned)(o * channels + c), act);
		shared[threadIdx.x] = total;
		__syncthreads();
		if (line == 0 && c < channels) {
			for (int l = 1; l < THREADS / 32; l++) total += shared[l * 32 + lane];
			partial[s * channels + c] = total;
		}
		__syncthreads();
	}
}

template <class T>
__device__ void bias_backward(const T *y, const T *dy, T *dx, float *partial, i64 outer, i64 channels, i64 inner,
	int act, i64 splits) {
	__shared__ float shared[THREADS];
	if (inner == 1)
		bias_rows(y, dy, dx, partial, outer, channels, act, splits, shared);
	else
		bias_maps(y, dy, dx, partial, outer, channels, inner, act, splits, shared);
}

KERNEL bias_backward_f32(const float *y, const float *dy, float *dx, float *partial, i64 outer, i64 channels, i64 inner,
	i64 act, i64 splits) {
	bias_backward(y, dy, dx, partial, outer, channels, inner, (int)act, splits);
}
KERNEL bias_backward_bf16(const bf16 *y, const bf16 *dy, bf16 *dx, float *partial, i64 outer, i64 channels, i64 inner,
	i64 act, i64 splits) {
	bias_backward(y, dy, dx, partial, outer, channels, inner, (int)act, splits);
}

// The parts are rows of channels side by side, too.
KERNEL bias_sum(const float *partial, float *db, i64 channels, i64 splits) {
	__shared__ float shared[THREADS];
	bias_rows<float>(0, partial, 0, db, splits, channels, LINEAR, 1, shared);
}
