// Normalisation of one group of one row: what normalisation, and it with pooling, share.
#ifndef ALEXNET_LRN_H
#define ALEXNET_LRN_H

#include "numbers.h"

#include <math.h>

// prefetch asks for what lies some lines behind number i: the processor by itself reads ahead too late here. Predicting
// with the paper's net on one core of a Xeon, 128 pictures, normalisation with pooling takes 29.5 and 18.1 ms without
// and 23.4 and 14.4 with in bf16, 26.9 and 16.9, 23.2 and 16.3 in fp32. Not measured on others.
INLINE void prefetch(const map x, int64_t i) { __builtin_prefetch((const char *)address(x.data, i, x.half) + 2048); }

#define LANES 16
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#include "lrn_lanes.h"
#define LANES 8
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#include "lrn_lanes.h"

INLINE int lrn_last(const cpu_lrn *l) { return l->block == l->channels; } // channels last

// lrn_vectors is the number of channels that lrn_lanes.h takes at a time; 0: it does not do it.
INLINE int64_t lrn_vectors(const cpu_lrn *l) {
	const int64_t channels = l->channels / l->groups, lanes = lrn_last(l) ? (channels % 16 ? 8 : 16) : l->block;
	const int fits = (lanes == 8 || lanes == 16) && channels % lanes == 0;
	return fits && l->reach == 2 && l->beta == .75f && l->k >= 1e-30f ? lanes : 0;
}

// step_blocks sets the steps of a map in blocks of so many channels, step_row those of one in the tensor's layout.
INLINE map step_blocks(const cpu_lrn *l, int64_t lanes, map m) {
	m.pixel = lanes, m.vector = l->pixels * lanes;
	return m;
}

INLINE map step_row(const cpu_lrn *l, int64_t lanes, map m) {
	if (!lrn_last(l)) return step_blocks(l, lanes, m);
	m.pixel = l->channels, m.vector = lanes;
	return m;
}

// lrn_at is where the channels from c0 on lie in a row, where blocks are whole.
INLINE int64_t lrn_at(const cpu_lrn *l, int64_t c0) { return lrn_last(l) ? c0 : c0 * l->pixels; }

// The rest is for any size, power and layout.
//
// A tile of pixels is gathered pixel by pixel, channels side by side, into scratch that stays in the first-level cache.
// Behind each pixel half zeros keep its neighbours out of its sums, so that one flat loop serves all of them.

enum { TILE = 1536, FRONT = cpu_lrn_reach, SCRATCH = FRONT + cpu_lrn_limit + cpu_lrn_reach }; // floats

// lrn_tile is channels from first on, of pixels from pixel on. In scratch a pixel has width floats.
typedef struct {
	int64_t first, channels, pixel, pixels, width;
} lrn_tile;

// lrn_gather copies a tile from the layout to scratch; lrn_scatter brings it back.
INLINE void lrn_gather(const cpu_lrn *l, const lrn_tile t, const void *x, const int half, float *scratch) {
	const int64_t b = l->block;
	for (int64_t c = 0; c < t.channels;) {
		const int64_t lane = (t.first + c) % b, m = min64(b - lane, t.channels - c);
		int64_t at = ((t.first + c) / b * l->pixels + t.pixel) * b + lane;
		float *q = scratch + c;
		for (int64_t p = 0; p < t.pixels; p++, at += b, q += t.width)
			if (m == 16) *(floats_16 *)q = load_16(x, at, half);
			else if (m == 8) *(floats_8 *)q = load_8(x, at, half);
			else
				for (int64_t i = 0; i < m; i++) q[i] = load(x, at + i, half);
		c += m;
	}
}

INLINE void lrn_scatter(const cpu_lrn *l, const lrn_tile t, void *x, const int half, const float *scratch) {
	const int64_t b = l->block;
	for (int64_t c = 0; c < t.channels;) {
		const int64_t lane = (t.first + c) % b, m = min64(b - lane, t.channels - c);
		int64_t at = ((t.first + c) / b * l->pixels + t.pixel) * b + lane;
		const float *q = scratch + c;
		for (int64_t p = 0; p < t.pixels; p++, at += b, q += t.width)
			if (m == 16) store_16(x, at, *(const floats_16 *)q, half);
			else if (m == 8) store_8(x, at, *(const floats_8 *)q, half);
			else
				for (int64_t i = 0; i < m; i++) store(x, at + i, q[i], half);
		c += m;
	}
}

