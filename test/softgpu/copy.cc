// Copies and fills. A copy between pinned memory and a device happens when its turn in the stream comes, so that memory
// used again too early shows; what is not pinned is read at the call, and written before it returns, as the real driver
// does. Device memory need not be written when cuMemcpyHtoD returns: what was read is on its way in the default stream,
// for which streams that do not block do not wait ("API synchronization behavior" in NVIDIA's documentation of the
// driver).
#include "driver.h"

#include <cstring>

namespace softgpu {

// One end of a copy of rows: a device's memory as its owner sees it, or the host's.
struct End {
    uint64_t at;
    size_t pitch;      // bytes from row to row
    CUcontext context; // null: host
};

struct Rows {
    const char *what;
    End to, from;
    size_t width, rows; // bytes, rows
};

static size_t extent(const Rows &c, const End &e) { return (c.rows - 1) * e.pitch + c.width; }

static CUresult check(const Rows &c, const End &e, const char *name) {
    if (e.context) return mayTouch(e.context, e.at, extent(c, e), c.what, name);
    if (!e.at || isDevice(e.at)) return refuse(CUDA_ERROR_INVALID_VALUE, "%s: %s = %#llx is no host memory", c.what,
        name, (unsigned long long)e.at);
    return CUDA_SUCCESS;
}

static CUresult check(const Rows &c) {
    CUresult status = check(c, c.to, "destination");
    return status ? status : check(c, c.from, "source");
}

static void count(const Rows &c) {
    uint64_t bytes = c.width * c.rows;
    CUcontext to = c.to.context ? allocationOf(c.to.at)->context : nullptr;
    CUcontext from = c.from.context ? allocationOf(c.from.at)->context : nullptr;
    if (!from && to) stats.h2d[to->device] += bytes;
    if (from && !to) stats.d2h[from->device] += bytes;
    if (from && from == to) stats.d2d[to->device] += bytes;
    if (from && to && from != to) {
        stats.peer[from->device][to->device] += bytes;
        if (!peerEnabled(from, to) && !peerEnabled(to, from)) stats.peerUnmapped += bytes;
    }
    writeStats();
}

// Whether the copy goes over a connection that SOFTGPU_PEER_FAULT=copies damages.
static bool damaged(const Rows &c) {
    if (settings().peerFault != "copies" || !c.to.context || !c.from.context) return false;
    CUcontext to = allocationOf(c.to.at)->context, from = allocationOf(c.from.at)->context;
    return peerEnabled(from, to) || peerEnabled(to, from);
}

static CUresult perform(const Rows &c) {
    CUresult status = check(c); // again: a graph may be launched after its memory was freed
    if (status) return status;
    for (size_t i = 0; i < c.rows; i++)
        memmove((void *)(c.to.at + i * c.to.pitch), (const void *)(c.from.at + i * c.from.pitch), c.width);
    if (damaged(c)) *(char *)(c.to.at + extent(c, c.to) - 1) ^= 1; // the last byte of all
    count(c);
    return CUDA_SUCCESS;
}

// Reads the source now, so that the copy no longer depends on it.
static std::function<CUresult()> ofSnapshot(Rows c) {
    auto held = std::make_shared<std::vector<char>>(c.width * c.rows);
    for (size_t i = 0; i < c.rows; i++)
        memcpy(held->data() + i * c.width, (const void *)(c.from.at + i * c.from.pitch), c.width);
    c.from.at = (uint64_t)held->data();
    c.from.pitch = c.width;
    return [c, held] { return perform(c); };
}

static bool pageable(const Rows &c, const End &e) { return !e.context && !isPinned((const void *)e.at, extent(c, e)); }

static CUresult copyAsync(CUcontext context, CUstream handle, const Rows &c) {
    if (!c.width || !c.rows) return CUDA_SUCCESS;
    CUstream s;
    CUresult status = streamOf(context, handle, &s);
    if (status) return status;
    if (check(c)) return CUDA_ERROR_INVALID_VALUE;
    Work work = {c.what, context, [c] { return perform(c); }};
    if (!s->capture && pageable(c, c.from)) work.run = ofSnapshot(c);
    status = enqueue(s, std::move(work));
    if (status || s->capture || !pageable(c, c.to)) return status;
    wait(s->tail);
    return context->error;
}

static CUresult copyNow(CUcontext context, const Rows &c) {
    if (!c.width || !c.rows) return CUDA_SUCCESS;
    if (check(c)) return CUDA_ERROR_INVALID_VALUE;
    if (c.from.context || !pageable(c, c.from))
        return enqueueAndWait(context, {c.what, context, [c] { return perform(c); }});
    // the stream's end, before the source is read
    CUresult status = enqueueAndWait(context, {c.what, context, nullptr});
    return status ? status : enqueue(context->legacy, {c.what, context, ofSnapshot(c)});
}

static Rows flat(const char *what, uint64_t to, CUcontext toContext, uint64_t from, CUcontext fromContext,
    size_t bytes) {
    return {what, {to, bytes, toContext}, {from, bytes, fromContext}, bytes, 1};
}

// One end of a CUDA_MEMCPY2D.
static CUresult endOf(CUcontext context, CUmemorytype type, uint64_t host, CUdeviceptr device, size_t x, size_t y,
    size_t pitch, size_t width, End *end) {
    if (!pitch) pitch = width;
    if (x + width > pitch)
        return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemcpy2DAsync: rows of %zu bytes at %zu, pitch %zu", width, x,
            pitch);
    if (type == CU_MEMORYTYPE_UNIFIED)
        type = isDevice(device) ? CU_MEMORYTYPE_DEVICE : (host = device, CU_MEMORYTYPE_HOST);
    if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE)
        return refuse(CUDA_ERROR_INVALID_VALUE, "cuMemcpy2DAsync: memory type %d", type);
    bool onHost = type == CU_MEMORYTYPE_HOST;
    *end = {(onHost ? host : device) + y * pitch + x, pitch, onHost ? nullptr : context};
    return CUDA_SUCCESS;
}

