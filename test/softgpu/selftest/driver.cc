// Tests of the emulated driver.
#include "selftest.h"

#include <cmath>
#include <sys/mman.h>

static const size_t KiB = 1024, MiB = KiB * KiB;

// PTX as the test kernels would have; only what the emulator reads of it.
static std::string ptx(const char *version = "8.0", const char *target = "sm_75") {
    std::string text = std::string(".version ") + version + "\n.target " + target + "\n.address_size 64\n";
    for (auto &k : std::map<std::string, int>{{"test_scale", 4}, {"test_sum", 3}, {"test_divergent", 1},
        {"test_write", 2}}) {
        text += ".visible .entry " + k.first + "(";
        for (int i = 0; i < k.second; i++)
            text += std::string(i ? "," : "") + "\n\t.param .u64 " + k.first + "_param_" + std::to_string(i);
        text += "\n)\n{\n\tret;\n}\n";
    }
    return text;
}

static CUfunction kernel(const char *name) {
    CUmodule m;
    OK(cuModuleLoadData(&m, ptx().c_str()));
    CUfunction f;
    OK(cuModuleGetFunction(&f, m, name));
    return f;
}

static CUresult launch(CUfunction f, CUstream s, std::vector<void *> arguments, unsigned blocks = 1,
    unsigned threads = 256) {
    return cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, 0, s, arguments.data(), nullptr);
}

CASE(not_initialised) {
    CUcontext c;
    int n;
    CUdeviceptr p;
    WANT(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&n));
    WANT(CUDA_ERROR_NOT_INITIALIZED, cuCtxCreate(&c, 0, 0));
    WANT(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc(&p, 4));
    OK(cuInit(0));
    WANT(CUDA_ERROR_INVALID_CONTEXT, cuMemAlloc(&p, 4));
}

CASE(no_device) { WANT(CUDA_ERROR_NO_DEVICE, cuInit(0)); }

// Prints the names of the devices.
CASE(devices) {
    OK(cuInit(0));
    int n, version;
    OK(cuDeviceGetCount(&n));
    OK(cuDriverGetVersion(&version));
    printf("driver %d:", version);
    for (int i = 0; i < n; i++) {
        CUdevice d;
        char name[64];
        CUuuid id;
        OK(cuDeviceGet(&d, i));
        OK(cuDeviceGetName(name, sizeof name, d));
        OK(cuDeviceGetUuid(&id, d));
        int major, minor;
        OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, d));
        OK(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, d));
        printf(" %s (%d.%d, id %d)", name, major, minor, id.bytes[15]);
    }
    printf("\n");
    CUdevice d;
    WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&d, n));
    WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&d, -1));
}

// Handles of one context are refused under another.
CASE(contexts) {
    CUcontext a = context(0);
    CUstream sa = stream();
    CUevent ea = event();
    CUfunction fa = kernel("test_scale");
    CUdeviceptr pa = memory(std::vector<float>{1, 2, 3});
    CUcontext b = context(1);
    CUstream sb = stream();
    CUdeviceptr pb = memory(12);
    CUmodule m;
    OK(cuCtxSetCurrent(a));
    OK(cuModuleLoadData(&m, ptx().c_str()));
    OK(cuCtxSetCurrent(b));
    CUfunction f;
    double scale = 2;
    long long n = 3;
    WANT(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&f, m, "test_scale"));
    WANT(CUDA_ERROR_INVALID_HANDLE, launch(fa, sb, {&pb, &pb, &scale, &n}));
    WANT(CUDA_ERROR_INVALID_HANDLE, launch(kernel("test_scale"), sa, {&pb, &pb, &scale, &n}));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(sa));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuEventRecord(ea, sb));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuMemsetD8Async(pb, 0, 12, sa));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(pa, 0, 12));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoD(pb, pa, 12));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(pa));
    OK(cuStreamWaitEvent(sb, ea, 0)); // an event may be waited for from anywhere
    OK(cuCtxDestroy(a));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuStreamDestroy(sa));
    WANT(CUDA_ERROR_INVALID_CONTEXT, cuCtxSetCurrent(a));
}

