//go:build cgo && dnnl && linux

// Winograd's convolutions: S. Winograd, "Arithmetic complexity of computations", 1980; for nets A. Lavin and S. Gray,
// "Fast algorithms for convolutional neural networks", 2015. A convolution of r x r taps that gives a tile of m x m
// outputs is a product of polynomials in two variables. It is computed from the polynomials' values at N x N points,
// N = m + r - 1, where products are taken number by number:
//
//	tile = A' ((B' inputs B) * (G taps G')) A        (' is the transpose)
//
// Summed over channels, "*" is one matrix product for each point, of (tiles, in) and (in, out). Here N = 7: tiles of
// 3x3 outputs for 5x5 taps, 49 multiplications instead of 225, and of 5x5 for 3x3, 49 for 225 as well. The points are
// 0, 1, -1, 2, -2, 1/3 and infinity: of all sets of seven with 0, 1, -1 and infinity and three of +-1/4, 1/3, 1/2, 2/3,
// 3/2, 2, 3, 4 this has the least error in fp32. B and A are scaled so that their entries are whole numbers (row 1/3 of
// G bears what that costs).
//
// The gradient of the inputs is the same convolution of the outputs' gradient with the taps turned by 180 degrees; that
// of the taps is
//
//	G' (sum over tiles of (B' inputs B) * (A gradients A')) G
//
// and that of the bias is the sum of A gradients A' at point (1, 1), which adds a tile up.
//
// Values are (rows, channels/16, height, width, 16). Between the transforms they are (point, channels/16, tile, 16):
// both the rows of the left matrix and those of the result are then read and written in whole lines of the cache.
#include "numbers.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
int cpu_winograd_runs(void) {
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#else
#define WIDE
int cpu_winograd_runs(void) { return 0; }
#endif
#define INNER static inline WIDE __attribute__((always_inline)) // of what only WIDE functions call

typedef floats_16 vec;

enum {
	N = 7,
	POINTS = N * N,
	LANES = 16,
	SQUARE = LANES * LANES,
	TAPS = 5,   // at most
	PHASES = 4, // stride of a convolution of PHASES * PHASES = LANES phases
	TALL = 8,   // tiles and
	BROAD = 3,  // blocks of outputs that a product holds in registers: 24 sums, 3 factors and one more of 32 registers
	CHAIN = 4,  // blocks of inputs summed up in one go: long chains of sums are what most of the error comes from
	// tiles that the weights' gradient is summed over in one go: two panels of them stay in the second-level cache
	DEEP = 256,
};

// ---- transforms of seven values, one dimension

// transform_inputs applies B': the products of all x - p but one, as polynomials in the place of a value.
INNER void transform_inputs(vec d[N]) {
	// (x^2 - 1)(x^2 - 4)
	const vec a = d[5] - 5 * d[3] + 4 * d[1], a1 = d[6] - 5 * d[4] + 4 * d[2], b = d[4] - 5 * d[2] + 4 * d[0];
	// x^2 - 4
	const vec c = d[3] - 4 * d[1], c1 = d[4] - 4 * d[2], c2 = d[5] - 4 * d[3];
	// x^2 - 1
	const vec s = d[3] - d[1], s1 = d[4] - d[2], s2 = d[5] - d[3];
	// times 3x - 1
	const vec e = 3 * c1 - c, e1 = 3 * c2 - c1, g = 3 * s1 - s, g1 = 3 * s2 - s1;
	d[0] = 3 * a - b, d[1] = e1 + e, d[2] = e1 - e, d[3] = g1 + 2 * g, d[4] = g1 - 2 * g, d[5] = a, d[6] = 3 * a1 - a;
}

// transform_outputs applies A', which makes m values of seven: powers of the points.
INNER void transform_outputs(vec d[N], const int m) {
	const vec s = d[1] + d[2], t = d[1] - d[2], u = d[3] + d[4], v = d[3] - d[4], w = d[5], x = d[6];
	if (m == 3) {
		d[0] = d[0] + s + u + 9 * w, d[1] = t + 2 * v + 3 * w, d[2] = s + 4 * u + w + x;
		return;
	}
	d[0] = d[0] + s + u + 81 * w, d[1] = t + 2 * v + 27 * w, d[2] = s + 4 * u + 9 * w, d[3] = t + 8 * v + 3 * w,
		d[4] = s + 16 * u + w + x;
}

// transform_gradients applies A, which makes seven values of m.
INNER void transform_gradients(vec d[N], const int m) {
	const vec x = d[0], y = d[1], z = d[2];
	if (m == 3) {
		const vec e = x + z, f = x + 4 * z;
		d[1] = e + y, d[2] = e - y, d[3] = f + 2 * y, d[4] = f - 2 * y, d[5] = 9 * x + 3 * y + z, d[6] = z;
		return;
	}
	const vec p = d[3], q = d[4], e = x + z + q, o = y + p, f = x + 4 * z + 16 * q, h = y + 4 * p;
	d[1] = e + o, d[2] = e - o, d[3] = f + 2 * h, d[4] = f - 2 * h, d[5] = 81 * x + 27 * y + 9 * z + 3 * p + q,
		d[6] = q;
}

// taps_matrix is G: powers of the points over the products of their differences from the others, and over what B and A
// are scaled by.
static void taps_matrix(float g[N][TAPS], int64_t taps) {
	static const double point[N - 1] = {0, 1, -1, 2, -2, 1. / 3}, scale[N] = {-1. / 4, -1. / 12, 1. / 24, 1. / 120,
		-1. / 168, 243. / 280, 1. / 3};
	for (int j = 0; j < N - 1; j++) {
		double power = scale[j];
		for (int64_t i = taps; j == 5 && i < N; i++) power /= 3;
		for (int64_t k = 0; k < taps; k++, power *= point[j]) g[j][k] = (float)power;
	}
	for (int64_t k = 0; k < taps; k++) g[N - 1][k] = k == taps - 1 ? (float)scale[N - 1] : 0;
}

// ---- weights: (groups, out/16, in/16, taps, taps, 16 in, 16 out); with phases (out, colours, kernel, kernel), whose
// tap (4a + i, 4b + j) is tap (a, b) of channel 4i + j. At the points they are (group, point), then, for each panel of
// BROAD blocks of outputs, (in, panel's outputs).

typedef struct {
	const cpu_winograd *w;
	float *points, *weights;
	float g[N][TAPS];
	int turned;
} weights_args;

typedef float taps_block[TAPS * TAPS][LANES][LANES]; // (tap, in, out)

// point_floats is the numbers of one point: the weights, and a line so that not all points fall into the same sets of
// the cache.
INLINE int64_t point_floats(const cpu_winograd *w) { return w->in * w->out + LANES; }
INLINE int64_t points_floats(const cpu_winograd *w) { return w->groups * POINTS * point_floats(w); }

// phase_weight finds an entry of a block; NULL: it is beyond the kernel.
INLINE float *phase_weight(const weights_args *a, int64_t o, int64_t i, int64_t tap, int64_t x, int64_t y) {
	const int64_t kernel = a->w->kernel, h = tap / a->w->taps * PHASES + x / PHASES, w = tap % a->w->taps * PHASES +
		x % PHASES;
	if (h >= kernel || w >= kernel) return NULL;
	return a->weights + (((o * LANES + y) * (a->w->in / LANES) + i) * kernel + h) * kernel + w;
}

static void gather_phases(const weights_args *a, int64_t o, int64_t i, taps_block b) {
	for (int64_t t = 0; t < a->w->taps * a->w->taps; t++)
		for (int64_t x = 0; x < LANES; x++)
			for (int64_t y = 0; y < LANES; y++) {
				const float *k = phase_weight(a, o, i, t, x, y);
				b[t][x][y] = k ? *k : 0;
			}
}

static void scatter_phases(const weights_args *a, int64_t o, int64_t i, taps_block b) {
	for (int64_t t = 0; t < a->w->taps * a->w->taps; t++)
		for (int64_t x = 0; x < LANES; x++)
			for (int64_t y = 0; y < LANES; y++) {
				float *k = phase_weight(a, o, i, t, x, y);
				if (k) *k = b[t][x][y];
			}
}

// turn swaps inputs and outputs and turns the taps by 180 degrees.
static void turn(const float *k, int64_t taps, taps_block b) {
	for (int64_t t = 0; t < taps; t++)
		for (int x = 0; x < LANES; x++)
			for (int y = 0; y < LANES; y++) b[taps - 1 - t][y][x] = k[t * SQUARE + x * LANES + y];
}

// round_weights makes bf16 of a block's weights, as other convolutions do that read bf16.
INNER void round_weights(const float *k, int64_t taps, taps_block b) {
	uint16_t half[LANES];
	for (int64_t i = 0; i < taps * LANES; i++) {
		store_16(half, 0, *(const vec *)(k + i * LANES), 1);
		*(vec *)(&b[0][0][0] + i * LANES) = load_16(half, 0, 1);
	}
}

// panel_of is where block o of out outputs begins, at the first point; row is set to the numbers from one input to the
// next.
INLINE float *panel_of(float *points, int64_t o, int64_t out, int64_t in, int64_t *row) {
	const int64_t first = o / BROAD * BROAD;
	*row = min64(BROAD, out - first) * LANES;
	return points + first * in * SQUARE + o % BROAD * LANES;
}

// taps_to_points is G k G' for the 16 outputs of one input.
INNER void taps_to_points(const weights_args *a, const float *k, float *u, int64_t step, const int r) {
	vec half[N][TAPS];
	for (int c = 0; c < r; c++)
		for (int j = 0; j < N; j++) {
			vec s = {0};
#pragma GCC unroll 5
			for (int t = 0; t < r; t++) s += a->g[j][t] * *(const vec *)(k + (t * r + c) * SQUARE);
			half[j][c] = s;
		}
	for (int j = 0; j < N; j++)
		for (int l = 0; l < N; l++) {
			vec s = {0};
#pragma GCC unroll 5
			for (int c = 0; c < r; c++) s += a->g[l][c] * half[j][c];
			*(vec *)(u + (j * N + l) * step) = s;
		}
}

// points_to_taps is G' u G.
INNER void points_to_taps(const weights_args *a, float *k, const float *u, int64_t step, const int r) {
	vec half[N][TAPS];
	for (int j = 0; j < N; j++)
		for (int c = 0; c < r; c++) {
			vec s = {0};
#pragma GCC unroll 7
			for (int l = 0; l < N; l++) s += a->g[l][c] * *(const vec *)(u + (j * N + l) * step);
			half[j][c] = s;
		}
	for (int t = 0; t < r; t++)
		for (int c = 0; c < r; c++) {
			vec s = {0};
#pragma GCC unroll 7
			for (int j = 0; j < N; j++) s += a->g[j][t] * half[j][c];
			*(vec *)(k + (t * r + c) * SQUARE) = s;
		}
}

WIDE static void points_part(const void *args, int thread, int64_t begin, int64_t end) {
	const weights_args *a = args;
	const cpu_winograd *w = a->w;
	const int64_t in = w->in / LANES, out = w->out / LANES, step = point_floats(w), taps = w->taps * w->taps;
	taps_block block;
	(void)thread;
	for (int64_t n = begin; n < end; n++) {
		int64_t o = n / in % out, i = n % in, outs = out, ins = in, row;
		const float *k = a->weights + n * taps * SQUARE;
		if (w->phases) {
			gather_phases(a, o, i, block);
			k = &block[0][0][0];
		} else if (a->turned) {
			turn(k, taps, block);
			k = &block[0][0][0], o = n % in, i = n / in % out, outs = in, ins = out;
		}
		if (w->half) {
			round_weights(k, taps, block);
			k = &block[0][0][0];
		}
		float *u = panel_of(a->points + n / (in * out) * POINTS * step, o, outs, ins, &row) + i * LANES * row;
		for (int64_t x = 0; x < LANES; x++)
			if (w->taps == 3) taps_to_points(a, k + x * LANES, u + x * row, step, 3);
			else taps_to_points(a, k + x * LANES, u + x * row, step, 5);
	}
}

void cpu_winograd_points(const cpu_winograd *w, float *points, const float *weights, int turned) {
	weights_args a = {w, points, (float *)weights, {{0}}, turned};
	taps_matrix(a.g, w->taps);
	cpu_parallel(points_part, &a, w->groups * (w->in / LANES) * (w->out / LANES), 1, points_floats(w));
}

WIDE static void taps_part(const void *args, int thread, int64_t begin, int64_t end) {
	const weights_args *a = args;
	const cpu_winograd *w = a->w;
	const int64_t in = w->in / LANES, out = w->out / LANES, step = point_floats(w);
	taps_block block;
	(void)thread;
	for (int64_t n = begin; n < end; n++) {
		const int64_t o = n / in % out, i = n % in;
		int64_t row;
		const float *u = panel_of(a->points + n / (in * out) * POINTS * step, o, out, in, &row) + i * LANES * row;
		float *k = w->phases ? &block[0][0][0] : a->weights + n * w->taps * w->taps * SQUARE;
		for (int64_t x = 0; x < LANES; x++)
			if (w->taps == 3) points_to_taps(a, k + x * LANES, u + x * row, step, 3);
			else points_to_taps(a, k + x * LANES, u + x * row, step, 5);
		if (w->phases) scatter_phases(a, o, i, block);
	}
}

// ---- tiles

typedef struct {
	const cpu_winograd *w;
	const void *x, *y; // values; y: results or, for the weights' gradient, gradients
	const void *mask;
	const float *points, *bias;
	float *scratch;
	int64_t m, high, wide; // outputs of a tile; tiles of a row of the batch

	// of the weights' gradient, see there
	float *inputs, *gradients, *sums, *bias_sums;
	int64_t group, first, count;
} winograd_job;

INLINE int inside(int64_t i, int64_t n) { return i >= 0 && i < n; }

// phase_pixels are the 16 pixels of one colour that are the channels of place (h, w) of the phases: four lines of four.
// Beyond the map they are zero.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
INNER vec phase_pixels(const cpu_winograd *p, const void *x, int64_t h, int64_t w, const int half) {
	const int64_t top = h * PHASES - p->shift, left = w * PHASES - p->shift;
	__mmask8 mask = 0;
	for (int j = 0; j < PHASES; j++) mask |= (__mmask8)(inside(left + j, p->width) << j);
	__m128 f[PHASES];
	for (int i = 0; i < PHASES; i++) {
		const int64_t at = (top + i) * p->width + left;
		f[i] = _mm_setzero_ps();
		if (!inside(top + i, p->height)) continue;
		if (!half) f[i] = _mm_maskz_loadu_ps(mask, (const float *)x + at);
		else f[i] = (__m128)_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_maskz_loadu_epi16(mask, (const uint16_t *)x + at)),
			16);
	}
	const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(f[0]), f[1], 1),
		high = _mm256_insertf128_ps(_mm256_castps128_ps256(f[2]), f[3], 1);
	return (vec)_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
