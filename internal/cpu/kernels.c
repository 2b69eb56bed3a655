//go:build cgo && dnnl && linux

// The loops of our own, but for Winograd's convolutions. Each is a function of a range, which cpu_parallel spreads over
// the team.
#include "numbers.h"

#include <math.h>

// magnitude is the bit pattern without sign: a number is finite where it is below that of infinity.
INLINE uint32_t magnitude(float x) {
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u & 0x7fffffff;
}
enum { INFINITE = 0x7f800000 };

// Loops are written once, over load and store, as functions of a range whose last argument half is a constant: BOTH
// makes of one a job on floats and one on bf16, RUN chooses between them.

#define BOTH(name) \
	CLONES static void name##_floats(const void *args, int thread, int64_t begin, int64_t end) { \
		name(args, thread, begin, end, 0); \
	} \
	HALF static void name##_halves(const void *args, int thread, int64_t begin, int64_t end) { \
		name(args, thread, begin, end, 1); \
	}
#define RUN(name, half, ...) cpu_parallel((half) ? name##_halves : name##_floats, __VA_ARGS__)

// ---- copies

typedef struct {
	void *dst;
	const void *src;
	cpu_view to, from;
	int add;
} copy_args;

INLINE int64_t row_floats(const cpu_view *v) { return (v->channels + v->block - 1) / v->block * v->block * v->pixels; }

// copy_flat copies or adds n numbers that lie alike on both sides.
INLINE void copy_flat(void *dst, const int dh, const void *src, const int sh, int64_t n, int add) {
	if (add)
		for (int64_t i = 0; i < n; i++) store(dst, i, load(dst, i, dh) + load(src, i, sh), dh);
	else if (dh == sh)
		memcpy(dst, src, (size_t)n * (dh ? 2 : 4));
	else
		for (int64_t i = 0; i < n; i++) store(dst, i, load(src, i, sh), dh);
}

INLINE void copy_channel(void *dst, int64_t d0, int64_t dp, const int dh, const void *src, int64_t s0, int64_t sp,
	const int sh, int64_t pixels, int add) {
	if (add)
		for (int64_t p = 0; p < pixels; p++)
			store(dst, d0 + p * dp, load(dst, d0 + p * dp, dh) + load(src, s0 + p * sp, sh), dh);
	else
		for (int64_t p = 0; p < pixels; p++) store(dst, d0 + p * dp, load(src, s0 + p * sp, sh), dh);
}

INLINE void copy_row(const copy_args *a, int64_t r, const int dh, const int sh) {
	const cpu_view *d = &a->to, *s = &a->from;
	const int64_t pixels = d->pixels, db = d->block, sb = s->block, dp = d->pitch, sp = s->pitch;
	void *dst = place(a->dst, r * d->row, dh);
	const void *src = place(a->src, r * s->row, sh);
	if (db == sb && dp == db && sp == sb) {
		copy_flat(dst, dh, src, sh, row_floats(d), a->add);
		return;
	}
	if (db == sb) { // some channels of many, which are last
		for (int64_t p = 0; p < pixels; p++)
			copy_flat(place(dst, p * dp, dh), dh, place(src, p * sp, sh), sh, db, a->add);
		return;
	}
	for (int64_t c = 0; c < d->channels; c++)
		copy_channel(dst, c / db * pixels * db + c % db, dp, dh, src, c / sb * pixels * sb + c % sb, sp, sh, pixels,
			a->add);
	for (int64_t c = d->channels; c % db != 0; c++)
		for (int64_t p = 0; p < pixels; p++) store(dst, (c / db * pixels + p) * db + c % db, 0, dh);
}

INLINE void copy_rows(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const copy_args *a = args;
	(void)thread;
	for (int64_t r = begin; r < end; r++)
		if (!half) copy_row(a, r, 0, 0);
		else if (!a->to.half) copy_row(a, r, 0, 1);
		else if (!a->from.half) copy_row(a, r, 1, 0);
		else copy_row(a, r, 1, 1);
}
BOTH(copy_rows)

void cpu_copy(void *dst, const cpu_view *to, const void *src, const cpu_view *from, int64_t rows, int add) {
	const copy_args a = {dst, src, *to, *from, add};
	RUN(copy_rows, to->half || from->half, &a, rows, 1, rows * row_floats(to));
}

// ---- element by element

typedef struct {
	void *y;
	const void *x, *z;
	float scale;
} element_args;

static void zero_part(const void *args, int thread, int64_t begin, int64_t end) {
	(void)thread;
	memset((char *)((const element_args *)args)->y + begin, 0, (size_t)(end - begin));
}

void cpu_zero(void *x, int64_t bytes) {
	const element_args a = {.y = x};
	cpu_parallel(zero_part, &a, bytes, 64, bytes / 4);
}

