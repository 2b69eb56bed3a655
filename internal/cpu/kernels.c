//go:build cgo && dnnl && linux

// The loops of our own. Each is a function of a range, which cpu_parallel spreads over the team. Loops that the compiler turns into
// vector code are compiled once per instruction set (CLONES); the processor picks when the program is loaded.
#include "cpu.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-math-errno", "no-trapping-math") // else square roots and comparisons are not vectorised
#pragma GCC diagnostic ignored "-Wpsabi" // vectors are never passed between functions that are not inlined
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

// magnitude is the bit pattern without sign: a number is finite where it is below that of infinity.
INLINE uint32_t magnitude(float x) {
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u & 0x7fffffff;
}
enum { INFINITE = 0x7f800000 };

// ---- copies

typedef struct {
	float *dst;
	const float *src;
	cpu_view to, from;
	int add;
} copy_args;

INLINE int64_t row_floats(const cpu_view *v) { return (v->channels + v->block - 1) / v->block * v->block * v->pixels; }

CLONES static void add_floats(float *dst, const float *src, int64_t n) {
	for (int64_t i = 0; i < n; i++) dst[i] += src[i];
}

INLINE void copy_channel(float *dst, int64_t db, const float *src, int64_t sb, int64_t pixels, int add) {
	if (add)
		for (int64_t p = 0; p < pixels; p++) dst[p * db] += src[p * sb];
	else
		for (int64_t p = 0; p < pixels; p++) dst[p * db] = src[p * sb];
}

static void copy_rows(const void *args, int thread, int64_t begin, int64_t end) {
	const copy_args *a = args;
	const cpu_view *d = &a->to, *s = &a->from;
	const int64_t pixels = d->pixels, db = d->block, sb = s->block, n = row_floats(d);
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		float *dst = a->dst + r * d->row;
		const float *src = a->src + r * s->row;
		if (db == sb && a->add) {
			add_floats(dst, src, n);
			continue;
		}
		if (db == sb) {
			memcpy(dst, src, (size_t)n * sizeof *dst);
			continue;
		}
		for (int64_t c = 0; c < d->channels; c++)
			copy_channel(dst + c / db * pixels * db + c % db, db, src + c / sb * pixels * sb + c % sb, sb, pixels, a->add);
		for (int64_t c = d->channels; c % db != 0; c++)
			for (int64_t p = 0; p < pixels; p++) dst[(c / db * pixels + p) * db + c % db] = 0;
	}
}

void cpu_copy(float *dst, const cpu_view *to, const float *src, const cpu_view *from, int64_t rows, int add) {
	const copy_args a = {dst, src, *to, *from, add};
	cpu_parallel(copy_rows, &a, rows, 1, rows * row_floats(to));
}

// ---- element by element

typedef struct {
	float *y;
	const float *x, *z;
	float scale;
} element_args;

static void zero_part(const void *args, int thread, int64_t begin, int64_t end) {
	(void)thread;
	memset(((const element_args *)args)->y + begin, 0, (size_t)(end - begin) * sizeof(float));
}

void cpu_zero(float *x, int64_t n) {
	const element_args a = {.y = x};
	cpu_parallel(zero_part, &a, n, 16, n);
}

CLONES static void relu_part(const void *args, int thread, int64_t begin, int64_t end) {
	const element_args *a = args;
	float *y = a->y;
	const float *x = a->x;
	(void)thread;
	for (int64_t i = begin; i < end; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

void cpu_relu(float *y, const float *x, int64_t n) {
	const element_args a = {.y = y, .x = x};
	cpu_parallel(relu_part, &a, n, 16, n);
}

static void tanh_part(const void *args, int thread, int64_t begin, int64_t end) {
	const element_args *a = args;
	(void)thread;
	for (int64_t i = begin; i < end; i++) a->y[i] = tanhf(a->x[i]);
}

void cpu_tanh(float *y, const float *x, int64_t n) {
	const element_args a = {.y = y, .x = x};
	cpu_parallel(tanh_part, &a, n, 16, 16 * n);
}

CLONES static void relu_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const element_args *a = args;
	float *dx = a->y;
	const float *dy = a->x, *y = a->z, scale = a->scale;
	(void)thread;
	for (int64_t i = begin; i < end; i++) dx[i] = y[i] > 0 ? scale * dy[i] : 0;
}

void cpu_relu_backward(float *dx, const float *dy, const float *y, float scale, int64_t n) {
	const element_args a = {dx, dy, y, scale};
	cpu_parallel(relu_backward_part, &a, n, 16, n);
}

CLONES static void tanh_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const element_args *a = args;
	float *dx = a->y;
	const float *dy = a->x, *y = a->z;
	(void)thread;
	for (int64_t i = begin; i < end; i++) dx[i] = dy[i] * (1 - y[i] * y[i]);
}