#else
INNER vec phase_pixels(const cpu_winograd *p, const void *x, int64_t h, int64_t w, const int half) {
	vec v = {0};
	for (int64_t i = 0; i < LANES; i++) {
		const int64_t row = h * PHASES - p->shift + i / PHASES, column = w * PHASES - p->shift + i % PHASES;
		if (inside(row, p->height) && inside(column, p->width)) v[i] = load(x, row * p->width + column, half);
	}
	return v;
}
#endif

// tile is where a tile's upper left corner is in a map, and its values at the points, whose numbers are step apart.
typedef struct {
	int64_t h, w;
	float *values;
	int64_t step;
} tile;

// transform_input_tile transforms N x N inputs. What is beyond the map is zero by an expression, not by a branch: with
// branches GCC fuses other products into sums, and results change in the last bit.
INNER void transform_input_tile(const cpu_winograd *p, const void *x, const tile t, const int half, const int phases) {
	vec v[N][N];
#pragma GCC unroll 1
	for (int c = 0; c < N; c++) {
		vec d[N];
#pragma GCC unroll 7
		for (int r = 0; r < N; r++)
			if (phases) d[r] = phase_pixels(p, x, t.h + r, t.w + c, half);
			else d[r] = inside(t.h + r, p->height) && inside(t.w + c, p->width) ?
				load_16(x, ((t.h + r) * p->width + t.w + c) * LANES, half) : (vec){0};
		transform_inputs(d);
#pragma GCC unroll 7
		for (int r = 0; r < N; r++) v[r][c] = d[r];
	}
#pragma GCC unroll 1
	for (int r = 0; r < N; r++) {
		transform_inputs(v[r]);
#pragma GCC unroll 7
		for (int c = 0; c < N; c++) *(vec *)(t.values + (r * N + c) * t.step) = v[r][c];
	}
}

