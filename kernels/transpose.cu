// dst (batch, cols, rows) of src (batch, rows, cols): NCHW to NHWC and back. A block turns a tile of 32 x 32 round in shared memory, so that both reading
// and writing go along rows.
#include "values.h"

template <class S, class D> __device__ void transpose(const S *src, D *dst, i64 batch, i64 rows, i64 cols) {
	__shared__ float tile[32][33]; // 33: columns lie in different banks
	const i64 down = (rows + 31) / 32, across = (cols + 31) / 32;
	const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
	for (i64 t = blockIdx.x; t < batch * down * across; t += gridDim.x) {
		const i64 b = t / (down * across), r0 = t / across % down * 32, c0 = t % across * 32;
		for (int l = line; l < 32; l += THREADS / 32)
			if (r0 + l < rows && c0 + lane < cols) tile[l][lane] = get(src[(b * rows + r0 + l) * cols + c0 + lane]);
		__syncthreads();
		for (int l = line; l < 32; l += THREADS / 32)
			if (c0 + l < cols && r0 + lane < rows) put(&dst[(b * cols + c0 + l) * rows + r0 + lane], tile[lane][l]);
		__syncthreads();
	}
}

KERNEL transpose_f32_f32(const float *src, float *dst, i64 batch, i64 rows, i64 cols) { transpose(src, dst, batch, rows, cols); }
KERNEL transpose_f32_bf16(const float *src, bf16 *dst, i64 batch, i64 rows, i64 cols) { transpose(src, dst, batch, rows, cols); }
KERNEL transpose_bf16_f32(const bf16 *src, float *dst, i64 batch, i64 rows, i64 cols) { transpose(src, dst, batch, rows, cols); }
KERNEL transpose_bf16_bf16(const bf16 *src, bf16 *dst, i64 batch, i64 rows, i64 cols) { transpose(src, dst, batch, rows, cols); }
