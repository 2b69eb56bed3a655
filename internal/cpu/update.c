//go:build cgo && dnnl && linux

// Checks of gradients, and the update.
#include "numbers.h"

typedef struct {
	const cpu_sgd *s;
	float *w, *v;
	const float *g;
	uint16_t *packed;
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
	const float momentum = a->s->momentum, lr = a->s->lr, shrink = a->s->decay * lr;
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

// update_packing_part is update_part that also writes the weights as bf16, two lines side by side.
HALF static void update_packing_part(const void *args, int thread, int64_t begin, int64_t end) {
	const update_args *a = args;
	const floats_16 zero = {0}, momentum = zero + a->s->momentum, lr = zero + a->s->lr;
	const floats_16 shrink = zero + a->s->decay * a->s->lr;
	const int64_t line = a->s->line;
	ints_16 largest = {0};
	(void)thread;
	for (int64_t pair = begin; pair < end; pair += 2 * line)
		for (int64_t j = 0; j < line; j += 16) {
			words_16 half[2];
#pragma GCC unroll 2
			for (int k = 0; k < 2; k++) {
				const int64_t i = pair + k * line + j;
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

int cpu_update(const cpu_sgd *s, float *w, float *v, const float *g, void *packed) {
	int failed = 0;
	const update_args a = {s, w, v, g, packed, &failed};
	if (packed) cpu_parallel(update_packing_part, &a, s->n, 2 * s->line, s->n);
	else cpu_parallel(update_part, &a, s->n, 16, s->n);
	return !failed;
}