CASE(primary) {
    OK(cuInit(0));
    CUcontext a, b;
    CUdeviceptr p;
    OK(cuDevicePrimaryCtxRetain(&a, 0));
    OK(cuDevicePrimaryCtxRetain(&b, 0));
    TRUE(a == b);
    OK(cuCtxSetCurrent(a));
    OK(cuMemAlloc(&p, 4));
    OK(cuDevicePrimaryCtxRelease(0));
    OK(cuMemFree(p));
    OK(cuDevicePrimaryCtxRelease(0));
    WANT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemAlloc(&p, 4));
    WANT(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(0));
}

CASE(bounds) {
    context(0);
    CUdeviceptr p = memory(1000);
    std::vector<char> host(2000);
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(p, host.data(), 1001));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(host.data(), p + 1, 1000));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(p - 1, host.data(), 2));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD((CUdeviceptr)host.data(), host.data(), 1));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH((void *)p, p, 1));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(p, 0, 251));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(p + 2, 0, 1));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(p + 4));
    OK(cuMemcpyHtoD(p + 999, host.data(), 1));
    OK(cuMemFree(p));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(p));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(p, host.data(), 1));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&p, 0));
}

// Fresh memory is neither zero nor small.
CASE(garbage) {
    context(0);
    void *pinned;
    OK(cuMemHostAlloc(&pinned, 4000, 0));
    std::vector<float> device = values(memory(4000), 1000), host((float *)pinned, (float *)pinned + 1000);
    for (auto &v : {device, host})
        for (float x : v) TRUE(std::isnan(x) || std::fabs(x) > 1e30f);
    TRUE(device[0] == device[0] && std::isnan(device[1]));
}

// A kernel that leaves its memory breaks its context, as on a GPU; another context goes on.
CASE(guard) {
    CUcontext other = context(1);
    context(0);
    CUdeviceptr p = memory(1000);
    long long far = 5000;
    char *after;
    OK(cuMemHostAlloc((void **)&after, 1, 0));
    *after = 7;
    CUfunction write = kernel("test_write");
    CUstream s = stream();
    OK(launch(write, s, {&p, &far}, 1, 1));
    CUresult queued = cuMemcpyDtoHAsync(after, p, 1, s); // refused at once if the kernel has run already
    TRUE(queued == CUDA_SUCCESS || queued == CUDA_ERROR_ILLEGAL_ADDRESS);
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    TRUE(*after == 7); // what was queued behind it did not run
    CUdeviceptr q;
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuMemAlloc(&q, 4));
    OK(cuCtxSetCurrent(other));
    q = memory(std::vector<float>{1, 2});
    long long at = 1;
    OK(launch(kernel("test_write"), nullptr, {&q, &at}, 1, 1));
    OK(cuCtxSynchronize());
    TRUE(values(q, 2)[1] == 1);
}

// As do writes into the margin that the allocation shares a page with, on either side.
CASE(margins) {
    for (long long at : {-1, 250}) {
        context(0);
        CUdeviceptr p = memory(1000);
        OK(launch(kernel("test_write"), nullptr, {&p, &at}, 1, 1));
        WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    }
}

