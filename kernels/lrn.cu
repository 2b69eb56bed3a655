// Local response normalisation across channels:
//
//	y[c] = x[c] scale[c]^-beta,  scale[c] = k + alpha/size (sum of x[j]^2, |j - c| <= size/2, j in c's group)
//	dx[c] = dy[c] scale[c]^-beta - 2 alpha beta/size x[c] (sum over the same j of dy[j] x[j] scale[j]^(-beta-1))
//
// a/n as in the 2012 code (package device). A block takes 32 pixels by 32 channels of a group and what the windows
// reach beyond them into shared memory, so that each number is read from memory once or little more. In shared memory
// numbers lie as in device memory: pixels side by side in NCHW, channels in NHWC.
#include "values.h"

enum { TILE = 32, REACH = 8 }; // REACH = kernels.MaxLRN / 2

struct Norm {
	int rows, channels, plane, groups;
	float alpha, beta, k; // alpha is divided by size
};

// power is scale^-beta; the paper's exponent, 3/4, goes by roots: 1/sqrt(s) sqrt(sqrt(s)) / sqrt(s).
__device__ inline float power(float scale, float beta) {
	if (beta != .75f) return powf(scale, -beta);
	const float r = rsqrtf(scale);
	return r * rsqrtf(r) * r;
}

// Tile is a block's part of a row: TILE pixels from p0 on and TILE channels from c0 on, of the group first .. last.
template <bool NHWC> struct Tile {
	int row, p0, c0, first, last;

	// place is that of channel c and pixel p of the tile, widened by margin channels on both sides, in shared memory.
	__device__ static int place(int c, int p, int margin) {
		return NHWC ? p * (TILE + 2 * margin) + c + margin : (c + margin) * TILE + p;
	}

	// sweep calls f(c, p, i) for the channels -margin .. TILE+margin and pixels of the tile that are the thread's; i is
	// the number in the tensor, -1 where there is none. A warp takes neighbours in memory.
	template <class F> __device__ void sweep(const Norm &n, int margin, F f) const {
		const int lane = threadIdx.x % TILE, line = threadIdx.x / TILE, lines = THREADS / TILE;
		if (NHWC)
			for (int p = line; p < TILE; p += lines)
				for (int c = lane - margin; c < TILE + margin; c += TILE) f(c, p, number(n, c, p));
		else
			for (int c = line - margin; c < TILE + margin; c += lines) f(c, lane, number(n, c, lane));
	}
	__device__ int number(const Norm &n, int c, int p) const {
		const int channel = c0 + c, pixel = p0 + p;
		if (channel < first || channel >= last || pixel >= n.plane) return -1;
		return NHWC ? (row * n.plane + pixel) * n.channels + channel : (row * n.channels + channel) * n.plane + pixel;
	}
};

// each calls f for the tiles that are the block's.
template <bool NHWC, class F> __device__ inline void each(const Norm &n, F f) {
	const int size = n.channels / n.groups, deep = (size + TILE - 1) / TILE, wide = (n.plane + TILE - 1) / TILE;
	const Divider by_deep(deep), by_groups(n.groups), by_wide(wide);
	for (int t = blockIdx.x; t < n.rows * wide * n.groups * deep; t += gridDim.x) {
		unsigned r = (unsigned)t;
		const int d = by_deep.split(&r), g = by_groups.split(&r), p = by_wide.split(&r);
		f(Tile<NHWC>{(int)r, p * TILE, g * size + d * TILE, g * size, (g + 1) * size});
	}
}

// squares is the sum over the window around at; next is the way to the channel beside it.
__device__ inline float squares(const float *at, int next, int half) {
	float total = 0;
	for (int j = -half; j <= half; j++) total += at[j * next] * at[j * next];
	return total;
}

template <class T, bool NHWC> __device__ inline void forward(const T *x, T *y, Norm n, const int half) {
	__shared__ float xs[(TILE + 2 * REACH) * TILE];
	const int next = NHWC ? 1 : TILE;
	each<NHWC>(n, [=](Tile<NHWC> tile) {
		tile.sweep(n, half, [=](int c, int p, int i) { xs[tile.place(c, p, half)] = i < 0 ? 0 : get(x[i]); });
		__syncthreads();
		tile.sweep(n, 0, [=](int c, int p, int i) {
			const float *at = xs + tile.place(c, p, half);
			if (i >= 0) put(&y[i], *at * power(n.k + n.alpha * squares(at, next, half), n.beta));
		});
		__syncthreads();
	});
}

template <class T, bool NHWC> __device__ inline void backward(const T *x, const T *dy, T *dx, Norm n, const int half) {
	__shared__ float xs[(TILE + 4 * REACH) * TILE], direct[(TILE + 2 * REACH) * TILE],
		through[(TILE + 2 * REACH) * TILE];
	const int next = NHWC ? 1 : TILE;
	const float factor = 2 * n.alpha * n.beta;
	each<NHWC>(n, [=](Tile<NHWC> tile) {
		tile.sweep(n, 2 * half, [=](int c, int p, int i) { xs[tile.place(c, p, 2 * half)] = i < 0 ? 0 : get(x[i]); });
		__syncthreads();
		tile.sweep(n, half, [=](int c, int p, int i) {
			const float *at = xs + tile.place(c, p, 2 * half);
			const float scale = n.k + n.alpha * squares(at, next, half), d = i < 0 ? 0 :
				get(dy[i]) * power(scale, n.beta);
			direct[tile.place(c, p, half)] = d;                                          // dy scale^-beta
			through[tile.place(c, p, half)] = i < 0 ? 0 : __fdividef(d * *at, scale); // dy x scale^(-beta-1)
		});
		__syncthreads();
		tile.sweep(n, 0, [=](int c, int p, int i) {
			const int at = tile.place(c, p, half);
			float total = 0;
			for (int j = -half; j <= half; j++) total += through[at + j * next];
			if (i >= 0) put(&dx[i], direct[at] - factor * xs[tile.place(c, p, 2 * half)] * total);
		});
		__syncthreads();
	});
}

// The paper's size, 5, is known when compiled.
#define LRN(type, T, layout, nhwc) \
	KERNEL lrn_##layout##_##type(const T *x, T *y, i64 rows, i64 channels, i64 plane, i64 groups, i64 size, \
		double alpha, double beta, double k) { \
		const Norm n = {(int)rows, (int)channels, (int)plane, (int)groups, (float)alpha / size, (float)beta, \
			(float)k}; \
		size == 5 ? forward<T, nhwc>(x, y, n, 2) : forward<T, nhwc>(x, y, n, (int)size / 2); \
	} \
	KERNEL lrn_backward_##layout##_##type( \
		const T *x, const T *dy, T *dx, i64 rows, i64 channels, i64 plane, i64 groups, i64 size, double alpha, \
		double beta, double k) { \
		const Norm n = {(int)rows, (int)channels, (int)plane, (int)groups, (float)alpha / size, (float)beta, \
			(float)k}; \
		size == 5 ? backward<T, nhwc>(x, dy, dx, n, 2) : backward<T, nhwc>(x, dy, dx, n, (int)size / 2); \
	}
LRN(f32, float, nchw, false)
LRN(bf16, bf16, nchw, false)
LRN(f32, float, nhwc, true)
LRN(bf16, bf16, nhwc, true)
