// dst = src in another type, in the same order.
#include "values.h"

template <class S, class D> __device__ void convert(const S *src, D *dst, i64 n) {
	for (i64 i = 4 * first(); i < n; i += 4 * step()) store(dst, i, n, load<4>(src, i, n));
}

KERNEL convert_f32_bf16(const float *src, bf16 *dst, i64 n) { convert(src, dst, n); }
KERNEL convert_bf16_f32(const bf16 *src, float *dst, i64 n) { convert(src, dst, n); }
