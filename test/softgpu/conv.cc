// Convolutions as matrix products, picture by picture and group by group: taps (channels x h x w of the filter,
// positions) is the picture's matrix.
#include "conv.h"
#include "gemm.h"

#include <vector>

namespace softgpu {

// Calls f(element, i, h, w) with the number of each element of (count, h, w) and where it is in the tensor, from index
// (n, first) on.
template <class F> static void each(const Tensor &t, size_t n, size_t first, size_t count, F f) {
    size_t i = 0;
    for (size_t c = first; c < first + count; c++)
        for (size_t h = 0; h < t.size[2]; h++) {
            size_t at = n * t.stride[0] + c * t.stride[1] + h * t.stride[2];
            for (size_t w = 0; w < t.size[3]; w++, at += t.stride[3]) f(i++, at);
        }
}

// Channels first..first+count of picture n, dense, as a multiplication takes them.
static void load(const Tensor &t, size_t n, size_t first, size_t count, Inputs in, float *to) {
    if (t.half)
        return each(t, n, first, count, [&](size_t i, size_t at) { to[i] = toFloat(((const bf16 *)t.at)[at]); });
    each(t, n, first, count, [&](size_t i, size_t at) { to[i] = rounded(((const float *)t.at)[at], in); });
}

template <class T> static void storeAs(const Tensor &t, size_t n, size_t first, size_t count, Blend blend,
    const float *from) {
    T *to = (T *)t.at;
    each(t, n, first, count, [&](size_t i, size_t at) {
        float sum = blend.alpha * from[i];
        // with beta 0 what was there does not matter, NaN or not
        if (blend.beta != 0) sum += blend.beta * toFloat(to[at]);
        to[at] = fromFloat<T>(sum);
    });
}

static void store(const Tensor &t, size_t n, size_t first, size_t count, Blend blend, const float *from) {
    t.half ? storeAs<bf16>(t, n, first, count, blend, from) : storeAs<float>(t, n, first, count, blend, from);
}

// The sizes of one group of one picture.
struct Group {
    size_t channels, height, width;   // of the input
    size_t kernels, taps;             // taps: channels x filter's height x width
    size_t filterHeight, filterWidth;
    size_t outHeight, outWidth, positions;
};

static Group groupOf(const Tensor &x, const Tensor &w, const Tensor &y, const Shape &s) {
    Group g = {x.size[1] / s.groups, x.size[2], x.size[3], w.size[0] / s.groups, 0, w.size[2], w.size[3], y.size[2],
        y.size[3], 0};
    g.taps = g.channels * g.filterHeight * g.filterWidth;
    g.positions = g.outHeight * g.outWidth;
    return g;
}

// Calls f(tap's row, input's row) for every channel, row of the filter and row of the output, with first..last, the
// columns of the output whose tap lies in the input, and where the first of these lies; input is null where the whole
// row is margin.
template <class F> static void rows(const Group &g, const Shape &s, F f) {
    for (size_t c = 0; c < g.channels; c++)
        for (size_t r = 0; r < g.filterHeight; r++)
            for (size_t q = 0; q < g.filterWidth; q++)
                for (size_t oh = 0; oh < g.outHeight; oh++) {
                    long r1 = (long)(s.flipped ? g.filterHeight - 1 - r : r),
                        q1 = (long)(s.flipped ? g.filterWidth - 1 - q : q);
                    long h = (long)oh * s.stride[0] - s.pad[0] + r1 * s.dilation[0], w = -s.pad[1] + q1 * s.dilation[1];
                    size_t tap = ((c * g.filterHeight + r) * g.filterWidth + q) * g.positions + oh * g.outWidth;
                    f(tap, h < 0 || h >= (long)g.height ? -1 : (long)((c * g.height + (size_t)h) * g.width), w);
                }
}

// taps (taps, positions) of x (channels, height, width)
static void gather(const Group &g, const Shape &s, const float *x, float *taps) {
    rows(g, s, [&](size_t tap, long row, long w) {
        for (size_t i = 0; i < g.outWidth; i++, w += s.stride[1])
            taps[tap + i] = row < 0 || w < 0 || w >= (long)g.width ? 0 : x[row + w];
    });
}

// The other way round: every tap is added to the element that it is of.
static void scatter(const Group &g, const Shape &s, const float *taps, float *x) {
    rows(g, s, [&](size_t tap, long row, long w) {
        for (size_t i = 0; i < g.outWidth && row >= 0; i++, w += s.stride[1])
            if (w >= 0 && w < (long)g.width) x[row + w] += taps[tap + i];
    });
}

// All filters, dense: (kernels, taps).
static std::vector<float> filters(const Tensor &w, const Group &g, Inputs in) {
    std::vector<float> all(w.size[0] * g.taps);
    for (size_t k = 0; k < w.size[0]; k++) load(w, k, 0, w.size[1], in, &all[k * g.taps]);
    return all;
}

void convForward(const Tensor &x, const Tensor &w, const Tensor &y, const Shape &s, Inputs in, Blend blend) {
    Group g = groupOf(x, w, y, s);
    std::vector<float> weights = filters(w, g, in), picture(g.channels * g.height * g.width),
        taps(g.taps * g.positions), out(g.kernels * g.positions);
    for (size_t n = 0; n < x.size[0]; n++)
        for (size_t i = 0; i < s.groups; i++) {
            load(x, n, i * g.channels, g.channels, in, picture.data());
            gather(g, s, picture.data(), taps.data());
            multiply(g.kernels, g.positions, g.taps, {&weights[i * g.kernels * g.taps], g.taps, 1},
                {taps.data(), g.positions, 1}, out.data(), false);
            store(y, n, i * g.kernels, g.kernels, blend, out.data());
        }
}

void convBackwardData(const Tensor &w, const Tensor &dy, const Tensor &dx, const Shape &s, Inputs in, Blend blend) {
    Group g = groupOf(dx, w, dy, s);
    std::vector<float> weights = filters(w, g, in), out(g.kernels * g.positions), taps(g.taps * g.positions),
        picture(g.channels * g.height * g.width);
    for (size_t n = 0; n < dx.size[0]; n++)
        for (size_t i = 0; i < s.groups; i++) {
            load(dy, n, i * g.kernels, g.kernels, in, out.data());
            multiply(g.taps, g.positions, g.kernels, {&weights[i * g.kernels * g.taps], 1, g.taps},
                {out.data(), g.positions, 1}, taps.data(), false);
            picture.assign(picture.size(), 0);
            scatter(g, s, taps.data(), picture.data());
            store(dx, n, i * g.channels, g.channels, blend, picture.data());
        }
}

void convBackwardFilter(const Tensor &x, const Tensor &dy, const Tensor &dw, const Shape &s, Inputs in, Blend blend,
    size_t first) {
    Group g = groupOf(x, dw, dy, s);
    std::vector<float> sums(dw.size[0] * g.taps), picture(g.channels * g.height * g.width), taps(g.taps * g.positions),
        out(g.kernels * g.positions);
    for (size_t m = 0; m < x.size[0]; m++) {
        size_t n = (first + m) % x.size[0];
        for (size_t i = 0; i < s.groups; i++) {
            load(x, n, i * g.channels, g.channels, in, picture.data());
            gather(g, s, picture.data(), taps.data());
            load(dy, n, i * g.kernels, g.kernels, in, out.data());
            multiply(g.kernels, g.taps, g.positions, {out.data(), g.positions, 1}, {taps.data(), 1, g.positions},
                &sums[i * g.kernels * g.taps], true);
        }
    }
    for (size_t k = 0; k < dw.size[0]; k++) store(dw, k, 0, dw.size[1], blend, &sums[k * g.taps]);
}

} // namespace softgpu
