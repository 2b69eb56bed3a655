//go:build cgo && dnnl && linux

// Softmax and cross-entropy.
#include "numbers.h"

#include <math.h>

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
