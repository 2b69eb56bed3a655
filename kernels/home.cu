// A gradient that came home from another device, src, into dst: both are (rows, row). In the rows in use dst = src, or
// dst += src. In the others no gradient came: dst is 0, or stays.
#include "values.h"

template <class T> __device__ void home(T *dst, const T *src, i64 rows, i64 row, i64 add, const Pass *pass) {
	const i64 used = pass->rows * row, n = add ? used : rows * row;
	for (i64 i = 4 * first(); i < n; i += 4 * step()) {
		Four v = load<4>(src, i, used); // 0 in the rows beyond
		if (add) {
			const Four there = load<4>(dst, i, n);
			for (int k = 0; k < 4; k++) v.at[k] += there.at[k];
		}
		store(dst, i, n, v);
	}
}

KERNEL home_f32(float *dst, const float *src, i64 rows, i64 row, i64 add, const Pass *pass) {
	home(dst, src, rows, row, add, pass);
}
KERNEL home_bf16(bf16 *dst, const bf16 *src, i64 rows, i64 row, i64 add, const Pass *pass) {
	home(dst, src, rows, row, add, pass);
}
