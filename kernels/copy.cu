// A block of d0 x d1 x d2 x d3 numbers from one layout to another: dst[i . t] = src[i . s], s and t being strides in
// elements. Neighbouring threads take neighbours along the last dimension, so that is the one to choose for which both
// strides are 1.
#include "values.h"

template <class T>
__device__ void copy(const T *src, T *dst, i64 d0, i64 d1, i64 d2, i64 d3, i64 s0, i64 s1, i64 s2, i64 s3, i64 t0,
	i64 t1, i64 t2, i64 t3) {
	const i64 n = d0 * d1 * d2 * d3;
	const Divider by1(d1), by2(d2), by3(d3);
	for (i64 i = first(); i < n; i += step()) {
		unsigned i0 = (unsigned)i;
		const i64 i3 = by3.split(&i0), i2 = by2.split(&i0), i1 = by1.split(&i0);
		dst[i0 * t0 + i1 * t1 + i2 * t2 + i3 * t3] = src[i0 * s0 + i1 * s1 + i2 * s2 + i3 * s3];
	}
}

KERNEL copy_f32(const float *src, float *dst, i64 d0, i64 d1, i64 d2, i64 d3, i64 s0, i64 s1, i64 s2, i64 s3, i64 t0,
	i64 t1, i64 t2, i64 t3) {
	copy(src, dst, d0, d1, d2, d3, s0, s1, s2, s3, t0, t1, t2, t3);
}
KERNEL copy_bf16(const bf16 *src, bf16 *dst, i64 d0, i64 d1, i64 d2, i64 d3, i64 s0, i64 s1, i64 s2, i64 s3, i64 t0,
	i64 t1, i64 t2, i64 t3) {
	copy(src, dst, d0, d1, d2, d3, s0, s1, s2, s3, t0, t1, t2, t3);
}