void cpu_tanh_backward(float *dx, const float *dy, const float *y, int64_t n) {
	const element_args a = {.y = dx, .x = dy, .z = y};
	cpu_parallel(tanh_backward_part, &a, n, 16, n);
}

CLONES static void scale_part(const void *args, int thread, int64_t begin, int64_t end) {
	const element_args *a = args;
	float *y = a->y;
	const float *x = a->x, scale = a->scale;
	(void)thread;
	for (int64_t i = begin; i < end; i++) y[i] = scale * x[i];
}

void cpu_scale(float *y, const float *x, float scale, int64_t n) {
	const element_args a = {.y = y, .x = x, .scale = scale};
	cpu_parallel(scale_part, &a, n, 16, n);
}

// ---- input

typedef struct {
	const cpu_input *in;
	float *x;
	const uint8_t *pixels;
	const int32_t *crop;
	const uint8_t *flip;
	const float *color;
} input_args;

// channel_line makes one line of one channel; source is its leftmost pixel, stride apart.
INLINE void channel_line(float *x, const uint8_t *source, const int64_t stride, const float *mean, int64_t mean_step,
	float color, float scale, int64_t n, int flip) {
	if (flip)
		for (int64_t j = 0; j < n; j++) x[n - 1 - j] = ((float)source[j * stride] - mean[j * mean_step] + color) * scale;
	else if (mean_step)
		for (int64_t j = 0; j < n; j++) x[j] = ((float)source[j * stride] - mean[j] + color) * scale;
	else
		for (int64_t j = 0; j < n; j++) x[j] = ((float)source[j * stride] - mean[0] + color) * scale;
}

CLONES static void input_part(const void *args, int thread, int64_t begin, int64_t end) {
	const input_args *a = args;
	const cpu_input in = *a->in;
	const int64_t row = in.channels * in.height * in.width, picture = in.picture_height * in.picture_width * in.channels;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		float *x = a->x + r * row;
		if (r >= in.used) {
			memset(x, 0, (size_t)row * sizeof *x);
			continue;
		}
		const int64_t top = a->crop[2 * r], left = a->crop[2 * r + 1], whole = in.mean_pixels > 1;
		for (int64_t i = 0; i < in.height; i++)
			for (int64_t c = 0; c < in.channels; c++) {
				const int64_t at = (top + i) * in.picture_width + left; // (y, x) of the line's left end
				const uint8_t *source = a->pixels + r * picture + at * in.channels + c;
				const float *mean = in.mean + c * in.mean_pixels + (whole ? at : 0);
				float *line = x + (c * in.height + i) * in.width;
				if (in.channels == 3) channel_line(line, source, 3, mean, whole, a->color[3 * r + c], in.scale[c], in.width, a->flip[r]);
				else channel_line(line, source, 1, mean, whole, a->color[3 * r + c], in.scale[c], in.width, a->flip[r]);
			}
	}
}

void cpu_input_rows(const cpu_input *in, float *x, const uint8_t *pixels, const int32_t *crop, const uint8_t *flip, const float *color) {
	const input_args a = {in, x, pixels, crop, flip, color};
	cpu_parallel(input_part, &a, in->rows, 1, in->rows * in->channels * in->height * in->width);
}

// ---- dropout

enum { BATCH = 64 }; // counters at a time

