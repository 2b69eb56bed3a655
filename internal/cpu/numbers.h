// What the loops of our own share: numbers of both kinds, one by one and in vectors of a block's channels, and the
// attributes of functions. Loops that the compiler turns into vector code are compiled once per instruction set
// (CLONES); the processor picks when the program is loaded. Loops over bf16 (HALF) run only on processors that have it:
// see cpu_bfloat16.
#ifndef ALEXNET_NUMBERS_H
#define ALEXNET_NUMBERS_H

#include "cpu.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define HALF __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,prefer-vector-width=512")))
#else
#define CLONES
#define HALF
#endif
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-math-errno", "no-trapping-math") // else square roots and comparisons are not vectorised
#pragma GCC diagnostic ignored "-Wpsabi" // vectors are never passed between functions that are not inlined
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

// Loops are written once, over load and store, as functions of a range whose last argument half is a constant: BOTH
// makes of one a job on floats and one on bf16, RUN chooses between them and spreads the range over the team.
#define BOTH(name) \
	CLONES static void name##_floats(const void *args, int thread, int64_t begin, int64_t end) { \
		name(args, thread, begin, end, 0); \
	} \
	HALF static void name##_halves(const void *args, int thread, int64_t begin, int64_t end) { \
		name(args, thread, begin, end, 1); \
	}
#define RUN(name, half, ...) cpu_parallel((half) ? name##_halves : name##_floats, __VA_ARGS__)

// ---- numbers in memory: float, or (half) bf16, the upper half of a float

INLINE float load(const void *p, int64_t i, const int half) {
	if (!half) return ((const float *)p)[i];
	const uint32_t u = (uint32_t)((const uint16_t *)p)[i] << 16;
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

// store rounds to the nearest, to even where two are as near. What is not finite stays so, but for NaNs that no
// processor makes by itself.
INLINE void store(void *p, int64_t i, float x, const int half) {
	if (!half) {
		((float *)p)[i] = x;
		return;
	}
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	((uint16_t *)p)[i] = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// magnitude is the bit pattern without sign: a number is finite where it is below that of infinity.
INLINE uint32_t magnitude(float x) {
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u & 0x7fffffff;
}
enum { INFINITE = 0x7f800000 };

// address is where number i lies.
INLINE void *address(const void *p, int64_t i, const int half) { return (char *)p + i * (half ? 2 : 4); }

// ---- vectors of a block's channels

#define VECTORS(lanes) \
	typedef float floats_##lanes __attribute__((vector_size(4 * lanes), aligned(4), may_alias)); \
	typedef int32_t ints_##lanes __attribute__((vector_size(4 * lanes), aligned(4), may_alias)); \
	typedef uint32_t words_##lanes __attribute__((vector_size(4 * lanes), aligned(4), may_alias)); \
	typedef uint16_t halves_##lanes __attribute__((vector_size(2 * lanes), aligned(2), may_alias)); \
	typedef uint8_t bytes_##lanes __attribute__((vector_size(lanes), aligned(1), may_alias));
VECTORS(1)
VECTORS(8)
VECTORS(16)
#undef VECTORS

// load_16, store_16 and so on are load and store of vectors. GCC 12 takes vectors of 16 and 32 bits apart to convert
// between them, and its intrinsics may not stand in what is compiled for other processors too, dead as they are there:
// hence the three instructions by name. (vcvtneps2bf16 makes zeros of subnormal numbers; oneDNN uses it as well.)
// INVERSE_ROOT is x^(-1/2) to 14 bits.
#if defined(__x86_64__) && defined(__OPTIMIZE__)
#define WIDEN(lanes, u, p) __asm__("vpmovzxwd %1, %0" : "=v"(u) : "m"(*(const halves_##lanes *)(p)))
#define NARROW(lanes, h, x) __asm__("vcvtneps2bf16 %1, %0" : "=v"(h) : "v"(x))
#define INVERSE_ROOT(lanes, y, x) __asm__("vrsqrt14ps %1, %0" : "=v"(y) : "v"(x))
#else
#define WIDEN(lanes, u, p) u = __builtin_convertvector(*(const halves_##lanes *)(p), words_##lanes)
#define NARROW(lanes, h, x) \
	h = __builtin_convertvector(((words_##lanes)x + (0x7fff + ((words_##lanes)x >> 16 & 1))) >> 16, halves_##lanes)
#define INVERSE_ROOT(lanes, y, x) for (int lane = 0; lane < lanes; lane++) ((float *)&y)[lane] = 1 / \
	__builtin_sqrtf(((const float *)&x)[lane])
#endif
#define VECTORS(lanes) \
	INLINE floats_##lanes load_##lanes(const void *p, int64_t i, const int half) { \
		if (!half) return *(const floats_##lanes *)((const float *)p + i); \
		words_##lanes u; \
		WIDEN(lanes, u, (const uint16_t *)p + i); \
		return (floats_##lanes)(u << 16); \
	} \
	INLINE void store_##lanes(void *p, int64_t i, floats_##lanes x, const int half) { \
		if (!half) { \
			*(floats_##lanes *)((float *)p + i) = x; \
			return; \
		} \
		halves_##lanes h; \
		NARROW(lanes, h, x); \
		*(halves_##lanes *)((uint16_t *)p + i) = h; \
	}
VECTORS(8)
VECTORS(16)
#undef VECTORS
INLINE floats_1 load_1(const void *p, int64_t i, const int half) { return (floats_1){load(p, i, half)}; }
INLINE void store_1(void *p, int64_t i, floats_1 x, const int half) { store(p, i, x[0], half); }

// map is the maps of a row as loops over vectors of their channels see them.
typedef struct {
	void *data;
	int64_t pixel, vector; // numbers from one pixel to the next, and from one vector of a pixel's channels to the next
	int half;              // a constant, as elsewhere
} map;

INLINE map floats_map(const void *data) { return (map){.data = (void *)data}; }
INLINE map halves_map(const void *data) { return (map){.data = (void *)data, .half = 1}; }

// Names in the files that are included once for each number of lanes, LANES.
#define NAME_(name, lanes) name##_##lanes
#define NAME(name, lanes) NAME_(name, lanes)
#define FLOATS NAME(floats, LANES)
#define INTS NAME(ints, LANES)
#define BYTES NAME(bytes, LANES)

#endif
