//go:build cgo && dnnl && linux

// Dropout, whose masks are drawn wherever they are needed.
#include "numbers.h"

enum { BATCH = 64 }; // counters at a time

// philox makes four words of each of BATCH counters, of which only the first word differs: Philox4x32-10, as package
// philox has it.
INLINE void philox(uint32_t words[4][BATCH], const cpu_drop *d, uint32_t first, uint32_t sample) {
	uint32_t *restrict c0 = words[0], *restrict c1 = words[1], *restrict c2 = words[2], *restrict c3 = words[3];
	for (int i = 0; i < BATCH; i++) c0[i] = first + (uint32_t)i, c1[i] = d->stream, c2[i] = sample, c3[i] = d->step;
	uint32_t k0 = d->key[0], k1 = d->key[1];
	for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
		for (int i = 0; i < BATCH; i++) {
			const uint64_t p0 = (uint64_t)0xD2511F53u * c0[i], p1 = (uint64_t)0xCD9E8D57u * c2[i];
			c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0, c1[i] = (uint32_t)p1;
			c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1, c3[i] = (uint32_t)p0;
		}
}

typedef struct {
	const cpu_drop *drop;
	void *y;
	const void *x;
} drop_args;

INLINE void drop_part(const void *args, int thread, int64_t begin, int64_t end, const int half) {
	const drop_args *a = args;
	const cpu_drop d = *a->drop;
	(void)thread;
	for (int64_t r = begin; r < end; r++) {
		for (int64_t block = d.first_unit / 4; block * 4 < d.first_unit + d.units; block += BATCH) {
			uint32_t words[4][BATCH];
			philox(words, &d, (uint32_t)block, d.sample + (uint32_t)r);
			const int64_t u = block * 4 - d.first_unit; // unit of the first word, -3..
			for (int64_t i = max64(0, -u); i < min64(4 * BATCH, d.units - u); i++)
				store(a->y, r * d.units + u + i, words[i & 3][i >> 2] < d.threshold ? 0 :
					load(a->x, r * d.units + u + i, half), half);
		}
	}
}
BOTH(drop_part)

void cpu_dropout(const cpu_drop *d, void *y, const void *x) {
	const drop_args a = {d, y, x};
	RUN(drop_part, d->half, &a, d->rows, 1, 4 * d->rows * d->units);
}