// philox makes four words of each of BATCH counters, of which only the first word differs: Philox4x32-10, as package philox has it.
INLINE void philox(uint32_t words[4][BATCH], const cpu_drop *d, uint32_t first, uint32_t sample) {
	uint32_t *restrict c0 = words[0], *restrict c1 = words[1], *restrict c2 = words[2], *restrict c3 = words[3];
	for (int i = 0; i < BATCH; i++) c0[i] = first + (uint32_t)i, c1[i] = d->stream, c2[i] = sample, c3[i] = d->step;
	uint32_t k0 = d->key[0], k1 = d->key[1];
	for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
		for (int i = 0; i < BATCH; i++) {
			const uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
			c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0, c1[i] = (uint32_t)p1;
			c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1, c3[i] = (uint32_t)p0;
		}
}

typedef struct {
	const cpu_drop *drop;
	float *y;
	const float *x;
} drop_args;

CLONES static void drop_part(const void *args, int thread, int64_t begin, int64_t end) {
	const drop_args *a = args;
	const cpu_drop d = *a->drop;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		float *y = a->y + r * d.units;
		const float *x = a->x + r * d.units;
		for (int64_t block = d.first_unit / 4; block * 4 < d.first_unit + d.units; block += BATCH) {
			uint32_t words[4][BATCH];
			philox(words, &d, (uint32_t)block, d.sample + (uint32_t)r);
			const int64_t u = block * 4 - d.first_unit; // unit of the first word, -3..
			for (int64_t i = max64(0, -u); i < min64(4 * BATCH, d.units - u); i++)
				y[u + i] = words[i & 3][i >> 2] < d.threshold ? 0 : x[u + i];
		}
	}
}

void cpu_dropout(const cpu_drop *d, float *y, const float *x) {
	const drop_args a = {d, y, x};
	cpu_parallel(drop_part, &a, d->rows, 1, 4 * d->rows * d->units);
}

// ---- vectors of a block's channels

typedef float floats_1 __attribute__((vector_size(4), may_alias));
typedef int32_t ints_1 __attribute__((vector_size(4), may_alias));
typedef uint8_t bytes_1 __attribute__((vector_size(1), may_alias));
typedef float floats_8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ints_8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint8_t bytes_8 __attribute__((vector_size(8), aligned(1), may_alias));
typedef float floats_16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t ints_16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint8_t bytes_16 __attribute__((vector_size(16), aligned(1), may_alias));

// ---- local response normalisation

#define LANES 16
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#include "lrn.h"
#define LANES 8
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#include "lrn.h"

// lrn_vectors tells whether lrn.h does it: the first channel c0 counts within a block.
INLINE int lrn_vectors(const cpu_lrn *l, int64_t c0, int lanes) {
	return l->block == lanes && l->half == 2 && l->beta == .75f && l->k >= 1e-30f && c0 == 0 && l->channels / l->groups % lanes == 0;
}

// The rest is for any size, power and layout.
//
// A tile of pixels is gathered pixel by pixel, channels side by side, into scratch that stays in the first-level cache. Behind each pixel
// half zeros keep its neighbours out of its sums, so that one flat loop serves all of them.

enum { TILE = 1536, FRONT = 64, SCRATCH = FRONT + cpu_lrn_limit + 64 }; // floats

// lrn_move copies channels [c0, c0+n) of some pixels between the layout and scratch, width floats a pixel.
INLINE void lrn_move(const cpu_lrn *l, float *x, int64_t c0, int64_t n, int64_t p0, int64_t pixels,
	float *scratch, int64_t width, const int gather) {
	const int64_t b = l->block;
	for (int64_t c = 0; c < n;) {
		const int64_t lane = (c0 + c) % b, m = min64(b - lane, n - c);
		float *line = x + ((c0 + c) / b * l->pixels + p0) * b + lane, *q = scratch + c;
		for (int64_t p = 0; p < pixels; p++, line += b, q += width)
			if (m == 16) memcpy(gather ? q : line, gather ? line : q, 16 * sizeof *q);
			else if (m == 8) memcpy(gather ? q : line, gather ? line : q, 8 * sizeof *q);
			else
				for (int64_t i = 0; i < m; i++) *(gather ? q + i : line + i) = *(gather ? line + i : q + i);
		c += m;
	}
}

INLINE void clear_gaps(float *q, int64_t from, int64_t width, int64_t n) {
	for (int64_t i = from; i < n; i += width)
		for (int64_t j = i; j < i + width - from; j++) q[j] = 0;
}

