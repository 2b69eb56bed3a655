// Registers kernels for libsoftkernels.so; build.sh writes the file that includes this, the kernels, and a table of their names.
#pragma once

#include "kernel.h"

#include <type_traits>
#include <utility>

template <class... A, size_t... I> static void softgpu_apply(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) { kernel(*(A *)arguments[I]...); }
template <class... A> static void softgpu_apply(void (*kernel)(A...), void **arguments) { softgpu_apply(kernel, arguments, std::index_sequence_for<A...>{}); }
template <class... A> static constexpr int softgpu_count(void (*)(A...)) {
    static_assert(((sizeof(A) == 8) && ...), "an argument does not take 8 bytes");
    return sizeof...(A);
}
template <class... A> static constexpr unsigned softgpu_pointers(void (*)(A...)) {
    unsigned mask = 0, bit = 1;
    ((mask |= std::is_pointer<A>::value ? bit : 0, bit *= 2), ...);
    return mask;
}

#define SOFTGPU_KERNEL(k) {#k, [](void **arguments) { softgpu_apply(k, arguments); }, softgpu_count(k), softgpu_pointers(k)}
