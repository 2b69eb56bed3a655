// The door for the emulated libcublas and libcudnn.
#include "driver.h"

namespace softgpu {

CUresult submit(CUcontext owner, CUstream stream, const char *what, const std::vector<Range> &ranges,
    std::function<void()> run) {
    Call call(what);
    CUstream s;
    if (call.status) return call.status;
    if (call.context != owner)
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "%s: the handle belongs to another context than the thread's", what);
    CUresult status = streamOf(owner, stream, &s);
    if (!status && !settings().capture && breakCapture(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED))
        return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s under capture: SOFTGPU_CAPTURE=0", what);
    auto check = [=] {
        CUresult bad = CUDA_SUCCESS;
        for (auto &r : ranges)
            if (!bad && r.bytes) bad = mayTouch(owner, r.at, r.bytes, what, r.name);
        return bad;
    };
    if (status || (status = check())) return status;
    return enqueue(s, {what, owner, [=] {
        CUresult bad = check(); // again: a graph may be launched after its memory was freed
        if (bad) return bad;
        bool foreign = false;
        for (auto &r : ranges) foreign |= r.bytes && allocationOf(r.at)->context != owner;
        stats.peerArguments += foreign;
        run();
        stats.libraryCalls[owner->device]++;
        writeStats();
        return CUDA_SUCCESS;
    }});
}

} // namespace softgpu