// EACH makes the job whose result for number i, stored in y, is an expression of X(i) and Z(i).
#define X(i) load(a.x, i, half)
#define Z(i) load(a.z, i, half)
#define EACH(name, expression) \
	INLINE void name##_part(const void *args, int thread, int64_t begin, int64_t end, const int half) { \
		const element_args a = *(const element_args *)args; \
		(void)thread; \
		for (int64_t i = begin; i < end; i++) store(a.y, i, expression, half); \
	} \
	BOTH(name##_part)
EACH(relu, X(i) > 0 ? X(i) : 0)
EACH(tanh, tanhf(X(i)))
EACH(relu_backward, Z(i) > 0 ? a.scale * X(i) : 0)
EACH(tanh_backward, X(i) * (1 - Z(i) * Z(i)))
EACH(scale, a.scale * X(i))
#undef EACH
#undef X
#undef Z

void cpu_relu(void *y, const void *x, int64_t n, int half) {
	const element_args a = {.y = y, .x = x};
	RUN(relu_part, half, &a, n, 32, n);
}

void cpu_tanh(void *y, const void *x, int64_t n, int half) {
	const element_args a = {.y = y, .x = x};
	RUN(tanh_part, half, &a, n, 32, 16 * n);
}

void cpu_relu_backward(void *dx, const void *dy, const void *y, float scale, int64_t n, int half) {
	const element_args a = {dx, dy, y, scale};
	RUN(relu_backward_part, half, &a, n, 32, n);
}

void cpu_tanh_backward(void *dx, const void *dy, const void *y, int64_t n, int half) {
	const element_args a = {.y = dx, .x = dy, .z = y};
	RUN(tanh_backward_part, half, &a, n, 32, n);
}

void cpu_scale(void *y, const void *x, float scale, int64_t n, int half) {
	const element_args a = {.y = y, .x = x, .scale = scale};
	RUN(scale_part, half, &a, n, 32, n);
}

// ---- input

typedef struct {
	const cpu_input *in;
	void *x;
	const uint8_t *pixels;
	const int32_t *crop;
	const uint8_t *flip;
	const float *color;
} input_args;

// channel_line makes one line of one channel, from number at of x on; source is its leftmost pixel, stride apart.
INLINE void channel_line(void *x, int64_t at, const int half, const uint8_t *source, const int64_t stride,
	const float *mean, int64_t mean_step, float color, float scale, int64_t n, int flip) {
	if (flip)
		for (int64_t j = 0; j < n; j++)
			store(x, at + n - 1 - j, ((float)source[j * stride] - mean[j * mean_step] + color) * scale, half);
	else if (mean_step)
		for (int64_t j = 0; j < n; j++) store(x, at + j, ((float)source[j * stride] - mean[j] + color) * scale, half);
	else
		for (int64_t j = 0; j < n; j++) store(x, at + j, ((float)source[j * stride] - mean[0] + color) * scale, half);
}

// colour_line makes one line of three channels, which are last, 16 pixels at a time: mean is that of the leftmost pixel
// of source, or of all where whole is 0; color is added and the sum scaled. Flipped, source's pixels are written from
// the right.
INLINE void colour_line(void *x, int64_t at, const int half, const uint8_t *source, const float *mean, int whole,
	const float *color, const float *scale, int64_t n, int flip) {
	enum { PIXELS = 16, NUMBERS = 3 * PIXELS };
	float means[NUMBERS], colors[NUMBERS], scales[NUMBERS], line[NUMBERS];
	for (int i = 0; i < NUMBERS; i++)
		means[i] = whole ? 0 : mean[i % 3], colors[i] = color[i % 3], scales[i] = scale[i % 3];
	int64_t j = 0;
	for (; j + PIXELS <= n; j += PIXELS) {
		const uint8_t *s = source + 3 * j;
		const float *m = whole ? mean + 3 * j : means;
		void *y = flip ? (void *)line : place(x, at + 3 * j, half);
		for (int i = 0; i < NUMBERS; i += 16) {
			int32_t v[16]; // as in pool.h
			for (int k = 0; k < 16; k++) v[k] = s[i + k];
			const floats_16 f = __builtin_convertvector(*(const ints_16 *)v, floats_16) - *(const floats_16 *)(m + i);
			store_16(y, i, (f + *(const floats_16 *)(colors + i)) * *(const floats_16 *)(scales + i), half);
		}
		if (flip)
			for (int i = 0; i < PIXELS; i++)
				memcpy(place(x, at + 3 * (n - 1 - j - i), half), place(y, 3 * i, half), half ? 6 : 12);
	}
	for (; j < n; j++)
		for (int c = 0; c < 3; c++) {
			const float v = ((float)source[3 * j + c] - mean[3 * j * whole + c] + color[c]) * scale[c];
			store(x, at + 3 * (flip ? n - 1 - j : j) + c, v, half);
		}
}

INLINE void input_row(const input_args *a, int64_t r, const int half) {
	const cpu_input in = *a->in;
	const int64_t row = in.channels * in.height * in.width,
		picture = in.picture_height * in.picture_width * in.channels;
	if (r >= in.used) {
		memset(place(a->x, r * row, half), 0, (size_t)row * (half ? 2 : 4));
		return;
	}
	const int64_t top = a->crop[2 * r], left = a->crop[2 * r + 1], whole = in.mean_pixels > 1;
	for (int64_t i = 0; i < in.height; i++) {
		if (in.last && in.channels == 3) {
			const int64_t at = (top + i) * in.picture_width + left;
			colour_line(a->x, r * row + i * in.width * 3, half, a->pixels + r * picture + at * 3,
				in.mean + (whole ? 3 * at : 0), (int)whole, a->color + 3 * r, in.scale, in.width, a->flip[r]);
			continue;
		}
		for (int64_t c = 0; c < in.channels; c++) {
			const int64_t at = (top + i) * in.picture_width + left; // (y, x) of the line's left end
			const uint8_t *source = a->pixels + r * picture + at * in.channels + c;
			const float *mean = in.mean + c * in.mean_pixels + (whole ? at : 0), color = a->color[3 * r + c];
			const int64_t line = r * row + (c * in.height + i) * in.width;
			if (in.channels == 3)
				channel_line(a->x, line, half, source, 3, mean, whole, color, in.scale[c], in.width, a->flip[r]);
			else channel_line(a->x, line, half, source, 1, mean, whole, color, in.scale[c], in.width, a->flip[r]);
		}
	}
}

INLINE void input_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	(void)thread;
	for (int64_t r = begin; r < end; r++) input_row(args, r, half);
}
BOTH(input_part)

void cpu_input_rows(const cpu_input *in, void *x, const uint8_t *pixels, const int32_t *crop, const uint8_t *flip,
	const float *color) {
	const input_args a = {in, x, pixels, crop, flip, color};
	RUN(input_part, in->half, &a, in->rows, 1, in->rows * in->channels * in->height * in->width);
}

