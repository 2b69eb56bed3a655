// Roundings of the hardware.
#pragma once

#include <cstdint>
#include <cstring>

namespace softgpu {

struct bf16 {
    uint16_t bits;
};

inline float toFloat(float x) { return x; }

inline float toFloat(bf16 x) {
    uint32_t word = (uint32_t)x.bits << 16;
    float f;
    memcpy(&f, &word, 4);
    return f;
}

// To nearest, ties to even; NaN stays NaN.
inline bf16 toBF16(float f) {
    uint32_t word;
    memcpy(&word, &f, 4);
    if (f != f) return {0x7FFF};
    return {(uint16_t)((word + 0x7FFF + (word >> 16 & 1)) >> 16)};
}

// 10 bits of mantissa instead of 23, to nearest, ties away from zero, as cvt.rna.tf32.f32 does.
inline float toTF32(float f) {
    uint32_t word;
    memcpy(&word, &f, 4);
    if ((word & 0x7F800000) != 0x7F800000) word = (word + 0x1000) & 0xFFFFE000;
    memcpy(&f, &word, 4);
    return f;
}

template <class T> T fromFloat(float f);
template <> inline float fromFloat<float>(float f) { return f; }
template <> inline bf16 fromFloat<bf16>(float f) { return toBF16(f); }

// What a multiplication takes.
enum Inputs { Full, TF32, BF16 };

inline float rounded(float f, Inputs in) { return in == Full ? f : in == TF32 ? toTF32(f) : toFloat(toBF16(f)); }

} // namespace softgpu