CASE(bad_arguments) {
    std::vector<float> host(8);
    void *pinned;
    long long at = 0;
    context(0);
    OK(cuMemHostAlloc(&pinned, 32, 0));
    OK(launch(kernel("test_write"), nullptr, {&pinned, &at}, 1, 1));
    OK(cuCtxSynchronize());
    TRUE(*(float *)pinned == 1);
    float *pageable = host.data();
    OK(launch(kernel("test_write"), nullptr, {&pageable, &at}, 1, 1));
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
    context(0);
    CUdeviceptr gone = memory(8);
    OK(cuMemFree(gone));
    OK(launch(kernel("test_write"), nullptr, {&gone, &at}, 1, 1));
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

CASE(launches) {
    context(0);
    std::vector<float> x(1000);
    float sum = 0;
    for (size_t i = 0; i < x.size(); i++) sum += x[i] = (float)(i % 7) - 2;
    CUdeviceptr dx = memory(x), dy = memory(4 * x.size()), dsum = memory(4);
    CUstream s = stream();
    double a = 3;
    long long n = 1000;
    CUfunction scale = kernel("test_scale");
    OK(launch(scale, s, {&dy, &dx, &a, &n}, 3));
    OK(launch(kernel("test_sum"), s, {&dsum, &dy, &n}));
    OK(cuStreamSynchronize(s));
    TRUE(values(dsum, 1)[0] == 3 * sum);
    WANT(CUDA_ERROR_INVALID_VALUE, launch(scale, s, {&dy, &dx, &a, &n}, 1, 1025));
    WANT(CUDA_ERROR_INVALID_VALUE, launch(scale, s, {&dy, &dx, &a, &n}, 0));
    WANT(CUDA_ERROR_INVALID_VALUE, launch(scale, s, {&dy, nullptr, &a, &n}));
    WANT(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(scale, 1, 1, 1, 1, 1, 1, 16, s,
        std::vector<void *>{&dy, &dx, &a, &n}.data(), nullptr));
    OK(launch(kernel("test_divergent"), s, {&dy}));
    WANT(CUDA_ERROR_LAUNCH_FAILED, cuStreamSynchronize(s));
}

// Under driver 12.4 and a device of 8.0.
CASE(images) {
    context(0);
    CUmodule m;
    CUfunction f;
    WANT(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&m, "something else"));
    WANT(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, cuModuleLoadData(&m, ptx("8.5").c_str()));
    WANT(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&m, ptx("8.4", "sm_86").c_str()));
    OK(cuModuleLoadData(&m, ptx("8.4", "sm_80").c_str()));
    OK(cuModuleGetFunction(&f, m, "test_sum"));
    WANT(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&f, m, "test_su"));
    std::string lacks = ptx(), differs = ptx();
    lacks.replace(lacks.find("test_sum("), 9, "test_xyz(");
    OK(cuModuleLoadData(&m, lacks.c_str()));
    WANT(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&f, m, "test_sum")); // the image lacks it
    WANT(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&f, m, "test_xyz")); // the host lacks it
    size_t at = differs.find(",", differs.find("test_sum("));
    differs.erase(at, differs.find_first_of(",)", at + 1) - at);
    OK(cuModuleLoadData(&m, differs.c_str()));
    WANT(CUDA_ERROR_INVALID_IMAGE, cuModuleGetFunction(&f, m, "test_sum"));
    OK(cuModuleUnload(m));
    WANT(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(m));
}

// With peer access: kernels reach the other device once it is enabled.
CASE(peer) {
    CUcontext a = context(0);
    CUdeviceptr pa = memory(std::vector<float>{1, 2, 3});
    CUcontext b = context(1);
    CUdeviceptr pb = memory(12);
    int can;
    OK(cuDeviceCanAccessPeer(&can, 0, 1));
    TRUE(can == 1);
    OK(cuMemcpyPeer(pb, b, pa, a, 12)); // the driver copies in any case
    TRUE(values(pb, 3) == (std::vector<float>{1, 2, 3}));
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyPeer(pb, a, pa, b, 12));
    OK(cuCtxEnablePeerAccess(a, 0));
    WANT(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, cuCtxEnablePeerAccess(a, 0));
    double scale = 2;
    long long n = 3;
    OK(launch(kernel("test_scale"), nullptr, {&pb, &pa, &scale, &n}));
    OK(cuCtxSynchronize());
    TRUE(values(pb, 3) == (std::vector<float>{2, 4, 6}));
    OK(cuCtxSetCurrent(a)); // it works one way only
    OK(launch(kernel("test_scale"), nullptr, {&pa, &pb, &scale, &n}));
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

// SOFTGPU_PEER=0.
CASE(no_peer) {
    CUcontext a = context(0);
    CUdeviceptr pa = memory(std::vector<float>{1, 2, 3});
    CUcontext b = context(1);
    CUdeviceptr pb = memory(12);
    int can;
    OK(cuDeviceCanAccessPeer(&can, 0, 1));
    TRUE(can == 0);
    WANT(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, cuCtxEnablePeerAccess(a, 0));
    OK(cuMemcpyPeerAsync(pb, b, pa, a, 12, nullptr));
    OK(cuCtxSynchronize());
    TRUE(values(pb, 3) == (std::vector<float>{1, 2, 3}));
    double scale = 2;
    long long n = 3;
    OK(launch(kernel("test_scale"), nullptr, {&pb, &pa, &scale, &n}));
    WANT(CUDA_ERROR_ILLEGAL_ADDRESS, cuCtxSynchronize());
}