// ---- dropout

enum { BATCH = 64 }; // counters at a time

// philox makes four words of each of BATCH counters, of which only the first word differs: Philox4x32-10, as package
// philox has it.
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
	void *y;
	const void *x;
} drop_args;

INLINE void drop_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const drop_args *a = args;
	const cpu_drop d = *a->drop;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		for (int64_t block = d.first_unit / 4; block * 4 < d.first_unit + d.units; block += BATCH) {
			uint32_t words[4][BATCH];
			philox(words, &d, (uint32_t)block, d.sample + (uint32_t)r);
			const int64_t u = block * 4 - d.first_unit; // unit of the first word, -3..
			for (int64_t i = max64(0, -u); i < min64(4 * BATCH, d.units - u); i++)
				store(a->y, r * d.units + u + i, words[i & 3][i >> 2] < d.threshold ? 0 :
					load(a->x, r * d.units + u + i, half), half);
		}
	}
}
BOTH(drop_part)

void cpu_dropout(const cpu_drop *d, void *y, const void *x) {
	const drop_args a = {d, y, x};
	RUN(drop_part, d->half, &a, d->rows, 1, 4 * d->rows * d->units);
}

// ---- local response normalisation

typedef struct {
	int64_t pixel, block; // numbers from one pixel to the next, and from one vector of a pixel's channels to the next
} steps;

// ahead asks for what lies some lines behind number i: the processor by itself reads ahead too late here. Predicting
// with the paper's net on one core of a Xeon, 128 pictures, normalisation with pooling takes 29.5 and 18.1 ms without
// and 23.4 and 14.4 with in bf16, 26.9 and 16.9, 23.2 and 16.3 in fp32. Not measured on others.
INLINE void ahead(const void *x, int64_t i, const int half) {
	__builtin_prefetch((const char *)place(x, i, half) + 2048);
}

#define LANES 16
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#include "lrn.h"
#define LANES 8
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#include "lrn.h"

INLINE int lrn_last(const cpu_lrn *l) { return l->block == l->channels; } // channels last

// lrn_vectors is the number of channels that lrn.h takes at a time; 0: it does not do it.
INLINE int64_t lrn_vectors(const cpu_lrn *l) {
	const int64_t channels = l->channels / l->groups, lanes = lrn_last(l) ? (channels % 16 ? 8 : 16) : l->block;
	return (lanes == 8 || lanes == 16) && channels % lanes == 0 && l->reach == 2 && l->beta == .75f &&
		l->k >= 1e-30f ? lanes : 0;
}

// blocks_of are the steps where vectors of so many channels lie behind each other pixel by pixel.
INLINE steps blocks_of(const cpu_lrn *l, int64_t lanes) { return (steps){lanes, l->pixels * lanes}; }

INLINE steps lrn_steps(const cpu_lrn *l, int64_t lanes) {
	return lrn_last(l) ? (steps){l->channels, lanes} : blocks_of(l, lanes);
}

// lrn_at is where the channels from c0 on lie in a row, where blocks are whole.
INLINE int64_t lrn_at(const cpu_lrn *l, int64_t c0) { return lrn_last(l) ? c0 : c0 * l->pixels; }

int cpu_lrn_fuses(const cpu_lrn *l) {
	const int64_t lanes = lrn_vectors(l), b = l->block;
	if (lanes) return (int)lanes;
	return (b == 1 || b == 8 || b == 16) && l->channels / l->groups % b == 0 ? (int)b : 0;
}

// The rest is for any size, power and layout.
//
// A tile of pixels is gathered pixel by pixel, channels side by side, into scratch that stays in the first-level cache.
// Behind each pixel half zeros keep its neighbours out of its sums, so that one flat loop serves all of them.

enum { TILE = 1536, FRONT = cpu_lrn_reach, SCRATCH = FRONT + cpu_lrn_limit + cpu_lrn_reach }; // floats

// lrn_gather copies channels [c0, c0+n) of some pixels from the layout to scratch, width floats a pixel; lrn_scatter
// brings them back.
INLINE void lrn_gather(const cpu_lrn *l, const void *x, const int half, int64_t c0, int64_t n, int64_t p0,
	int64_t pixels, float *scratch, int64_t width) {
	const int64_t b = l->block;
	for (int64_t c = 0; c < n;) {
		const int64_t lane = (c0 + c) % b, m = min64(b - lane, n - c);
		int64_t at = ((c0 + c) / b * l->pixels + p0) * b + lane;
		float *q = scratch + c;
		for (int64_t p = 0; p < pixels; p++, at += b, q += width)
			if (m == 16) *(floats_16 *)q = load_16(x, at, half);
			else if (m == 8) *(floats_8 *)q = load_8(x, at, half);
			else
				for (int64_t i = 0; i < m; i++) q[i] = load(x, at + i, half);
		c += m;
	}
}

