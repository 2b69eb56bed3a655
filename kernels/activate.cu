// y = act(x + bias[channel]) over (outer, channels, inner), bias 0: none; and the gradient dx = dy act'(y). Outputs may
// be inputs.
#include "activation.h"

template <class X, class Y> __device__ void activate(const X *x, const float *bias, Y *y, i64 outer, i64 channels,
	i64 inner, int act) {
	const i64 n = outer * channels * inner;
	const Divider by_inner(inner), by_channels(channels);
	for (i64 i = 4 * first(); i < n; i += 4 * step()) {
		Four v = load<4>(x, i, n);
		if (bias) {
			unsigned plane = (unsigned)i, at = by_inner.split(&plane), c = by_channels.split(&plane);
			for (int k = 0; k < 4; k++) {
				v.at[k] += bias[c];
				if (++at < inner) continue;
				at = 0;
				if (++c == channels) c = 0;
			}
		}
		for (int k = 0; k < 4; k++) v.at[k] = activation(v.at[k], act);
		store(y, i, n, v);
	}
}

KERNEL activate_f32(const float *x, const float *bias, float *y, i64 outer, i64 channels, i64 inner, i64 act) {
	activate(x, bias, y, outer, channels, inner, (int)act);
}
KERNEL activate_bf16(const bf16 *x, const float *bias, bf16 *y, i64 outer, i64 channels, i64 inner, i64 act) {
	activate(x, bias, y, outer, channels, inner, (int)act);
}
KERNEL activate_f32_bf16(const float *x, const float *bias, bf16 *y, i64 outer, i64 channels, i64 inner, i64 act) {
	activate(x, bias, y, outer, channels, inner, (int)act);
}

template <class T> __device__ void activate_backward(const T *y, const T *dy, T *dx, i64 n, int act) {
	for (i64 i = 4 * first(); i < n; i += 4 * step()) {
		const Four a = load<4>(y, i, n);
		Four g = load<4>(dy, i, n);
		for (int k = 0; k < 4; k++) g.at[k] = slope(a.at[k], g.at[k], act);
		store(dx, i, n, g);
	}
}

KERNEL activate_backward_f32(const float *y, const float *dy, float *dx, i64 n, i64 act) {
	activate_backward(y, dy, dx, n, (int)act);
}
KERNEL activate_backward_bf16(const bf16 *y, const bf16 *dy, bf16 *dx, i64 n, i64 act) {
	activate_backward(y, dy, dx, n, (int)act);
}
