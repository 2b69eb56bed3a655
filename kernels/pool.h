// The geometry of pooling: windows of window x window pixels, stride apart, the first starting pad before the map,
// clipped at its borders.
#pragma once
#include "values.h"

struct Pooling {
	int channels, h, w, oh, ow, window, stride, pad;

	__device__ Pooling(i64 channels, i64 h, i64 w, i64 oh, i64 ow, i64 window, i64 stride, i64 pad)
		: channels((int)channels), h((int)h), w((int)w), oh((int)oh), ow((int)ow), window((int)window),
		stride((int)stride), pad((int)pad) {}
};

// Maps finds numbers in a tensor of (rows, channels, height, width). A thread takes N channels of a place together: 1
// in NCHW, 4 in NHWC.
template <bool NHWC> struct Maps {
	enum { N = NHWC ? 4 : 1 };
	int channels, height, width;

	// start is the number of channel c of row r at 0, 0; next is how far the pixel to the right is, end where the
	// numbers side by side end.
	__device__ int start(int r, int c) const {
		return NHWC ? r * height * width * channels + c : (r * channels + c) * height * width;
	}
	__device__ int next() const { return NHWC ? channels : 1; }
	__device__ int end(int i, int c) const { return NHWC ? i - c + channels : i + 1; }
};

// Span is the part of windows or pixels along one side: from .. to.
struct Span {
	int from, to;
};

// inside is the part of window o that lies in a map of n pixels.
__device__ inline Span inside(const Pooling &p, int o, int n) {
	const int at = o * p.stride - p.pad;
	return {max(at, 0), min(at + p.window, n)};
}

// Pixel is what a thread works on: channels c and up of row r at y, x.
struct Pixel {
	int r, c, y, x;
};

// each calls f for every place of the maps that is the thread's.
template <bool NHWC, class F> __device__ void each(i64 rows, const Maps<NHWC> &maps, F f) {
	const int groups = (maps.channels + Maps<NHWC>::N - 1) / Maps<NHWC>::N;
	const Divider by_width(maps.width), by_height(maps.height), by_groups(groups);
	const unsigned all = (unsigned)(rows * groups * maps.height * maps.width);
	for (unsigned i = (unsigned)first(); i < all; i += (unsigned)step()) {
		unsigned r = i;
		int c = 0;
		if (NHWC) c = by_groups.split(&r) * Maps<NHWC>::N;
		const int x = by_width.split(&r), y = by_height.split(&r);
		if (!NHWC) c = by_groups.split(&r);
		f(Pixel{(int)r, c, y, x});
	}
}