INLINE void lrn_scatter(const cpu_lrn *l, void *x, const int half, int64_t c0, int64_t n, int64_t p0, int64_t pixels,
	const float *scratch, int64_t width) {
	const int64_t b = l->block;
	for (int64_t c = 0; c < n;) {
		const int64_t lane = (c0 + c) % b, m = min64(b - lane, n - c);
		int64_t at = ((c0 + c) / b * l->pixels + p0) * b + lane;
		const float *q = scratch + c;
		for (int64_t p = 0; p < pixels; p++, at += b, q += width)
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

INLINE void lrn_any_forward(const cpu_lrn *l, int64_t c0, void *y, const int yh, const void *x, const int xh) {
	const int64_t channels = l->channels / l->groups, width = channels + l->reach, step = max64(1, TILE / width);
	float xs[SCRATCH], squares[SCRATCH], s[SCRATCH], r[SCRATCH];
	float *q = squares + FRONT;
	memset(squares, 0, FRONT * sizeof *q);
	memset(xs, 0, (size_t)(step * width) * sizeof *xs);
	for (int64_t p = 0; p < l->pixels; p += step) {
		const int64_t pixels = min64(step, l->pixels - p), n = pixels * width;
		lrn_gather(l, x, xh, c0, channels, p, pixels, xs, width);
		for (int64_t i = 0; i < n; i++) q[i] = xs[i] * xs[i];
		memset(q + n, 0, (size_t)l->reach * sizeof *q);
		window_sums(s, q, l->reach, l->k, l->alpha, n);
		powers(r, s, l->beta, n);
		for (int64_t i = 0; i < n; i++) s[i] = xs[i] * r[i];
		lrn_scatter(l, y, yh, c0, channels, p, pixels, s, width);
	}
}

// dx[c] = dy[c] s[c]^-beta - 2 alpha beta x[c] sum over the neighbours j of dy[j] x[j] s[j]^(-beta-1)
INLINE void lrn_any_backward(const cpu_lrn *l, int64_t c0, void *dx, const void *dy, const int yh, const void *x,
	const int xh, int relu) {
	const int64_t channels = l->channels / l->groups, width = channels + l->reach, step = max64(1, TILE / width);
	float xs[SCRATCH], dys[SCRATCH], squares[SCRATCH], s[SCRATCH], r[SCRATCH];
	float *q = squares + FRONT;
	const float slope = 2 * l->alpha * l->beta;
	memset(squares, 0, FRONT * sizeof *q);
	memset(xs, 0, (size_t)(step * width) * sizeof *xs);
	memset(dys, 0, (size_t)(step * width) * sizeof *dys);
	for (int64_t p = 0; p < l->pixels; p += step) {
		const int64_t pixels = min64(step, l->pixels - p), n = pixels * width;
		lrn_gather(l, x, xh, c0, channels, p, pixels, xs, width);
		lrn_gather(l, dy, yh, c0, channels, p, pixels, dys, width);
		for (int64_t i = 0; i < n; i++) q[i] = xs[i] * xs[i];
		memset(q + n, 0, (size_t)l->reach * sizeof *q);
		window_sums(s, q, l->reach, l->k, l->alpha, n);
		powers(r, s, l->beta, n);
		for (int64_t i = 0; i < n; i++) q[i] = dys[i] * xs[i] * r[i] / s[i];
		clear_gaps(q, channels, width, n); // there 0/0 is possible, where k is 0
		window_sums(s, q, l->reach, 0, slope, n);
		for (int64_t i = 0; i < n; i++) s[i] = dys[i] * r[i] - xs[i] * s[i];
		if (relu)
			for (int64_t i = 0; i < n; i++) s[i] = xs[i] > 0 ? s[i] : 0;
		lrn_scatter(l, dx, xh, c0, channels, p, pixels, s, width);
	}
}

// lrn_group_forward normalises one group of a row, whose first channel is c0. With fused, y is not a row but what lies
// between normalisation and pooling: the group alone, in blocks.
INLINE void lrn_group_forward_of(const cpu_lrn *l, int64_t c0, void *y, const int yh, const void *x, const int xh,
	const int fused) {
	const int64_t lanes = lrn_vectors(l), blocks = l->channels / l->groups / max64(1, lanes);
	const steps xs = lrn_steps(l, lanes), ys = fused ? blocks_of(l, lanes) : xs;
	if (fused || lanes) x = place(x, lrn_at(l, c0), xh);
	if (!fused && lanes) y = place(y, lrn_at(l, c0), yh);
	if (lanes == 16) lrn_forward_16(l, blocks, y, ys, yh, x, xs, xh);
	else if (lanes == 8) lrn_forward_8(l, blocks, y, ys, yh, x, xs, xh);
	else lrn_any_forward(l, fused ? 0 : c0, y, yh, x, xh);
}

INLINE void lrn_group_backward_of(const cpu_lrn *l, int64_t c0, void *dx, const void *dy, const int yh, const void *x,
	const int xh, int relu, const int fused) {
	const int64_t lanes = lrn_vectors(l), blocks = l->channels / l->groups / max64(1, lanes);
	const steps xs = lrn_steps(l, lanes), ys = fused ? blocks_of(l, lanes) : xs;
	if (fused || lanes) x = place(x, lrn_at(l, c0), xh), dx = place(dx, lrn_at(l, c0), xh);
	if (!fused && lanes) dy = place(dy, lrn_at(l, c0), yh);
	if (lanes == 16) lrn_backward_16(l, blocks, dx, dy, ys, yh, x, xs, xh, relu);
	else if (lanes == 8) lrn_backward_8(l, blocks, dx, dy, ys, yh, x, xs, xh, relu);
	else lrn_any_backward(l, fused ? 0 : c0, dx, dy, yh, x, xh, relu);
}

// Of bf16 there are two kinds: all of it, and with floats for what lies between normalisation and pooling.
INLINE void lrn_group_forward(const cpu_lrn *l, int64_t c0, void *y, const void *x, const int half, const int fused) {
	if (!half) lrn_group_forward_of(l, c0, y, 0, x, 0, fused);
	else if (l->half_y) lrn_group_forward_of(l, c0, y, 1, x, 1, fused);
	else lrn_group_forward_of(l, c0, y, 0, x, 1, fused);
}

INLINE void lrn_group_backward(const cpu_lrn *l, int64_t c0, void *dx, const void *dy, const void *x, int relu,
	const int half, const int fused) {
	if (!half) lrn_group_backward_of(l, c0, dx, dy, 0, x, 0, relu, fused);
	else if (l->half_y) lrn_group_backward_of(l, c0, dx, dy, 1, x, 1, relu, fused);
	else lrn_group_backward_of(l, c0, dx, dy, 0, x, 1, relu, fused);
}

// clear_padding zeroes the channels that the last block has too many.
INLINE void clear_padding(const cpu_lrn *l, void *y, int half) {
	for (int64_t c = l->channels; c % l->block != 0; c++)
		for (int64_t p = 0; p < l->pixels; p++)
			store(y, (c / l->block * l->pixels + p) * l->block + c % l->block, 0, half);
}

INLINE int64_t lrn_row(const cpu_lrn *l) { return (l->channels + l->block - 1) / l->block * l->block * l->pixels; }

typedef struct {
	const cpu_lrn *l;
	const cpu_pool *p;
	void *y;
	float *between;
	uint8_t *out_winner;
	const void *x, *dy;
	const uint8_t *winner;
	int relu;
} norm_args;

INLINE void lrn_forward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t row = lrn_row(l);
	(void)thread;
	for (int64_t u = begin; u < end; u++) {
		const int64_t r = u / l->groups, g = u % l->groups;
		void *y = place(a->y, r * row, l->half_y);
		lrn_group_forward(l, g * (l->channels / l->groups), y, place(a->x, r * row, l->half_x), half, 0);
		if (g == l->groups - 1) clear_padding(l, y, l->half_y);
	}
}
BOTH(lrn_forward_part)

INLINE void lrn_backward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t row = lrn_row(l);
	(void)thread;
	for (int64_t u = begin; u < end; u++) {
		const int64_t r = u / l->groups, g = u % l->groups;
		void *dx = place(a->y, r * row, l->half_x);
		lrn_group_backward(l, g * (l->channels / l->groups), dx, place(a->dy, r * row, l->half_y),
			place(a->x, r * row, l->half_x), a->relu, half, 0);
		if (g == l->groups - 1) clear_padding(l, dx, l->half_x);
	}
}
BOTH(lrn_backward_part)