INLINE void clear_gaps(float *q, int64_t from, int64_t width, int64_t n) {
	for (int64_t i = from; i < n; i += width)
		for (int64_t j = i; j < i + width - from; j++) q[j] = 0;
}

// sum_windows: s[i] = k + a (q[i-half] + .. + q[i+half])
INLINE void sum_windows(float *restrict s, const float *restrict q, int64_t half, float k, float a, int64_t n) {
	if (half == 2) {
		for (int64_t i = 0; i < n; i++) s[i] = k + a * (q[i - 2] + q[i - 1] + q[i] + q[i + 1] + q[i + 2]);
		return;
	}
	for (int64_t i = 0; i < n; i++) s[i] = 0;
	for (int64_t j = -half; j <= half; j++)
		for (int64_t i = 0; i < n; i++) s[i] += q[i + j];
	for (int64_t i = 0; i < n; i++) s[i] = k + a * s[i];
}

// raise_to_beta: r = s^-beta
INLINE void raise_to_beta(float *restrict r, const float *restrict s, float beta, int64_t n) {
	if (beta == .75f)
		for (int64_t i = 0; i < n; i++) {
			const float root = sqrtf(s[i]);
			r[i] = 1 / (root * sqrtf(root));
		}
	else
		for (int64_t i = 0; i < n; i++) r[i] = powf(s[i], -beta);
}

INLINE void lrn_any_forward(const cpu_lrn *l, int64_t c0, const map y, const map x) {
	const int64_t channels = l->channels / l->groups, width = channels + l->reach, step = max64(1, TILE / width);
	float xs[SCRATCH], squares[SCRATCH], s[SCRATCH], r[SCRATCH];
	float *q = squares + FRONT;
	memset(squares, 0, FRONT * sizeof *q);
	memset(xs, 0, (size_t)(step * width) * sizeof *xs);
	for (int64_t p = 0; p < l->pixels; p += step) {
		const int64_t pixels = min64(step, l->pixels - p), n = pixels * width;
		const lrn_tile t = {c0, channels, p, pixels, width};
		lrn_gather(l, t, x.data, x.half, xs);
		for (int64_t i = 0; i < n; i++) q[i] = xs[i] * xs[i];
		memset(q + n, 0, (size_t)l->reach * sizeof *q);
		sum_windows(s, q, l->reach, l->k, l->alpha, n);
		raise_to_beta(r, s, l->beta, n);
		for (int64_t i = 0; i < n; i++) s[i] = xs[i] * r[i];
		lrn_scatter(l, t, y.data, y.half, s);
	}
}

// dx[c] = dy[c] s[c]^-beta - 2 alpha beta x[c] sum over the neighbours j of dy[j] x[j] s[j]^(-beta-1)
INLINE void lrn_any_backward(const cpu_lrn *l, int64_t c0, void *dx, const map dy, const map x, int relu) {
	const int64_t channels = l->channels / l->groups, width = channels + l->reach, step = max64(1, TILE / width);
	float xs[SCRATCH], dys[SCRATCH], squares[SCRATCH], s[SCRATCH], r[SCRATCH];
	float *q = squares + FRONT;
	const float slope = 2 * l->alpha * l->beta;
	memset(squares, 0, FRONT * sizeof *q);
	memset(xs, 0, (size_t)(step * width) * sizeof *xs);
	memset(dys, 0, (size_t)(step * width) * sizeof *dys);
	for (int64_t p = 0; p < l->pixels; p += step) {
		const int64_t pixels = min64(step, l->pixels - p), n = pixels * width;
		const lrn_tile t = {c0, channels, p, pixels, width};
		lrn_gather(l, t, x.data, x.half, xs);
		lrn_gather(l, t, dy.data, dy.half, dys);
		for (int64_t i = 0; i < n; i++) q[i] = xs[i] * xs[i];
		memset(q + n, 0, (size_t)l->reach * sizeof *q);
		sum_windows(s, q, l->reach, l->k, l->alpha, n);
		raise_to_beta(r, s, l->beta, n);
		for (int64_t i = 0; i < n; i++) q[i] = dys[i] * xs[i] * r[i] / s[i];
		clear_gaps(q, channels, width, n); // there 0/0 is possible, where k is 0
		sum_windows(s, q, l->reach, 0, slope, n);
		for (int64_t i = 0; i < n; i++) s[i] = dys[i] * r[i] - xs[i] * s[i];
		if (relu)
			for (int64_t i = 0; i < n; i++) s[i] = xs[i] > 0 ? s[i] : 0;
		lrn_scatter(l, t, dx, x.half, s);
	}
}

