//go:build cgo && dnnl && linux

// Normalisation and pooling as one op: group by group of a row, whose blocks lie between in floats.
#include "lrn.h"
#include "pool.h"

typedef struct {
	const cpu_lrn *l;
	const cpu_pool *p;
	void *y; // or dx
	const void *x, *dy;
	float *between;
	uint8_t *out_winner;
	const uint8_t *winner;
	int relu;
} lrn_pool_args;

INLINE void lrn_pool_forward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const lrn_pool_args *a = args;
	const cpu_lrn *l = a->l;
	const cpu_pool *p = a->p;
	const int64_t channels = l->channels / l->groups, blocks = channels / p->block;
	float *between = a->between + thread * channels * l->pixels;
	for (int64_t u = begin; u < end; u++) {
		lrn_group_forward(l, u % l->groups * channels, between, address(a->x, u / l->groups * lrn_row(l), l->half_x),
			half, 1);
		for (int64_t b = 0; b < blocks; b++)
			pool_block(p, u * blocks + b, a->y, a->out_winner, between + b * pool_in(p), half, 1);
	}
}
BOTH(lrn_pool_forward_part)

INLINE void lrn_pool_backward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const lrn_pool_args *a = args;
	const cpu_lrn *l = a->l;
	const cpu_pool *p = a->p;
	const int64_t channels = l->channels / l->groups, blocks = channels / p->block;
	float *between = a->between + thread * channels * l->pixels;
	for (int64_t u = begin; u < end; u++) {
		const int64_t row = u / l->groups * lrn_row(l);
		for (int64_t b = 0; b < blocks; b++)
			pool_block_backward(p, u * blocks + b, between + b * pool_in(p), a->dy, a->winner, half, 1);
		lrn_group_backward(l, u % l->groups * channels, address(a->y, row, l->half_x), between,
			address(a->x, row, l->half_x), a->relu, half, 1);
	}
}
BOTH(lrn_pool_backward_part)

void cpu_lrn_pool_forward(const cpu_lrn *l, const cpu_pool *p, void *y, uint8_t *winner, const void *x,
	float *between) {
	const lrn_pool_args a = {.l = l, .p = p, .y = y, .between = between, .out_winner = winner, .x = x};
	RUN(lrn_pool_forward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

void cpu_lrn_pool_backward(const cpu_lrn *l, const cpu_pool *p, void *dx, const void *dy, const uint8_t *winner,
	const void *x, float *between, int relu) {
	const lrn_pool_args a = {
		.l = l, .p = p, .y = dx, .between = between, .x = x, .dy = dy, .winner = winner, .relu = relu,
	};
	RUN(lrn_pool_backward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}
