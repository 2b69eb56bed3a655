#!/bin/sh
# Prints the build tags for this machine: "dnnl" where oneDNN's headers (2.x or 3.x) are found and a C compiler that
# takes what internal/cpu is written in (GCC: clang has no __builtin_shuffle; its assembler with AMX), "cuda" where
# scripts/cuda.sh finds headers. Says on standard error what is left out.
set -u
none() { echo "build: $1: reference backend only" >&2; exit 0; }
[ "${CGO_ENABLED:-1}" = 0 ] && none "CGO_ENABLED=0"
cc=$(go env CC)
command -v "${cc%% *}" >/dev/null 2>&1 || none "no C compiler ($cc)"
compiles() { $cc $(go env CGO_CFLAGS) -std=gnu11 -Wno-psabi -c -o /dev/null -x c - 2>/dev/null; }

vectors() { compiles <<'C'
typedef float floats __attribute__((vector_size(32)));
typedef int ints __attribute__((vector_size(32)));
#ifdef __x86_64__
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void swap(float *x) {
	const ints lanes = {1, 0, 3, 2, 5, 4, 7, 6};
	*(floats *)x = __builtin_shuffle(*(floats *)x, lanes);
}
#ifdef __x86_64__
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,prefer-vector-width=512")))
#endif
void add(float *x) { for (int i = 0; i < 64; i++) x[i] += 1; }
#ifdef __x86_64__
void tiles(void) { __asm__ volatile("tilerelease"); }
#endif
C
}

onednn() { compiles <<'C'
#include <oneapi/dnnl/dnnl.h>
#if DNNL_VERSION_MAJOR != 2 && DNNL_VERSION_MAJOR != 3
#error oneDNN 2.x or 3.x wanted
#endif
C
}

tags=
if ! vectors; then
	echo "build: $cc does not compile GCC's vector extensions (CC=gcc does), or its assembler is older" \
		"than AMX (binutils 2.36): no oneDNN" >&2
elif ! onednn; then
	echo "build: no headers of oneDNN 2.x or 3.x (Debian, Ubuntu: apt-get install libdnnl-dev): no oneDNN" >&2
else
	tags=dnnl
fi
if "$(dirname "$0")/cuda.sh" env >/dev/null 2>&1; then
	tags="$tags cuda"
elif [ -e /proc/driver/nvidia/version ]; then
	echo "build: there is a GPU's driver, but no CUDA to build with (make cuda fetches it): CPU only" >&2
fi
echo "${tags# }"
