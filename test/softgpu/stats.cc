// Counters, in the file that SOFTGPU_STATS names. Go programs leave by a system call that runs no exit handlers, so the
// file is mapped and its text, of fixed length, is written anew whenever a counter changes.
#include "driver.h"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace softgpu {

Stats stats;

enum { FileBytes = 8192 };

static char *map() {
    const char *name = settings().stats;
    if (!name) return nullptr;
    int f = open(name, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (f < 0 || ftruncate(f, FileBytes)) {
        fprintf(stderr, "softgpu: cannot write SOFTGPU_STATS=%s: %s\n", name, strerror(errno));
        _exit(2);
    }
    void *p = mmap(nullptr, FileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    close(f);
    return p == MAP_FAILED ? nullptr : (char *)p;
}

static std::string list(const uint64_t *values) {
    std::string text = "[";
    for (int i = 0; i < settings().devices; i++) text += (i ? ", " : "") + std::to_string(values[i]);
    return text + "]";
}

void writeStats() {
    static char *file = map();
    if (!file) return;
    std::string peer;
    for (int i = 0; i < settings().devices; i++) peer += (i ? ", " : "") + list(stats.peer[i]);
    std::string text = "{\"h2d\": " + list(stats.h2d) + ",\n \"d2h\": " + list(stats.d2h) +
        ",\n \"d2d\": " + list(stats.d2d) + ",\n \"peer\": [" + peer +
        "],\n \"peer_unmapped\": " + std::to_string(stats.peerUnmapped) +
        ",\n \"peer_arguments\": " + std::to_string(stats.peerArguments) +
        ",\n \"launches\": " + list(stats.launches) + ",\n \"library_calls\": " + list(stats.libraryCalls) +
        ",\n \"graph_launches\": " + std::to_string(stats.graphLaunches) +
        ",\n \"allocated\": " + list(stats.allocated) + ",\n \"peak\": " + list(stats.peak) +
        ",\n \"pinned\": " + std::to_string(stats.pinned) + ",\n \"events\": " + std::to_string(stats.events) + "}";
    text.resize(FileBytes - 1, ' ');
    text += '\n';
    memcpy(file, text.data(), FileBytes);
}

} // namespace softgpu
