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

// input_line is one line of x: of one channel, or of three, which are last.
typedef struct {
	void *x;
	int64_t at;            // its first number in x
	const uint8_t *source; // the leftmost pixel
	const float *mean;     // the leftmost pixel's with whole, else that of all pixels
	const float *color, *scale; // what is added to each channel, and what the sum is multiplied by
	int64_t n;             // pixels
	int whole, flip;       // flip: from right to left
} input_line;

// make_channel makes a line of one channel; its pixels are stride apart.
INLINE void make_channel(const input_line l, const int64_t stride, const int half) {
	const uint8_t *source = l.source;
	const float *mean = l.mean, color = l.color[0], scale = l.scale[0];
	const int64_t n = l.n, whole = l.whole;
	if (l.flip)
		for (int64_t j = 0; j < n; j++)
			store(l.x, l.at + n - 1 - j, ((float)source[j * stride] - mean[j * whole] + color) * scale, half);
	else if (whole)
		for (int64_t j = 0; j < n; j++)
			store(l.x, l.at + j, ((float)source[j * stride] - mean[j] + color) * scale, half);
	else
		for (int64_t j = 0; j < n; j++)
			store(l.x, l.at + j, ((float)source[j * stride] - mean[0] + color) * scale, half);
}

// make_colours makes a line of three channels, 16 pixels at a time.
INLINE void make_colours(const input_line l, const int half) {
	enum { PIXELS = 16, NUMBERS = 3 * PIXELS };
	float means[NUMBERS], colors[NUMBERS], scales[NUMBERS], line[NUMBERS];
	for (int i = 0; i < NUMBERS; i++)
		means[i] = l.whole ? 0 : l.mean[i % 3], colors[i] = l.color[i % 3], scales[i] = l.scale[i % 3];
	int64_t j = 0;
	for (; j + PIXELS <= l.n; j += PIXELS) {
		const uint8_t *s = l.source + 3 * j;
		const float *m = l.whole ? l.mean + 3 * j : means;
		void *y = l.flip ? (void *)line : address(l.x, l.at + 3 * j, half);
		for (int i = 0; i < NUMBERS; i += 16) {
			int32_t v[16]; // as in pool_lanes.h
			for (int k = 0; k < 16; k++) v[k] = s[i + k];
			const floats_16 f = __builtin_convertvector(*(const ints_16 *)v, floats_16) - *(const floats_16 *)(m + i);
			store_16(y, i, (f + *(const floats_16 *)(colors + i)) * *(const floats_16 *)(scales + i), half);
		}
		if (l.flip)
			for (int i = 0; i < PIXELS; i++)
				memcpy(address(l.x, l.at + 3 * (l.n - 1 - j - i), half), address(y, 3 * i, half), half ? 6 : 12);
	}
	for (; j < l.n; j++)
		for (int c = 0; c < 3; c++) {
			const float v = ((float)l.source[3 * j + c] - l.mean[3 * j * l.whole + c] + l.color[c]) * l.scale[c];
			store(l.x, l.at + 3 * (l.flip ? l.n - 1 - j : j) + c, v, half);
		}
}

INLINE void input_row(const input_args *a, int64_t r, const int half) {
	const cpu_input in = *a->in;
	const int64_t row = in.channels * in.height * in.width,
		picture = in.picture_height * in.picture_width * in.channels;
	if (r >= in.used) {
		memset(address(a->x, r * row, half), 0, (size_t)row * (half ? 2 : 4));
		return;
	}
	const int64_t top = a->crop[2 * r], left = a->crop[2 * r + 1], whole = in.mean_pixels > 1;
	for (int64_t i = 0; i < in.height; i++) {
		const int64_t at = (top + i) * in.picture_width + left; // the line's left end
		input_line l = {
			.x = a->x, .source = a->pixels + r * picture + at * in.channels, .mean = in.mean,
			.color = a->color + 3 * r, .scale = in.scale, .n = in.width, .whole = (int)whole, .flip = a->flip[r],
		};
		if (in.last && in.channels == 3) {
			l.at = r * row + i * in.width * 3, l.mean += whole ? 3 * at : 0;
			make_colours(l, half);
			continue;
		}
		l.mean += whole ? at : 0;
		for (int64_t c = 0; c < in.channels; c++, l.source++, l.mean += in.mean_pixels, l.color++, l.scale++) {
			l.at = r * row + (c * in.height + i) * in.width;
			if (in.channels == 3) make_channel(l, 3, half);
			else make_channel(l, 1, half);
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
