// Modules and launches. The program's real image is parsed for what it holds (PTX, or a cubin), so a kernel that it
// lacks is refused, as is an image that the device or the driver could not run; the code that runs is the same source,
// compiled for the host into libsoftkernels.so, which lies beside this library.
#include "driver.h"
#include "kernel.h"

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>

struct CUmod_st {
    CUcontext context;
    std::map<std::string, int> kernels; // name to number of parameters, -1 if the image does not tell
    std::vector<CUfunction> functions;
};

struct CUfunc_st {
    CUmodule module;
    const softgpu_kernel *kernel;
};

namespace softgpu {

static std::set<CUmodule> &modules = *new std::set<CUmodule>;
static std::set<CUfunction> &functions = *new std::set<CUfunction>;

// The host-compiled kernels.
struct Library {
    const softgpu_kernel *table;
    softgpu_launch *launch;
};

static std::string besideThisLibrary(const char *file) {
    Dl_info info;
    if (!dladdr((void *)&besideThisLibrary, &info)) return file;
    std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/') + 1) + file;
}

static Library openLibrary() {
    std::string path = settings().kernels ? settings().kernels : besideThisLibrary("libsoftkernels.so");
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    auto table = handle ? (softgpu_table *)dlsym(handle, "softgpu_kernels") : nullptr;
    auto launch = handle ? (softgpu_launch *)dlsym(handle, "softgpu_run") : nullptr;
    if (!table || !launch) {
        fprintf(stderr, "softgpu: the kernels for the host: %s\n", dlerror());
        return {nullptr, nullptr};
    }
    return {table(), launch};
}

static const Library &library() {
    static const Library l = openLibrary();
    return l;
}

static const softgpu_kernel *hostKernel(const std::string &name) {
    for (auto k = library().table; k && k->name; k++)
        if (name == k->name) return k;
    return nullptr;
}

// The newest PTX that a driver takes, as 10 * major + minor, from the release notes of NVIDIA's PTX ISA document.
static int newestPTX(int driver) {
    int major = driver / 1000, minor = driver % 1000 / 10;
    if (major == 12 && minor > 5) return 80 + minor - 1; // 12.6 takes 8.5 as 12.5 does
    return (major - 4) * 10 + minor;
}

// The two numbers behind a directive: ".version 8.8", ".target sm_75".
static int directive(const char *text, const char *format) {
    int a = 0, b = 0;
    const char *at = strstr(text, std::string(format).substr(0, strcspn(format, "%")).c_str());
    if (!at || sscanf(at, format, &a, &b) < 1) return -1;
    return strchr(format, '.') != strrchr(format, '.') ? 10 * a + b : a;
}

static CUresult readPTX(const char *text, std::map<std::string, int> &kernels) {
    int version = directive(text, ".version %d.%d"), target = directive(text, ".target sm_%d");
    if (version < 0 || target < 0) return refuse(CUDA_ERROR_INVALID_PTX, "PTX without .version or .target");
    if (version > newestPTX(settings().driver))
        return refuse(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "PTX %d.%d, but driver %d takes at most %d.%d", version / 10,
            version % 10, settings().driver, newestPTX(settings().driver) / 10, newestPTX(settings().driver) % 10);
    if (target > capability())
        return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "PTX for sm_%d, the device is sm_%d", target, capability());
    for (const char *at = text; (at = strstr(at, ".entry "));) {
        at += 7;
        size_t length = strcspn(at, " (\n\t");
        std::string name(at, length);
        const char *end = strchr(at, ')');
        int parameters = 0;
        for (const char *p = at; (p = strstr(p, ".param ")) && p < end; p++) parameters++;
        kernels[name] = parameters;
    }
    return CUDA_SUCCESS;
}

static CUresult readCubin(const char *image, std::map<std::string, int> &kernels) {
    auto &elf = *(const Elf64_Ehdr *)image;
    // 190: EM_CUDA
    if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != 190)
        return refuse(CUDA_ERROR_INVALID_IMAGE, "an ELF file, but no cubin");
    int sm = elf.e_ident[EI_ABIVERSION] >= 8 ? elf.e_flags >> 8 & 0xFF : elf.e_flags & 0xFF; // CUDA 13 moved it
    if (sm / 10 != capability() / 10 || sm > capability())
        return refuse(CUDA_ERROR_NO_BINARY_FOR_GPU, "a cubin for sm_%d, the device is sm_%d", sm, capability());
    auto sections = (const Elf64_Shdr *)(image + elf.e_shoff);
    for (int i = 0; i < elf.e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        auto symbols = (const Elf64_Sym *)(image + sections[i].sh_offset);
        const char *names = image + sections[sections[i].sh_link].sh_offset;
        for (size_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++)
            if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FUNC) kernels[names + symbols[k].st_name] = -1;
    }
    return CUDA_SUCCESS;
}