// transform_gradient_tile transforms the gradients of m x m outputs.
INNER void transform_gradient_tile(const cpu_winograd *p, const void *y, const tile t, const int half, const int m) {
	vec v[N][N];
#pragma GCC unroll 1
	for (int c = 0; c < m; c++) {
		vec d[N];
#pragma GCC unroll 5
		for (int r = 0; r < m; r++)
			d[r] = t.h + r < p->out_height && t.w + c < p->out_width ?
				load_16(y, ((t.h + r) * p->out_width + t.w + c) * LANES, half) : (vec){0};
		transform_gradients(d, m);
#pragma GCC unroll 7
		for (int r = 0; r < N; r++) v[r][c] = d[r];
	}
#pragma GCC unroll 1
	for (int r = 0; r < N; r++) {
		transform_gradients(v[r], m);
#pragma GCC unroll 7
		for (int c = 0; c < N; c++) *(vec *)(t.values + (r * N + c) * t.step) = v[r][c];
	}
}

// finish gives an output its bias, ReLU or the mask of one. Not a number stays what it is.
INNER vec finish(const winograd_job *j, vec z, vec bias, int64_t at, const int half) {
	z += bias;
	if (j->w->relu) z = (vec)(~(z < 0) & (ints_16)z);
	if (j->mask) z = (vec)((load_16(j->mask, at, half) > 0) & (ints_16)z);
	return z;
}

