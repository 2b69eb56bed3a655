//go:build cgo && dnnl && linux

// Fully connected layers with int8 weights, of any number of rows.
#include "numbers.h"

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
	int32_t v[16]; // as in pool_lanes.h
	for (int i = 0; i < 16; i++) v[i] = p[i];
	return __builtin_convertvector(*(const ints_16 *)v, floats_16);
}

// bytes_tile computes n units from o on of m rows from r on.
INLINE void bytes_tile(const bytes_args *a, int64_t o, const int n, int64_t r, const int m, const int half) {
	const int64_t inputs = a->v->inputs, whole = inputs & -16;
	const int8_t *w = a->w + o * inputs;
	const void *x = address(a->x, r * inputs, half);
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
