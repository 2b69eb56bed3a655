// Pooling of one block of one row: what pooling, and normalisation with it, share.
#ifndef ALEXNET_POOL_H
#define ALEXNET_POOL_H

#include "numbers.h"

#include <math.h>

// move_outputs moves [from, to), the windows along one axis that hold a pixel, on to pixel i: the one after the last,
// or 0 after [0, 0).
INLINE void move_outputs(const cpu_pool *p, int64_t i, int64_t size, int64_t *from, int64_t *to) {
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

INLINE void pool_block_of(const cpu_pool *p, const map y, uint8_t *winner, const map x) {
	if (p->block == 16) pool_16(p, y, winner, x);
	else if (p->block == 8) pool_8(p, y, winner, x);
	else pool_1(p, y, winner, x);
}

INLINE void pool_block_backward_of(const cpu_pool *p, const map dx, const map dy, const uint8_t *winner) {
	if (p->block == 16) pool_backward_16(p, dx, dy, winner);
	else if (p->block == 8) pool_backward_8(p, dx, dy, winner);
	else pool_backward_1(p, dx, dy, winner);
}

INLINE int64_t pool_in(const cpu_pool *p) { return p->height * p->width * p->block; }          // numbers of a block
INLINE int64_t pool_out(const cpu_pool *p) { return p->out_height * p->out_width * p->block; } // numbers of a block

// pool_at is where block u of all rows begins, of maps of so many numbers in a block.
INLINE int64_t pool_at(const cpu_pool *p, int64_t u, int64_t numbers) {
	const int64_t blocks = p->channels / p->block;
	return p->last ? u / blocks * blocks * numbers + u % blocks * p->block : u * numbers;
}

INLINE int64_t pool_pitch(const cpu_pool *p) { return p->last ? p->channels : p->block; } // from one pixel to the next

// pool_block pools block u of y; x: fused, what lies between, else block u as well.
INLINE void pool_block(const cpu_pool *p, int64_t u, void *y, uint8_t *winner, const void *x, const int half,
	const int fused) {
	map to = {address(y, pool_at(p, u, pool_out(p)), half), .pixel = pool_pitch(p)};
	map from = {(void *)x, .pixel = p->block};
	if (winner) winner += u * pool_out(p);
	if (!fused) from = (map){address(x, pool_at(p, u, pool_in(p)), p->half_x), .pixel = pool_pitch(p)};
	if (!half) pool_block_of(p, to, winner, from);
	else if (p->half_x) to.half = from.half = 1, pool_block_of(p, to, winner, from);
	else to.half = 1, pool_block_of(p, to, winner, from);
}

INLINE void pool_block_backward(const cpu_pool *p, int64_t u, void *dx, const void *dy, const uint8_t *winner,
	const int half, const int fused) {
	map from = {address(dy, pool_at(p, u, pool_out(p)), half), .pixel = pool_pitch(p)};
	map to = {dx, .pixel = p->block};
	winner += u * pool_out(p);
	if (!fused) to = (map){address(dx, pool_at(p, u, pool_in(p)), p->half_x), .pixel = pool_pitch(p)};
	if (!half) pool_block_backward_of(p, to, from, winner);
	else if (p->half_x) to.half = from.half = 1, pool_block_backward_of(p, to, from, winner);
	else from.half = 1, pool_block_backward_of(p, to, from, winner);
}

#endif