// transform_output_tile transforms back to m x m outputs; at is the first number of their block of channels.
INNER void transform_output_tile(const winograd_job *j, int64_t at, const tile t, vec bias, const int half,
	const int m) {
	const int64_t height = j->w->out_height, width = j->w->out_width;
	vec v[N][N];
#pragma GCC unroll 1
	for (int c = 0; c < N; c++) {
		vec d[N];
#pragma GCC unroll 7
		for (int r = 0; r < N; r++) d[r] = *(const vec *)(t.values + (r * N + c) * t.step);
		transform_outputs(d, m);
#pragma GCC unroll 5
		for (int r = 0; r < m; r++) v[r][c] = d[r];
	}
	for (int r = 0; r < m && t.h + r < height; r++) {
		transform_outputs(v[r], m);
		const int64_t row = at + ((t.h + r) * width + t.w) * LANES;
#pragma GCC unroll 5
		for (int c = 0; c < m; c++)
			if (t.w + c < width)
				store_16((void *)j->y, row + c * LANES, finish(j, v[r][c], bias, row + c * LANES, half), half);
	}
}

// values_at is the first number of block b of a group's blocks, in a row of the batch.
INLINE int64_t values_at(const cpu_winograd *w, int64_t row, int64_t group, int64_t b, int64_t blocks, int64_t block) {
	return ((row * w->groups + group) * blocks + b) * block;
}

