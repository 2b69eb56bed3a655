//go:build cgo && dnnl && linux

// Pooling.
#include "pool.h"

typedef struct {
	const cpu_pool *p;
	void *y; // or dx
	const void *x, *dy;
	uint8_t *out_winner;
	const uint8_t *winner;
} pool_args;

INLINE void pool_forward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const pool_args *a = args;
	(void)thread;
	for (int64_t u = begin; u < end; u++) pool_block(a->p, u, a->y, a->out_winner, a->x, half, 0);
}
BOTH(pool_forward_part)

INLINE void pool_backward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const pool_args *a = args;
	(void)thread;
	for (int64_t u = begin; u < end; u++) pool_block_backward(a->p, u, a->y, a->dy, a->winner, half, 0);
}
BOTH(pool_backward_part)

void cpu_pool_forward(const cpu_pool *p, void *y, uint8_t *winner, const void *x) {
	const pool_args a = {.p = p, .y = y, .out_winner = winner, .x = x};
	const int64_t units = p->rows * p->channels / p->block;
	RUN(pool_forward_part, p->half_y, &a, units, 1, units * pool_in(p));
}

void cpu_pool_backward(const cpu_pool *p, void *dx, const void *dy, const uint8_t *winner) {
	const pool_args a = {.p = p, .y = dx, .dy = dy, .winner = winner};
	const int64_t units = p->rows * p->channels / p->block;
	RUN(pool_backward_part, p->half_y, &a, units, 1, units * pool_in(p));
}
