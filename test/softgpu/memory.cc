// Device memory lies in address space that cuInit reserves, a tebibyte a device: an address tells its device, and no
// host pointer is taken for one. It begins at 0x100000000000, or behind what is there already, such as Go's heap, which
// begins anywhere (Go 1.26); far from there is where Go's race detector keeps its shadow memory (0x200000000000). Each
// allocation ends within 255 bytes of a page that cannot be touched, and begins behind one. What is left of its pages
// holds a mark that is looked at when the memory is freed and after every kernel that was given it. Addresses are never
// used again.
#include "driver.h"

#include <cstring>
#include <sys/mman.h>

namespace softgpu {

static const uint64_t Lowest = 0x100000000000, Highest = 0x1C0000000000, Span = 0x10000000000, Page = 4096, Align = 256;
static const unsigned char Mark = 0xC5;

static std::map<CUdeviceptr, Allocation> &allocations = *new std::map<CUdeviceptr, Allocation>;
static std::map<uintptr_t, size_t> &pinned = *new std::map<uintptr_t, size_t>;
static uint64_t base, next[MaxDevices]; // of all devices; offset of what is free of each

static uint64_t up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

static uint64_t reserved() { return (uint64_t)settings().devices * Span; }

static bool mapAt(uint64_t at, size_t bytes, int protection, int flags) {
    return mmap((void *)at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
        0) == (void *)at;
}

bool reserveAddresses() {
    for (uint64_t at = Lowest; !base && at + reserved() <= Highest; at += Span)
        if (mapAt(at, reserved(), PROT_NONE, MAP_FIXED_NOREPLACE)) base = at;
    return base;
}

bool isDevice(uint64_t address) { return base && address >= base && address < base + reserved(); }

const Allocation *allocationOf(CUdeviceptr at) {
    auto it = allocations.upper_bound(at);
    if (it == allocations.begin()) return nullptr;
    --it;
    return at < it->first + it->second.bytes ? &it->second : nullptr;
}

bool isPinned(const void *p, size_t bytes) {
    uintptr_t at = (uintptr_t)p;
    auto it = pinned.upper_bound(at);
    if (it == pinned.begin()) return false;
    --it;
    return at + bytes <= it->first + it->second;
}

CUresult mayTouch(CUcontext context, CUdeviceptr at, size_t bytes, const char *what, const char *name) {
    const Allocation *a = allocationOf(at);
    if (!a)
        return refuse(CUDA_ERROR_ILLEGAL_ADDRESS, "%s: %s = %#llx is in no live allocation", what, name,
            (unsigned long long)at);
    if (bytes > a->at + a->bytes - at)
        return refuse(CUDA_ERROR_ILLEGAL_ADDRESS,
            "%s: %s: %zu bytes at %#llx reach beyond the allocation of %zu at %#llx", what, name, bytes,
            (unsigned long long)at, a->bytes, (unsigned long long)a->at);
    if (a->context == context || peerEnabled(context, a->context)) return CUDA_SUCCESS;
    return refuse(CUDA_ERROR_ILLEGAL_ADDRESS,
        "%s: %s = %#llx belongs to another context, of device %d, and peer access to it is not enabled", what, name,
        (unsigned long long)at, a->context->device);
}

// NaN and 8e37, as fp32 and as bf16, in turn: what is read without having been written is neither zero nor small, and a
// maximum does not hide both.
static void fillWithGarbage(void *p, size_t bytes) {
    static const uint32_t pattern[2] = {0x7E7E7E7E, 0xFFFFFFFF};
    uint64_t word;
    memcpy(&word, pattern, 8);
    char *c = (char *)p;
    for (size_t i = 0; i + 8 <= bytes; i += 8) memcpy(c + i, &word, 8);
    memcpy(c + bytes / 8 * 8, &word, bytes % 8);
}

static bool marked(const char *from, const char *to) {
    for (; from < to; from++)
        if (*(const unsigned char *)from != Mark) return false;
    return true;
}

bool intact(const Allocation &a) {
    const char *end = (const char *)(a.map + a.mapBytes);
    return marked((const char *)a.map, (const char *)a.at) && marked((const char *)(a.at + a.bytes), end);
}

static void release(const Allocation &a) {
    if (!intact(a)) {
        fprintf(stderr, "softgpu: somebody wrote around the %zu bytes at %#llx of device %d\n", a.bytes,
            (unsigned long long)a.at, a.context->device);
        a.context->error = CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    mapAt(a.map, a.mapBytes, PROT_NONE, MAP_FIXED); // takes the memory away and keeps the addresses
    stats.allocated[a.context->device] -= a.bytes;
}

void freeAll(CUcontext context) {
    for (auto it = allocations.begin(); it != allocations.end();) {
        if (it->second.context != context) {
            ++it;
            continue;
        }
        release(it->second);
        it = allocations.erase(it);
    }
}

// map takes fresh pages for an allocation, the last of which ends with it.
static bool mapFresh(Allocation &a) {
    uint64_t &at = next[a.context->device];
    uint64_t body = up(a.bytes, Align);
    a.mapBytes = up(body, Page);
    a.map = base + (uint64_t)a.context->device * Span + Page + at;
    if (at + a.mapBytes + 2 * Page > Span || !mapAt(a.map, a.mapBytes, PROT_READ | PROT_WRITE, MAP_FIXED)) return false;
    at += a.mapBytes + Page;
    a.at = a.map + a.mapBytes - body;
    memset((void *)a.map, Mark, a.at - a.map);
    memset((void *)(a.at + a.bytes), Mark, body - a.bytes);
    fillWithGarbage((void *)a.at, a.bytes);
    return true;
}

} // namespace softgpu

using namespace softgpu;

CUresult cuMemAlloc(CUdeviceptr *at, size_t bytes) {
    Call call("cuMemAlloc");
    if (call.status) return call.status;
    if (!at || !bytes) return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemAlloc of %zu bytes", bytes);
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuMemAlloc during a capture");
    int d = call.context->device;
    size_t memory = settings().memory[d];
    if (bytes > memory || stats.allocated[d] > memory - bytes)
        return refuse(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAlloc of %zu bytes: %zu of %zu are taken", bytes,
            (size_t)stats.allocated[d], memory);
    Allocation a = {0, bytes, call.context, 0, 0};
    if (!mapFresh(a)) return refuse(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAlloc: the host has no %zu bytes", bytes);
    allocations[a.at] = a;
    *at = a.at;
    stats.allocated[d] += bytes;
    stats.peak[d] = std::max(stats.peak[d], stats.allocated[d]);
    writeStats();
    return CUDA_SUCCESS;
}

// As the real one, it waits for the device.
CUresult cuMemFree(CUdeviceptr at) {
    Call call("cuMemFree");
    if (call.status) return call.status;
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuMemFree during a capture");
    auto it = allocations.find(at);
    if (it == allocations.end())
        return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemFree: %#llx is not what cuMemAlloc returned",
            (unsigned long long)at);
    if (it->second.context != call.context)
        return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemFree: %#llx belongs to another context", (unsigned long long)at);
    drain();
    release(it->second);
    allocations.erase(it);
    writeStats();
    return call.context->error;
}

CUresult cuMemGetInfo(size_t *free, size_t *total) {
    Call call("cuMemGetInfo");
    if (call.status) return call.status;
    if (!free || !total) return CUDA_ERROR_INVALID_VALUE;
    *total = settings().memory[call.context->device];
    *free = *total - stats.allocated[call.context->device];
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned) {
    Call call("cuMemHostAlloc");
    if (call.status) return call.status;
    if (!p || !bytes) return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemHostAlloc of %zu bytes", bytes);
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuMemHostAlloc during a capture");
    *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*p == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
    fillWithGarbage(*p, bytes);
    pinned[(uintptr_t)*p] = bytes;
    stats.pinned += bytes;
    writeStats();
    return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *p) {
    Call call("cuMemFreeHost");
    if (call.status) return call.status;
    auto it = pinned.find((uintptr_t)p);
    if (it == pinned.end())
        return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost: %p is not what cuMemHostAlloc returned", p);
    drain();
    munmap(p, it->second);
    stats.pinned -= it->second;
    writeStats();
    pinned.erase(it);
    return call.context->error;
}