INLINE int64_t in_block(const cpu_winograd *w) { return w->height * w->width * (w->phases ? 1 : LANES); }
INLINE int64_t out_block(const cpu_winograd *w) { return w->out_height * w->out_width * LANES; }

// point_stride is the numbers of one point: blocks of channels, tiles, and a line so that not all points fall into the
// same sets of the cache.
INLINE int64_t point_stride(int64_t channels, int64_t tiles) { return channels * tiles + LANES; }

// ---- products

// multiply makes c, (blocks of outputs, tiles, 16), of a, (blocks of inputs, tiles, 16), and a panel: mr tiles, nr
// blocks of outputs. step: numbers of a block.
INNER void multiply(const float *a, const float *panel, int64_t blocks, float *c, int64_t step, const int mr,
	const int nr) {
	for (int64_t from = 0; from < blocks; from += CHAIN) {
		vec sum[TALL][BROAD] = {{{0}}};
		for (int64_t k = from; k < blocks && k < from + CHAIN; k++, a += step)
#pragma GCC unroll 2
			for (int l = 0; l < LANES; l++, panel += nr * LANES)
#pragma GCC unroll 8
				for (int m = 0; m < mr; m++)
#pragma GCC unroll 3
					for (int n = 0; n < nr; n++) sum[m][n] += a[m * LANES + l] * *(const vec *)(panel + n * LANES);
#pragma GCC unroll 8
		for (int m = 0; m < mr; m++)
#pragma GCC unroll 3
			for (int n = 0; n < nr; n++) {
				vec *to = (vec *)(c + n * step + m * LANES);
				if (from > 0) sum[m][n] += *to;
				*to = sum[m][n];
			}
	}
}

