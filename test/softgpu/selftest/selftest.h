// The emulator's own tests: selftest CASE runs one, in the environment that softgpu_test.go gives it.
#pragma once

#include <cuda.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

using Cases = std::map<std::string, std::function<void()>>;
Cases &cases();

struct Case {
    Case(const char *name, std::function<void()> run) { cases()[name] = run; }
};
#define CASE(name)                        \
    static void name();                   \
    static Case case_##name(#name, name); \
    static void name()

inline const char *nameOf(CUresult status) {
    const char *name = "?";
    cuGetErrorName(status, &name);
    return name;
}

// WANT: a call must return this status.
#define WANT(status, call) want(status, call, #call, __FILE__, __LINE__)
#define OK(call) WANT(CUDA_SUCCESS, call)
#define TRUE(condition) isTrue(condition, #condition, __FILE__, __LINE__)

inline void want(CUresult wanted, CUresult got, const char *call, const char *file, int line) {
    if (wanted == got) return;
    printf("%s:%d: %s: %s instead of %s\n", file, line, call, nameOf(got), nameOf(wanted));
    exit(1);
}

inline void isTrue(bool condition, const char *text, const char *file, int line) {
    if (condition) return;
    printf("%s:%d: not so: %s\n", file, line, text);
    exit(1);
}

inline CUcontext context(int device) {
    static bool started;
    if (!started) OK(cuInit(0));
    started = true;
    CUcontext c;
    OK(cuCtxCreate(&c, 0, device));
    return c;
}

inline CUstream stream() {
    CUstream s;
    OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    return s;
}

inline CUevent event() {
    CUevent e;
    OK(cuEventCreate(&e, CU_EVENT_DEFAULT));
    return e;
}

inline CUdeviceptr memory(size_t bytes) {
    CUdeviceptr p;
    OK(cuMemAlloc(&p, bytes));
    return p;
}

inline CUdeviceptr memory(const std::vector<float> &values) {
    CUdeviceptr p = memory(4 * values.size());
    OK(cuMemcpyHtoD(p, values.data(), 4 * values.size()));
    OK(cuStreamSynchronize(nullptr)); // it returns before the copy is there
    return p;
}

inline std::vector<float> values(CUdeviceptr p, size_t n) {
    std::vector<float> v(n);
    OK(cuMemcpyDtoH(v.data(), p, 4 * n));
    return v;
}