void cpu_lrn_forward(const cpu_lrn *l, void *y, const void *x) {
	const norm_args a = {.l = l, .y = y, .x = x};
	RUN(lrn_forward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

void cpu_lrn_backward(const cpu_lrn *l, void *dx, const void *dy, const void *x, int relu) {
	const norm_args a = {.l = l, .y = dx, .x = x, .dy = dy, .relu = relu};
	RUN(lrn_backward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

// ---- pooling

// outputs moves [from, to), the windows along one axis that hold a pixel, on to pixel i: the one after the last, or 0
// after [0, 0).
INLINE void outputs(const cpu_pool *p, int64_t i, int64_t size, int64_t *from, int64_t *to) {
	while (*to < size && *to * p->stride <= i + p->pad) ++*to;
	while (*from < *to && *from * p->stride + p->window <= i + p->pad) ++*from;
}

enum { POOL_PIXELS = 128 }; // of a line that are taken together: their sums are 8 kB

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

INLINE void pool_block_of(const cpu_pool *p, void *y, int64_t yp, const int yh, uint8_t *winner, const void *x,
	int64_t xp, const int xh) {
	if (p->block == 16) pool_16(p, y, yp, yh, winner, x, xp, xh);
	else if (p->block == 8) pool_8(p, y, yp, yh, winner, x, xp, xh);
	else pool_1(p, y, yp, yh, winner, x, xp, xh);
}

INLINE void pool_block_backward_of(const cpu_pool *p, void *dx, int64_t xp, const int xh, const void *dy, int64_t yp,
	const int yh, const uint8_t *winner) {
	if (p->block == 16) pool_backward_16(p, dx, xp, xh, dy, yp, yh, winner);
	else if (p->block == 8) pool_backward_8(p, dx, xp, xh, dy, yp, yh, winner);
	else pool_backward_1(p, dx, xp, xh, dy, yp, yh, winner);
}

// numbers from one pixel to the next
INLINE int64_t pool_pitch(const cpu_pool *p) { return p->last ? p->channels : p->block; }
INLINE int64_t pool_in(const cpu_pool *p) { return p->height * p->width * p->block; }          // numbers of a block
INLINE int64_t pool_out(const cpu_pool *p) { return p->out_height * p->out_width * p->block; } // numbers of a block

// pool_at is where block u of all rows begins, of maps of that many numbers in a block.
INLINE int64_t pool_at(const cpu_pool *p, int64_t u, int64_t map) {
	const int64_t blocks = p->channels / p->block;
	return p->last ? u / blocks * blocks * map + u % blocks * p->block : u * map;
}

// pool_block pools block u of y; x: fused, what lies between, else block u as well.
INLINE void pool_block(const cpu_pool *p, int64_t u, void *y, uint8_t *winner, const void *x, const int half,
	const int fused) {
	const int64_t xp = fused ? p->block : pool_pitch(p);
	y = place(y, pool_at(p, u, pool_out(p)), half);
	if (winner) winner += u * pool_out(p);
	if (!fused) x = place(x, pool_at(p, u, pool_in(p)), p->half_x);
	if (!half) pool_block_of(p, y, pool_pitch(p), 0, winner, x, xp, 0);
	else if (p->half_x) pool_block_of(p, y, pool_pitch(p), 1, winner, x, xp, 1);
	else pool_block_of(p, y, pool_pitch(p), 1, winner, x, xp, 0);
}

INLINE void pool_block_backward(const cpu_pool *p, int64_t u, void *dx, const void *dy, const uint8_t *winner,
	const int half, const int fused) {
	const int64_t xp = fused ? p->block : pool_pitch(p);
	dy = place(dy, pool_at(p, u, pool_out(p)), half), winner += u * pool_out(p);
	if (!fused) dx = place(dx, pool_at(p, u, pool_in(p)), p->half_x);
	if (!half) pool_block_backward_of(p, dx, xp, 0, dy, pool_pitch(p), 0, winner);
	else if (p->half_x) pool_block_backward_of(p, dx, xp, 1, dy, pool_pitch(p), 1, winner);
	else pool_block_backward_of(p, dx, xp, 0, dy, pool_pitch(p), 1, winner);
}

INLINE void pool_forward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const norm_args *a = args;
	(void)thread;
	for (int64_t u = begin; u < end; u++) pool_block(a->p, u, a->y, a->out_winner, a->x, half, 0);
}
BOTH(pool_forward_part)

INLINE void pool_backward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const norm_args *a = args;
	(void)thread;
	for (int64_t u = begin; u < end; u++) pool_block_backward(a->p, u, a->y, a->dy, a->winner, half, 0);
}
BOTH(pool_backward_part)

void cpu_pool_forward(const cpu_pool *p, void *y, uint8_t *winner, const void *x) {
	const norm_args a = {.p = p, .y = y, .out_winner = winner, .x = x};
	const int64_t units = p->rows * p->channels / p->block;
	RUN(pool_forward_part, p->half_y, &a, units, 1, units * pool_in(p));
}

void cpu_pool_backward(const cpu_pool *p, void *dx, const void *dy, const uint8_t *winner) {
	const norm_args a = {.p = p, .y = dx, .dy = dy, .winner = winner};
	const int64_t units = p->rows * p->channels / p->block;
	RUN(pool_backward_part, p->half_y, &a, units, 1, units * pool_in(p));
}

// ---- normalisation and pooling: group by group of a row, whose blocks lie between in floats

INLINE void lrn_pool_forward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const cpu_pool *p = a->p;
	const int64_t channels = l->channels / l->groups, blocks = channels / p->block;
	float *between = a->between + thread * channels * l->pixels;
	for (int64_t u = begin; u < end; u++) {
		lrn_group_forward(l, u % l->groups * channels, between, place(a->x, u / l->groups * lrn_row(l), l->half_x),
			half, 1);
		for (int64_t b = 0; b < blocks; b++)
			pool_block(p, u * blocks + b, a->y, a->out_winner, between + b * pool_in(p), half, 1);
	}
}
BOTH(lrn_pool_forward_part)

INLINE void lrn_pool_backward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const norm_args *a = args;
	const cpu_lrn *l = a->l;
	const cpu_pool *p = a->p;
	const int64_t channels = l->channels / l->groups, blocks = channels / p->block;
	float *between = a->between + thread * channels * l->pixels;
	for (int64_t u = begin; u < end; u++) {
		const int64_t row = u / l->groups * lrn_row(l);
		for (int64_t b = 0; b < blocks; b++)
			pool_block_backward(p, u * blocks + b, between + b * pool_in(p), a->dy, a->winner, half, 1);
		lrn_group_backward(l, u % l->groups * channels, place(a->y, row, l->half_x), between,
			place(a->x, row, l->half_x), a->relu, half, 1);
	}
}
BOTH(lrn_pool_backward_part)