INNER void multiply_tall(const float *a, const float *panel, int64_t blocks, float *c, int64_t step, int64_t mr,
	const int nr) {
	switch (mr) {
	case 1: multiply(a, panel, blocks, c, step, 1, nr); return;
	case 2: multiply(a, panel, blocks, c, step, 2, nr); return;
	case 3: multiply(a, panel, blocks, c, step, 3, nr); return;
	case 4: multiply(a, panel, blocks, c, step, 4, nr); return;
	case 5: multiply(a, panel, blocks, c, step, 5, nr); return;
	case 6: multiply(a, panel, blocks, c, step, 6, nr); return;
	case 7: multiply(a, panel, blocks, c, step, 7, nr); return;
	default: multiply(a, panel, blocks, c, step, TALL, nr);
	}
}

WIDE static void multiply_panel(const float *a, const float *panel, int64_t blocks, float *c, int64_t step,
	int64_t tiles, int64_t nr) {
	for (int64_t t = 0; t < tiles; t += TALL, a += TALL * LANES, c += TALL * LANES) {
		const int64_t mr = min64(TALL, tiles - t);
		if (nr == 3) multiply_tall(a, panel, blocks, c, step, mr, 3);
		else if (nr == 2) multiply_tall(a, panel, blocks, c, step, mr, 2);
		else multiply_tall(a, panel, blocks, c, step, mr, 1);
	}
}

// ---- the convolution: each thread takes tiles as many as stay in its cache through all three stages

// A strip is a row of tiles of one row of the batch, of one group.
typedef struct {
	int64_t group, row, top;
} strip;

INLINE strip strip_of(const winograd_job *j, int64_t n) {
	const int64_t rows = j->w->rows;
	return (strip){n / (rows * j->high), n / j->high % rows, n % j->high};
}

INNER void convolve_inputs(const winograd_job *j, int64_t begin, int64_t end, float *v, const int half, const int m,
	const int phases) {
	const cpu_winograd *w = j->w;
	const int64_t blocks = w->in / LANES, step = w->tiles * LANES;
	for (int64_t i = 0; i < blocks; i++) {
		float *at = v + i * step;
		for (int64_t n = begin; n < end; n++) {
			const strip s = strip_of(j, n);
			const void *x = address(j->x, values_at(w, s.row, s.group, i, blocks, in_block(w)), half);
			for (int64_t t = 0; t < j->wide; t++, at += LANES) {
				const tile to = {s.top * m - w->pad, t * m - w->pad, at, point_stride(w->in, w->tiles)};
				transform_input_tile(w, x, to, half, phases);
			}
		}
	}
}

INNER void convolve_outputs(const winograd_job *j, int64_t begin, int64_t end, float *v, const int half,
	const int m) {
	const cpu_winograd *w = j->w;
	const int64_t blocks = w->out / LANES, step = w->tiles * LANES;
	for (int64_t o = 0; o < blocks; o++) {
		float *at = v + o * step;
		for (int64_t n = begin; n < end; n++) {
			const strip s = strip_of(j, n);
			const vec bias = j->bias ? *(const vec *)(j->bias + (s.group * blocks + o) * LANES) : (vec){0};
			for (int64_t t = 0; t < j->wide; t++, at += LANES) {
				const tile from = {s.top * m, t * m, at, point_stride(w->out, w->tiles)};
				const int64_t y = values_at(w, s.row, s.group, o, blocks, out_block(w));
				transform_output_tile(j, y, from, bias, half, m);
			}
		}
	}
}

INNER void convolve(const winograd_job *j, int thread, int64_t begin, int64_t end, const int half, const int m,
	const int phases) {
	const cpu_winograd *w = j->w;
	const int64_t in = w->in / LANES, out = w->out / LANES, step = w->tiles * LANES, strips = w->tiles / j->wide;
	const int64_t vs = point_stride(w->in, w->tiles), ys = point_stride(w->out, w->tiles);
	float *v = j->scratch + thread * POINTS * (vs + ys), *y = v + POINTS * vs;
	for (int64_t from = begin, to; from < end; from = to) {
		const int64_t group = strip_of(j, from).group;
		to = min64(min64(end, from + strips), (group + 1) * w->rows * j->high);
		convolve_inputs(j, from, to, v, half, m, phases);
		for (int64_t p = 0; p < POINTS; p++)
			for (int64_t o = 0; o < out; o += BROAD)
				multiply_panel(v + p * vs, j->points + (group * POINTS + p) * point_floats(w) + o * in * SQUARE, in,
					y + p * ys + o * step, step, (to - from) * j->wide, min64(BROAD, out - o));
		convolve_outputs(j, from, to, y, half, m);
	}
}

