//go:build cgo && dnnl && linux

// The input, of pixels: crop, flip, colour, mean and scale.
#include "numbers.h"

typedef struct {
	const cpu_input *in;
	void *x;
	const uint8_t *pixels;
	const int32_t *crop;
	const uint8_t *flip;
	const float *color;
} input_args;

// channel_line makes one line of one channel, from number at of x on; source is its leftmost pixel, stride apart.
INLINE void channel_line(void *x, int64_t at, const int half, const uint8_t *source, const int64_t stride,
	const float *mean, int64_t mean_step, float color, float scale, int64_t n, int flip) {
	if (flip)
		for (int64_t j = 0; j < n; j++)
			store(x, at + n - 1 - j, ((float)source[j * stride] - mean[j * mean_step] + color) * scale, half);
	else if (mean_step)
		for (int64_t j = 0; j < n; j++) store(x, at + j, ((float)source[j * stride] - mean[j] + color) * scale, half);
	else
		for (int64_t j = 0; j < n; j++) store(x, at + j, ((float)source[j * stride] - mean[0] + color) * scale, half);
}

// colour_line makes one line of three channels, which are last, 16 pixels at a time: mean is that of the leftmost pixel
// of source, or of all where whole is 0; color is added and the sum scaled. Flipped, source's pixels are written from
// the right.
INLINE void colour_line(void *x, int64_t at, const int half, const uint8_t *source, const float *mean, int whole,
	const float *color, const float *scale, int64_t n, int flip) {
	enum { PIXELS = 16, NUMBERS = 3 * PIXELS };
	float means[NUMBERS], colors[NUMBERS], scales[NUMBERS], line[NUMBERS];
	for (int i = 0; i < NUMBERS; i++)
		means[i] = whole ? 0 : mean[i % 3], colors[i] = color[i % 3], scales[i] = scale[i % 3];
	int64_t j = 0;
	for (; j + PIXELS <= n; j += PIXELS) {
		const uint8_t *s = source + 3 * j;
		const float *m = whole ? mean + 3 * j : means;
		void *y = flip ? (void *)line : place(x, at + 3 * j, half);
		for (int i = 0; i < NUMBERS; i += 16) {
			int32_t v[16]; // as in pool_lanes.h
			for (int k = 0; k < 16; k++) v[k] = s[i + k];
			const floats_16 f = __builtin_convertvector(*(const ints_16 *)v, floats_16) - *(const floats_16 *)(m + i);
			store_16(y, i, (f + *(const floats_16 *)(colors + i)) * *(const floats_16 *)(scales + i), half);
		}
		if (flip)
			for (int i = 0; i < PIXELS; i++)
				memcpy(place(x, at + 3 * (n - 1 - j - i), half), place(y, 3 * i, half), half ? 6 : 12);
	}
	for (; j < n; j++)
		for (int c = 0; c < 3; c++) {
			const float v = ((float)source[3 * j + c] - mean[3 * j * whole + c] + color[c]) * scale[c];
			store(x, at + 3 * (flip ? n - 1 - j : j) + c, v, half);
		}
}

INLINE void input_row(const input_args *a, int64_t r, const int half) {
	const cpu_input in = *a->in;
	const int64_t row = in.channels * in.height * in.width,
		picture = in.picture_height * in.picture_width * in.channels;
	if (r >= in.used) {
		memset(place(a->x, r * row, half), 0, (size_t)row * (half ? 2 : 4));
		return;
	}
	const int64_t top = a->crop[2 * r], left = a->crop[2 * r + 1], whole = in.mean_pixels > 1;
	for (int64_t i = 0; i < in.height; i++) {
		if (in.last && in.channels == 3) {
			const int64_t at = (top + i) * in.picture_width + left;
			colour_line(a->x, r * row + i * in.width * 3, half, a->pixels + r * picture + at * 3,
				in.mean + (whole ? 3 * at : 0), (int)whole, a->color + 3 * r, in.scale, in.width, a->flip[r]);
			continue;
		}
		for (int64_t c = 0; c < in.channels; c++) {
			const int64_t at = (top + i) * in.picture_width + left; // (y, x) of the line's left end
			const uint8_t *source = a->pixels + r * picture + at * in.channels + c;
			const float *mean = in.mean + c * in.mean_pixels + (whole ? at : 0), color = a->color[3 * r + c];
			const int64_t line = r * row + (c * in.height + i) * in.width;
			if (in.channels == 3)
				channel_line(a->x, line, half, source, 3, mean, whole, color, in.scale[c], in.width, a->flip[r]);
			else channel_line(a->x, line, half, source, 1, mean, whole, color, in.scale[c], in.width, a->flip[r]);
		}
	}
}

INLINE void input_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	(void)thread;
	for (int64_t r = begin; r < end; r++) input_row(args, r, half);
}
BOTH(input_part)

void cpu_input_rows(const cpu_input *in, void *x, const uint8_t *pixels, const int32_t *crop, const uint8_t *flip,
	const float *color) {
	const input_args a = {in, x, pixels, crop, flip, color};
	RUN(input_part, in->half, &a, in->rows, 1, in->rows * in->channels * in->height * in->width);
}
