// Initialisation, devices, contexts, peer access. Memory, streams, events and modules belong to the context that made
// them; a call under another context refuses them.
#include "driver.h"

#include <cstdio>
#include <cstring>

namespace softgpu {

std::recursive_mutex &mutex = *new std::recursive_mutex;
bool initialised;

static thread_local std::vector<CUcontext> stack;
static CUcontext primary[MaxDevices];

std::set<CUcontext> &contexts() {
    static auto &set = *new std::set<CUcontext>;
    return set;
}

CUcontext current() { return stack.empty() ? nullptr : stack.back(); }

Call::Call(const char *name) : lock(mutex), context(current()), status(CUDA_SUCCESS) {
    if (!initialised)
        status = refuse(CUDA_ERROR_NOT_INITIALIZED, "%s before cuInit", name);
    else if (!context)
        status = refuse(CUDA_ERROR_INVALID_CONTEXT, "%s on a thread without a context", name);
    else if (!contexts().count(context))
        status = refuse(CUDA_ERROR_CONTEXT_IS_DESTROYED, "%s: the thread's context is destroyed", name);
    else if (context->error)
        status = refuse(context->error, "%s: an earlier call broke the context: error %d", name, context->error);
}

bool peerEnabled(CUcontext from, CUcontext to) { return from->peers.count(to); }

static bool exists(CUdevice d) { return d >= 0 && d < settings().devices; }

static CUcontext newContext(int device) {
    CUcontext c = new CUctx_st{device, 0, CUDA_SUCCESS, {}, nullptr};
    c->legacy = new CUstream_st{c, 0, newLane(), nullptr, nullptr, {}};
    contexts().insert(c);
    return c;
}

static void destroy(CUcontext c) {
    drain();
    freeAll(c);
    forget(c);
    for (CUcontext other : contexts()) other->peers.erase(c);
    contexts().erase(c);
    delete c->legacy;
    delete c;
    writeStats();
}

// Without a context: cuInit and what asks about devices.
static CUresult ready() { return initialised ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED; }

static int attribute(CUdevice_attribute a, int device) {
    switch (a) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 0x7FFFFFFF;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 49152;
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: return 65536;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 4;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 2048;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1000000; // kHz
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return settings().capability[device] / 10;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return settings().capability[device] % 10;
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS: return 1;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 2;
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID: return settings().physical[device] + 1;
    default: return 0;
    }
}

} // namespace softgpu

using namespace softgpu;

CUresult cuInit(unsigned flags) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    if (!settings().devices) return refuse(CUDA_ERROR_NO_DEVICE, "no device is visible");
    if (!reserveAddresses())
        return refuse(CUDA_ERROR_OUT_OF_MEMORY, "no addresses are left for %d devices", settings().devices);
    initialised = true;
    writeStats();
    return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    if (!version) return CUDA_ERROR_INVALID_VALUE;
    *version = settings().driver;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    if (ready()) return ready();
    if (!count) return CUDA_ERROR_INVALID_VALUE;
    *count = settings().devices;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    if (ready()) return ready();
    if (!device) return CUDA_ERROR_INVALID_VALUE;
    if (!exists(ordinal))
        return refuse(CUDA_ERROR_INVALID_DEVICE, "cuDeviceGet(%d): there are %d devices", ordinal, settings().devices);
    *device = ordinal;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice device) {
    if (ready()) return ready();
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!name || bytes < 1) return CUDA_ERROR_INVALID_VALUE;
    snprintf(name, (size_t)bytes, "emulated GPU %d", settings().physical[device]);
    return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
    if (ready()) return ready();
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!bytes) return CUDA_ERROR_INVALID_VALUE;
    *bytes = settings().memory[device];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute a, CUdevice device) {
    if (ready()) return ready();
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!value || a < 1 || a >= CU_DEVICE_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
    *value = attribute(a, device);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    if (ready()) return ready();
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!uuid) return CUDA_ERROR_INVALID_VALUE;
    *uuid = uuidOf(settings().physical[device]);
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) { return cuDeviceGetUuid(uuid, device); }

