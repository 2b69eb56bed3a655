// What libsoftkernels.so, the kernels compiled for the host, shows to libcuda.so.1.
#pragma once

extern "C" {

// Initialised by HOST_KERNEL of kernels/host.h.
struct softgpu_kernel {
    const char *name;                // null ends the table
    void (*run)(void **arguments);   // one thread, with pointers to its arguments
    int arguments;
    unsigned long pointers;          // bit i: argument i is a pointer
    bool eight;                      // every argument takes 8 bytes
};

typedef const softgpu_kernel *softgpu_table();
// null, or what was wrong, which no GPU forgives either; backwards: threads and blocks in descending order.
typedef const char *softgpu_launch(const softgpu_kernel *kernel, const unsigned grid[3], const unsigned block[3],
    bool backwards, void **arguments);
}
