// Pooling: y (rows, channels, oh, ow) of x (rows, channels, h, w). Ties of the maximum go to the first pixel, row by
// row, and NaN is kept, so that it is seen where it came from; best, unless 0, gets the place of the maximum in its
// window, (i - top) window + j - left, the margin counted. The mean is of the pixels in the map.
#include "pool.h"

template <class T, bool NHWC> __device__ void pool_max(const T *x, T *y, unsigned short *best, i64 rows, Pooling p) {
	const Maps<NHWC> in = {p.channels, p.h, p.w}, out = {p.channels, p.oh, p.ow};
	enum { N = Maps<NHWC>::N };
	each(rows, out, [=](Pixel at) {
		const Span ys = inside(p, at.y, p.h), xs = inside(p, at.x, p.w);
		const int corner = (at.y * p.stride - p.pad) * p.window + at.x * p.stride - p.pad;
		const int from = in.start(at.r, at.c), to = out.start(at.r, at.c) + (at.y * p.ow + at.x) * out.next();
		Lanes<N> most;
		int place[N];
		for (int i = ys.from; i < ys.to; i++)
#pragma unroll(NHWC ? 1 : 4) // four lanes at once are enough, and fit the registers of every GPU
			for (int j = xs.from; j < xs.to; j++) {
				const int n = from + (i * p.w + j) * in.next();
				const Lanes<N> v = load<N>(x, n, in.end(n, at.c));
				const bool start = i == ys.from && j == xs.from;
#pragma unroll
				for (int k = 0; k < N; k++)
					if (start || v.at[k] > most.at[k] || v.at[k] != v.at[k]) {
						most.at[k] = v.at[k];
						place[k] = i * p.window + j - corner;
					}
			}
		store(y, to, out.end(to, at.c), most);
		if (best)
			for (int k = 0; k < N && at.c + k < p.channels; k++) best[to + k] = (unsigned short)place[k];
	});
}

template <class T, bool NHWC> __device__ void pool_avg(const T *x, T *y, i64 rows, Pooling p) {
	const Maps<NHWC> in = {p.channels, p.h, p.w}, out = {p.channels, p.oh, p.ow};
	enum { N = Maps<NHWC>::N };
	each(rows, out, [=](Pixel at) {
		const Span ys = inside(p, at.y, p.h), xs = inside(p, at.x, p.w);
		const int from = in.start(at.r, at.c), to = out.start(at.r, at.c) + (at.y * p.ow + at.x) * out.next();
		Lanes<N> total = {};
		for (int i = ys.from; i < ys.to; i++)
#pragma unroll(NHWC ? 1 : 4) // four lanes at once are enough, and fit the registers of every GPU
			for (int j = xs.from; j < xs.to; j++) {
				const int n = from + (i * p.w + j) * in.next();
				const Lanes<N> v = load<N>(x, n, in.end(n, at.c));
#pragma unroll
				for (int k = 0; k < N; k++) total.at[k] += v.at[k];
			}
		const float pixels = (float)((ys.to - ys.from) * (xs.to - xs.from));
		for (int k = 0; k < N; k++) total.at[k] /= pixels;
		store(y, to, out.end(to, at.c), total);
	});
}

#define POOL(type, T, layout, nhwc) \
	KERNEL pool_max_##layout##_##type(const T *x, T *y, unsigned short *best, i64 rows, i64 channels, i64 h, i64 w, \
		i64 oh, i64 ow, i64 window, i64 stride, i64 pad) { \
		pool_max<T, nhwc>(x, y, best, rows, {channels, h, w, oh, ow, window, stride, pad}); \
	} \
	KERNEL pool_avg_##layout##_##type(const T *x, T *y, i64 rows, i64 channels, i64 h, i64 w, i64 oh, i64 ow, \
		i64 window, i64 stride, i64 pad) { \
		pool_avg<T, nhwc>(x, y, rows, {channels, h, w, oh, ow, window, stride, pad}); \
	}
POOL(f32, float, nchw, false)
POOL(bf16, bf16, nchw, false)
POOL(f32, float, nhwc, true)
POOL(bf16, bf16, nhwc, true)
