// Dropout: y = x, or 0 where the word that Philox draws for the unit is below a threshold; its gradient is the same
// with dy for x. And what takes its place in inference, y = factor x. Outputs may be inputs. Philox4x32-10 as in
// package philox, which says what key and counter are made of.
#include "values.h"

struct Words {
	unsigned at[4];
};

__device__ inline Words philox(unsigned k0, unsigned k1, Words c) {
#pragma unroll
	for (int round = 0; round < 10; round++) {
		const unsigned long long p0 = 0xD2511F53ull * c.at[0], p1 = 0xCD9E8D57ull * c.at[2];
		c = {{(unsigned)(p1 >> 32) ^ c.at[1] ^ k0, (unsigned)p1, (unsigned)(p0 >> 32) ^ c.at[3] ^ k1, (unsigned)p0}};
		k0 += 0x9E3779B9;
		k1 += 0xBB67AE85;
	}
	return c;
}

struct Draw {
	unsigned k0, k1, stream, step;
	unsigned long long sample; // of row 0

	__device__ Draw(const Pass *pass, unsigned stream)
		: k0((unsigned)pass->seed), k1((unsigned)(pass->seed >> 32) ^ 1u << 24), // 1: philox.PurposeDropout
		  stream(stream), step((unsigned)pass->step), sample(pass->first) {}
	// four draws for units 4 group to 4 group + 3 of a row.
	__device__ Words four(unsigned row, unsigned long long group) const {
		return philox(k0, k1, {{(unsigned)group, stream, (unsigned)(sample + row), step}});
	}
	__device__ unsigned one(unsigned row, unsigned long long unit) const {
		const Words w = four(row, unit >> 2);
		const unsigned low = unit & 1 ? w.at[1] : w.at[0], high = unit & 1 ? w.at[3] : w.at[2];
		return unit & 2 ? high : low;
	}
};

template <class T, bool NHWC>
__device__ void dropout(const T *x, T *y, i64 rows, i64 channels, i64 plane, unsigned stream, i64 first_unit,
	unsigned below, const Pass *pass) {
	const i64 units = channels * plane, n = rows * units;
	const Draw draw(pass, stream);
	const Divider by_units(units), by_channels(channels);
	const bool together = !NHWC && units % 4 == 0 && first_unit % 4 == 0; // four numbers share a block of Philox
	for (i64 i = 4 * first(); i < n; i += 4 * step()) {
		Four v = load<4>(x, i, n);
		if (together) {
			unsigned row = (unsigned)i;
			const i64 unit = by_units.split(&row) + first_unit;
			const Words w = draw.four(row, unit >> 2);
			for (int k = 0; k < 4; k++)
				if (w.at[k] < below) v.at[k] = 0;
		} else {
			for (int k = 0; k < 4; k++) {
				unsigned row = (unsigned)(i + k);
				i64 unit = by_units.split(&row);
				if (NHWC) {
					unsigned pixel = (unsigned)unit;
					unit = by_channels.split(&pixel) * plane;
					unit += pixel;
				}
				if (draw.one(row, unit + first_unit) < below) v.at[k] = 0;
			}
		}
		store(y, i, n, v);
	}
}

KERNEL dropout_nchw_f32(const float *x, float *y, i64 rows, i64 channels, i64 plane, i64 stream, i64 first, i64 below,
	const Pass *pass) {
	dropout<float, false>(x, y, rows, channels, plane, (unsigned)stream, first, (unsigned)below, pass);
}
KERNEL dropout_nchw_bf16(const bf16 *x, bf16 *y, i64 rows, i64 channels, i64 plane, i64 stream, i64 first, i64 below,
	const Pass *pass) {
	dropout<bf16, false>(x, y, rows, channels, plane, (unsigned)stream, first, (unsigned)below, pass);
}
KERNEL dropout_nhwc_f32(const float *x, float *y, i64 rows, i64 channels, i64 plane, i64 stream, i64 first, i64 below,
	const Pass *pass) {
	dropout<float, true>(x, y, rows, channels, plane, (unsigned)stream, first, (unsigned)below, pass);
}
KERNEL dropout_nhwc_bf16(const bf16 *x, bf16 *y, i64 rows, i64 channels, i64 plane, i64 stream, i64 first, i64 below,
	const Pass *pass) {
	dropout<bf16, true>(x, y, rows, channels, plane, (unsigned)stream, first, (unsigned)below, pass);
}

template <class T> __device__ void scale(const T *x, T *y, i64 n, float factor) {
	for (i64 i = 4 * first(); i < n; i += 4 * step()) {
		Four v = load<4>(x, i, n);
		for (int k = 0; k < 4; k++) v.at[k] *= factor;
		store(y, i, n, v);
	}
}

KERNEL scale_f32(const float *x, float *y, i64 n, double factor) { scale(x, y, n, (float)factor); }
KERNEL scale_bf16(const bf16 *x, bf16 *y, i64 n, double factor) { scale(x, y, n, (float)factor); }