void cpu_lrn_pool_forward(const cpu_lrn *l, const cpu_pool *p, void *y, uint8_t *winner, const void *x,
	float *between) {
	const norm_args a = {.l = l, .p = p, .y = y, .between = between, .out_winner = winner, .x = x};
	RUN(lrn_pool_forward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

void cpu_lrn_pool_backward(const cpu_lrn *l, const cpu_pool *p, void *dx, const void *dy, const uint8_t *winner,
	const void *x, float *between, int relu) {
	const norm_args a = {.l = l, .p = p, .y = dx, .between = between, .x = x, .dy = dy, .winner = winner, .relu = relu};
	RUN(lrn_pool_backward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

// ---- fully connected layers of one row: all of the weights are read for two operations each, so memory is what counts

typedef struct {
	const cpu_vector *v;
	void *y;
	const void *w, *x;
	const float *bias;
} product_args;

// ROWS of w are read side by side, so that x comes from the first-level cache once for all of them. Nothing is asked
// for ahead: the processor's own prefetching does better alone. On two cores of a Zen 4, 4096 and 9216 inputs: 56 and
// 55 GB/s in fp32, 52 and 57 in bf16; one row 57 and 42, 63 and 36; four 54 and 56, 43 and 46.
enum { ROWS = 12 };

INLINE void product_rows(const product_args *a, int64_t o, const int n, const int half) {
	const int64_t inputs = a->v->inputs, whole = inputs & -16;
	const void *w = place(a->w, o * inputs, half);
	floats_16 sum[ROWS] = {{0}};
	for (int64_t i = 0; i < whole; i += 16) {
		const floats_16 x = load_16(a->x, i, half);
#pragma GCC unroll 12
		for (int r = 0; r < n; r++) sum[r] += load_16(w, r * inputs + i, half) * x;
	}
	for (int r = 0; r < n; r++) {
		float y = a->bias[o + r];
		for (int l = 0; l < 16; l++) y += sum[r][l];
		for (int64_t i = whole; i < inputs; i++) y += load(w, r * inputs + i, half) * load(a->x, i, half);
		store(a->y, o + r, a->v->relu && y < 0 ? 0 : y, a->v->half_y);
	}
}

INLINE void product_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const product_args *a = args;
	(void)thread;
	int64_t o = begin;
	for (; o + ROWS <= end; o += ROWS) product_rows(a, o, ROWS, half);
	for (; o < end; o++) product_rows(a, o, 1, half);
}
BOTH(product_part)

void cpu_product(const cpu_vector *v, void *y, const void *w, const void *x, const float *bias) {
	const product_args a = {v, y, w, x, bias};
	RUN(product_part, v->half, &a, v->outputs, ROWS, v->inputs * v->outputs);
}

// ---- fully connected layers with int8 weights, of any number of rows

typedef struct {
	int8_t *q;
	float *scale;
	const float *w;
	int64_t inputs;
} quantize_args;

CLONES static void quantize_part(const void *args, int thread, int64_t begin, int64_t end) {
	const quantize_args *a = args;
	(void)thread;
	for (int64_t o = begin; o < end; o++) {
		const float *w = a->w + o * a->inputs;
		int8_t *q = a->q + o * a->inputs;
		uint32_t most = 0;
		for (int64_t i = 0; i < a->inputs; i++) {
			const uint32_t m = magnitude(w[i]);
			most = m > most ? m : most;
		}
		float scale;
		memcpy(&scale, &most, sizeof scale);
		scale /= 127;
		a->scale[o] = scale;
		if (scale == 0) {
			memset(q, 0, (size_t)a->inputs);
			continue;
		}
		for (int64_t i = 0; i < a->inputs; i++) {
			float x = w[i] / scale;
			// where weights and scale are so small that the quotient is not exact
			x = x > 127 ? 127 : x < -127 ? -127 : x;
			x += 12582912; // 1.5 2^23: the last bits are the whole number, to even where two are as near
			int32_t bits;
			memcpy(&bits, &x, sizeof bits);
			q[i] = (int8_t)bits;
		}
	}
}

void cpu_quantize(int8_t *q, float *scale, const float *w, int64_t inputs, int64_t outputs) {
	const quantize_args a = {q, scale, w, inputs};
	cpu_parallel(quantize_part, &a, outputs, 1, inputs * outputs);
}

typedef struct {
	const cpu_vector *v;
	void *y;
	const int8_t *w;
	const float *scale, *bias;
	const void *x;
} bytes_args;

// BYTE_ROWS of w are read side by side (six and eight are no faster, on two cores of a Xeon with AVX-512, the only
// processor that it was measured on), with X_ROWS of x, where there are as many; PANEL bytes of w stay in the
// second-level cache for all rows of x.
enum { BYTE_ROWS = 4, X_ROWS = 4, PANEL = 256 << 10 };

INLINE floats_16 load_bytes(const int8_t *p) {
	int32_t v[16]; // as in pool.h
	for (int i = 0; i < 16; i++) v[i] = p[i];
	return __builtin_convertvector(*(const ints_16 *)v, floats_16);
}

// bytes_tile computes n units from o on of m rows from r on.
INLINE void bytes_tile(const bytes_args *a, int64_t o, const int n, int64_t r, const int m, const int half) {
	const int64_t inputs = a->v->inputs, whole = inputs & -16;
	const int8_t *w = a->w + o * inputs;
	const void *x = place(a->x, r * inputs, half);
	floats_16 sum[X_ROWS][BYTE_ROWS] = {{{0}}};
	for (int64_t i = 0; i < whole; i += 16) {
		floats_16 of[X_ROWS];
#pragma GCC unroll 4
		for (int j = 0; j < m; j++) of[j] = load_16(x, j * inputs + i, half);
#pragma GCC unroll 4
		for (int k = 0; k < n; k++) {
			const floats_16 q = load_bytes(w + k * inputs + i);
#pragma GCC unroll 4
			for (int j = 0; j < m; j++) sum[j][k] += q * of[j];
		}
	}
#pragma GCC unroll 4
	for (int j = 0; j < m; j++)
#pragma GCC unroll 4
		for (int k = 0; k < n; k++) {
			float y = 0;
			for (int l = 0; l < 16; l++) y += sum[j][k][l];
			for (int64_t i = whole; i < inputs; i++) y += w[k * inputs + i] * load(x, j * inputs + i, half);
			y = y * a->scale[o + k] + a->bias[o + k];
			store(a->y, (r + j) * a->v->outputs + o + k, a->v->relu && y < 0 ? 0 : y, a->v->half_y);
		}
}

INLINE void bytes_units(const bytes_args *a, int64_t begin, int64_t end, int64_t r, const int m, const int half) {
	int64_t o = begin;
	for (; o + BYTE_ROWS <= end; o += BYTE_ROWS) bytes_tile(a, o, BYTE_ROWS, r, m, half);
	for (; o < end; o++) bytes_tile(a, o, 1, r, m, half);
}

INLINE void product_bytes_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const bytes_args *a = args;
	const int64_t panel = max64(PANEL / a->v->inputs / BYTE_ROWS, 1) * BYTE_ROWS;
	(void)thread;
	for (int64_t from = begin; from < end; from += panel) {
		const int64_t to = min64(from + panel, end);
		int64_t r = 0;
		for (; r + X_ROWS <= a->v->rows; r += X_ROWS) bytes_units(a, from, to, r, X_ROWS, half);
		for (; r < a->v->rows; r++) bytes_units(a, from, to, r, 1, half);
	}
}
BOTH(product_bytes_part)

void cpu_product_bytes(const cpu_vector *v, void *y, const int8_t *w, const float *scale, const void *x,
	const float *bias) {
	const bytes_args a = {v, y, w, scale, bias, x};
	RUN(product_bytes_part, v->half, &a, v->outputs, BYTE_ROWS, v->rows * v->inputs * v->outputs);
}

// ---- loss

typedef struct {
	void *d;
	float *p, *stats;
	const float *logits, *probabilities;
	const int32_t *labels;
	float divisor;
	int64_t used, classes;
	int *failed, half;
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
	const loss_args a = {.p = p, .stats = stats, .logits = logits, .labels = labels, .classes = classes,
		.failed = &failed};
	cpu_parallel(softmax_part, &a, rows, 1, 16 * rows * classes);
	return !failed;
}

static void softmax_backward_part(const void *args, int thread, int64_t begin, int64_t end) {
	const loss_args *a = args;
	const int64_t n = a->classes;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		const float *p = a->probabilities + r * n;
		const int32_t label = r < a->used ? a->labels[r] : -1;
		for (int64_t i = 0; i < n; i++)
			store(a->d, r * n + i, label < 0 ? 0 : (p[i] - (i == label)) / a->divisor, a->half);
	}
}

void cpu_softmax_backward(void *dlogits, int half, const float *p, const int32_t *labels, float divisor,
	int64_t used, int64_t rows, int64_t classes) {
	const loss_args a = {.d = dlogits, .half = half, .probabilities = p, .labels = labels, .divisor = divisor,
		.used = used, .classes = classes};
	cpu_parallel(softmax_backward_part, &a, rows, 1, rows * classes);
}

// ---- pixels as channels

typedef struct {
	const cpu_fold *f;
	uint16_t *y;
	const uint16_t *x;
} fold_args;

static void fold_part(const void *args, int thread, int64_t begin, int64_t end) {
	const fold_args *a = args;
	const cpu_fold f = *a->f;
	const int64_t n = f.wide * f.channels; // of one line of pixels
	(void)thread;
	for (int64_t u = begin; u < end; u++) { // a row's line
		const int64_t r = u / f.out_height, top = u % f.out_height * f.stride - f.pad;
		for (int64_t w = 0; w < f.out_width; w++) {
			uint16_t *y = a->y + (u * f.out_width + w) * f.folded;
			for (int64_t i = 0; i < f.stride; i++, y += n) {
				const int64_t h = top + i, left = w * f.stride - f.pad;
				const int64_t from = max64(0, -left), to = min64(f.wide, f.width - left); // pixels within the map
				if (h < 0 || h >= f.height || from >= to) {
					memset(y, 0, (size_t)n * sizeof *y);
					continue;
				}
				const uint16_t *x = a->x + ((r * f.height + h) * f.width + left) * f.channels;
				// Most pixels; copies of a known length are two instructions. 12: a stride of 4, 15: five taps, both of
				// three colours.
				if (to - from == f.wide && n == 12) {
					memcpy(y, x, 12 * sizeof *y);
					continue;
				}
				if (to - from == f.wide && n == 15) {
					memcpy(y, x, 15 * sizeof *y);
					continue;
				}
				for (int64_t j = 0; j < from * f.channels; j++) y[j] = 0;
				for (int64_t j = from * f.channels; j < to * f.channels; j++) y[j] = x[j];
				for (int64_t j = to * f.channels; j < n; j++) y[j] = 0;
			}
			for (int64_t j = f.stride * n; j < f.folded; j++) *y++ = 0;
		}
	}
}

void cpu_fold_input(const cpu_fold *f, void *y, const void *x) {
	const fold_args a = {f, y, x};
	const int64_t lines = f->rows * f->out_height;
	cpu_parallel(fold_part, &a, lines, 1, lines * f->out_width * f->folded);
}

void cpu_fold_weights(const cpu_fold *f, float *weights, const float *folded) {
	const int64_t blocks = f->folded / 16, all = f->taps * f->columns;
	for (int64_t o = 0; o < f->kernels; o++)
		for (int64_t c = 0; c < f->channels; c++)
			for (int64_t h = 0; h < f->kernel; h++)
				for (int64_t w = 0; w < f->kernel; w++) {
					const int64_t column = f->columns == 1 ? 0 : w / f->stride, tap = h / f->stride * f->columns +
						column;
					const int64_t i = (h % f->stride * f->wide + w - column * f->stride) * f->channels + c;
					*weights++ = folded[(((o / 16 * blocks + i / 16) * all + tap) * 16 + i % 16) * 16 + o % 16];
				}
}

// ---- checks and update

typedef struct {
	float *w, *v;
	const float *g;
	float momentum, lr, decay;
	int *failed;
	uint16_t *packed;
	int64_t line;
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

// update_packing_part is update_part that also writes the weights as bf16, two lines of so many numbers side by side.
HALF static void update_packing_part(const void *args, int thread, int64_t begin, int64_t end) {
	const update_args *a = args;
	const floats_16 momentum = (floats_16){0} + a->momentum, lr = (floats_16){0} + a->lr, shrink = (floats_16){0} +
		a->decay * a->lr;
	ints_16 largest = {0};
	(void)thread;
	for (int64_t pair = begin; pair < end; pair += 2 * a->line)
		for (int64_t j = 0; j < a->line; j += 16) {
			words_16 half[2];
#pragma GCC unroll 2
			for (int k = 0; k < 2; k++) {
				const int64_t i = pair + k * a->line + j;
				const floats_16 old = *(const floats_16 *)(a->w + i);
				const floats_16 v = momentum * *(const floats_16 *)(a->v + i) - shrink * old -
					lr * *(const floats_16 *)(a->g + i), w = old + v;
				*(floats_16 *)(a->v + i) = v, *(floats_16 *)(a->w + i) = w;
				const ints_16 m = (ints_16)w & 0x7fffffff, more = m > largest;
				largest = (m & more) | (largest & ~more);
				uint16_t rounded[16];
				store_16(rounded, 0, w, 1);
				WIDEN(16, half[k], rounded);
			}
			*(words_16 *)(a->packed + pair + 2 * j) = half[0] | half[1] << 16;
		}
	for (int i = 0; i < 16; i++)
		if (largest[i] >= INFINITE) __atomic_store_n(a->failed, 1, __ATOMIC_RELAXED);
}

int cpu_update(float *w, float *v, const float *g, int64_t n, float momentum, float lr, float decay, void *packed,
	int64_t line) {
	int failed = 0;
	const update_args a = {w, v, g, momentum, lr, decay, &failed, packed, line};
	if (packed) cpu_parallel(update_packing_part, &a, n, 2 * line, n);
	else cpu_parallel(update_part, &a, n, 16, n);
	return !failed;
}
