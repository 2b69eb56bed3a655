// Pooling's gradient dx of dy. Windows overlap, so a pixel gathers from all windows that it lies in, row by row: no two
// threads write to one place, and the sums have one order.
#include "pool.h"

// around gives the windows, of n along this side, that pixel i lies in.
__device__ inline Span around(const Pooling &p, const Divider &by_stride, int i, int n) {
	const int at = i + p.pad, before = at - p.window; // the last pixel that a window which just misses i could start at
	return {before < 0 ? 0 : (int)by_stride.quotient(before) + 1, min((int)by_stride.quotient(at) + 1, n)};
}

template <class T, bool NHWC> __device__ void pool_max_backward(const unsigned short *best, const T *dy, T *dx,
	i64 rows, Pooling p) {
	const Maps<NHWC> in = {p.channels, p.h, p.w}, out = {p.channels, p.oh, p.ow};
	const Divider by_stride(p.stride);
	enum { N = Maps<NHWC>::N };
	each(rows, in, [=](Pixel at) {
		const Span ys = around(p, by_stride, at.y, p.oh), xs = around(p, by_stride, at.x, p.ow);
		const int from = out.start(at.r, at.c), to = in.start(at.r, at.c) + (at.y * p.w + at.x) * in.next();
		Lanes<N> total = {};
		for (int i = ys.from; i < ys.to; i++)
#pragma unroll 1 // one or two windows each way, mostly
			for (int j = xs.from; j < xs.to; j++) {
				const int place = (at.y - i * p.stride + p.pad) * p.window + at.x - j * p.stride + p.pad;
				const int n = from + (i * p.ow + j) * out.next();
				const Lanes<N> g = load<N>(dy, n, out.end(n, at.c));
#pragma unroll
				for (int k = 0; k < N; k++)
					if (at.c + k < p.channels && best[n + k] == place) total.at[k] += g.at[k];
			}
		store(dx, to, in.end(to, at.c), total);
	});
}

template <class T, bool NHWC> __device__ void pool_avg_backward(const T *dy, T *dx, i64 rows, Pooling p) {
	const Maps<NHWC> in = {p.channels, p.h, p.w}, out = {p.channels, p.oh, p.ow};
	const Divider by_stride(p.stride);
	enum { N = Maps<NHWC>::N };
	each(rows, in, [=](Pixel at) {
		const Span ys = around(p, by_stride, at.y, p.oh), xs = around(p, by_stride, at.x, p.ow);
		const int from = out.start(at.r, at.c), to = in.start(at.r, at.c) + (at.y * p.w + at.x) * in.next();
		Lanes<N> total = {};
		for (int i = ys.from; i < ys.to; i++)
#pragma unroll 1 // one or two windows each way, mostly
			for (int j = xs.from; j < xs.to; j++) {
				const Span yy = inside(p, i, p.h), xx = inside(p, j, p.w);
				const float pixels = (float)((yy.to - yy.from) * (xx.to - xx.from));
				const int n = from + (i * p.ow + j) * out.next();
				const Lanes<N> g = load<N>(dy, n, out.end(n, at.c));
#pragma unroll
				for (int k = 0; k < N; k++) total.at[k] += g.at[k] / pixels;
			}
		store(dx, to, in.end(to, at.c), total);
	});
}

#define POOL_BACKWARD(type, T, layout, nhwc) \
	KERNEL pool_max_backward_##layout##_##type( \
		const unsigned short *best, const T *dy, T *dx, i64 rows, i64 channels, i64 h, i64 w, i64 oh, i64 ow, \
		i64 window, i64 stride, i64 pad) { \
		pool_max_backward<T, nhwc>(best, dy, dx, rows, {channels, h, w, oh, ow, window, stride, pad}); \
	} \
	KERNEL pool_avg_backward_##layout##_##type(const T *dy, T *dx, i64 rows, i64 channels, i64 h, i64 w, i64 oh, \
		i64 ow, i64 window, i64 stride, i64 pad) { \
		pool_avg_backward<T, nhwc>(dy, dx, rows, {channels, h, w, oh, ow, window, stride, pad}); \
	}
POOL_BACKWARD(f32, float, nchw, false)
POOL_BACKWARD(bf16, bf16, nchw, false)
POOL_BACKWARD(f32, float, nhwc, true)
POOL_BACKWARD(bf16, bf16, nhwc, true)
