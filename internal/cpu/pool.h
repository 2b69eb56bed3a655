// Pooling of one block of one row: what pooling, and normalisation with it, share.
#ifndef ALEXNET_POOL_H
#define ALEXNET_POOL_H

#include "numbers.h"

#include <math.h>

// outputs moves [from, to), the windows along one axis that hold a pixel, on to pixel i: the one after the last, or 0
// after [0, 0).
INLINE void outputs(const cpu_pool *p, int64_t i, int64_t size, int64_t *from, int64_t *to) {
	while (*to < size && *to * p->stride <= i + p->pad) ++*to;
	while (*from < *to && *from * p->stride + p->window <= i + p->pad) ++*from;
}

enum { POOL_PIXELS = 128 }; // of a line that are taken together: their sums are 8 kB

// pixels_in is the number of pixels of the window's row or column o that lie in the map.
INLINE int64_t pixels_in(const cpu_pool *p, int64_t o, int64_t size) {
	const int64_t first = o * p->stride - p->pad;
	return min64(p->window, size - first) - max64(0, -first);
}

#define LANES 16
#include "pool_lanes.h"
#define LANES 8
#include "pool_lanes.h"
#define LANES 1
#include "pool_lanes.h"

INLINE void pool_block_of(const cpu_pool *p, void *y, int64_t yp, const int yh, uint8_t *winner, const void *x,
	int64_t xp, const int xh) {
	if (p->block == 16) pool_16(p, y, yp, yh, winner, x, xp, xh);
	else if (p->block == 8) pool_8(p, y, yp, yh, winner, x, xp, xh);
	else pool_1(p, y, yp, yh, winner, x, xp, xh);
}

INLINE void pool_block_backward_of(const cpu_pool *p, void *dx, int64_t xp, const int xh, const void *dy, int64_t yp,
	const int yh, const uint8_t *winner) {
	if (p->block == 16) pool_backward_16(p, dx, xp, xh, dy, yp, yh, winner);
	else if (p->block == 8) pool_backward_8(p, dx, xp, xh, dy, yp, yh, winner);
	else pool_backward_1(p, dx, xp, xh, dy, yp, yh, winner);
}

// numbers from one pixel to the next
INLINE int64_t pool_pitch(const cpu_pool *p) { return p->last ? p->channels : p->block; }
INLINE int64_t pool_in(const cpu_pool *p) { return p->height * p->width * p->block; }          // numbers of a block
INLINE int64_t pool_out(const cpu_pool *p) { return p->out_height * p->out_width * p->block; } // numbers of a block

// pool_at is where block u of all rows begins, of maps of that many numbers in a block.
INLINE int64_t pool_at(const cpu_pool *p, int64_t u, int64_t map) {
	const int64_t blocks = p->channels / p->block;
	return p->last ? u / blocks * blocks * map + u % blocks * p->block : u * map;
}

// pool_block pools block u of y; x: fused, what lies between, else block u as well.
INLINE void pool_block(const cpu_pool *p, int64_t u, void *y, uint8_t *winner, const void *x, const int half,
	const int fused) {
	const int64_t xp = fused ? p->block : pool_pitch(p);
	y = place(y, pool_at(p, u, pool_out(p)), half);
	if (winner) winner += u * pool_out(p);
	if (!fused) x = place(x, pool_at(p, u, pool_in(p)), p->half_x);
	if (!half) pool_block_of(p, y, pool_pitch(p), 0, winner, x, xp, 0);
	else if (p->half_x) pool_block_of(p, y, pool_pitch(p), 1, winner, x, xp, 1);
	else pool_block_of(p, y, pool_pitch(p), 1, winner, x, xp, 0);
}

INLINE void pool_block_backward(const cpu_pool *p, int64_t u, void *dx, const void *dy, const uint8_t *winner,
	const int half, const int fused) {
	const int64_t xp = fused ? p->block : pool_pitch(p);
	dy = place(dy, pool_at(p, u, pool_out(p)), half), winner += u * pool_out(p);
	if (!fused) dx = place(dx, pool_at(p, u, pool_in(p)), p->half_x);
	if (!half) pool_block_backward_of(p, dx, xp, 0, dy, pool_pitch(p), 0, winner);
	else if (p->half_x) pool_block_backward_of(p, dx, xp, 1, dy, pool_pitch(p), 1, winner);
	else pool_block_backward_of(p, dx, xp, 0, dy, pool_pitch(p), 1, winner);
}

#endif
