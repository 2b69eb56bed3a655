// What the emulated libcublas and libcudnn use of the emulated libcuda: they put their work into its streams.
#pragma once

#pragma GCC visibility push(default)
#include <cuda.h>
#pragma GCC visibility pop

#if CUDA_VERSION >= 13000 // which gives other names to some functions
#error "the emulated GPUs are written against the headers of CUDA 12 (scripts/cuda.sh fetch)"
#endif

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace softgpu {

// Memory that a call will touch.
struct Range {
    CUdeviceptr at;
    size_t bytes;
    const char *name; // of the argument, for messages
};

#pragma GCC visibility push(default)

// Queues run on the stream of the current context, once every range lies in memory that the context may touch; else
// CUDA_ERROR_ILLEGAL_ADDRESS.
CUresult submit(CUcontext owner, CUstream stream, const char *what, const std::vector<Range> &ranges,
    std::function<void()> run);

int capability();      // of the current context's device, 80 for 8.0
int driverVersion();   // as cuDriverGetVersion
// the math type that cuDNN's heuristics name: that of SOFTGPU_CUDNN_MATH where it is set
int cudnnMath(int otherwise);
bool cudnnFails(const char *algorithm);      // whether SOFTGPU_CUDNN_FAILS has it: "forward/1"
uint64_t draw();       // of the scheduler's random numbers

// Prints why a call is refused where SOFTGPU_LOG asks for it.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#pragma GCC visibility pop

} // namespace softgpu
