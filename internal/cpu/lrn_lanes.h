// Normalisation over five channels with beta 3/4, as the paper has it, of a group of whole blocks of LANES channels.
// lrn.h includes this once for each number of lanes. A pixel's channels are in as many vectors as there are blocks;
// the neighbours of a lane come from shuffles of two vectors.

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

INLINE FLOATS NAME(square, LANES)(const map x, int64_t i) {
	const FLOATS v = NAME(load, LANES)(x.data, i, x.half);
	return v * v;
}

INLINE void NAME(lrn_forward, LANES)(const cpu_lrn *l, int64_t blocks, const map y, const map x) {
	for (int64_t p = 0; p < l->pixels; p++) {
		int64_t i = p * x.pixel, o = p * y.pixel;
		FLOATS v = NAME(load, LANES)(x.data, i, x.half), before = {0}, now = v * v;
		for (int64_t b = 0; b < blocks; b++, i += x.vector, o += y.vector) {
			prefetch(x, i);
			const FLOATS next = b + 1 < blocks ? NAME(load, LANES)(x.data, i + x.vector, x.half) : (FLOATS){0};
			const FLOATS after = next * next;
			const FLOATS r = NAME(root, LANES)(l->k + l->alpha * NAME(five, LANES)(before, now, after), x.half);
			NAME(store, LANES)(y.data, o, v * (r * r * r), y.half);
			v = next, before = now, now = after;
		}
	}
}

// dx lies as x does.
INLINE void NAME(lrn_backward, LANES)(const cpu_lrn *l, int64_t blocks, void *dx, const map dy, const map x, int relu) {
	const float slope = 2 * l->alpha * l->beta;
	FLOATS power[cpu_lrn_limit / LANES], term[cpu_lrn_limit / LANES]; // s^-3/4; dy x s^-7/4
	for (int64_t p = 0; p < l->pixels; p++) {
		int64_t i = p * x.pixel, o = p * dy.pixel;
		FLOATS before = {0}, now = NAME(square, LANES)(x, i);
		for (int64_t b = 0; b < blocks; b++, i += x.vector, o += dy.vector) {
			prefetch(x, i);
			const FLOATS after = b + 1 < blocks ? NAME(square, LANES)(x, i + x.vector) : (FLOATS){0};
			const FLOATS r = NAME(root, LANES)(l->k + l->alpha * NAME(five, LANES)(before, now, after), x.half);
			const FLOATS r2 = r * r;
			const FLOATS d = NAME(load, LANES)(dy.data, o, dy.half);
			power[b] = r2 * r;
			term[b] = d * NAME(load, LANES)(x.data, i, x.half) * (power[b] * (r2 * r2));
			before = now, now = after;
		}
		before = (FLOATS){0}, i = p * x.pixel, o = p * dy.pixel;
		for (int64_t b = 0; b < blocks; b++, i += x.vector, o += dy.vector) {
			const FLOATS after = b + 1 < blocks ? term[b + 1] : (FLOATS){0}, v = NAME(load, LANES)(x.data, i, x.half);
			const FLOATS sum = NAME(five, LANES)(before, term[b], after);
			const FLOATS d = NAME(load, LANES)(dy.data, o, dy.half) * power[b] - slope * v * sum;
			NAME(store, LANES)(dx, i, relu ? (FLOATS)((v > 0) & (INTS)d) : d, x.half);
			before = term[b];
		}
	}
}

#undef LANE_NUMBERS
#undef LANES
