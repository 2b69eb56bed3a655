//go:build cgo && dnnl && linux

// Local response normalisation.
#include "lrn.h"

int cpu_lrn_fuses(const cpu_lrn *l) {
	const int64_t lanes = lrn_vectors(l), b = l->block;
	if (lanes) return (int)lanes;
	return (b == 1 || b == 8 || b == 16) && l->channels / l->groups % b == 0 ? (int)b : 0;
}

typedef struct {
	const cpu_lrn *l;
	void *y; // or dx
	const void *x, *dy;
	int relu;
} lrn_args;

INLINE void lrn_forward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const lrn_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t row = lrn_row(l);
	(void)thread;
	for (int64_t u = begin; u < end; u++) {
		const int64_t r = u / l->groups, g = u % l->groups;
		void *y = address(a->y, r * row, l->half_y);
		lrn_group_forward(l, g * (l->channels / l->groups), y, address(a->x, r * row, l->half_x), half, 0);
		if (g == l->groups - 1) clear_padding(l, y, l->half_y);
	}
}
BOTH(lrn_forward_part)

INLINE void lrn_backward_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const lrn_args *a = args;
	const cpu_lrn *l = a->l;
	const int64_t row = lrn_row(l);
	(void)thread;
	for (int64_t u = begin; u < end; u++) {
		const int64_t r = u / l->groups, g = u % l->groups;
		void *dx = address(a->y, r * row, l->half_x);
		lrn_group_backward(l, g * (l->channels / l->groups), dx, address(a->dy, r * row, l->half_y),
			address(a->x, r * row, l->half_x), a->relu, half, 0);
		if (g == l->groups - 1) clear_padding(l, dx, l->half_x);
	}
}
BOTH(lrn_backward_part)

void cpu_lrn_forward(const cpu_lrn *l, void *y, const void *x) {
	const lrn_args a = {.l = l, .y = y, .x = x};
	RUN(lrn_forward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}

void cpu_lrn_backward(const cpu_lrn *l, void *dx, const void *dy, const void *x, int relu) {
	const lrn_args a = {.l = l, .y = dx, .x = x, .dy = dy, .relu = relu};
	RUN(lrn_backward_part, l->half_x, &a, l->rows * l->groups, 1, l->rows * lrn_row(l));
}
