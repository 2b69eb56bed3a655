// The paper's update of all parameters, v = momentum v - decay lr w - lr g; w += v, behind checks that nothing is NaN
// or infinite. Parameters stand in a table; blocks take them by chunks of CHUNK elements. See package kernels for the
// flags.
#include "values.h"

enum { CHUNK = 4096, STOP = 0, LOSS = 1, FIRST = 2 }; // kernels.Chunk, kernels.Flag*

KERNEL check_loss(const float *stats, i64 n, int *flags) {
	for (i64 i = first(); i < n; i += step())
		if (!finite(stats[i])) flags[STOP] = flags[LOSS] = 1; // whoever writes, writes 1
}

// each calls f(t, from, to) for every chunk that is the block's: elements from .. to of tensor t.
template <class F> __device__ void each(const Tensor *tensors, i64 count, i64 chunks, F f) {
	i64 t = 0;
	for (i64 c = blockIdx.x; c < chunks; c += gridDim.x) {
		while (t + 1 < count && tensors[t + 1].first_chunk <= c) t++;
		const i64 from = (c - tensors[t].first_chunk) * CHUNK;
		f(t, from, min(from + CHUNK, tensors[t].len));
	}
}

// Flags the gradients; and stops if the update before left a weight that is not finite.
KERNEL check(const Tensor *tensors, i64 count, i64 chunks, int *flags) {
	for (i64 t = first(); t < count; t += step())
		if (flags[FIRST + count + t]) flags[STOP] = 1;
	each(tensors, count, chunks, [=](i64 t, i64 from, i64 to) {
		const float *g = tensors[t].gradient;
		bool bad = false;
		for (i64 i = from + 4 * threadIdx.x; i < to; i += 4 * THREADS) {
			const Four v = load<4>(g, i, to);
			for (int k = 0; k < 4; k++) bad |= !finite(v.at[k]);
		}
		if (bad) flags[STOP] = flags[FIRST + t] = 1;
	});
}

KERNEL update(const Tensor *tensors, i64 count, i64 chunks, const float *lr, const float *decay, const Pass *pass,
	int *flags) {
	if (flags[STOP]) return;
	const float momentum = pass->momentum;
	each(tensors, count, chunks, [=](i64 t, i64 from, i64 to) {
		const Tensor p = tensors[t];
		const float rate = lr[t], pull = decay[t] * rate;
		if (rate == 0) return;
		bool bad = false;
		for (i64 i = from + 4 * threadIdx.x; i < to; i += 4 * THREADS) {
			Four w = load<4>(p.weight, i, to), v = load<4>(p.momentum, i, to);
			const Four g = load<4>(p.gradient, i, to);
			for (int k = 0; k < 4; k++) {
				v.at[k] = momentum * v.at[k] - pull * w.at[k] - rate * g.at[k];
				w.at[k] += v.at[k];
				bad |= !finite(w.at[k]);
			}
			store(p.momentum, i, to, v);
			store(p.weight, i, to, w);
			if (p.half) store(p.half, i, to, w);
		}
		if (bad) flags[FIRST + count + t] = 1;
	});
}
