//go:build cgo && dnnl && linux

// What the processor does at most: multiply-adds in registers, and a pass over memory. See device.Probe.
#include "cpu.h"
#include "tiles.h"

#include <stddef.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	// independent: a multiply-add takes 4 or 5 cycles and two begin in each; with two factors they fill 14 of AVX2's 16
	// registers
	SUMS = 12,
	// of SUMS multiply-adds, on each thread: 12 ms where one of AVX-512 begins in each of 3e9 cycles a second
	ROUNDS = 3000000,
	MANY = 1 << 30, // a job of any size goes to the whole team
};

// MULTIPLY makes a job of begin to end rounds on vectors of so many bytes: x = a x + b, which tends to b / (1 - a). The
// sum goes to a place for each thread, so that it counts as used.
#define MULTIPLY(name, bytes) \
	static void name(const void *sink, int thread, int64_t begin, int64_t end) { \
		typedef float vector __attribute__((vector_size(bytes))); \
		vector x[SUMS], a, b; \
		for (size_t k = 0; k < sizeof a / sizeof(float); k++) a[k] = .999f, b[k] = 1e-3f; \
		for (int i = 0; i < SUMS; i++) x[i] = a * (float)i; \
		for (int64_t n = begin; n < end; n++) \
			_Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) x[i] = x[i] * a + b; \
		for (int i = 1; i < SUMS; i++) x[0] += x[i]; \
		((float *const *)sink)[0][16 * thread] = x[0][0]; \
	}

MULTIPLY(multiply_any, 16)
#ifdef __x86_64__
__attribute__((target("avx2,fma"))) MULTIPLY(multiply_avx2, 32)
__attribute__((target("avx512f,prefer-vector-width=512"))) MULTIPLY(multiply_avx512, 64)

// Dot products of pairs of bf16, added to floats.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,prefer-vector-width=512")))
static void multiply_bf16(const void *sink, int thread, int64_t begin, int64_t end) {
	__m512 x[SUMS];
	// (1, 1), (1, -1)
	const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80), b = (__m512bh)_mm512_set1_epi32((int)0xbf803f80);
	for (int i = 0; i < SUMS; i++) x[i] = _mm512_set1_ps((float)i);
	for (int64_t n = begin; n < end; n++)
		_Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) x[i] = _mm512_dpbf16_ps(x[i], a, b);
	for (int i = 1; i < SUMS; i++) x[0] = _mm512_add_ps(x[0], x[i]);
	((float *const *)sink)[0][16 * thread] = _mm512_cvtss_f32(x[0]);
}

// Products of tiles of zeros, for their time does not depend on the numbers: a sixteenth of the rounds, each of which
// takes 16 times as long.
static void multiply_tiles(const void *sink, int thread, int64_t begin, int64_t end) {
	(void)sink, (void)thread;
	begin_tiles();
	for (int64_t n = begin / 16; n < end / 16; n++)
		for (int i = 0; i < SUMS / 6; i++) {
			TILE_MULTIPLY(0, 6, 7);
			TILE_MULTIPLY(1, 6, 7);
			TILE_MULTIPLY(2, 6, 7);
			TILE_MULTIPLY(3, 6, 7);
			TILE_MULTIPLY(4, 6, 7);
			TILE_MULTIPLY(5, 6, 7);
		}
	end_tiles();
}
#endif

// way is how this processor multiplies.
typedef struct {
	const char *name;
	cpu_part multiply;
	int operations; // of one instruction, or of multiplication and addition; of tiles a sixteenth, as of the rounds
} way;

static way fastest(int half) {
#ifdef __x86_64__
	if (half > 1) return (way){"AMX with bf16", multiply_tiles, 2 * 16 * 16 * 32 / 16};
	if (half) return (way){"AVX-512 with bf16", multiply_bf16, 64};
	if (__builtin_cpu_supports("avx512f")) return (way){"AVX-512", multiply_avx512, 32};
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return (way){"AVX2", multiply_avx2, 16};
	return (way){"SSE2", multiply_any, 8};
#else
	(void)half;
	return (way){"128-bit vectors", multiply_any, 8};
#endif
}

const char *cpu_probe_name(int half) { return fastest(half).name; }

double cpu_probe_multiply(int half, int threads, float *sink) {
	const way w = fastest(half);
	const int64_t rounds = (int64_t)ROUNDS * threads;
	cpu_parallel(w.multiply, &sink, rounds, 1, MANY);
	return (double)rounds * SUMS * w.operations;
}

int64_t cpu_probe_bytes(void) {
	const int64_t least = 64 << 20, most = 256 << 20;
	int64_t cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
	cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
	const int64_t bytes = cache < least / 4 ? least : cache > most / 4 ? most : 4 * cache;
	// arrays that lie a power of two apart meet in the same places of memory: 40 instead of 46 to 80 GB/s on a Zen 4
	return bytes - (16 << 10);
}

typedef struct {
	float *a;
	const float *b, *c;
} triad_args;

static void triad(const void *args, int thread, int64_t begin, int64_t end) {
	const triad_args t = *(const triad_args *)args;
	const float s = .5f;
	(void)thread;
#ifdef __x86_64__ // past the cache: else what is to be overwritten would be read before
	const __m128 scale = _mm_set1_ps(s);
	for (int64_t i = begin; i < end; i += 4)
		_mm_stream_ps(t.a + i, _mm_add_ps(_mm_load_ps(t.b + i), _mm_mul_ps(scale, _mm_load_ps(t.c + i))));
	_mm_sfence();
#else
	for (int64_t i = begin; i < end; i++) t.a[i] = t.b[i] + s * t.c[i];
#endif
}

double cpu_probe_triad(float *arrays, int64_t bytes) {
	const int64_t n = bytes / (int64_t)sizeof(float);
	const triad_args t = {arrays, arrays + n, arrays + 2 * n};
	cpu_parallel(triad, &t, n, 16, MANY);
	return 3. * (double)bytes;
}
