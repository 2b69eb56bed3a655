// The parts of the emulated libcuda.so.1 among themselves. Every entry point holds one lock, so nothing in here is
// touched by two threads at once.
#pragma once

#include "softgpu.h"

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace softgpu {

enum { MaxDevices = 8 };

// settings.cc: the environment, read once.
struct Settings {
    int devices;       // SOFTGPU_DEVICES, less what CUDA_VISIBLE_DEVICES hides
    int physical[MaxDevices]; // the number of each visible device in the machine
    bool peer;         // SOFTGPU_PEER
    std::string peerFault; // SOFTGPU_PEER_FAULT
    std::string cudnnFails; // SOFTGPU_CUDNN_FAILS, between commas
    int cudnnMath;     // SOFTGPU_CUDNN_MATH
    bool capture;      // SOFTGPU_CAPTURE
    size_t memory[MaxDevices];  // SOFTGPU_MEMORY, bytes, by visible device
    int driver;        // SOFTGPU_DRIVER
    int capability[MaxDevices]; // SOFTGPU_CAPABILITY, the same
    uint64_t seed;     // SOFTGPU_SEED
    bool log;          // SOFTGPU_LOG
    const char *stats; // SOFTGPU_STATS
    const char *kernels; // SOFTGPU_KERNELS
};
const Settings &settings();
CUuuid uuidOf(int physical);

// schedule.cc: queued work as a graph, and who runs when.

// A lane is a stream as the scheduler sees it; ops of one lane have no order among themselves but what they wait for.
struct Lane {
    uint64_t priority;
};

struct Work {
    const char *what;
    CUcontext context;
    std::function<CUresult()> run; // may be empty
};

struct Op;
using OpRef = std::shared_ptr<Op>;

struct Op {
    Work work;
    std::shared_ptr<Lane> lane;
    uint64_t number;       // in the order of queueing
    int waits;             // ops that must be done first
    std::vector<OpRef> then;
    bool done;
    double finished;       // ms
};

std::shared_ptr<Lane> newLane();
OpRef schedule(const std::shared_ptr<Lane> &lane, Work work, const std::vector<OpRef> &after);
bool step();                  // runs one op that is ready; false where there is none
void wait(const OpRef &op);   // runs ops until this one is done; null is done
void drain();                 // runs all
void progress();              // lets some ops run, as the seed wills

// graph.cc: streams under capture put their work here.
struct Node {
    Work work;
    std::shared_ptr<Lane> lane;
    std::vector<int> after;
};

struct Capture {
    CUstream origin;
    CUstreamCaptureMode mode;
    uint64_t thread;  // that began it
    std::unique_ptr<CUgraph_st> graph;
    CUresult broken;  // what made it invalid
    bool over;
};

bool unsafeInCapture(); // whether a call that waits or allocates must be refused now
bool breakCapture(CUstream stream, CUresult why); // true, and the capture is invalid, if stream is under capture

// stats.cc
struct Stats {
    uint64_t h2d[MaxDevices], d2h[MaxDevices], d2d[MaxDevices]; // bytes, by the visible number of the device
    uint64_t peer[MaxDevices][MaxDevices];                      // bytes, from, to
    // bytes of them without peer access: a real driver stages these
    uint64_t peerUnmapped;
    uint64_t launches[MaxDevices], libraryCalls[MaxDevices];
    // launches and calls that were given another context's memory
    uint64_t peerArguments;
    uint64_t graphLaunches;
    uint64_t allocated[MaxDevices], peak[MaxDevices];
    uint64_t pinned; // bytes
    uint64_t events;
};
extern Stats stats;
void writeStats();

// memory.cc
struct Allocation {
    CUdeviceptr at;
    size_t bytes;      // as asked for
    CUcontext context;
    uintptr_t map;     // of the mapping that holds it
    size_t mapBytes;
};
const Allocation *allocationOf(CUdeviceptr at);          // the live allocation that holds this address
bool reserveAddresses();                                 // for all devices, once; false if there are none left
bool isDevice(uint64_t address);                         // in the part of the address space that devices own
bool isPinned(const void *p, size_t bytes);
CUresult mayTouch(CUcontext context, CUdeviceptr at, size_t bytes, const char *what, const char *name);
bool intact(const Allocation &a);                        // nobody wrote into the margins around it
void freeAll(CUcontext context);

// context.cc
CUcontext current();       // of this thread, or null
bool peerEnabled(CUcontext from, CUcontext to);

// stream.cc
// resolves the default stream, refuses another context's
CUresult streamOf(CUcontext context, CUstream handle, CUstream *stream);
CUresult enqueue(CUstream stream, Work work);
CUresult enqueueAndWait(CUcontext context, Work work);   // on the default stream
void forget(CUcontext context);                          // its streams and events

// refuse says why and passes the status on.
CUresult refuse(CUresult status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A Call is held by every entry point that needs a context; status is not 0 where there is none or it is broken.
struct Call {
    std::lock_guard<std::recursive_mutex> lock;
    CUcontext context;
    CUresult status;
    explicit Call(const char *name);
};
extern std::recursive_mutex &mutex;
extern bool initialised;

} // namespace softgpu

struct CUctx_st {
    int device;
    int primary;                       // how often retained; 0 for one made by cuCtxCreate
    CUresult error;                    // the first asynchronous failure: every later call returns it
    std::set<CUcontext> peers;         // whose memory this context may touch
    CUstream legacy;                   // the default stream
};

struct CUstream_st {
    CUcontext context;
    unsigned flags;
    std::shared_ptr<softgpu::Lane> lane;
    softgpu::OpRef tail;
    std::shared_ptr<softgpu::Capture> capture; // null unless under capture
    std::vector<int> front;            // under capture: what the next node waits for
};

struct CUevent_st {
    CUcontext context;
    unsigned flags;
    softgpu::OpRef op;                 // of the last record
    std::shared_ptr<softgpu::Capture> capture; // recorded under capture
    std::vector<int> front;
};

struct CUgraph_st {
    std::vector<softgpu::Node> nodes;
};

namespace softgpu {
std::set<CUcontext> &contexts();
std::set<CUstream> &streams();
std::set<CUevent> &events();
} // namespace softgpu