// window_sums: s[i] = k + a (q[i-half] + .. + q[i+half])
INLINE void window_sums(float *restrict s, const float *restrict q, int64_t half, float k, float a, int64_t n) {
	if (half == 2) {
		for (int64_t i = 0; i < n; i++) s[i] = k + a * (q[i - 2] + q[i - 1] + q[i] + q[i + 1] + q[i + 2]);
		return;
	}
	for (int64_t i = 0; i < n; i++) s[i] = 0;
	for (int64_t j = -half; j <= half; j++)
		for (int64_t i = 0; i < n; i++) s[i] += q[i + j];
	for (int64_t i = 0; i < n; i++) s[i] = k + a * s[i];
}

// powers: r = s^-beta
INLINE void powers(float *restrict r, const float *restrict s, float beta, int64_t n) {
	if (beta == .75f)
		for (int64_t i = 0; i < n; i++) {
			const float root = sqrtf(s[i]);
			r[i] = 1 / (root * sqrtf(root));
		}
	else
		for (int64_t i = 0; i < n; i++) r[i] = powf(s[i], -beta);
}

INLINE void lrn_any_forward(const cpu_lrn *l, int64_t c0, float *y, const float *x) {
	const int64_t channels = l->channels / l->groups, width = channels + l->half, step = max64(1, TILE / width);
	float xs[SCRATCH], squares[SCRATCH], s[SCRATCH], r[SCRATCH];
	float *q = squares + FRONT;
	memset(squares, 0, FRONT * sizeof *q);
	memset(xs, 0, (size_t)(step * width) * sizeof *xs);
	for (int64_t p = 0; p < l->pixels; p += step) {
		const int64_t pixels = min64(step, l->pixels - p), n = pixels * width;
		lrn_move(l, (float *)x, c0, channels, p, pixels, xs, width, 1);
		for (int64_t i = 0; i < n; i++) q[i] = xs[i] * xs[i];
		memset(q + n, 0, (size_t)l->half * sizeof *q);
		window_sums(s, q, l->half, l->k, l->alpha, n);
		powers(r, s, l->beta, n);
		for (int64_t i = 0; i < n; i++) s[i] = xs[i] * r[i];
		lrn_move(l, y, c0, channels, p, pixels, s, width, 0);
	}
}

// dx[c] = dy[c] s[c]^-beta - 2 alpha beta x[c] sum over the neighbours j of dy[j] x[j] s[j]^(-beta-1)
INLINE void lrn_any_backward(const cpu_lrn *l, int64_t c0, float *dx, const float *dy, const float *x, int relu) {
	const int64_t channels = l->channels / l->groups, width = channels + l->half, step = max64(1, TILE / width);
	float xs[SCRATCH], dys[SCRATCH], squares[SCRATCH], s[SCRATCH], r[SCRATCH];
	float *q = squares + FRONT;
	const float slope = 2 * l->alpha * l->beta;
	memset(squares, 0, FRONT * sizeof *q);
	memset(xs, 0, (size_t)(step * width) * sizeof *xs);
	memset(dys, 0, (size_t)(step * width) * sizeof *dys);
	for (int64_t p = 0; p < l->pixels; p += step) {
		const int64_t pixels = min64(step, l->pixels - p), n = pixels * width;
		lrn_move(l, (float *)x, c0, channels, p, pixels, xs, width, 1);
		lrn_move(l, (float *)dy, c0, channels, p, pixels, dys, width, 1);
		for (int64_t i = 0; i < n; i++) q[i] = xs[i] * xs[i];
		memset(q + n, 0, (size_t)l->half * sizeof *q);
		window_sums(s, q, l->half, l->k, l->alpha, n);
		powers(r, s, l->beta, n);
		for (int64_t i = 0; i < n; i++) q[i] = dys[i] * xs[i] * r[i] / s[i];
		clear_gaps(q, channels, width, n); // there 0/0 is possible, where k is 0
		window_sums(s, q, l->half, 0, slope, n);
		for (int64_t i = 0; i < n; i++) s[i] = dys[i] * r[i] - xs[i] * s[i];
		if (relu)
			for (int64_t i = 0; i < n; i++) s[i] = xs[i] > 0 ? s[i] : 0;
		lrn_move(l, dx, c0, channels, p, pixels, s, width, 0);
	}
}

