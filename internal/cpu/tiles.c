//go:build cgo && dnnl && linux

// The gradient of a convolution's weights in bf16, on processors that multiply tiles (AMX): for each tap of the kernel
// a product of matrices, whose inner dimension is the pixels.
//
//	weights[i][o] of tap (a, b) = sum over rows, h, w of x[i][h + a - pad][w + b - pad] dy[o][h][w]
//
// Both factors are laid out anew first, a chunk of rows at a time that stays in the second-level cache. Maps become
// lines of numbers with the padding between them, so that a tap is a shift along the line: x as (channel, pixel), where
// a tile's 16 lines may begin anywhere, dy as the instruction wants its second factor, (pair of pixels, channel, two),
// with zeros where x's padding is. On 13x13 maps with 3x3 taps that makes 14 pixels a line and six instructions a map:
// 88% of what they multiply counts. On one core with 2.8 TFLOP/s at most, 128 pictures: 0.8 to 1.0 of the paper's conv2
// to conv5, 0.7 to 0.9 of fig1's conv2 and conv3; oneDNN 2.6 makes 0.5 of the former and 0.2 to 0.3 of the latter (half
// of what it makes on two).
#include "numbers.h"
#include "tiles.h"

enum {
	LANES = 16,
	DEPTH = 32,     // pixels that one instruction sums over
	TILE = 16 * 16, // floats
	PANELS = 40 << 10, // bytes of the first-level cache that panels of both factors may take
};

typedef struct {
	const cpu_tiles *t;
	float *weights, *bias; // bias: a thread's sums each
	const uint16_t *x, *dy;
	uint16_t *xs, *dys; // laid out anew
	const int32_t *x_pixels, *dy_pixels;
	int64_t first, count; // rows of the chunk
} tiles_job;

// ---- products of tiles

// panels are one or two blocks of 16 channels of each factor, and the sums that belong to them.
typedef struct {
	const uint16_t *a, *b; // of the first row
	int64_t a_line, a_block, a_row, b_block, b_row; // numbers from one to the next
	int64_t rows, depth; // of all; of a row, in tiles
	float *c;
	int64_t c_a, c_b; // floats from one block's sums to the next
	int add;          // to what is there
} panels;

#ifdef __x86_64__
INLINE void multiply_tiles(const panels *p, const int na, const int nb) {
	float *c00 = p->c, *c10 = c00 + p->c_a, *c01 = c00 + p->c_b, *c11 = c01 + p->c_a;
	const int64_t line = 2 * p->a_line;
	if (p->add) {
		TILE_LOAD(0, c00, 64);
		if (na > 1) TILE_LOAD(1, c10, 64);
		if (nb > 1) TILE_LOAD(2, c01, 64);
		if (na > 1 && nb > 1) TILE_LOAD(3, c11, 64);
	} else {
		TILE_ZERO(0);
		TILE_ZERO(1);
		TILE_ZERO(2);
		TILE_ZERO(3);
	}
	for (int64_t r = 0; r < p->rows; r++) {
		const uint16_t *a = p->a + r * p->a_row, *b = p->b + r * p->b_row;
		for (int64_t d = 0; d < p->depth; d++, a += DEPTH, b += DEPTH * LANES) {
			TILE_LOAD(6, b, 64);
			TILE_LOAD(4, a, line);
			TILE_MULTIPLY(0, 4, 6);
			if (na > 1) {
				TILE_LOAD(5, a + p->a_block, line);
				TILE_MULTIPLY(1, 5, 6);
			}
			if (nb > 1) {
				TILE_LOAD(7, b + p->b_block, 64);
				TILE_MULTIPLY(2, 4, 7);
				if (na > 1) TILE_MULTIPLY(3, 5, 7);
			}
		}
	}
	TILE_STORE(0, c00, 64);
	if (na > 1) TILE_STORE(1, c10, 64);
	if (nb > 1) TILE_STORE(2, c01, 64);
	if (na > 1 && nb > 1) TILE_STORE(3, c11, 64);
}
#endif

// multiply_portable is multiply_tiles for processors without them: for tests.
static void multiply_portable(const panels *p, int na, int nb) {
	for (int i = 0; i < na; i++)
		for (int j = 0; j < nb; j++) {
			float *c = p->c + i * p->c_a + j * p->c_b;
			if (!p->add) memset(c, 0, TILE * sizeof *c);
			for (int64_t r = 0; r < p->rows; r++)
				for (int64_t d = 0; d < p->depth * DEPTH; d++)
					for (int64_t m = 0; m < LANES; m++)
						for (int64_t n = 0; n < LANES; n++)
							c[m * LANES + n] += load(p->a, r * p->a_row + i * p->a_block + m * p->a_line + d, 1) *
								load(p->b, r * p->b_row + j * p->b_block + d / 2 * 2 * LANES + 2 * n + d % 2, 1);
		}
}

