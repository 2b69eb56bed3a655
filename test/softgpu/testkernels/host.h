// Just enough of CUDA to run the test kernels: a ucontext a thread.
#pragma once
#include <cstdlib>
#include <memory>
#include <ucontext.h>
#include <vector>
struct dim3 { unsigned x, y, z; };
inline dim3 threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __shared__ static
struct host_thread { ucontext_t context; std::unique_ptr<char[]> stack; dim3 index; bool done; };
inline ucontext_t host_main;
inline host_thread *host_current;
inline void (*host_kernel)(void **);
inline void **host_arguments;
inline void __syncthreads() { host_thread *me = host_current; swapcontext(&me->context, &host_main); threadIdx = me->index; }
inline void host_enter() { host_kernel(host_arguments); host_current->done = true; }
inline int host_block(unsigned n) {
    std::vector<host_thread> threads(n);
    for (unsigned i = 0; i < n; i++) {
        host_thread &t = threads[i];
        t.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        t.stack = std::make_unique<char[]>(65536);
        getcontext(&t.context);
        t.context.uc_stack.ss_sp = t.stack.get(); t.context.uc_stack.ss_size = 65536; t.context.uc_link = &host_main;
        makecontext(&t.context, host_enter, 0);
    }
    for (unsigned live = n; live;) {
        unsigned left = 0;
        for (auto &t : threads) { host_current = &t; threadIdx = t.index; swapcontext(&host_main, &t.context); left += t.done; }
        if (left && left != live) return 1;
        live -= left;
    }
    return 0;
}
inline int host_launch(void (*kernel)(void **), const unsigned g[3], const unsigned b[3], unsigned, void **arguments) {
    host_kernel = kernel; host_arguments = arguments; gridDim = {g[0], g[1], g[2]}; blockDim = {b[0], b[1], b[2]};
    for (unsigned z = 0; z < g[2]; z++) for (unsigned y = 0; y < g[1]; y++) for (unsigned x = 0; x < g[0]; x++) {
        blockIdx = {x, y, z};
        if (host_block(b[0] * b[1] * b[2])) return 1;
    }
    return 0;
}