// lrn_group_forward normalises one group of one row, whose first channel is c0.
INLINE void lrn_group_forward(const cpu_lrn *l, int64_t c0, float *y, const float *x) {
	const int64_t channels = l->channels / l->groups;
	if (c0 % l->block == 0) x += c0 * l->pixels, y += c0 * l->pixels, c0 = 0;
	if (lrn_vectors(l, c0, 16)) lrn_forward_16(l, channels / 16, y, x);
	else if (lrn_vectors(l, c0, 8)) lrn_forward_8(l, channels / 8, y, x);
	else lrn_any_forward(l, c0, y, x);
}

INLINE void lrn_group_backward(const cpu_lrn *l, int64_t c0, float *dx, const float *dy, const float *x, int relu) {
	const int64_t channels = l->channels / l->groups;
	if (c0 % l->block == 0) x += c0 * l->pixels, dx += c0 * l->pixels, dy += c0 * l->pixels, c0 = 0;
	if (lrn_vectors(l, c0, 16)) lrn_backward_16(l, channels / 16, dx, dy, x, relu);
	else if (lrn_vectors(l, c0, 8)) lrn_backward_8(l, channels / 8, dx, dy, x, relu);
	else lrn_any_backward(l, c0, dx, dy, x, relu);
}

// clear_padding zeroes the channels that the last block has too many.
static void clear_padding(const cpu_lrn *l, float *y) {
	for (int64_t c = l->channels; c % l->block != 0; c++)
		for (int64_t p = 0; p < l->pixels; p++) y[(c / l->block * l->pixels + p) * l->block + c % l->block] = 0;
}

INLINE int64_t lrn_row(const cpu_lrn *l) { return (l->channels + l->block - 1) / l->block * l->block * l->pixels; }

typedef struct {
	const cpu_lrn *l;
	const cpu_pool *p;
	float *y, *between;
	uint8_t *out_winner;
	const float *x, *dy;
	const uint8_t *winner;
	int relu;
} norm_args;

CLONES static void lrn_forward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t row = lrn_row(l);
	(void)thread;
	for (int64_t u = begin; u < end; u++) {
		const int64_t r = u / l->groups, g = u % l->groups;
		lrn_group_forward(l, g * (l->channels / l->groups), a->y + r * row, a->x + r * row);
		if (g == l->groups - 1) clear_padding(l, a->y + r * row);
	}
}

CLONES static void lrn_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t row = lrn_row(l);
	(void)thread;
	for (int64_t u = begin; u < end; u++) {
		const int64_t r = u / l->groups, g = u % l->groups;
		lrn_group_backward(l, g * (l->channels / l->groups), a->y + r * row, a->dy + r * row, a->x + r * row, a->relu);
		if (g == l->groups - 1) clear_padding(l, a->y + r * row);
	}
}