CUresult cuDeviceGetPCIBusId(char *id, int bytes, CUdevice device) {
    if (ready()) return ready();
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!id || bytes < 13) return CUDA_ERROR_INVALID_VALUE;
    snprintf(id, (size_t)bytes, "0000:%02x:00.0", settings().physical[device] + 1);
    return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice from, CUdevice to) {
    if (ready()) return ready();
    if (!exists(from) || !exists(to)) return CUDA_ERROR_INVALID_DEVICE;
    if (!can) return CUDA_ERROR_INVALID_VALUE;
    *can = settings().peer && from != to;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute a, CUdevice from, CUdevice to) {
    if (ready()) return ready();
    if (!exists(from) || !exists(to) || from == to) return CUDA_ERROR_INVALID_DEVICE;
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    *value = a == CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED ? settings().peer : 0;
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate(CUcontext *context, unsigned, CUdevice device) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (ready()) return ready();
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    *context = newContext(device);
    stack.push_back(*context);
    return CUDA_SUCCESS;
}

// What programs call that were built with CUDA 13's headers.
CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned flags, CUdevice device) {
    return parameters ? refuse(CUDA_ERROR_NOT_SUPPORTED, "cuCtxCreate with parameters") :
        cuCtxCreate(context, flags, device);
}

CUresult cuCtxDestroy(CUcontext context) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!contexts().count(context) || context->primary)
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuCtxDestroy: not a context of cuCtxCreate");
    if (current() == context) stack.pop_back();
    destroy(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (ready()) return ready();
    if (context && !contexts().count(context))
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuCtxSetCurrent: not a context");
    if (!stack.empty()) stack.pop_back();
    if (context) stack.push_back(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
    if (ready()) return ready();
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    *context = current();
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext context) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!contexts().count(context)) return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuCtxPushCurrent: not a context");
    stack.push_back(context);
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *context) {
    if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
    if (context) *context = stack.back();
    stack.pop_back();
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device) {
    Call call("cuCtxGetDevice");
    if (call.status) return call.status;
    if (!device) return CUDA_ERROR_INVALID_VALUE;
    *device = call.context->device;
    return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() {
    Call call("cuCtxSynchronize");
    if (call.status) return call.status;
    if (unsafeInCapture()) return refuse(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "cuCtxSynchronize during a capture");
    wait(call.context->legacy->tail);
    for (CUstream s : streams())
        if (s->context == call.context) wait(s->tail);
    return call.context->error;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) {
    Call call("cuCtxEnablePeerAccess");
    if (call.status) return call.status;
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    if (!contexts().count(peer) || peer == call.context)
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuCtxEnablePeerAccess: not another context");
    if (!settings().peer || peer->device == call.context->device)
        return refuse(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "cuCtxEnablePeerAccess from device %d to %d",
            call.context->device, peer->device);
    if (settings().peerFault == "enable")
        return refuse(CUDA_ERROR_TOO_MANY_PEERS, "cuCtxEnablePeerAccess: SOFTGPU_PEER_FAULT=enable");
    if (!call.context->peers.insert(peer).second) return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    return CUDA_SUCCESS;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    Call call("cuCtxDisablePeerAccess");
    if (call.status) return call.status;
    drain();
    return call.context->peers.erase(peer) ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (ready()) return ready();
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!primary[device]) primary[device] = newContext(device);
    primary[device]->primary++;
    *context = primary[device];
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (ready()) return ready();
    if (!exists(device)) return CUDA_ERROR_INVALID_DEVICE;
    if (!primary[device])
        return refuse(CUDA_ERROR_INVALID_CONTEXT, "cuDevicePrimaryCtxRelease(%d): it is not retained", device);
    if (--primary[device]->primary) return CUDA_SUCCESS;
    destroy(primary[device]);
    primary[device] = nullptr;
    return CUDA_SUCCESS;
}