template <class T> static CUresult fill(const char *what, CUcontext context, CUdeviceptr at, T value, size_t n) {
    CUresult status = mayTouch(context, at, n * sizeof(T), what, "destination");
    if (!status) std::fill_n((T *)at, n, value);
    return status;
}

template <class T> static CUresult setAsync(const char *what, CUdeviceptr at, T value, size_t n, CUstream handle) {
    Call call(what);
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (!n) return CUDA_SUCCESS;
    CUcontext context = call.context;
    if (at % sizeof(T) || mayTouch(context, at, n * sizeof(T), what, "destination")) return CUDA_ERROR_INVALID_VALUE;
    return enqueue(s, {what, context, [=] { return fill(what, context, at, value, n); }});
}

template <class T> static CUresult setNow(const char *what, CUdeviceptr at, T value, size_t n) {
    Call call(what);
    if (call.status) return call.status;
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s during a capture", what);
    CUresult status = setAsync(what, at, value, n, nullptr);
    wait(call.context->legacy->tail);
    return status ? status : call.context->error;
}

} // namespace softgpu

using namespace softgpu;

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
    Call call("cuMemcpyHtoD");
    return call.status ? call.status :
        copyNow(call.context, flat("cuMemcpyHtoD", to, call.context, (uint64_t)from, nullptr, bytes));
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
    Call call("cuMemcpyDtoH");
    return call.status ? call.status :
        copyNow(call.context, flat("cuMemcpyDtoH", (uint64_t)to, nullptr, from, call.context, bytes));
}

CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    Call call("cuMemcpyDtoD");
    return call.status ? call.status :
        copyNow(call.context, flat("cuMemcpyDtoD", to, call.context, from, call.context, bytes));
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    Call call("cuMemcpyHtoDAsync");
    return call.status ? call.status :
        copyAsync(call.context, stream, flat("cuMemcpyHtoDAsync", to, call.context, (uint64_t)from, nullptr, bytes));
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    Call call("cuMemcpyDtoHAsync");
    return call.status ? call.status :
        copyAsync(call.context, stream, flat("cuMemcpyDtoHAsync", (uint64_t)to, nullptr, from, call.context, bytes));
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    Call call("cuMemcpyDtoDAsync");
    return call.status ? call.status :
        copyAsync(call.context, stream, flat("cuMemcpyDtoDAsync", to, call.context, from, call.context, bytes));
}

// Waits for all that was queued anywhere, as the real one does for both contexts.
CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext, size_t bytes) {
    Call call("cuMemcpyPeer");
    if (call.status) return call.status;
    if (!contexts().count(toContext) || !contexts().count(fromContext))
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuMemcpyPeer: not a context");
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuMemcpyPeer during a capture");
    drain();
    return copyNow(call.context, flat("cuMemcpyPeer", to, toContext, from, fromContext, bytes));
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext toContext, CUdeviceptr from, CUcontext fromContext, size_t bytes,
    CUstream stream) {
    Call call("cuMemcpyPeerAsync");
    if (call.status) return call.status;
    if (!contexts().count(toContext) || !contexts().count(fromContext))
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuMemcpyPeerAsync: not a context");
    return copyAsync(call.context, stream, flat("cuMemcpyPeerAsync", to, toContext, from, fromContext, bytes));
}

CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *m, CUstream stream) {
    Call call("cuMemcpy2DAsync");
    if (call.status) return call.status;
    if (!m) return CUDA_ERROR_INVALID_VALUE;
    Rows c = {"cuMemcpy2DAsync", {}, {}, m->WidthInBytes, m->Height};
    CUresult status = endOf(call.context, m->dstMemoryType, (uint64_t)m->dstHost, m->dstDevice, m->dstXInBytes, m->dstY,
        m->dstPitch, c.width, &c.to);
    if (!status)
        status = endOf(call.context, m->srcMemoryType, (uint64_t)m->srcHost, m->srcDevice, m->srcXInBytes, m->srcY,
            m->srcPitch, c.width, &c.from);
    return status ? status : copyAsync(call.context, stream, c);
}

CUresult cuMemsetD8(CUdeviceptr at, unsigned char value, size_t n) { return setNow("cuMemsetD8", at, value, n); }
CUresult cuMemsetD32(CUdeviceptr at, unsigned value, size_t n) { return setNow("cuMemsetD32", at, value, n); }
CUresult cuMemsetD8Async(CUdeviceptr at, unsigned char value, size_t n, CUstream stream) {
    return setAsync("cuMemsetD8Async", at, value, n, stream);
}
CUresult cuMemsetD32Async(CUdeviceptr at, unsigned value, size_t n, CUstream stream) {
    return setAsync("cuMemsetD32Async", at, value, n, stream);
}