void cpu_lrn_forward(const cpu_lrn *l, float *y, const float *x) {
	const norm_args a = {.l = l, .y = y, .x = x};
	cpu_parallel(lrn_forward_part, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

void cpu_lrn_backward(const cpu_lrn *l, float *dx, const float *dy, const float *x, int relu) {
	const norm_args a = {.l = l, .y = dx, .x = x, .dy = dy, .relu = relu};
	cpu_parallel(lrn_backward_part, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

// ---- pooling

// outputs moves [from, to), the windows along one axis that hold a pixel, on to pixel i: the one after the last, or 0 after [0, 0).
INLINE void outputs(const cpu_pool *p, int64_t i, int64_t size, int64_t *from, int64_t *to) {
	while (*to < size && *to * p->stride <= i + p->pad) ++*to;
	while (*from < *to && *from * p->stride + p->window <= i + p->pad) ++*from;
}

// pixels_in is the number of pixels of the window's row or column o that lie in the map.
INLINE int64_t pixels_in(const cpu_pool *p, int64_t o, int64_t size) {
	const int64_t first = o * p->stride - p->pad;
	return min64(p->window, size - first) - max64(0, -first);
}

#define LANES 16
#include "pool.h"
#define LANES 8
#include "pool.h"
#define LANES 1
#include "pool.h"

INLINE void pool_block(const cpu_pool *p, float *y, uint8_t *winner, const float *x) {
	if (p->block == 16) pool_16(p, y, winner, x);
	else if (p->block == 8) pool_8(p, y, winner, x);
	else pool_1(p, y, winner, x);
}

INLINE void pool_block_backward(const cpu_pool *p, float *dx, const float *dy, const uint8_t *winner) {
	if (p->block == 16) pool_backward_16(p, dx, dy, winner);
	else if (p->block == 8) pool_backward_8(p, dx, dy, winner);
	else pool_backward_1(p, dx, dy, winner);
}

INLINE int64_t pool_in(const cpu_pool *p) { return p->height * p->width * p->block; }          // floats of a block
INLINE int64_t pool_out(const cpu_pool *p) { return p->out_height * p->out_width * p->block; } // floats of a block

CLONES static void pool_forward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const norm_args *a = args;
	(void)thread;
	for (int64_t u = begin; u < end; u++)
		pool_block(a->p, a->y + u * pool_out(a->p), a->out_winner + u * pool_out(a->p), a->x + u * pool_in(a->p));
}

CLONES static void pool_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const norm_args *a = args;
	(void)thread;
	for (int64_t u = begin; u < end; u++)
		pool_block_backward(a->p, a->y + u * pool_in(a->p), a->dy + u * pool_out(a->p), a->winner + u * pool_out(a->p));
}

void cpu_pool_forward(const cpu_pool *p, float *y, uint8_t *winner, const float *x) {
	const norm_args a = {.p = p, .y = y, .out_winner = winner, .x = x};
	const int64_t units = p->rows * p->channels / p->block;
	cpu_parallel(pool_forward_part, &a, units, 1, units * pool_in(p));
}

void cpu_pool_backward(const cpu_pool *p, float *dx, const float *dy, const uint8_t *winner) {
	const norm_args a = {.p = p, .y = dx, .dy = dy, .winner = winner};
	const int64_t units = p->rows * p->channels / p->block;
	cpu_parallel(pool_backward_part, &a, units, 1, units * pool_in(p));
}

// ---- normalisation and pooling

CLONES static void lrn_pool_forward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t channels = l->channels / l->groups, blocks = channels / l->block, in = pool_in(a->p), out = pool_out(a->p);
	float *between = a->between + thread * channels * l->pixels;
	for (int64_t u = begin; u < end; u++) { // groups of rows lie one behind the other
		lrn_group_forward(l, 0, between, a->x + u * blocks * in);
		for (int64_t b = 0; b < blocks; b++)
			pool_block(a->p, a->y + (u * blocks + b) * out, a->out_winner + (u * blocks + b) * out, between + b * in);
	}
}

CLONES static void lrn_pool_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t channels = l->channels / l->groups, blocks = channels / l->block, in = pool_in(a->p), out = pool_out(a->p);
	float *between = a->between + thread * channels * l->pixels;
	for (int64_t u = begin; u < end; u++) {
		for (int64_t b = 0; b < blocks; b++)
			pool_block_backward(a->p, between + b * in, a->dy + (u * blocks + b) * out, a->winner + (u * blocks + b) * out);
		lrn_group_backward(l, 0, a->y + u * blocks * in, between, a->x + u * blocks * in, a->relu);
	}
}

