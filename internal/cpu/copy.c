//go:build cgo && dnnl && linux

// Copies between layouts and types.
#include "numbers.h"

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

// copy_channel copies or adds one channel of so many pixels.
INLINE void copy_channel(const map to, const map from, int64_t pixels, int add) {
	if (add)
		for (int64_t p = 0; p < pixels; p++) {
			const float sum = load(to.data, p * to.pixel, to.half) + load(from.data, p * from.pixel, from.half);
			store(to.data, p * to.pixel, sum, to.half);
		}
	else
		for (int64_t p = 0; p < pixels; p++)
			store(to.data, p * to.pixel, load(from.data, p * from.pixel, from.half), to.half);
}

INLINE void copy_row(const copy_args *a, int64_t r, const int dh, const int sh) {
	const cpu_view *d = &a->to, *s = &a->from;
	const int64_t pixels = d->pixels, db = d->block, sb = s->block, dp = d->pitch, sp = s->pitch;
	void *dst = address(a->dst, r * d->row, dh);
	const void *src = address(a->src, r * s->row, sh);
	if (db == sb && dp == db && sp == sb) {
		copy_flat(dst, dh, src, sh, row_floats(d), a->add);
		return;
	}
	if (db == sb) { // some channels of many, which are last
		for (int64_t p = 0; p < pixels; p++)
			copy_flat(address(dst, p * dp, dh), dh, address(src, p * sp, sh), sh, db, a->add);
		return;
	}
	for (int64_t c = 0; c < d->channels; c++) {
		const map to = {address(dst, c / db * pixels * db + c % db, dh), .pixel = dp, .half = dh};
		const map from = {address(src, c / sb * pixels * sb + c % sb, sh), .pixel = sp, .half = sh};
		copy_channel(to, from, pixels, a->add);
	}
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