// Copies of known sizes, for SOFTGPU_STATS. Leaves without exit handlers, as Go programs do.
CASE(bytes) {
    CUcontext a = context(0);
    CUdeviceptr pa = memory(1000), qa = memory(1000);
    CUcontext b = context(1);
    CUdeviceptr pb = memory(1000);
    std::vector<char> host(1000);
    CUstream s = stream();
    OK(cuMemcpyPeerAsync(pb, b, pa, a, 100, s));
    OK(cuMemcpyPeerAsync(pb, b, pa, a, 10, s));
    OK(cuMemcpyPeer(pa, a, pb, b, 3));
    OK(cuMemcpyHtoD(pb, host.data(), 7));
    OK(cuCtxSynchronize());
    OK(cuCtxSetCurrent(a));
    OK(cuMemcpyDtoH(host.data(), pa, 11));
    OK(cuMemcpyDtoD(qa, pa, 13));
    CUDA_MEMCPY2D m = {};
    m.srcMemoryType = m.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    m.srcDevice = pa, m.dstDevice = qa, m.srcPitch = 50, m.dstPitch = 60, m.WidthInBytes = 20, m.Height = 5;
    OK(cuMemcpy2DAsync(&m, nullptr));
    long long at = 0;
    OK(launch(kernel("test_write"), nullptr, {&pa, &at}, 1, 1));
    OK(cuMemFree(pa));
    OK(cuCtxEnablePeerAccess(b, 0));
    OK(launch(kernel("test_write"), nullptr, {&pb, &at}, 1, 1));
    OK(cuCtxSynchronize());
    _Exit(0);
}

// SOFTGPU_MEMORY=1 MiB.
CASE(limit) {
    context(0);
    size_t free, total;
    CUdeviceptr p, q;
    OK(cuDeviceTotalMem(&total, 0));
    TRUE(total == MiB);
    WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&p, MiB + 1));
    OK(cuMemAlloc(&p, MiB - 4));
    OK(cuMemGetInfo(&free, &total));
    TRUE(free == 4 && total == MiB);
    WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&q, 5));
    OK(cuMemFree(p));
    OK(cuMemAlloc(&q, MiB));
    context(1); // each device has its own
    OK(cuMemAlloc(&q, MiB));
}

CASE(rows) {
    context(0);
    CUdeviceptr p = memory(std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}); // 3 rows of 4
    std::vector<float> host(6, -1);
    CUDA_MEMCPY2D m = {};
    m.srcMemoryType = CU_MEMORYTYPE_DEVICE, m.dstMemoryType = CU_MEMORYTYPE_HOST;
    m.srcDevice = p, m.srcPitch = 16, m.srcXInBytes = 4, m.srcY = 1, m.dstHost = host.data(), m.dstPitch = 12,
        m.dstXInBytes = 4;
    m.WidthInBytes = 8, m.Height = 2;
    OK(cuMemcpy2DAsync(&m, nullptr));
    TRUE(host == (std::vector<float>{-1, 5, 6, -1, 9, 10}));
    m.Height = 3;
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2DAsync(&m, nullptr)); // beyond the last row
    m.Height = 2, m.srcXInBytes = 12;
    WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2DAsync(&m, nullptr)); // wider than the pitch
}

// What a second stream sees of what a first one wrote, with or without an event between them.
static const char *seen(bool wait) {
    context(0);
    CUdeviceptr from = memory(std::vector<float>{1}), between = memory(std::vector<float>{0}),
        to = memory(std::vector<float>{0});
    CUstream first = stream(), second = stream();
    CUevent e = event();
    OK(cuMemcpyDtoDAsync(between, from, 4, first));
    OK(cuEventRecord(e, first));
    if (wait) OK(cuStreamWaitEvent(second, e, 0));
    OK(cuMemcpyDtoDAsync(to, between, 4, second));
    OK(cuCtxSynchronize());
    return values(to, 1)[0] == 1 ? "new" : "old";
}

CASE(event_missing) { puts(seen(false)); }
CASE(event_present) { puts(seen(true)); }

