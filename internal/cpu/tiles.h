// Instructions on tiles (AMX), by name: compilers know them only where all of a function may use them. A thread that
// uses tiles says so before and after. Nothing that a compiler makes by itself is in their registers.
#ifndef ALEXNET_TILES_H
#define ALEXNET_TILES_H
#ifdef __x86_64__
#include <stdint.h>

// What LDTILECFG reads: palette 1, then bytes of a line and lines of each of 8 registers.
static const struct {
	uint8_t palette, start, reserved[14];
	uint16_t bytes[16];
	uint8_t lines[16];
} tile_config __attribute__((aligned(64))) = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64},
	{16, 16, 16, 16, 16, 16, 16, 16}};

static inline void begin_tiles(void) { __asm__ volatile("ldtilecfg %0" ::"m"(tile_config)); }
static inline void end_tiles(void) { __asm__ volatile("tilerelease" ::); }

// stride: bytes from line to line. TILE_MULTIPLY adds to sum (16, 16 floats) the product of a (16, 32 bf16) and b (16
// pairs, 16, 2).
#define TILE_LOAD(tile, p, stride) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(p), \
	"r"((int64_t)(stride)) : "memory")
#define TILE_STORE(tile, p, stride) __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(p), \
	"r"((int64_t)(stride)) : "memory")
#define TILE_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile ::)
#define TILE_MULTIPLY(sum, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum ::)
#endif
#endif