static CUresult readImage(const void *image, std::map<std::string, int> &kernels) {
    if (!memcmp(image, ELFMAG, SELFMAG)) return readCubin((const char *)image, kernels);
    if (strstr((const char *)image, ".version")) return readPTX((const char *)image, kernels);
    return refuse(CUDA_ERROR_INVALID_IMAGE, "neither PTX nor a cubin");
}

// A kernel that leaves its memory runs into pages that are not mapped: caught, it becomes the error that a GPU reports.
static thread_local sigjmp_buf *escape;
static thread_local uint64_t faultAddress;
static struct sigaction before;

static void onFault(int number, siginfo_t *info, void *) {
    if (escape && isDevice((uint64_t)info->si_addr)) {
        faultAddress = (uint64_t)info->si_addr;
        siglongjmp(*escape, 1);
    }
    sigaction(number, &before, nullptr); // not ours: the instruction is run again, and faults into the former handler
}

template <class F> static bool faults(F run) {
    struct sigaction ours = {};
    ours.sa_sigaction = onFault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &ours, &before);
    sigjmp_buf out;
    bool fault = sigsetjmp(out, 1) != 0;
    if (!fault) {
        escape = &out;
        run();
    }
    escape = nullptr;
    sigaction(SIGSEGV, &before, nullptr);
    return fault;
}

struct Launch {
    CUcontext context;
    const softgpu_kernel *kernel;
    unsigned grid[3], block[3];
    std::vector<uint64_t> values; // the arguments
};

static CUresult checkPointers(const Launch &l) {
    bool foreign = false;
    for (int i = 0; i < l.kernel->arguments; i++) {
        uint64_t value = l.values[(size_t)i];
        std::string name = "argument " + std::to_string(i);
        if (!isDevice(value)) {
            if ((l.kernel->pointers >> i & 1) && value && !isPinned((const void *)value, 1))
                return refuse(CUDA_ERROR_ILLEGAL_ADDRESS, "%s: %s = %#llx is memory of the host that is not pinned",
                    l.kernel->name, name.c_str(), (unsigned long long)value);
            continue;
        }
        CUresult status = mayTouch(l.context, value, 1, l.kernel->name, name.c_str());
        if (status) return status;
        foreign |= allocationOf(value)->context != l.context;
    }
    stats.peerArguments += foreign;
    return CUDA_SUCCESS;
}

static CUresult checkMargins(const Launch &l) {
    for (int i = 0; i < l.kernel->arguments; i++) {
        const Allocation *a = allocationOf(l.values[(size_t)i]);
        if (a && !intact(*a)) {
            fprintf(stderr, "softgpu: %s wrote around the %zu bytes of argument %d\n", l.kernel->name, a->bytes, i);
            return CUDA_ERROR_ILLEGAL_ADDRESS;
        }
    }
    return CUDA_SUCCESS;
}

static CUresult runKernel(Launch l) {
    CUresult status = checkPointers(l);
    if (status) {
        fprintf(stderr, "softgpu: %s was given memory that it may not touch\n", l.kernel->name);
        return status;
    }
    std::vector<void *> pointers;
    for (auto &v : l.values) pointers.push_back(&v);
    const char *volatile wrong = nullptr; // volatile: it lives across a longjmp
    bool backwards = draw() % 2;
    if (faults([&] { wrong = library().launch(l.kernel, l.grid, l.block, backwards, pointers.data()); })) {
        fprintf(stderr, "softgpu: %s touched %#llx, where no memory is\n", l.kernel->name,
            (unsigned long long)faultAddress);
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    if (wrong) {
        fprintf(stderr, "softgpu: %s: %s\n", l.kernel->name, wrong);
        return CUDA_ERROR_LAUNCH_FAILED;
    }
    stats.launches[l.context->device]++;
    writeStats();
    return checkMargins(l);
}

} // namespace softgpu