static void multiply(const cpu_tiles *t, const panels *p, int na, int nb) {
#ifdef __x86_64__
	if (!t->portable) {
		if (na > 1 && nb > 1) multiply_tiles(p, 2, 2);
		else if (na > 1) multiply_tiles(p, 2, 1);
		else if (nb > 1) multiply_tiles(p, 1, 2);
		else multiply_tiles(p, 1, 1);
		return;
	}
#endif
	multiply_portable(p, na, nb);
}

// ---- layouts

INLINE int64_t in_blocks(const cpu_tiles *t) { return t->in / LANES; }
INLINE int64_t out_blocks(const cpu_tiles *t) { return t->out / LANES; }
// A line's padding at its right is that at the left of the next.
INLINE int64_t pitch(const cpu_tiles *t) {
	const int64_t columns = t->out_width + t->columns - 1; // that taps reach
	return max64(max64(t->width + t->pad, columns - t->pad), t->out_width);
}
INLINE int64_t depth(const cpu_tiles *t) { return (t->out_height * pitch(t) + DEPTH - 1) / DEPTH; } // tiles of a row
// A line of x has room for the farthest tap's last tile, and is an odd number of the cache's lines long, so that a
// tile's lines fall into different sets.
INLINE int64_t x_line(const cpu_tiles *t) {
	const int64_t n = depth(t) * DEPTH + (t->taps - 1) * pitch(t) + t->columns - 1;
	return (n + 63) / 64 * 64 + 32;
}
INLINE int64_t x_row(const cpu_tiles *t) { return t->groups * t->in * x_line(t); }
INLINE int64_t dy_block(const cpu_tiles *t) { return depth(t) * DEPTH * LANES; }
INLINE int64_t dy_row(const cpu_tiles *t) { return t->groups * t->out * depth(t) * DEPTH; }

// find_pixels notes for n pixels of lines of the pitch which pixel of a map they are; -1: of the padding.
static void find_pixels(int32_t *at, int64_t n, int64_t pitch, int64_t height, int64_t width, int64_t pad) {
	for (int64_t i = 0; i < n; i++) {
		const int64_t h = i / pitch - pad, w = i % pitch - pad;
		at[i] = h >= 0 && h < height && w >= 0 && w < width ? (int32_t)(h * width + w) : -1;
	}
}

// load_pair loads pixels of 16 channels, two by two: the first in the lower halves.
INLINE words_16 load_pair(const uint16_t *map, int64_t channels, const int32_t *at) {
	words_16 a = {0}, b = {0};
	if (at[0] >= 0) WIDEN(16, a, map + at[0] * channels);
	if (at[1] >= 0) WIDEN(16, b, map + at[1] * channels);
	return a | b << 16;
}

// transpose takes four steps, each of which exchanges halves of squares of 2, 4, 8 and 16.
#define SWAP(v, i, j, low, high) \
	{ \
		const words_16 a = v[i], b = v[j]; \
		v[i] = __builtin_shuffle(a, b, (ints_16)low), v[j] = __builtin_shuffle(a, b, (ints_16)high); \
	}
INLINE void transpose(words_16 v[16]) {
#pragma GCC unroll 8
	for (int i = 0; i < 16; i += 2)
		SWAP(v, i, i + 1, ((ints_16){0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30}),
			((ints_16){1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31}))
#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		if (!(i & 2))
			SWAP(v, i, i + 2, ((ints_16){0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29}),
				((ints_16){2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31}))
#pragma GCC unroll 16
	for (int i = 0; i < 16; i++)
		if (!(i & 4))
			SWAP(v, i, i + 4, ((ints_16){0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27}),
				((ints_16){4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31}))
#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		SWAP(v, i, i + 8, ((ints_16){0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23}),
			((ints_16){8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31}))
}

// lay_x lays out 16 channels of a row.
INLINE void lay_x(const tiles_job *j, uint16_t *xs, const uint16_t *x) {
	const cpu_tiles *t = j->t;
	const int64_t line = x_line(t), channels = t->groups * t->in;
	for (int64_t p = 0; p < line; p += 2 * LANES) {
		words_16 v[LANES];
#pragma GCC unroll 16
		for (int i = 0; i < LANES; i++) v[i] = load_pair(x, channels, j->x_pixels + p + 2 * i);
		transpose(v);
#pragma GCC unroll 16
		for (int i = 0; i < LANES; i++) *(words_16 *)(xs + i * line + p) = v[i];
	}
}

// lay_dy lays out 16 channels of a row, and adds them up.
INLINE void lay_dy(const tiles_job *j, uint16_t *dys, const uint16_t *dy, float *bias) {
	const cpu_tiles *t = j->t;
	floats_16 sum = {0};
	for (int64_t p = 0; p < depth(t) * DEPTH; p += 2, dys += 2 * LANES) {
		const words_16 v = load_pair(dy, t->groups * t->out, j->dy_pixels + p);
		*(words_16 *)dys = v;
		sum += (floats_16)(v << 16) + (floats_16)(v & 0xffff0000);
	}
	*(floats_16 *)bias += sum;
}