// lrn_group_forward_of normalises one group of a row, whose first channel is c0; the steps of y and x are set here.
// With fused, y is not a row but what lies between normalisation and pooling: the group by itself, in blocks.
INLINE void lrn_group_forward_of(const cpu_lrn *l, int64_t c0, map y, map x, const int fused) {
	const int64_t lanes = lrn_vectors(l), blocks = l->channels / l->groups / max64(1, lanes);
	if (fused || lanes) x.data = address(x.data, lrn_at(l, c0), x.half);
	if (!fused && lanes) y.data = address(y.data, lrn_at(l, c0), y.half);
	x = step_row(l, lanes, x), y = fused ? step_blocks(l, lanes, y) : step_row(l, lanes, y);
	if (lanes == 16) lrn_forward_16(l, blocks, y, x);
	else if (lanes == 8) lrn_forward_8(l, blocks, y, x);
	else lrn_any_forward(l, fused ? 0 : c0, y, x);
}

INLINE void lrn_group_backward_of(const cpu_lrn *l, int64_t c0, void *dx, map dy, map x, int relu, const int fused) {
	const int64_t lanes = lrn_vectors(l), blocks = l->channels / l->groups / max64(1, lanes);
	if (fused || lanes) x.data = address(x.data, lrn_at(l, c0), x.half), dx = address(dx, lrn_at(l, c0), x.half);
	if (!fused && lanes) dy.data = address(dy.data, lrn_at(l, c0), dy.half);
	x = step_row(l, lanes, x), dy = fused ? step_blocks(l, lanes, dy) : step_row(l, lanes, dy);
	if (lanes == 16) lrn_backward_16(l, blocks, dx, dy, x, relu);
	else if (lanes == 8) lrn_backward_8(l, blocks, dx, dy, x, relu);
	else lrn_any_backward(l, fused ? 0 : c0, dx, dy, x, relu);
}

// Of bf16 there are two kinds: all of it, and with floats for what lies between normalisation and pooling.
INLINE void lrn_group_forward(const cpu_lrn *l, int64_t c0, void *y, const void *x, const int half, const int fused) {
	if (!half) lrn_group_forward_of(l, c0, floats_map(y), floats_map(x), fused);
	else if (l->half_y) lrn_group_forward_of(l, c0, halves_map(y), halves_map(x), fused);
	else lrn_group_forward_of(l, c0, floats_map(y), halves_map(x), fused);
}

INLINE void lrn_group_backward(const cpu_lrn *l, int64_t c0, void *dx, const void *dy, const void *x, int relu,
	const int half, const int fused) {
	if (!half) lrn_group_backward_of(l, c0, dx, floats_map(dy), floats_map(x), relu, fused);
	else if (l->half_y) lrn_group_backward_of(l, c0, dx, halves_map(dy), halves_map(x), relu, fused);
	else lrn_group_backward_of(l, c0, dx, floats_map(dy), halves_map(x), relu, fused);
}

// clear_padding zeroes the channels that the last block has too many.
INLINE void clear_padding(const cpu_lrn *l, void *y, int half) {
	for (int64_t c = l->channels; c % l->block != 0; c++)
		for (int64_t p = 0; p < l->pixels; p++)
			store(y, (c / l->block * l->pixels + p) * l->block + c % l->block, 0, half);
}

INLINE int64_t lrn_row(const cpu_lrn *l) { return (l->channels + l->block - 1) / l->block * l->block * l->pixels; }

#endif