// KINDS makes a job of a function for each kind of tile and number.
#define KINDS(name, call) \
	WIDE static void name(const void *args, int thread, int64_t begin, int64_t end) { \
		const winograd_job *j = args; \
		(void)thread; \
		if (j->m == 3 && j->w->half) call(1, 3, 0); \
		else if (j->m == 3) call(0, 3, 0); \
		else if (j->w->phases && j->w->half) call(1, 5, 1); \
		else if (j->w->phases) call(0, 5, 1); \
		else if (j->w->half) call(1, 5, 0); \
		else call(0, 5, 0); \
	}
#define CONVOLVE(half, m, phases) convolve(j, thread, begin, end, half, m, phases)
KINDS(convolve_part, CONVOLVE)

// count_tiles tells how many tiles a row of the batch has.
static void count_tiles(winograd_job *j) {
	j->m = N + 1 - j->w->taps;
	j->high = (j->w->out_height + j->m - 1) / j->m, j->wide = (j->w->out_width + j->m - 1) / j->m;
}

void cpu_winograd_convolve(const cpu_winograd *w, void *y, const void *x, const float *points, const float *bias,
	const void *mask, float *scratch) {
	winograd_job j = {.w = w, .x = x, .y = y, .mask = mask, .points = points, .bias = bias, .scratch = scratch};
	count_tiles(&j);
	cpu_parallel(convolve_part, &j, w->groups * w->rows * j.high, 1, INT64_MAX);
}

// ---- the weights' gradient, for count rows of the batch at a time: both transforms, then the products, point by point

INNER void transform_rows(const winograd_job *j, int64_t begin, int64_t end, const int half, const int m,
	const int phases) {
	const cpu_winograd *w = j->w;
	const int64_t in = w->in / LANES, out = w->out / LANES, all = w->chunk * j->high * j->wide, step = all * LANES;
	for (int64_t n = begin; n < end; n++) {
		const int64_t b = n / j->count, row = n % j->count, tiles = j->high * j->wide;
		for (int64_t t = 0; t < tiles; t++) {
			const int64_t top = t / j->wide * m, left = t % j->wide * m, at = (row * tiles + t) * LANES;
			if (b < in) {
				const tile to = {top - w->pad, left - w->pad, j->inputs + b * step + at, point_stride(w->in, all)};
				const int64_t x = values_at(w, j->first + row, j->group, b, in, in_block(w));
				transform_input_tile(w, address(j->x, x, half), to, half, phases);
			} else {
				const tile to = {top, left, j->gradients + (b - in) * step + at, point_stride(w->out, all)};
				const int64_t y = values_at(w, j->first + row, j->group, b - in, out, out_block(w));
				transform_gradient_tile(w, address(j->y, y, half), to, half, m);
			}
		}
	}
}

#define TRANSFORM(half, m, phases) transform_rows(j, begin, end, half, m, phases)
KINDS(transform_part, TRANSFORM)

// accumulate makes c, (TALL inputs, nr blocks of outputs), of a and b, (tiles, 16) and (blocks of outputs, tiles, 16),
// or adds to it.
INNER void accumulate(const float *a, const float *b, int64_t step, int64_t tiles, float *c, int add, const int nr) {
	vec sum[TALL][BROAD] = {{{0}}};
#pragma GCC unroll 2
	for (int64_t t = 0; t < tiles; t++, a += LANES, b += LANES)
#pragma GCC unroll 8
		for (int m = 0; m < TALL; m++)
#pragma GCC unroll 3
			for (int n = 0; n < nr; n++) sum[m][n] += a[m] * *(const vec *)(b + n * step);
#pragma GCC unroll 8
	for (int m = 0; m < TALL; m++)
#pragma GCC unroll 3
		for (int n = 0; n < nr; n++) {
			vec *to = (vec *)(c + (m * nr + n) * LANES);
			if (add) sum[m][n] += *to;
			*to = sum[m][n];
		}
}

