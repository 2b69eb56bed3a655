// The environment variables of the emulator, read once.
#include "driver.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace softgpu {

static const int None = 1 << 30;

// A number, or of a list that has one a device the one of this device; the last counts for further devices.
static long long number(const char *name, long long otherwise, int device = 0) {
    const char *text = getenv(name);
    if (!text || !*text) return otherwise;
    char *end;
    long long value = strtoll(text, &end, 0);
    for (; device > 0 && *end == ','; device--) value = strtoll(end + 1, &end, 0);
    if ((*end && *end != ',') || value < 0) {
        fprintf(stderr, "softgpu: %s=%s is not a number\n", name, text);
        exit(2);
    }
    return value;
}

static std::string text(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

// A UUID that says nothing but which device it is.
CUuuid uuidOf(int physical) {
    CUuuid id;
    memcpy(id.bytes, "softgpu emulator", 16);
    id.bytes[15] = (char)physical;
    return id;
}

static std::string uuidText(int physical) {
    CUuuid id = uuidOf(physical);
    std::string text = "GPU-";
    char hex[3];
    for (int i = 0; i < 16; i++) {
        snprintf(hex, sizeof hex, "%02x", (unsigned char)id.bytes[i]);
        if (i == 4 || i == 6 || i == 8 || i == 10) text += "-";
        text += hex;
    }
    return text;
}

// One entry of CUDA_VISIBLE_DEVICES: an index, or the beginning of a UUID; -1 if there is no such device.
static int visible(const std::string &entry, int devices) {
    char *end;
    long index = strtol(entry.c_str(), &end, 10);
    if (!entry.empty() && !*end) return index >= 0 && index < devices ? (int)index : -1;
    for (int i = 0; i < devices && entry.compare(0, 4, "GPU-") == 0; i++)
        if (uuidText(i).compare(0, entry.size(), entry) == 0) return i;
    return -1;
}

// As the driver does: the list ends at its first bad entry, and a device named twice hides all.
static void readVisible(Settings &s, int devices) {
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    if (!list) {
        for (s.devices = 0; s.devices < devices; s.devices++) s.physical[s.devices] = s.devices;
        return;
    }
    std::string text = list;
    for (size_t at = 0; at < text.size();) {
        size_t comma = std::min(text.find(',', at), text.size());
        int index = visible(text.substr(at, comma - at), devices);
        if (index < 0) return;
        for (int i = 0; i < s.devices; i++)
            if (s.physical[i] == index) {
                s.devices = 0;
                return;
            }
        s.physical[s.devices++] = index;
        at = comma + 1;
    }
}

static Settings read() {
    Settings s = {};
    long long devices = number("SOFTGPU_DEVICES", 2);
    if (devices > MaxDevices) {
        fprintf(stderr, "softgpu: SOFTGPU_DEVICES=%lld, at most %d\n", devices, MaxDevices);
        exit(2);
    }
    readVisible(s, (int)devices);
    s.peer = number("SOFTGPU_PEER", 1) != 0;
    s.peerFault = text("SOFTGPU_PEER_FAULT");
    if (s.peerFault != "" && s.peerFault != "enable" && s.peerFault != "copies") {
        fprintf(stderr, "softgpu: SOFTGPU_PEER_FAULT=%s, want enable or copies\n", s.peerFault.c_str());
        exit(2);
    }
    s.cudnnFails = "," + text("SOFTGPU_CUDNN_FAILS") + ",";
    s.cudnnMath = (int)number("SOFTGPU_CUDNN_MATH", None);
    s.capture = number("SOFTGPU_CAPTURE", 1) != 0;
    s.driver = (int)number("SOFTGPU_DRIVER", 13000);
    for (int i = 0; i < MaxDevices; i++) {
        s.memory[i] = (size_t)number("SOFTGPU_MEMORY", 8ll << 30, i);
        s.capability[i] = (int)number("SOFTGPU_CAPABILITY", 80, i);
    }
    s.seed = (uint64_t)number("SOFTGPU_SEED", 1);
    s.log = number("SOFTGPU_LOG", 0) != 0;
    s.stats = getenv("SOFTGPU_STATS");
    s.kernels = getenv("SOFTGPU_KERNELS");
    return s;
}

const Settings &settings() {
    static const Settings s = read();
    return s;
}

int capability() { return settings().capability[current() ? current()->device : 0]; }
int driverVersion() { return settings().driver; }
int cudnnMath(int otherwise) { return settings().cudnnMath == None ? otherwise : settings().cudnnMath; }
bool cudnnFails(const char *algorithm) {
    return settings().cudnnFails.find("," + std::string(algorithm) + ",") != std::string::npos;
}

static void print(const char *format, va_list list) {
    fputs("softgpu: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
}

void say(const char *format, ...) {
    if (!settings().log) return;
    va_list list;
    va_start(list, format);
    print(format, list);
    va_end(list);
}

CUresult refuse(CUresult status, const char *format, ...) {
    if (!settings().log) return status;
    va_list list;
    va_start(list, format);
    print(format, list);
    va_end(list);
    return status;
}

} // namespace softgpu
