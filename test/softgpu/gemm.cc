// A matrix product in the manner of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008):
// blocks of a and b are copied into the order in which a small kernel of 6 x 16 sums in registers reads them. One
// thread; the compiler makes a version for each kind of vector.
#include "gemm.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace softgpu {

enum { Rows = 6, Columns = 16, BlockRows = 96, BlockDepth = 256, BlockColumns = 4096 };

typedef float Vector __attribute__((vector_size(4 * Columns)));

// sums[Rows][Columns] = a panel (k, Rows) times a panel (k, Columns).
__attribute__((target_clones("avx512f", "fma", "default"))) static void kernel(size_t k, const float *a, const float *b,
    float *sums) {
    Vector s0 = {}, s1 = {}, s2 = {}, s3 = {}, s4 = {}, s5 = {};
    for (size_t p = 0; p < k; p++, a += Rows, b += Columns) {
        Vector v;
        memcpy(&v, b, sizeof v);
        s0 += a[0] * v;
        s1 += a[1] * v;
        s2 += a[2] * v;
        s3 += a[3] * v;
        s4 += a[4] * v;
        s5 += a[5] * v;
    }
    Vector all[Rows] = {s0, s1, s2, s3, s4, s5};
    memcpy(sums, all, sizeof all);
}

// Panels of `width` columns of a (k, n) matrix; in the last one what is beyond n is left as it was: its sums are not
// stored.
template <size_t width> static void pack(size_t k, size_t n, Matrix x, float *to) {
    for (size_t j = 0; j < n; j += width) {
        size_t used = std::min(width, n - j);
        for (size_t p = 0; p < k; p++, to += width) {
            const float *from = x.at + p * x.row + j * x.column;
            for (size_t i = 0; i < used; i++) to[i] = from[i * x.column];
        }
    }
}

static void store(const float *sums, size_t rows, size_t columns, float *c, size_t n, bool add) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[i * n + j] = add ? c[i * n + j] + sums[i * Columns + j] : sums[i * Columns + j];
}

static size_t up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

void multiply(size_t m, size_t n, size_t k, Matrix a, Matrix b, float *c, bool add) {
    if (!k && !add) std::fill_n(c, m * n, 0.f);
    std::vector<float> packedA(up(std::min<size_t>(m, BlockRows), Rows) * BlockDepth),
        packedB(up(std::min<size_t>(n, BlockColumns), Columns) * BlockDepth);
    alignas(64) float sums[Rows * Columns];
    for (size_t j0 = 0; j0 < n; j0 += BlockColumns)
        for (size_t p0 = 0; p0 < k; p0 += BlockDepth) {
            size_t depth = std::min<size_t>(BlockDepth, k - p0), columns = std::min<size_t>(BlockColumns, n - j0);
            pack<Columns>(depth, columns, {b.at + p0 * b.row + j0 * b.column, b.row, b.column}, packedB.data());
            for (size_t i0 = 0; i0 < m; i0 += BlockRows) {
                size_t rows = std::min<size_t>(BlockRows, m - i0);
                // transposed
                pack<Rows>(depth, rows, {a.at + i0 * a.row + p0 * a.column, a.column, a.row}, packedA.data());
                for (size_t j = 0; j < columns; j += Columns)
                    for (size_t i = 0; i < rows; i += Rows) {
                        kernel(depth, &packedA[i * depth], &packedB[j * depth], sums);
                        store(sums, std::min<size_t>(Rows, rows - i), std::min<size_t>(Columns, columns - j),
                            c + (i0 + i) * n + j0 + j, n, add || p0);
                    }
            }
        }
}

} // namespace softgpu