using namespace softgpu;

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    Call call("cuModuleLoadData");
    if (call.status) return call.status;
    if (!module || !image) return CUDA_ERROR_INVALID_VALUE;
    if (!library().table) return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
    auto m = std::make_unique<CUmod_st>(CUmod_st{call.context, {}, {}});
    CUresult status = readImage(image, m->kernels);
    if (status) return status;
    *module = m.release();
    modules.insert(*module);
    return CUDA_SUCCESS;
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned, CUjit_option *, void **) {
    return cuModuleLoadData(module, image);
}

CUresult cuModuleUnload(CUmodule module) {
    Call call("cuModuleUnload");
    if (call.status) return call.status;
    if (!modules.count(module))
        return refuse(CUDA_ERROR_INVALID_HANDLE, "cuModuleUnload: %p is not a module", (void *)module);
    drain();
    for (CUfunction f : module->functions) {
        functions.erase(f);
        delete f;
    }
    modules.erase(module);
    delete module;
    return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    Call call("cuModuleGetFunction");
    if (call.status) return call.status;
    if (!function || !name) return CUDA_ERROR_INVALID_VALUE;
    if (!modules.count(module) || module->context != call.context)
        return refuse(CUDA_ERROR_INVALID_HANDLE, "cuModuleGetFunction: not a module of this context");
    auto in = module->kernels.find(name);
    if (in == module->kernels.end()) return refuse(CUDA_ERROR_NOT_FOUND, "the image has no kernel %s", name);
    const softgpu_kernel *k = hostKernel(name);
    if (!k) return refuse(CUDA_ERROR_NOT_FOUND, "%s was not compiled for the host", name);
    if (!k->eight) return refuse(CUDA_ERROR_INVALID_IMAGE, "%s has an argument that does not take 8 bytes", name);
    if (in->second >= 0 && in->second != k->arguments)
        return refuse(CUDA_ERROR_INVALID_IMAGE,
            "%s has %d parameters in the image, %d on the host: built of different sources", name, in->second,
            k->arguments);
    *function = new CUfunc_st{module, k};
    functions.insert(*function);
    module->functions.push_back(*function);
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute a, CUfunction function) {
    Call call("cuFuncGetAttribute");
    if (call.status) return call.status;
    if (!value || a < 0 || a >= CU_FUNC_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
    if (!functions.count(function)) return CUDA_ERROR_INVALID_HANDLE;
    *value = 0;
    if (a == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK) *value = 1024;
    if (a == CU_FUNC_ATTRIBUTE_NUM_REGS) *value = 32;
    if (a == CU_FUNC_ATTRIBUTE_BINARY_VERSION) *value = capability();
    return CUDA_SUCCESS;
}

static bool badShape(const Launch &l) {
    const unsigned *g = l.grid, *b = l.block;
    if (!g[0] || !g[1] || !g[2] || !b[0] || !b[1] || !b[2]) return true;
    return g[0] > 0x7FFFFFFF || g[1] > 65535 || g[2] > 65535 || b[0] > 1024 || b[1] > 1024 || b[2] > 64 ||
        b[0] * b[1] * b[2] > 1024;
}

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
    unsigned shared, CUstream handle, void **arguments, void **extra) {
    Call call("cuLaunchKernel");
    CUstream s;
    if (call.status || (call.status = streamOf(call.context, handle, &s))) return call.status;
    if (!functions.count(f) || f->module->context != call.context)
        return refuse(CUDA_ERROR_INVALID_HANDLE, "cuLaunchKernel: not a kernel of this context");
    Launch l = {call.context, f->kernel, {gx, gy, gz}, {bx, by, bz}, {}};
    if (badShape(l) || shared)
        return refuse(CUDA_ERROR_INVALID_VALUE,
            "%s: grid %u %u %u, block %u %u %u, %u bytes of dynamic shared memory, which is not emulated",
            f->kernel->name, gx, gy, gz, bx, by, bz, shared);
    if (extra || (!arguments && f->kernel->arguments))
        return refuse(CUDA_ERROR_INVALID_VALUE, "%s: arguments missing, or in extra", f->kernel->name);
    for (int i = 0; i < f->kernel->arguments; i++) {
        if (!arguments[i]) return refuse(CUDA_ERROR_INVALID_VALUE, "%s: argument %d is null", f->kernel->name, i);
        uint64_t value;
        memcpy(&value, arguments[i], 8);
        l.values.push_back(value);
    }
    return enqueue(s, {f->kernel->name, call.context, [l] { return runKernel(l); }});
}
