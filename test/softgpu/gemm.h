// The matrix product behind both libraries.
#pragma once

#include <cstddef>

namespace softgpu {

// A matrix of fp32: element (i, j) is at[i * row + j * column].
struct Matrix {
    const float *at;
    size_t row, column;
};

// c (m, n), rows of n, = or, with add, += a (m, k) b (k, n), fp32 throughout.
void multiply(size_t m, size_t n, size_t k, Matrix a, Matrix b, float *c, bool add);

} // namespace softgpu
