// The net's input of pictures of bytes: x[c,i,j] = (pixel - mean + color[c]) * scale[c], the pixel taken at the crop's
// corner plus i, j, from the right if the row is flipped, the mean where the pixel is. x is (rows, depth, oh, ow); what
// is beyond channels, h, w or the rows in use is 0. A thread makes one pixel.
#include "values.h"

template <class T, bool NHWC>
__device__ void input(const unsigned char *pixels, const int *crop, const unsigned char *flip, const float *color,
	const float *mean, i64 means, const float *scale, T *x, i64 rows, i64 channels, i64 height, i64 width, i64 h, i64 w,
	i64 depth, i64 oh, i64 ow, const Pass *pass) {
	const Divider by_width(ow), by_height(oh);
	for (i64 n = first(); n < rows * oh * ow; n += step()) {
		unsigned r = (unsigned)n;
		const unsigned j = by_width.split(&r), i = by_height.split(&r);
		const bool inside = i < h && j < w && r < pass->rows;
		i64 at = 0; // the pixel's place in its picture
		if (inside) at = (crop[2 * r] + i) * width + crop[2 * r + 1] + (flip[r] ? w - 1 - j : j);
		for (i64 c = 0; c < depth; c += 4) {
			Four v = {{0, 0, 0, 0}};
			for (int k = 0; k < 4 && inside && c + k < channels; k++) {
				const i64 ch = c + k;
				const float m = means == 0 ? 0 : means == channels ? mean[ch] : mean[ch * height * width + at];
				v.at[k] = (pixels[(r * height * width + at) * channels + ch] - m + color[3 * r + ch]) *
					(scale ? scale[ch] : 1);
			}
			if constexpr (NHWC)
				store(x, n * depth + c, (n + 1) * depth, v);
			else
				for (int k = 0; k < 4 && c + k < depth; k++) put(&x[((r * depth + c + k) * oh + i) * ow + j], v.at[k]);
		}
	}
}

#define INPUT(name, T, nhwc) \
	KERNEL name(const unsigned char *pixels, const int *crop, const unsigned char *flip, const float *color, \
		const float *mean, i64 means, const float *scale, T *x, i64 rows, i64 channels, i64 height, i64 width, i64 h, \
		i64 w, i64 depth, i64 oh, i64 ow, const Pass *pass) { \
		input<T, nhwc>(pixels, crop, flip, color, mean, means, scale, x, rows, channels, height, width, h, w, depth, \
			oh, ow, pass); \
	}
INPUT(input_nchw_f32, float, false)
INPUT(input_nchw_bf16, bf16, false)
INPUT(input_nhwc_f32, float, true)
INPUT(input_nhwc_bf16, bf16, true)