HALF static void lay_part(const void *args, int thread, int64_t begin, int64_t end) {
	const tiles_job *j = args;
	const cpu_tiles *t = j->t;
	const int64_t in = t->groups * in_blocks(t), out = t->groups * out_blocks(t), x_pixels = t->height * t->width,
		dy_pixels = t->out_height * t->out_width;
	for (int64_t u = begin; u < end; u++) { // a block of either, of a row
		const int64_t r = u / (in + out), b = u % (in + out);
		if (b < in)
			lay_x(j, j->xs + r * x_row(t) + b * LANES * x_line(t), j->x + (j->first + r) * x_pixels * in * LANES +
				b * LANES);
		else
			lay_dy(j, j->dys + r * dy_row(t) + (b - in) * dy_block(t),
				j->dy + (j->first + r) * dy_pixels * out * LANES + (b - in) * LANES,
				j->bias + (thread * out + b - in) * LANES);
	}
}

// ---- all of it

// multiply_part takes taps of blocks of the weights, two by two: the taps of one behind each other, while both factors
// are in the first-level cache.
static void multiply_part(const void *args, int thread, int64_t begin, int64_t end) {
	const tiles_job *j = args;
	const cpu_tiles *t = j->t;
	const int64_t taps = t->taps * t->columns, in = in_blocks(t), out = out_blocks(t), ins = (in + 1) / 2,
		outs = (out + 1) / 2;
	const int64_t line = x_line(t), together = max64(1, PANELS / (2 * LANES * 2 * (line + depth(t) * DEPTH)));
	(void)thread;
#ifdef __x86_64__
	if (!t->portable) begin_tiles();
#endif
	for (int64_t u = begin; u < end;) {
		const int64_t block = u / taps, g = block / (ins * outs), o = block / ins % outs * 2, i = block % ins * 2,
			last = min64(end, (block + 1) * taps);
		const int na = (int)min64(2, in - i), nb = (int)min64(2, out - o);
		for (int64_t r = 0; r < j->count; r += together)
			for (int64_t v = u; v < last; v++) {
				const int64_t tap = v % taps;
				const panels p = {
					.a = j->xs + r * x_row(t) + (g * in + i) * LANES * line + tap / t->columns * pitch(t) +
						tap % t->columns,
					.b = j->dys + r * dy_row(t) + (g * out + o) * dy_block(t),
					.a_line = line, .a_block = LANES * line, .a_row = x_row(t), .b_block = dy_block(t),
					.b_row = dy_row(t),
					.rows = min64(together, j->count - r), .depth = depth(t),
					.c = j->weights + (((g * out + o) * in + i) * taps + tap) * TILE, .c_a = taps * TILE,
					.c_b = in * taps * TILE,
					.add = j->first + r > 0,
				};
				multiply(t, &p, na, nb);
			}
		u = last;
	}
#ifdef __x86_64__
	if (!t->portable) end_tiles();
#endif
}

static int64_t scratch_pixels(const cpu_tiles *t) { return x_line(t) + depth(t) * DEPTH; }

void cpu_tiles_set_blocking(cpu_tiles *t, int threads, int64_t bytes) {
	const int64_t row = 2 * (x_row(t) + dy_row(t));
	t->threads = threads;
	t->chunk = max64(1, min64(t->rows, bytes * threads / row));
	t->scratch = t->chunk * row + 4 * scratch_pixels(t) + 4 * threads * t->groups * t->out;
}

void cpu_tiles_weights(const cpu_tiles *t, float *weights, float *bias, const void *x, const void *dy, void *scratch) {
	tiles_job j = {.t = t, .weights = weights, .x = x, .dy = dy, .xs = scratch};
	const int64_t out = t->groups * t->out, blocks = t->groups * ((in_blocks(t) + 1) / 2) * ((out_blocks(t) + 1) / 2);
	j.dys = j.xs + t->chunk * x_row(t);
	int32_t *pixels = (int32_t *)(j.dys + t->chunk * dy_row(t));
	j.bias = (float *)(pixels + scratch_pixels(t));
	j.x_pixels = pixels, j.dy_pixels = pixels + x_line(t);
	find_pixels(pixels, x_line(t), pitch(t), t->height, t->width, t->pad);
	find_pixels(pixels + x_line(t), depth(t) * DEPTH, pitch(t), t->out_height, t->out_width, 0);
	memset(j.bias, 0, (size_t)(t->threads * out) * sizeof *j.bias);
	for (; j.first < t->rows; j.first += t->chunk) {
		j.count = min64(t->chunk, t->rows - j.first);
		cpu_parallel(lay_part, &j, j.count * (t->groups * (in_blocks(t) + out_blocks(t))), 1,
			j.count * (x_row(t) + dy_row(t)));
		cpu_parallel(multiply_part, &j, blocks * t->taps * t->columns, 1, INT64_MAX);
	}
	for (int64_t o = 0; o < out; o++) {
		bias[o] = 0;
		for (int64_t n = 0; n < t->threads; n++) bias[o] += j.bias[n * out + o];
	}
}
