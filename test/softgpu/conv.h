// Convolutions in two dimensions, over tensors of any strides.
#pragma once

#include "number.h"

#include <cstddef>

namespace softgpu {

// (n, c, h, w) or, of filters, (kernels, channels of a group, h, w); strides in elements.
struct Tensor {
    void *at;
    bool half; // bf16, else fp32
    size_t size[4], stride[4];
};

struct Shape {
    long pad[2], stride[2], dilation[2];
    size_t groups;
    bool flipped; // a convolution in the mathematical sense; else a cross-correlation
};

// to = alpha * result + beta * to
struct Blend {
    float alpha, beta;
};

void convForward(const Tensor &x, const Tensor &w, const Tensor &y, const Shape &s, Inputs in, Blend blend);
void convBackwardData(const Tensor &w, const Tensor &dy, const Tensor &dx, const Shape &s, Inputs in, Blend blend);
// first: the picture that the sums begin with.
void convBackwardFilter(const Tensor &x, const Tensor &dy, const Tensor &dw, const Shape &s, Inputs in, Blend blend,
    size_t first);

} // namespace softgpu
