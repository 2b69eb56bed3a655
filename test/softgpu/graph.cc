// Stream capture and graphs. Under capture a stream's work becomes nodes, events carry the nodes that they stand for,
// and a stream that waits for such an event joins. A launch queues every node anew behind what the stream holds; two
// launches of one graph never overlap.
#include "driver.h"

#include <algorithm>
#include <thread>

struct CUgraphExec_st {
    std::vector<softgpu::Node> nodes;
    softgpu::OpRef last;
};

namespace softgpu {

static std::set<std::shared_ptr<Capture>> &captures = *new std::set<std::shared_ptr<Capture>>;
static std::set<CUgraph> &graphs = *new std::set<CUgraph>;
static std::set<CUgraphExec> &executables = *new std::set<CUgraphExec>;

static uint64_t thisThread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

bool unsafeInCapture() {
    for (auto &c : captures)
        if (c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL || (c->mode == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL &&
            c->thread == thisThread())) {
            c->broken = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
            return true;
        }
    return false;
}

bool breakCapture(CUstream stream, CUresult why) {
    if (!stream->capture) return false;
    stream->capture->broken = why;
    return true;
}

// The nodes that a set of nodes waits for, directly or not, and themselves.
static std::vector<bool> ancestors(const CUgraph_st &graph, const std::vector<int> &of) {
    std::vector<bool> in(graph.nodes.size());
    for (int i : of) in[(size_t)i] = true;
    for (size_t i = graph.nodes.size(); i-- > 0;) // a node waits only for earlier ones
        if (in[i])
            for (int before : graph.nodes[i].after) in[(size_t)before] = true;
    return in;
}

static bool joined(const Capture &c, CUstream origin) {
    std::vector<bool> in = ancestors(*c.graph, origin->front);
    return std::all_of(in.begin(), in.end(), [](bool b) { return b; });
}

static void leave(const std::shared_ptr<Capture> &c) {
    c->over = true;
    for (CUstream s : streams())
        if (s->capture == c) {
            s->capture = nullptr;
            s->front.clear();
        }
    captures.erase(c);
}

// Every launch is an op that all nodes without a predecessor wait for, the nodes, and one that waits for them all.
static void launch(CUgraphExec exec, CUstream s) {
    enqueue(s, {"cuGraphLaunch", s->context, nullptr});
    OpRef first = schedule(s->lane, {"cuGraphLaunch", s->context, nullptr}, {s->tail, exec->last});
    std::vector<OpRef> ops;
    for (auto &n : exec->nodes) {
        std::vector<OpRef> after = {first};
        for (int i : n.after) after.push_back(ops[(size_t)i]);
        ops.push_back(schedule(n.lane, n.work, after));
    }
    ops.push_back(first);
    s->tail = exec->last = schedule(s->lane,
        {"cuGraphLaunch", s->context, [] { return stats.graphLaunches++, writeStats(), CUDA_SUCCESS; }}, ops);
    progress();
}

} // namespace softgpu

using namespace softgpu;

CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
    Call call("cuStreamBeginCapture");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (s == call.context->legacy)
        return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuStreamBeginCapture of the default stream");
    if (s->capture) return refuse(CUDA_ERROR_ILLEGAL_STATE, "cuStreamBeginCapture: the stream is under capture");
    s->capture = std::make_shared<Capture>(Capture{s, mode, thisThread(), std::make_unique<CUgraph_st>(), CUDA_SUCCESS,
        false});
    s->front.clear();
    captures.insert(s->capture);
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph) {
    Call call("cuStreamEndCapture");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    *graph = nullptr;
    auto c = s->capture;
    if (!c) return refuse(CUDA_ERROR_ILLEGAL_STATE, "cuStreamEndCapture: the stream is not under capture");
    if (c->origin != s)
        return refuse(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "cuStreamEndCapture: the capture began in another stream");
    if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->thread != thisThread())
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    bool whole = joined(*c, s);
    leave(c);
    if (c->broken) return c->broken;
    if (!whole)
        return refuse(CUDA_ERROR_STREAM_CAPTURE_UNJOINED,
            "cuStreamEndCapture: work of another stream was not joined by an event");
    *graph = c->graph.release();
    graphs.insert(*graph);
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long) {
    Call call("cuGraphInstantiate");
    if (call.status) return call.status;
    if (!exec || !graphs.count(graph)) return CUDA_ERROR_INVALID_VALUE;
    *exec = new CUgraphExec_st{graph->nodes, nullptr};
    executables.insert(*exec);
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream handle) {
    Call call("cuGraphLaunch");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (!executables.count(exec)) return CUDA_ERROR_INVALID_VALUE;
    if (s->capture) return refuse(CUDA_ERROR_NOT_SUPPORTED, "cuGraphLaunch under capture");
    for (auto &n : exec->nodes)
        if (!contexts().count(n.work.context))
            return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuGraphLaunch: a context of the graph is destroyed");
    launch(exec, s);
    return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!executables.erase(exec)) return CUDA_ERROR_INVALID_VALUE;
    delete exec;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!graphs.erase(graph)) return CUDA_ERROR_INVALID_VALUE;
    delete graph;
    return CUDA_SUCCESS;
}
