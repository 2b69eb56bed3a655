// Pooling of one block of LANES channels of one row. pool.h includes this once for each number of lanes. A block's
// winners lie one after the other; NULL: nobody asks for them.

// A tie goes to the pixel seen first. winners: somebody asks who won.
INLINE void NAME(max_block, LANES)(const cpu_pool *p, const map y, uint8_t *winner, const map x, const int winners) {
	int64_t o = 0;
	for (int64_t oh = 0; oh < p->out_height; oh++)
		for (int64_t ow = 0; ow < p->out_width; ow++, o++) {
			const int64_t top = oh * p->stride - p->pad, left = ow * p->stride - p->pad;
			FLOATS best = (FLOATS){0} + (p->relu ? 0 : -INFINITY);
			INTS who = (INTS){0} + (p->relu ? 255 : 0);
			for (int64_t kh = max64(0, -top); kh < min64(p->window, p->height - top); kh++)
				for (int64_t kw = max64(0, -left); kw < min64(p->window, p->width - left); kw++) {
					const FLOATS v = NAME(load, LANES)(x.data, ((top + kh) * p->width + left + kw) * x.pixel, x.half);
					const INTS larger = v > best;
					if (winners) who = (larger & (int32_t)(kh * p->window + kw)) | (~larger & who);
					best = (FLOATS)((larger & (INTS)v) | (~larger & (INTS)best));
				}
			NAME(store, LANES)(y.data, o * y.pixel, best, y.half);
			if (winners) *(BYTES *)(winner + o * LANES) = __builtin_convertvector(who, BYTES);
		}
}

// Line by line of x, of which some pixels' sums stay in the first-level cache: each window that touches them gives its
// gradient to the one that won. Every pixel sums up its windows in their order.
INLINE void NAME(max_block_backward, LANES)(const cpu_pool *p, const map dx, const map dy, const uint8_t *winner) {
	FLOATS sum[POOL_PIXELS];
	for (int64_t h = 0, oh0 = 0, oh1 = 0; h < p->height; h++) {
		move_outputs(p, h, p->out_height, &oh0, &oh1);
		for (int64_t w0 = 0; w0 < p->width; w0 += POOL_PIXELS) {
			const int64_t w1 = min64(p->width, w0 + POOL_PIXELS);
			const int64_t first = max64(0, (w0 + p->pad - p->window) / p->stride); // window that may touch w0
			memset(sum, 0, (size_t)(w1 - w0) * sizeof *sum);
			for (int64_t oh = oh0; oh < oh1; oh++)
				for (int64_t ow = first; ow < p->out_width && ow * p->stride - p->pad < w1; ow++) {
					const int64_t o = oh * p->out_width + ow, left = ow * p->stride - p->pad;
					const int64_t kw0 = max64(0, w0 - left), kw1 = min64(p->window, w1 - left);
					const int32_t k = (int32_t)((h + p->pad - oh * p->stride) * p->window);
					int32_t who[LANES]; // a loop becomes one instruction; GCC 12 converts vectors byte by byte
					for (int j = 0; j < LANES; j++) who[j] = winner[o * LANES + j];
					const INTS won = *(const INTS *)who, d = (INTS)NAME(load, LANES)(dy.data, o * dy.pixel, dy.half);
					FLOATS *s = sum + left - w0;
					if (kw0 == 0 && kw1 == 3) {
						s[0] += (FLOATS)((won == k) & d);
						s[1] += (FLOATS)((won == k + 1) & d);
						s[2] += (FLOATS)((won == k + 2) & d);
					} else
						for (int64_t kw = kw0; kw < kw1; kw++) s[kw] += (FLOATS)((won == k + (int32_t)kw) & d);
				}
			for (int64_t w = w0; w < w1; w++)
				NAME(store, LANES)(dx.data, (h * p->width + w) * dx.pixel, sum[w - w0], dx.half);
		}
	}
}

INLINE void NAME(average_block, LANES)(const cpu_pool *p, const map y, const map x) {
	int64_t o = 0;
	for (int64_t oh = 0; oh < p->out_height; oh++)
		for (int64_t ow = 0; ow < p->out_width; ow++, o += y.pixel) {
			const int64_t top = oh * p->stride - p->pad, left = ow * p->stride - p->pad;
			const float share = 1 / (float)(pixels_in(p, oh, p->height) * pixels_in(p, ow, p->width));
			FLOATS sum = {0};
			for (int64_t kh = max64(0, -top); kh < min64(p->window, p->height - top); kh++)
				for (int64_t kw = max64(0, -left); kw < min64(p->window, p->width - left); kw++)
					sum += NAME(load, LANES)(x.data, ((top + kh) * p->width + left + kw) * x.pixel, x.half);
			NAME(store, LANES)(y.data, o, sum * share, y.half);
		}
}

INLINE void NAME(average_block_backward, LANES)(const cpu_pool *p, const map dx, const map dy) {
	int64_t i = 0;
	for (int64_t h = 0, oh0 = 0, oh1 = 0; h < p->height; h++) {
		move_outputs(p, h, p->out_height, &oh0, &oh1);
		for (int64_t w = 0, ow0 = 0, ow1 = 0; w < p->width; w++, i += dx.pixel) {
			move_outputs(p, w, p->out_width, &ow0, &ow1);
			FLOATS sum = {0};
			for (int64_t oh = oh0; oh < oh1; oh++)
				for (int64_t ow = ow0; ow < ow1; ow++)
					sum += NAME(load, LANES)(dy.data, (oh * p->out_width + ow) * dy.pixel, dy.half) /
						(float)(pixels_in(p, oh, p->height) * pixels_in(p, ow, p->width));
			NAME(store, LANES)(dx.data, i, sum, dx.half);
		}
	}
}

INLINE void NAME(pool, LANES)(const cpu_pool *p, const map y, uint8_t *winner, const map x) {
	if (p->average) NAME(average_block, LANES)(p, y, x);
	else if (winner) NAME(max_block, LANES)(p, y, winner, x, 1);
	else NAME(max_block, LANES)(p, y, NULL, x, 0);
}

INLINE void NAME(pool_backward, LANES)(const cpu_pool *p, const map dx, const map dy, const uint8_t *winner) {
	if (p->average) NAME(average_block_backward, LANES)(p, dx, dy);
	else NAME(max_block_backward, LANES)(p, dx, dy, winner);
}

#undef LANES