// Two devices that exchange a number a step, each over a copy stream of its own; with every event in place the numbers
// are right under any seed. SKIP leaves one out.
CASE(exchange) {
    const char *skip = getenv("SKIP");
    CUcontext c[2];
    CUdeviceptr x[2], got[2], seen[2];
    CUstream compute[2], copy[2];
    CUevent ready[2], arrived[2];
    CUfunction take[2];
    for (int d : {0, 1}) {
        c[d] = context(d);
        x[d] = memory(4), got[d] = memory(4), seen[d] = memory(4);
        compute[d] = stream(), copy[d] = stream(), ready[d] = event(), arrived[d] = event(),
            take[d] = kernel("test_scale");
    }
    double one = 1;
    long long n = 1;
    float *pinned;
    OK(cuMemHostAlloc((void **)&pinned, 400, 0));
    for (int step = 0; step < 50; step++)
        for (int d : {0, 1}) {
            int e = 1 - d; // d computes and sends to e
            OK(cuCtxSetCurrent(c[d]));
            if (step) OK(cuStreamWaitEvent(compute[d], arrived[e], 0)); // x[d] was sent
            float value = (float)(2 * step + d);
            unsigned bits;
            memcpy(&bits, &value, 4);
            OK(cuMemsetD32Async(x[d], bits, 1, compute[d]));
            OK(cuEventRecord(ready[d], compute[d]));
            if (!skip || strcmp(skip, "ready")) OK(cuStreamWaitEvent(copy[d], ready[d], 0));
            OK(cuMemcpyPeerAsync(got[e], c[e], x[d], c[d], 4, copy[d]));
            OK(cuEventRecord(ready[d], copy[d]));
            OK(cuCtxSetCurrent(c[e]));
            if (!skip || strcmp(skip, "arrived")) OK(cuStreamWaitEvent(compute[e], ready[d], 0));
            OK(cuEventRecord(arrived[e], compute[e]));
            OK(launch(take[e], compute[e], {&seen[e], &got[e], &one, &n}, 1, 1));
            OK(cuMemcpyDtoHAsync(pinned + 2 * step + d, seen[e], 4, compute[e]));
        }
    for (int d : {0, 1}) {
        OK(cuCtxSetCurrent(c[d]));
        OK(cuCtxSynchronize());
    }
    bool right = true;
    for (int i = 0; i < 100; i++) right &= pinned[i] == (float)i;
    puts(right ? "right" : "wrong");
}

// Pinned memory that is written again before its copy was waited for.
CASE(pinned_reuse) {
    context(0);
    float *pinned;
    OK(cuMemHostAlloc((void **)&pinned, 4, 0));
    CUdeviceptr p = memory(4);
    CUstream s = stream();
    *pinned = 1;
    OK(cuMemcpyHtoDAsync(p, pinned, 4, s));
    *pinned = 2;
    OK(cuStreamSynchronize(s));
    puts(values(p, 1)[0] == 1 ? "new" : "old");
}

// Memory that is not pinned is read at the call.
CASE(pageable_reuse) {
    context(0);
    float x = 1, y = 0;
    CUdeviceptr p = memory(4);
    CUstream s = stream();
    OK(cuMemcpyHtoDAsync(p, &x, 4, s));
    x = 2;
    OK(cuMemcpyDtoHAsync(&y, p, 4, s));
    TRUE(y == 1);
}

// And device memory need not be written at its return: says whether a stream that does not block sees the copy.
CASE(pageable_upload) {
    context(0);
    float x = 1;
    CUdeviceptr a = memory(std::vector<float>{0}), b = memory(4);
    CUstream apart = stream();
    OK(cuMemcpyHtoD(a, &x, 4));
    OK(cuMemcpyDtoDAsync(b, a, 4, apart));
    OK(cuCtxSynchronize());
    puts(values(b, 1)[0] == 1 ? "new" : "old");
}

// The host's memory may lie where devices usually have theirs, and grow towards them.
CASE(addresses) {
    auto map = [](uint64_t at, size_t bytes) {
        return mmap((void *)at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
            0) == (void *)at;
    };
    const uint64_t usual = 0x100000000000;
    TRUE(map(usual + 4096, 4096));
    *(float *)(usual + 4096) = 5;
    context(0);
    CUdeviceptr p = memory(4), q;
    OK(cuMemcpyHtoD(p, (void *)(usual + 4096), 4));
    TRUE(values(p, 1)[0] == 5);
    TRUE(p > usual + (1ull << 40));
    TRUE(!map(p & ~4095ull, 4096)); // nobody else gets a device's addresses
    OK(cuMemAlloc(&q, 4));
    OK(cuMemFree(q));
    TRUE(!map(q & ~4095ull, 4096));
}
