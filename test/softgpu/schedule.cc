// The scheduler. Whatever is queued is an op that waits for other ops: the one before it in its stream, and those that
// events name. Nothing runs by itself: ops run in the threads that wait, or, as the seed wills, in those that queue. Of
// the ops that are ready the one whose lane has the highest priority runs; priorities are drawn from the seed and now
// and then drawn anew (after Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic
// Guarantees of Finding Bugs", 2010). So a stream may be starved for as long as the program's own events and waits
// allow, which is when a missing one shows.
#include "driver.h"

#include <algorithm>
#include <chrono>

namespace softgpu {

static std::vector<OpRef> &ready = *new std::vector<OpRef>; // never destroyed: threads may outlive main
static uint64_t queued;

static double now() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// splitmix64
uint64_t draw() {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    static uint64_t state = settings().seed * 0x2545F4914F6CDD1Dull;
    uint64_t z = state += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

std::shared_ptr<Lane> newLane() { return std::make_shared<Lane>(Lane{draw()}); }

OpRef schedule(const std::shared_ptr<Lane> &lane, Work work, const std::vector<OpRef> &after) {
    auto op = std::make_shared<Op>(Op{std::move(work), lane, queued++, 0, {}, false, 0});
    for (auto &a : after) {
        if (!a || a->done) continue;
        a->then.push_back(op);
        op->waits++;
    }
    if (!op->waits) ready.push_back(op);
    return op;
}

static void run(const OpRef &op) {
    CUcontext c = op->work.context;
    if (op->work.run && !c->error) {
        CUresult status = op->work.run();
        if (status) c->error = status;
    }
    op->work.run = nullptr; // what it holds is no longer needed
    op->done = true;
    op->finished = now();
    for (auto &next : op->then)
        if (!--next->waits) ready.push_back(next);
    op->then.clear();
}

bool step() {
    if (ready.empty()) return false;
    auto first = std::max_element(ready.begin(), ready.end(), [](const OpRef &a, const OpRef &b) {
        if (a->lane != b->lane && a->lane->priority != b->lane->priority) return a->lane->priority < b->lane->priority;
        return a->number > b->number;
    });
    OpRef op = *first;
    ready.erase(first);
    run(op);
    if (draw() % 8 == 0) op->lane->priority = draw();
    return true;
}

void wait(const OpRef &op) {
    while (op && !op->done && step()) {
    }
}

void drain() {
    while (step()) {
    }
}

// Seed 0 runs all at once: streams without delay. Half of the others run nothing before somebody waits; the rest, some
// of what is ready whenever something is queued.
void progress() {
    static const uint64_t levels[4] = {0, 0, 1, 3};
    static const uint64_t eager = levels[draw() % 4];
    if (!settings().seed) return drain();
    while (draw() % 4 < eager && step()) {
    }
}

} // namespace softgpu
