//go:build cgo && dnnl && linux

// Activations, zeros, and products with a number: element by element.
#include "numbers.h"

#include <math.h>

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

// ELEMENTWISE makes the job whose result for number i, stored in y, is an expression of X(i) and Z(i).
#define X(i) load(a.x, i, half)
#define Z(i) load(a.z, i, half)
#define ELEMENTWISE(name, expression) \
	INLINE void name##_part(const void *args, int thread, int64_t begin, int64_t end, const int half) { \
		const element_args a = *(const element_args *)args; \
		(void)thread; \
		for (int64_t i = begin; i < end; i++) store(a.y, i, expression, half); \
	} \
	BOTH(name##_part)
ELEMENTWISE(relu, X(i) > 0 ? X(i) : 0)
ELEMENTWISE(tanh, tanhf(X(i)))
ELEMENTWISE(relu_backward, Z(i) > 0 ? a.scale * X(i) : 0)
ELEMENTWISE(tanh_backward, X(i) * (1 - Z(i) * Z(i)))
ELEMENTWISE(scale, a.scale * X(i))
#undef ELEMENTWISE
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
