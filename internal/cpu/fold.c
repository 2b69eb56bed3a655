//go:build cgo && dnnl && linux

// Pixels as channels.
#include "numbers.h"

typedef struct {
	const cpu_fold *f;
	uint16_t *y;
	const uint16_t *x;
} fold_args;

static void fold_part(const void *args, int thread, int64_t begin, int64_t end) {
	const fold_args *a = args;
	const cpu_fold f = *a->f;
	const int64_t n = f.wide * f.channels; // of one line of pixels
	(void)thread;
	for (int64_t u = begin; u < end; u++) { // a row's line
		const int64_t r = u / f.out_height, top = u % f.out_height * f.stride - f.pad;
		for (int64_t w = 0; w < f.out_width; w++) {
			uint16_t *y = a->y + (u * f.out_width + w) * f.folded;
			for (int64_t i = 0; i < f.stride; i++, y += n) {
				const int64_t h = top + i, left = w * f.stride - f.pad;
				const int64_t from = max64(0, -left), to = min64(f.wide, f.width - left); // pixels within the map
				if (h < 0 || h >= f.height || from >= to) {
					memset(y, 0, (size_t)n * sizeof *y);
					continue;
				}
				const uint16_t *x = a->x + ((r * f.height + h) * f.width + left) * f.channels;
				// Most pixels; copies of a known length are two instructions. 12: a stride of 4, 15: five taps, both of
				// three colours.
				if (to - from == f.wide && n == 12) {
					memcpy(y, x, 12 * sizeof *y);
					continue;
				}
				if (to - from == f.wide && n == 15) {
					memcpy(y, x, 15 * sizeof *y);
					continue;
				}
				for (int64_t j = 0; j < from * f.channels; j++) y[j] = 0;
				for (int64_t j = from * f.channels; j < to * f.channels; j++) y[j] = x[j];
				for (int64_t j = to * f.channels; j < n; j++) y[j] = 0;
			}
			for (int64_t j = f.stride * n; j < f.folded; j++) *y++ = 0;
		}
	}
}

void cpu_fold_input(const cpu_fold *f, void *y, const void *x) {
	const fold_args a = {f, y, x};
	const int64_t lines = f->rows * f->out_height;
	cpu_parallel(fold_part, &a, lines, 1, lines * f->out_width * f->folded);
}

void cpu_fold_weights(const cpu_fold *f, float *weights, const float *folded) {
	const int64_t blocks = f->folded / 16, all = f->taps * f->columns;
	for (int64_t o = 0; o < f->kernels; o++)
		for (int64_t c = 0; c < f->channels; c++)
			for (int64_t h = 0; h < f->kernel; h++)
				for (int64_t w = 0; w < f->kernel; w++) {
					const int64_t column = f->columns == 1 ? 0 : w / f->stride, tap = h / f->stride * f->columns +
						column;
					const int64_t i = (h % f->stride * f->wide + w - column * f->stride) * f->channels + c;
					*weights++ = folded[(((o / 16 * blocks + i / 16) * all + tap) * 16 + i % 16) * 16 + o % 16];
				}
}
