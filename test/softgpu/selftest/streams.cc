// Tests of the default stream, events, and graphs. Each number is wrong under some seed if what it waits for is not
// kept.
#include "selftest.h"

static void set(CUdeviceptr p, unsigned value, CUstream s) { OK(cuMemsetD32Async(p, value, 1, s)); }

static unsigned get(CUdeviceptr p) {
    unsigned value;
    OK(cuMemcpyDtoH(&value, p, 4));
    return value;
}

// The default stream waits for the others and they for it, but for those that do not block.
CASE(default_stream) {
    context(0);
    CUdeviceptr a = memory(4), b = memory(4), c = memory(4);
    CUstream blocking[2];
    for (auto &s : blocking) OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
    for (unsigned i = 0; i < 20; i++) {
        set(a, i, blocking[0]);
        OK(cuMemcpyDtoDAsync(b, a, 4, nullptr));
        OK(cuMemcpyDtoDAsync(c, b, 4, blocking[1]));
        set(a, 1000, blocking[0]); // after b was copied
        OK(cuStreamSynchronize(blocking[1]));
        TRUE(get(c) == i);
    }
    CUevent e = event();
    CUstream apart = stream();
    set(a, 1, apart);
    OK(cuEventRecord(e, nullptr));
    OK(cuEventSynchronize(e)); // says nothing about apart
    OK(cuStreamSynchronize(apart));
    TRUE(get(a) == 1);
}

// Says whether a stream that does not block was overtaken by the default stream.
CASE(overtaken) {
    context(0);
    CUdeviceptr a = memory(4), b = memory(4);
    OK(cuMemsetD32(a, 1, 1));
    CUstream apart = stream();
    set(a, 2, apart);
    OK(cuMemcpyDtoD(b, a, 4));
    puts(get(b) == 2 ? "new" : "old");
}

// And the other way round.
CASE(overtakes) {
    context(0);
    CUdeviceptr a = memory(4), b = memory(4);
    OK(cuMemsetD32(a, 1, 1));
    CUstream apart = stream();
    set(a, 2, nullptr);
    OK(cuMemcpyDtoDAsync(b, a, 4, apart));
    OK(cuCtxSynchronize());
    puts(get(b) == 2 ? "new" : "old");
}

CASE(events) {
    context(0);
    CUstream s = stream();
    CUevent from = event(), to = event(), untimed;
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    float ms;
    OK(cuEventQuery(from)); // never recorded: done
    WANT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, from, to));
    CUdeviceptr p = memory(1 << 20);
    OK(cuEventRecord(from, s));
    for (int i = 0; i < 10; i++) OK(cuMemsetD8Async(p, 0, 1 << 20, s));
    OK(cuEventRecord(to, s));
    OK(cuEventRecord(untimed, s));
    int asked = 0;
    while (cuEventQuery(to) == CUDA_ERROR_NOT_READY) TRUE(asked++ < 100); // asking brings it nearer
    OK(cuEventElapsedTime(&ms, from, to));
    TRUE(ms > 0 && ms < 10000);
    WANT(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, from, untimed));
    OK(cuMemsetD8Async(p, 0, 1 << 20, s));
    asked = 0;
    while (cuStreamQuery(s) == CUDA_ERROR_NOT_READY) TRUE(asked++ < 100);
    OK(cuEventDestroy(to));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuEventDestroy(to));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(to, s));
}

// An event stands for what the stream held when it was last recorded, whatever came later.
CASE(rerecorded) {
    context(0);
    CUstream a = stream(), b = stream();
    CUevent e = event();
    CUdeviceptr x = memory(4), y = memory(4);
    for (unsigned i = 0; i < 20; i++) {
        set(x, i, a);
        OK(cuEventRecord(e, a));
        OK(cuStreamWaitEvent(b, e, 0));
        OK(cuMemcpyDtoDAsync(y, x, 4, b));
        OK(cuEventRecord(e, b)); // the wait above keeps its meaning
        OK(cuStreamWaitEvent(a, e, 0));
    }
    OK(cuCtxSynchronize());
    TRUE(get(y) == 19);
}

// A step on two streams, captured: x becomes x's successor in a ring of three, through a second stream.
CASE(graph) {
    context(0);
    CUdeviceptr ring = memory(std::vector<float>{1, 2, 3}), next = memory(12);
    CUstream s = stream(), side = stream();
    CUevent fork = event(), join = event();
    OK(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(cuMemcpyDtoDAsync(next, ring + 4, 8, s));
    OK(cuEventRecord(fork, s));
    OK(cuStreamWaitEvent(side, fork, 0));
    OK(cuMemcpyDtoDAsync(next + 8, ring, 4, side));
    OK(cuEventRecord(join, side));
    OK(cuStreamWaitEvent(s, join, 0));
    OK(cuMemcpyDtoDAsync(ring, next, 12, s));
    CUgraph g;
    OK(cuStreamEndCapture(s, &g));
    TRUE(values(ring, 3) == (std::vector<float>{1, 2, 3})); // nothing ran
    CUgraphExec exec;
    OK(cuGraphInstantiate(&exec, g, 0));
    OK(cuGraphDestroy(g));
    for (int i = 0; i < 4; i++) OK(cuGraphLaunch(exec, i % 2 ? side : s)); // launches of one graph follow each other
    OK(cuCtxSynchronize());
    TRUE(values(ring, 3) == (std::vector<float>{2, 3, 1}));
    OK(cuMemFree(next));
    OK(cuGraphLaunch(exec, s));
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize()); // its memory is gone
    OK(cuGraphExecDestroy(exec));
    WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecDestroy(exec));
}

// What breaks a capture.
CASE(capture_refuses) {
    context(0);
    CUdeviceptr p = memory(8), q;
    CUstream s = stream(), side = stream(), blocking;
    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    CUevent e = event(), before = event();
    CUgraph g;
    auto begin = [&](CUstream t) { OK(cuStreamBeginCapture(t, CU_STREAM_CAPTURE_MODE_GLOBAL)); };
    WANT(CUDA_ERROR_ILLEGAL_STATE, cuStreamEndCapture(s, &g));
    WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamBeginCapture(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL));
    begin(s);
    WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(s));
    WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
    begin(s);
    WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc(&q, 4));
    WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
    begin(s);
    WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemcpyDtoD(p, p + 4, 4));
    WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
    begin(s); // work of another stream that nobody joins
    OK(cuEventRecord(e, s));
    OK(cuStreamWaitEvent(side, e, 0));
    set(p, 1, side);
    WANT(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(s, &g));
    WANT(CUDA_ERROR_CAPTURED_EVENT, cuStreamWaitEvent(side, e, 0)); // it means nothing outside
    set(p, 1, side);
    OK(cuEventRecord(before, side));
    begin(s);
    WANT(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, cuStreamWaitEvent(s, before, 0));
    WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
    begin(blocking);
    WANT(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, cuMemsetD32Async(p, 1, 1, nullptr));
    WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &g));
    begin(s); // and it works again after all that
    set(p, 5, s);
    OK(cuStreamEndCapture(s, &g));
    CUgraphExec exec;
    OK(cuGraphInstantiate(&exec, g, 0));
    OK(cuGraphLaunch(exec, s));
    OK(cuStreamSynchronize(s));
    TRUE(get(p) == 5);
}