void cpu_lrn_pool_forward(const cpu_lrn *l, const cpu_pool *p, float *y, uint8_t *winner, const float *x, float *between) {
	const norm_args a = {.l = l, .p = p, .y = y, .between = between, .out_winner = winner, .x = x};
	cpu_parallel(lrn_pool_forward_part, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

void cpu_lrn_pool_backward(const cpu_lrn *l, const cpu_pool *p, float *dx, const float *dy, const uint8_t *winner, const float *x,
	float *between, int relu) {
	const norm_args a = {.l = l, .p = p, .y = dx, .between = between, .x = x, .dy = dy, .winner = winner, .relu = relu};
	cpu_parallel(lrn_pool_backward_part, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

// ---- loss

typedef struct {
	float *p, *stats;
	const float *logits, *probabilities;
	const int32_t *labels;
	float divisor;
	int64_t used, classes;
	int *failed;
} loss_args;

static void softmax_part(const void *args, int thread, int64_t begin, int64_t end) {
	const loss_args *a = args;
	const int64_t n = a->classes;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		const float *z = a->logits + r * n;
		float *p = a->p + r * n, *stats = a->stats + 3 * r, top = z[0];
		double sum = 0;
		for (int64_t i = 1; i < n; i++) top = z[i] > top ? z[i] : top;
		for (int64_t i = 0; i < n; i++) p[i] = expf(z[i] - top), sum += p[i];
		for (int64_t i = 0; i < n; i++) p[i] = (float)(p[i] / sum);
		const int32_t label = a->labels[r];
		stats[0] = stats[1] = stats[2] = 0;
		if (magnitude((float)sum) >= INFINITE) __atomic_store_n(a->failed, 1, __ATOMIC_RELAXED);
		if (label < 0) continue;
		int64_t rank = 0;
		for (int64_t i = 0; i < n; i++) rank += z[i] > z[label] || (z[i] == z[label] && i < label);
		stats[0] = (float)(log(sum) - (double)(z[label] - top));
		stats[1] = rank >= 1, stats[2] = rank >= 5;
		if (magnitude(stats[0]) >= INFINITE) __atomic_store_n(a->failed, 1, __ATOMIC_RELAXED);
	}
}

int cpu_softmax(float *p, float *stats, const float *logits, const int32_t *labels, int64_t rows, int64_t classes) {
	int failed = 0;
	const loss_args a = {.p = p, .stats = stats, .logits = logits, .labels = labels, .classes = classes, .failed = &failed};
	cpu_parallel(softmax_part, &a, rows, 1, 16 * rows * classes);
	return !failed;
}

static void softmax_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const loss_args *a = args;
	const int64_t n = a->classes;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		float *d = a->p + r * n;
		const float *p = a->probabilities + r * n;
		const int32_t label = r < a->used ? a->labels[r] : -1;
		for (int64_t i = 0; i < n; i++) d[i] = label < 0 ? 0 : (p[i] - (i == label)) / a->divisor;
	}
}

void cpu_softmax_backward(float *dlogits, const float *p, const int32_t *labels, float divisor,
	int64_t used, int64_t rows, int64_t classes) {
	const loss_args a = {.p = dlogits, .probabilities = p, .labels = labels, .divisor = divisor, .used = used, .classes = classes};
	cpu_parallel(softmax_backward_part, &a, rows, 1, rows * classes);
}

// ---- checks and update

typedef struct {
	float *w, *v;
	const float *g;
	float momentum, lr, decay;
	int *failed;
} update_args;

CLONES static void finite_part(const void *args, int thread, int64_t begin, int64_t end) {
	const update_args *a = args;
	const float *g = a->g;
	uint32_t largest = 0;
	(void)thread;
	for (int64_t i = begin; i < end; i++) {
		const uint32_t m = magnitude(g[i]);
		largest = m > largest ? m : largest;
	}
	if (largest >= INFINITE) __atomic_store_n(a->failed, 1, __ATOMIC_RELAXED);
}

int cpu_finite(const float *x, int64_t n) {
	int failed = 0;
	const update_args a = {.g = x, .failed = &failed};
	cpu_parallel(finite_part, &a, n, 16, n);
	return !failed;
}

CLONES static void update_part(const void *args, int thread, int64_t begin, int64_t end) {
	const update_args *a = args;
	float *restrict w = a->w, *restrict v = a->v;
	const float *restrict g = a->g;
	const float momentum = a->momentum, lr = a->lr, shrink = a->decay * a->lr;
	uint32_t largest = 0;
	(void)thread;
	for (int64_t i = begin; i < end; i++) {
		v[i] = momentum * v[i] - shrink * w[i] - lr * g[i];
		w[i] += v[i];
		const uint32_t m = magnitude(w[i]);
		largest = m > largest ? m : largest;
	}
	if (largest >= INFINITE) __atomic_store_n(a->failed, 1, __ATOMIC_RELAXED);
}

int cpu_update(float *w, float *v, const float *g, int64_t n, float momentum, float lr, float decay) {
	int failed = 0;
	const update_args a = {w, v, g, momentum, lr, decay, &failed};
	cpu_parallel(update_part, &a, n, 16, n);
	return !failed;
}
