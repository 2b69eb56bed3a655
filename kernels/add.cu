// dst += src.
#include "values.h"

template <class T> __device__ void add(T *dst, const T *src, i64 n) {
	for (i64 i = 4 * first(); i < n; i += 4 * step()) {
		Four a = load<4>(dst, i, n);
		const Four b = load<4>(src, i, n);
		for (int k = 0; k < 4; k++) a.at[k] += b.at[k];
		store(dst, i, n, a);
	}
}

KERNEL add_f32(float *dst, const float *src, i64 n) { add(dst, src, n); }
KERNEL add_bf16(bf16 *dst, const bf16 *src, i64 n) { add(dst, src, n); }
