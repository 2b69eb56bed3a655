// Softmax with cross-entropy, a block a row: probabilities p = exp(x - top) / sum, and three numbers a row: -log p of
// the label, whether it is not the first, whether it is not among the first five. Sum and logarithm are in double:
// where the label is nearly certain the loss is what is left of 1.
#include "values.h"

template <class T> __device__ void softmax(const T *x, const int *labels, float *p, float *stats, i64 rows, i64 classes,
	const Pass *pass) {
	__shared__ float tops[THREADS];
	__shared__ double sums[THREADS];
	__shared__ int counts[THREADS];
	for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
		const T *row = x + r * classes;
		float *st = stats + 3 * r;
		if (threadIdx.x < 3) st[threadIdx.x] = 0;
		if (r >= pass->rows) continue;
		const int label = labels[r];
		const float mark = label < 0 ? 0 : get(row[label]);
		float top = get(row[0]);
		int ahead = 0; // classes ahead of the label: a larger logit, or an equal one and a lower number
		for (i64 k = threadIdx.x; k < classes; k += THREADS) {
			const float v = get(row[k]);
			top = fmaxf(top, v);
			ahead += v > mark || (v == mark && k < label);
		}
		top = reduce(top, tops, [](float a, float b) { return fmaxf(a, b); });
		ahead = sum(ahead, counts);
		double total = 0;
		// NaN and infinity come out as NaN
		for (i64 k = threadIdx.x; k < classes; k += THREADS) total += expf(get(row[k]) - top);
		total = sum(total, sums);
		for (i64 k = threadIdx.x; k < classes; k += THREADS)
			p[r * classes + k] = expf(get(row[k]) - top) / (float)total;
		if (threadIdx.x == 0 && label >= 0) {
			st[0] = (float)(log(total) + top - mark);
			st[1] = ahead >= 1;
			st[2] = ahead >= 5;
		}
	}
}

KERNEL softmax_f32(const float *x, const int *labels, float *p, float *stats, i64 rows, i64 classes, const Pass *pass) {
	softmax(x, labels, p, stats, rows, classes, pass);
}
KERNEL softmax_bf16(const bf16 *x, const int *labels, float *p, float *stats, i64 rows, i64 classes, const Pass *pass) {
	softmax(x, labels, p, stats, rows, classes, pass);
}

// The gradient of the logits, (p - onehot) / divisor; 0 in rows without a label or not in use.
template <class T> __device__ void softmax_backward(const float *p, const int *labels, T *dx, i64 rows, i64 classes,
	const Pass *pass) {
	for (i64 r = blockIdx.x; r < rows; r += gridDim.x) {
		const int label = r < pass->rows ? labels[r] : -1;
		for (i64 k = threadIdx.x; k < classes; k += THREADS)
			put(&dx[r * classes + k], label < 0 ? 0 : (p[r * classes + k] - (k == label)) / pass->divisor);
	}
}

KERNEL softmax_backward_f32(const float *p, const int *labels, float *dx, i64 rows, i64 classes, const Pass *pass) {
	softmax_backward(p, labels, dx, rows, classes, pass);
}
KERNEL softmax_backward_bf16(const float *p, const int *labels, bf16 *dx, i64 rows, i64 classes, const Pass *pass) {
	softmax_backward(p, labels, dx, rows, classes, pass);
}
