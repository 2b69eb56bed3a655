// Streams and events. A stream is the op it ends with; an event is the op its stream ended with when it was recorded.
// The default stream is the legacy one: it waits for what the context's other streams hold, and they for it, but for
// those made with CU_STREAM_NON_BLOCKING.
#include "driver.h"

namespace softgpu {

std::set<CUstream> &streams() {
    static auto &set = *new std::set<CUstream>;
    return set;
}

std::set<CUevent> &events() {
    static auto &set = *new std::set<CUevent>;
    return set;
}

CUresult streamOf(CUcontext context, CUstream handle, CUstream *stream) {
    if (!handle || handle == CU_STREAM_LEGACY) {
        *stream = context->legacy;
        return CUDA_SUCCESS;
    }
    if (!streams().count(handle)) return refuse(CUDA_ERROR_INVALID_HANDLE, "%p is not a stream", (void *)handle);
    if (handle->context != context)
        return refuse(CUDA_ERROR_INVALID_HANDLE, "stream %p belongs to another context, of device %d", (void *)handle,
            handle->context->device);
    *stream = handle;
    return CUDA_SUCCESS;
}

// What the next op of a stream must wait for.
static std::vector<OpRef> before(CUstream s) {
    std::vector<OpRef> after = {s->tail};
    if (s->flags & CU_STREAM_NON_BLOCKING) return after;
    if (s != s->context->legacy) {
        after.push_back(s->context->legacy->tail);
        return after;
    }
    for (CUstream other : streams())
        if (other->context == s->context && !(other->flags & CU_STREAM_NON_BLOCKING)) after.push_back(other->tail);
    return after;
}

// The default stream may not be used while a stream that it would wait for is under capture.
static bool impliesCaptured(CUstream s) {
    if (s != s->context->legacy) return false;
    bool any = false;
    for (CUstream other : streams())
        if (other->context == s->context && !(other->flags & CU_STREAM_NON_BLOCKING))
            any |= breakCapture(other, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    return any;
}

CUresult enqueue(CUstream s, Work work) {
    if (s->capture) {
        if (s->capture->broken) return s->capture->broken;
        auto &nodes = s->capture->graph->nodes;
        nodes.push_back({std::move(work), s->lane, s->front});
        s->front = {(int)nodes.size() - 1};
        return CUDA_SUCCESS;
    }
    const char *what = work.what;
    if (impliesCaptured(s))
        return refuse(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "%s on the default stream during a capture", what);
    s->tail = schedule(s->lane, std::move(work), before(s));
    progress();
    return CUDA_SUCCESS;
}

CUresult enqueueAndWait(CUcontext context, Work work) {
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s during a capture", work.what);
    CUresult status = enqueue(context->legacy, std::move(work));
    wait(context->legacy->tail);
    return status ? status : context->error;
}

void forget(CUcontext context) {
    for (auto it = streams().begin(); it != streams().end();) {
        if ((*it)->context != context) {
            ++it;
            continue;
        }
        breakCapture(*it, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        delete *it;
        it = streams().erase(it);
    }
    for (auto it = events().begin(); it != events().end();) {
        if ((*it)->context != context) {
            ++it;
            continue;
        }
        delete *it;
        it = events().erase(it);
    }
}

static CUresult check(CUevent event, const char *what) {
    return events().count(event) ? CUDA_SUCCESS : refuse(CUDA_ERROR_INVALID_HANDLE, "%s: %p is not an event", what,
        (void *)event);
}

static bool done(const OpRef &op) { return !op || op->done; }

} // namespace softgpu

using namespace softgpu;

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int) {
    Call call("cuStreamCreate");
    if (call.status) return call.status;
    if (!stream || flags & ~(unsigned)CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    *stream = new CUstream_st{call.context, flags, newLane(), nullptr, nullptr, {}};
    streams().insert(*stream);
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }

// Work that the stream still holds goes on.
CUresult cuStreamDestroy(CUstream stream) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!streams().count(stream))
        return refuse(CUDA_ERROR_INVALID_HANDLE, "cuStreamDestroy: %p is not a stream", (void *)stream);
    breakCapture(stream, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    streams().erase(stream);
    delete stream;
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream handle) {
    Call call("cuStreamSynchronize");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (breakCapture(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED) || impliesCaptured(s))
        return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamSynchronize of a stream under capture");
    for (auto &op : before(s)) wait(op);
    return call.context->error;
}

// Asking runs something, so that a program that asks until the answer is yes comes to an end.
CUresult cuStreamQuery(CUstream handle) {
    Call call("cuStreamQuery");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (breakCapture(s, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    bool all = true;
    for (auto &op : before(s)) all &= done(op);
    if (all) return CUDA_SUCCESS;
    step();
    return call.context->error ? call.context->error : CUDA_ERROR_NOT_READY;
}

// The event may belong to another context.
CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
    Call call("cuStreamWaitEvent");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s)) ||
        (call.status = check(event, "cuStreamWaitEvent"))) return call.status;
    if (event->capture) { // the stream joins the capture
        if (event->capture->over)
            return refuse(CUDA_ERROR_CAPTURED_EVENT,
                "cuStreamWaitEvent: the event was recorded in a capture that is over");
        if (s->capture && s->capture != event->capture) return CUDA_ERROR_STREAM_CAPTURE_MERGE;
        s->capture = event->capture;
        s->front.insert(s->front.end(), event->front.begin(), event->front.end());
        return CUDA_SUCCESS;
    }
    if (s->capture) {
        if (!event->op) return CUDA_SUCCESS;
        s->capture->broken = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        return refuse(CUDA_ERROR_STREAM_CAPTURE_ISOLATION,
            "cuStreamWaitEvent: a stream under capture cannot wait for an event from before it");
    }
    if (done(event->op)) return CUDA_SUCCESS;
    std::vector<OpRef> after = before(s);
    after.push_back(event->op);
    s->tail = schedule(s->lane, {"cuStreamWaitEvent", s->context, nullptr}, after);
    return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
    Call call("cuEventCreate");
    if (call.status) return call.status;
    if (!event) return CUDA_ERROR_INVALID_VALUE;
    *event = new CUevent_st{call.context, flags, nullptr, nullptr, {}};
    events().insert(*event);
    stats.events++;
    writeStats();
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    CUresult status = check(event, "cuEventDestroy");
    if (status) return status;
    events().erase(event);
    delete event;
    stats.events--;
    writeStats();
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
    Call call("cuEventRecord");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s)) ||
        (call.status = check(event, "cuEventRecord"))) return call.status;
    if (event->context != s->context)
        return refuse(CUDA_ERROR_INVALID_HANDLE, "cuEventRecord: the event is of device %d, the stream of device %d",
            event->context->device, s->context->device);
    event->capture = s->capture;
    event->front = s->front;
    if (s->capture) return s->capture->broken;
    s->tail = schedule(s->lane, {"cuEventRecord", s->context, nullptr}, before(s));
    event->op = s->tail;
    progress();
    return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent event) {
    Call call("cuEventQuery");
    if (call.status || (call.status = check(event, "cuEventQuery"))) return call.status;
    if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
    if (done(event->op)) return CUDA_SUCCESS;
    step();
    return CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent event) {
    Call call("cuEventSynchronize");
    if (call.status || (call.status = check(event, "cuEventSynchronize"))) return call.status;
    if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
    wait(event->op);
    return call.context->error;
}

CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) {
    Call call("cuEventElapsedTime");
    if (call.status || (call.status = check(from, "cuEventElapsedTime")) ||
        (call.status = check(to, "cuEventElapsedTime"))) return call.status;
    if (!ms) return CUDA_ERROR_INVALID_VALUE;
    if (!from->op || !to->op || (from->flags | to->flags) & CU_EVENT_DISABLE_TIMING)
        return refuse(CUDA_ERROR_INVALID_HANDLE,
            "cuEventElapsedTime: an event was never recorded, or made without timing");
    if (!done(from->op) || !done(to->op)) return CUDA_ERROR_NOT_READY;
    *ms = (float)(to->op->finished - from->op->finished);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *ms, CUevent from, CUevent to) { return cuEventElapsedTime(ms, from, to); }