// accumulate_panel sums up a point's products of all inputs with the outputs of a panel that begins with block o.
INNER void accumulate_panel(const winograd_job *j, int64_t point, int64_t o, int64_t tiles, const int nr) {
	const cpu_winograd *w = j->w;
	const int64_t in = w->in / LANES, all = w->chunk * j->high * j->wide, step = all * LANES;
	const float *a = j->inputs + point * point_stride(w->in, all);
	const float *b = j->gradients + point * point_stride(w->out, all) + o * step;
	float *c = j->sums + (j->group * POINTS + point) * point_floats(w) + o * in * SQUARE;
	for (int64_t t = 0; t < tiles; t += DEEP)
		for (int64_t i = 0; i < w->in; i += TALL)
			accumulate(a + i / LANES * step + t * LANES + i % LANES, b + t * LANES, step, min64(DEEP, tiles - t),
				c + i * nr * LANES, j->first > 0 || t > 0, nr);
}

// sum_bias adds up the tiles' sums.
INNER void sum_bias(const winograd_job *j, int64_t o, int64_t tiles) {
	const int64_t all = j->w->chunk * j->high * j->wide;
	const vec *b = (const vec *)(j->gradients + (N + 1) * point_stride(j->w->out, all) + o * all * LANES);
	vec *to = (vec *)(j->bias_sums + j->group * j->w->out + o * LANES), sum = {0};
	for (int64_t t = 0; t < tiles; t++) sum += b[t];
	if (j->first > 0) sum += *to;
	*to = sum;
}

WIDE static void accumulate_part(const void *args, int thread, int64_t begin, int64_t end) {
	const winograd_job *j = args;
	const int64_t out = j->w->out / LANES, panels = (out + BROAD - 1) / BROAD, tiles = j->count * j->high * j->wide;
	(void)thread;
	for (int64_t n = begin; n < end; n++) {
		const int64_t point = n / panels, o = n % panels * BROAD, nr = min64(BROAD, out - o);
		if (nr == 3) accumulate_panel(j, point, o, tiles, 3);
		else if (nr == 2) accumulate_panel(j, point, o, tiles, 2);
		else accumulate_panel(j, point, o, tiles, 1);
		for (int64_t i = 0; point == N + 1 && i < nr; i++) sum_bias(j, o + i, tiles); // the point (1, 1)
	}
}

void cpu_winograd_weights(const cpu_winograd *w, float *weights, float *bias, const void *x, const void *dy,
	float *scratch) {
	winograd_job j = {.w = w, .x = x, .y = dy, .sums = scratch, .bias_sums = bias};
	count_tiles(&j);
	const int64_t out = w->out / LANES, panels = (out + BROAD - 1) / BROAD;
	j.inputs = scratch + points_floats(w);
	j.gradients = j.inputs + POINTS * point_stride(w->in, w->chunk * j.high * j.wide);
	for (j.group = 0; j.group < w->groups; j.group++)
		for (j.first = 0; j.first < w->rows; j.first += w->chunk) {
			j.count = min64(w->chunk, w->rows - j.first);
			cpu_parallel(transform_part, &j, (w->in + w->out) / LANES * j.count, 1, INT64_MAX);
			cpu_parallel(accumulate_part, &j, POINTS * panels, 1, INT64_MAX);
		}
	weights_args a = {w, scratch, weights, {{0}}, 0};
	taps_matrix(a.g, w->taps);
	cpu_parallel(taps_part, &a, w->groups * (w->in / LANES) * out, 1, points_floats(w));
}

// ---- sizes

// Measured on two cores of a Zen 4, paper's net: 1 to 8 MB a thread for the convolution makes no difference, nor do 8
// to 64 MB for the weights' gradient, as long as they are several times its sums, which every chunk reads and writes.
enum { CONVOLVE_BYTES = 4 << 20, WEIGHTS_BYTES = 8 << 20 };

void cpu_winograd_set_blocking(cpu_winograd *w, int threads) {
	winograd_job j = {.w = w};
	count_tiles(&j);
	const int64_t tile_bytes = 4 * POINTS * (w->in + w->out), row_tiles = j.high * j.wide, sums = 4 * points_floats(w);
	w->tiles = max64(1, min64(CONVOLVE_BYTES / tile_bytes / j.wide, w->rows * j.high)) * j.wide;
	w->chunk = max64(1, min64(w->rows, max64(WEIGHTS_BYTES, 2 * sums / w->groups) / (tile_bytes * row_tiles)));
	w->points = points_floats(w);
	w->convolve_floats = threads * POINTS * (point_stride(w->in, w->tiles) + point_stride(w->out, w->tiles));
	w->weights_floats = w->points + POINTS * (point_stride(w->in, w->chunk * row_tiles) +
		point_stride(w->out, w->chunk * row_tiles));
}
