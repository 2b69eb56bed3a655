// What libsoftkernels.so, the kernels compiled for the host, shows to libcuda.so.1.
#pragma once

extern "C" {

struct softgpu_kernel {
    const char *name;                // null ends the table
    void (*run)(void **arguments);   // one thread, with pointers to its arguments
    int arguments;
    unsigned pointers;               // bit i: argument i is a pointer
};

typedef const softgpu_kernel *softgpu_table();
// 0, or 1 where threads of a block left while others waited at a barrier.
typedef int softgpu_launch(const softgpu_kernel *kernel, const unsigned grid[3], const unsigned block[3], unsigned shared, void **arguments);
}
