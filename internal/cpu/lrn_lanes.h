// Normalisation over five channels with beta 3/4, as the paper has it, of a group of whole blocks of LANES channels.
// lrn.h includes this once for each number of lanes. A pixel's channels are in as many vectors as there are blocks;
// the neighbours of a lane come from shuffles of two vectors.
#define NAME_(name, lanes) name##_##lanes
#define NAME(name, lanes) NAME_(name, lanes)
#define FLOATS NAME(floats, LANES)
#define INTS NAME(ints, LANES)

// five is the sum of five neighbouring channels: lanes of x, and of the blocks before and after.
INLINE FLOATS NAME(five, LANES)(FLOATS before, FLOATS x, FLOATS after) {
	const INTS lane = LANE_NUMBERS;
	return x + (__builtin_shuffle(before, x, lane + (LANES - 2)) + __builtin_shuffle(before, x, lane + (LANES - 1))) +
		(__builtin_shuffle(x, after, lane + 1) + __builtin_shuffle(x, after, lane + 2));
}

// root is s^(-1/4) for normal s > 0. Each of Newton's steps y (5 - s y^4) / 4 squares the error, times 5/2. A quarter
// of the exponent, by shifting the bits, is right to about 3%, so three steps make 3e-3, 2e-5, 1e-9. Loops over bf16
// (half) begin with the processor's own estimate: with r = s^(-1/2), r r^(-1/2) is right to 1e-4, and one step makes
// 3e-8. (Neither 1e-4 nor 2e-5 is enough: ReLUs near zero turn, which the gradients of later layers show.) No division,
// no square root.
INLINE FLOATS NAME(root, LANES)(FLOATS s, const int half) {
	FLOATS y = (FLOATS)(0x4f58cae1 - ((INTS)s >> 2)), r = {0};
	if (half) {
		INVERSE_ROOT(LANES, r, s);
		INVERSE_ROOT(LANES, y, r);
		y *= r;
	}
	const FLOATS quarter = s * .25f;
	for (int i = half ? 2 : 0; i < 3; i++) {
		const FLOATS y2 = y * y;
		y *= 1.25f - quarter * (y2 * y2);
	}
	return y;
}

INLINE FLOATS NAME(square, LANES)(const void *x, int64_t i, const int xh) {
	const FLOATS v = NAME(load, LANES)(x, i, xh);
	return v * v;
}

// xs and ys are the steps in x and dx, in y and dy; xh and yh: they are of bf16.
INLINE void NAME(lrn_forward, LANES)(const cpu_lrn *l, int64_t blocks, void *y, const steps ys, const int yh,
	const void *x, const steps xs, const int xh) {
	for (int64_t p = 0; p < l->pixels; p++) {
		int64_t i = p * xs.pixel, o = p * ys.pixel;
		FLOATS v = NAME(load, LANES)(x, i, xh), before = {0}, now = v * v;
		for (int64_t b = 0; b < blocks; b++, i += xs.block, o += ys.block) {
			ahead(x, i, xh);
			const FLOATS next = b + 1 < blocks ? NAME(load, LANES)(x, i + xs.block, xh) :
				(FLOATS){0}, after = next * next;
			const FLOATS r = NAME(root, LANES)(l->k + l->alpha * NAME(five, LANES)(before, now, after), xh);
			NAME(store, LANES)(y, o, v * (r * r * r), yh);
			v = next, before = now, now = after;
		}
	}
}

INLINE void NAME(lrn_backward, LANES)(const cpu_lrn *l, int64_t blocks, void *dx, const void *dy, const steps ys,
	const int yh, const void *x, const steps xs, const int xh, int relu) {
	const float slope = 2 * l->alpha * l->beta;
	FLOATS power[cpu_lrn_limit / LANES], term[cpu_lrn_limit / LANES]; // s^-3/4; dy x s^-7/4
	for (int64_t p = 0; p < l->pixels; p++) {
		int64_t i = p * xs.pixel, o = p * ys.pixel;
		FLOATS before = {0}, now = NAME(square, LANES)(x, i, xh);
		for (int64_t b = 0; b < blocks; b++, i += xs.block, o += ys.block) {
			ahead(x, i, xh);
			const FLOATS after = b + 1 < blocks ? NAME(square, LANES)(x, i + xs.block, xh) : (FLOATS){0};
			const FLOATS r = NAME(root, LANES)(l->k + l->alpha * NAME(five, LANES)(before, now, after), xh), r2 = r * r;
			power[b] = r2 * r;
			term[b] = NAME(load, LANES)(dy, o, yh) * NAME(load, LANES)(x, i, xh) * (power[b] * (r2 * r2));
			before = now, now = after;
		}
		before = (FLOATS){0}, i = p * xs.pixel, o = p * ys.pixel;
		for (int64_t b = 0; b < blocks; b++, i += xs.block, o += ys.block) {
			const FLOATS after = b + 1 < blocks ? term[b + 1] : (FLOATS){0}, v = NAME(load, LANES)(x, i, xh);
			const FLOATS d = NAME(load, LANES)(dy, o, yh) * power[b] - slope * v * NAME(five, LANES)(before, term[b],
				after);
			NAME(store, LANES)(dx, i, relu ? (FLOATS)((v > 0) & (INTS)d) : d, xh);
			before = term[b];
		}
	}
}

#undef LANE_NUMBERS
#undef FLOATS
#undef INTS
#undef NAME
#undef NAME_
#undef LANES
