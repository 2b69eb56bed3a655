// Stands in for CUDA, so that the .cu files compile with g++ and run on the CPU: a fiber a thread, a block after the
// other. Tests and the emulated driver use it.
//
//	g++ -std=c++17 -Wno-unknown-pragmas -x c++ FILE, which begins with
//		#include "host.h"
//		#include "all.cu"
//		static const host::Kernel kernels[] = {HOST_KERNEL(home_f32), ...};
//
// host::launch runs a kernel and returns 0, or what was wrong: some threads of a block wait at a barrier, and others
// have ended or wait at another. Threads run one at a time from barrier to barrier, in the order of their numbers or,
// with host::backwards, in the opposite one: where results differ a barrier is missing. What CUDA threads share is
// thread_local here, so kernels may run in several threads of the CPU at once. No kernel may call what runs on another
// stack (Go).
#pragma once
#undef _FORTIFY_SOURCE // its longjmp takes a jump to another stack for an error
#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <type_traits>
#include <utility>
#include <vector>

// ---- what the kernels use of CUDA

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static thread_local // one block runs at a time in a thread of the CPU
#define __syncthreads() host::barrier(__FILE__, __LINE__)

struct dim3 {
	unsigned x = 1, y = 1, z = 1;
};
inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

struct alignas(8) uint2 {
	unsigned x, y;
};
struct alignas(16) float4 {
	float x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline unsigned __float_as_uint(float x) {
	unsigned u;
	memcpy(&u, &x, sizeof u);
	return u;
}
inline float __uint_as_float(unsigned u) {
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float __fdividef(float a, float b) { return a / b; }
template <class T> inline T min(T a, T b) { return a < b ? a : b; }
template <class T> inline T max(T a, T b) { return a > b ? a : b; }

namespace host {

// ---- fibers: each has a stack of its own, entered once by setcontext and from then on by longjmp, which asks nothing
// of the system

enum { STACK = 64 << 10, MOST = 1024 }; // MOST: threads in a block

struct Fiber {
	ucontext_t start;
	jmp_buf at; // where it waits
	char *stack;
	bool entered, ended;
	const char *file; // of the barrier at which it waits
	int line;
};

// Runner is the state of one thread of the CPU.
struct Runner {
	jmp_buf back;
	Fiber *current;
	void (*run)(void **);
	void **args;
	std::vector<Fiber *> idle; // fibers that may be used again
};
inline thread_local Runner runner;
inline thread_local bool backwards;

__attribute__((noinline)) inline void leave() {
	if (!_setjmp(runner.current->at)) _longjmp(runner.back, 1);
}

inline void barrier(const char *file, int line) {
	const dim3 me = threadIdx;
	runner.current->file = file;
	runner.current->line = line;
	leave();
	threadIdx = me;
}

// life is what a fiber does: one CUDA thread after the other.
inline void life() {
	for (;;) {
		runner.run(runner.args);
		runner.current->ended = true;
		leave();
	}
}

inline Fiber *fiber() {
	if (!runner.idle.empty()) {
		Fiber *f = runner.idle.back();
		runner.idle.pop_back();
		return f;
	}
	Fiber *f = new Fiber();
	f->stack = (char *)aligned_alloc(64, STACK);
	return f;
}

// resume runs a fiber until it waits or ends.
__attribute__((noinline)) inline void resume(Fiber *f) {
	runner.current = f;
	if (_setjmp(runner.back)) return;
	if (f->entered) _longjmp(f->at, 1);
	f->entered = true;
	getcontext(&f->start);
	f->start.uc_stack.ss_sp = f->stack;
	f->start.uc_stack.ss_size = STACK;
	f->start.uc_link = 0;
	makecontext(&f->start, life, 0);
	setcontext(&f->start);
}

// disagree says how the threads of a block differ; their fibers start afresh.
inline const char *disagree(Fiber **fibers, unsigned n, Fiber *one) {
	static thread_local char text[300];
	unsigned there = 0;
	for (unsigned t = 0; t < n; t++) there += fibers[t] && fibers[t]->file == one->file && fibers[t]->line == one->line;
	snprintf(text, sizeof text, "block %u: %u of %u threads wait at %s:%d, the others have ended or wait elsewhere",
		blockIdx.x, there, n, one->file, one->line);
	for (unsigned t = 0; t < n; t++)
		if (fibers[t]) {
			fibers[t]->entered = false;
			runner.idle.push_back(fibers[t]);
		}
	return text;
}

inline const char *block(unsigned n) {
	static thread_local Fiber *fibers[MOST];
	memset(fibers, 0, sizeof fibers);
	for (bool begun = false;; begun = true) {
		unsigned waiting = 0;
		Fiber *one = 0;
		bool same = true;
		for (unsigned i = 0; i < n; i++) {
			const unsigned t = backwards ? n - 1 - i : i;
			if (begun && !fibers[t]) continue;
			Fiber *f = fibers[t] = begun ? fibers[t] : fiber();
			threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
			f->ended = false;
			resume(f);
			if (f->ended) {
				runner.idle.push_back(f);
				fibers[t] = 0;
				continue;
			}
			if (!one) one = f;
			same = same && f->file == one->file && f->line == one->line;
			waiting++;
		}
		if (waiting == 0) return 0;
		if (waiting != n || !same) return disagree(fibers, n, one);
	}
}

// launch runs a kernel; args are the addresses of its arguments. 0, or what was wrong.
inline const char *launch(void (*run)(void **), dim3 grid, dim3 threads, void **args) {
	const unsigned n = threads.x * threads.y * threads.z, blocks = grid.x * grid.y * grid.z;
	if (n == 0 || n > MOST || blocks == 0) return "no blocks, or blocks of no threads or more than 1024";
	runner.run = run;
	runner.args = args;
	gridDim = grid;
	blockDim = threads;
	for (unsigned i = 0; i < blocks; i++) {
		const unsigned b = backwards ? blocks - 1 - i : i;
		blockIdx = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
		if (const char *wrong = block(n)) return wrong;
	}
	return 0;
}

// ---- the table of kernels

struct Kernel {
	const char *name;
	void (*run)(void **args);
	int count;              // of arguments
	unsigned long pointers; // bit i: argument i is a pointer
	bool eight;             // all take 8 bytes
};

template <class... A, size_t... I> inline void call(void (*kernel)(A...), void **args, std::index_sequence<I...>) {
	kernel(*(A *)args[I]...);
}
template <class... A> inline void call(void (*kernel)(A...), void **args) {
	call(kernel, args, std::index_sequence_for<A...>());
}
template <class... A> constexpr int count(void (*)(A...)) { return sizeof...(A); }
template <class... A> constexpr unsigned long pointers(void (*)(A...)) {
	unsigned long bits = 0, bit = 1;
	((bits |= std::is_pointer<A>::value ? bit : 0, bit <<= 1), ...);
	return bits;
}
template <class... A> constexpr bool eight(void (*)(A...)) { return ((sizeof(A) == 8) && ...); }

} // namespace host

#define HOST_KERNEL(k) {#k, [](void **args) { host::call(k, args); }, host::count(k), host::pointers(k), host::eight(k)}
