#!/bin/sh
# What a build with CUDA needs besides a C compiler: NVIDIA's headers, and trampolines (internal/gpu/dynlib) to link
# with.
# instead of NVIDIA's libraries, which the program opens when it runs. No GPU, driver or library of NVIDIA's is needed
# to build.
#   cuda.sh fetch   headers of CUDA 12.9 and cuDNN 9.27 from Python wheels (700 MB to load, 10 MB kept) into the
#                   cache folder
#   cuda.sh cudnn   cuDNN's library too (770 MB to load, 1.2 GB kept), for the test that asks the real one
#                   about every net; prints its folder
#   cuda.sh nvrtc   compilers for kernels, NVRTC and ptxas 12.9, from Python wheels (130 MB) into the cache folder;
#                   prints their folder
#   cuda.sh env     shell assignments for go build -tags cuda: eval "$(scripts/cuda.sh env)"; fails,
#                   saying why, where there are no headers
# env takes the headers in the cache folder, or else those of a toolkit (CUDA 12 or 13) and cuDNN 9: in CUDA_HOME,
# CUDA_PATH, beside nvcc, /usr/local/cuda, /opt/cuda or /usr; cuDNN in CUDNN_HOME, CUDNN_PATH or the same places.
set -eu
cuda=12.9 compilers=12.9.86 cudnn=9.27.0.42
cache=${XDG_CACHE_HOME:-$HOME/.cache}/alexnet
dir=$cache/cuda-$cuda
root=$(cd "$(dirname "$0")/.." && pwd)
dynlib=$root/internal/gpu/dynlib

fail() { echo "cuda: $1" >&2; exit 1; }

# wheel PACKAGE==VERSION FOLDER PATTERN...: files of a wheel that match, without the folder nvidia/COMPONENT before
# them.
wheel() {
	package=$1 to=$2
	shift 2
	echo "cuda: $package" >&2
	mkdir -p "$tmp/wheel"
	$python -m pip download -q --no-deps --no-cache-dir --only-binary :all: -d "$tmp/wheel" "$package" >&2
	$python - "$tmp"/wheel/*.whl "$to" "$@" <<-'PY'
		import fnmatch, os, shutil, sys, zipfile
		wheel, to, *patterns = sys.argv[1:]
		taken = 0
		with zipfile.ZipFile(wheel) as z:
		    for name in z.namelist():
		        path = name.split("/", 2)[-1]
		        if not name.startswith("nvidia/") or name.endswith("/"):
		            continue
		        if any(fnmatch.fnmatch(path, p) for p in patterns):
		            os.makedirs(os.path.join(to, os.path.dirname(path)), exist_ok=True)
		            with z.open(name) as source, open(os.path.join(to, path), "wb") as sink:
		                shutil.copyfileobj(source, sink, 1 << 20)
		            taken += 1
		sys.exit(f"cuda: {os.path.basename(wheel)} has nothing of {patterns}" if not taken else 0)
	PY
	rm -r "$tmp/wheel"
}

# prepare FOLDER: what wheel needs, and a folder $tmp beside FOLDER that is removed at the end.
prepare() {
	[ "$(uname -sm)" = "Linux x86_64" ] || fail "the trampolines are written for Linux on x86-64, this is $(uname -sm)"
	tmp=$1.$$
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 130' INT TERM HUP
	mkdir -p "$tmp/made"
	python=python3
	command -v python3 >/dev/null 2>&1 ||
		fail "no python3, which unpacks the wheels (Debian, Ubuntu: apt-get install python3-venv)"
	python3 -m pip --version >/dev/null 2>&1 && return
	python3 -m venv "$tmp/venv" >&2 ||
		fail "python3 has neither pip nor venv (Debian, Ubuntu: apt-get install python3-venv)"
	python=$tmp/venv/bin/python
}

# finish FOLDER: puts what was made into its place, unless somebody was faster.
finish() { mv -T "$tmp/made" "$1" 2>/dev/null || [ -d "$1" ]; }

fetch() {
	[ ! -d "$dir" ] || return 0
	prepare "$dir"
	wheel nvidia-cuda-runtime-cu12==12.9.79 "$tmp/made" 'include/*'
	wheel nvidia-cuda-cccl-cu12==12.9.27 "$tmp/made" 'include/nv/*'
	wheel nvidia-cuda-nvcc-cu12==$compilers "$tmp/made" 'include/*'
	# the small one of cuDNN's wheels: all headers, few libraries
	wheel nvidia-cudnn-jit-cu12==$cudnn "$tmp/made" 'include/*'
	wheel nvidia-cublas-cu12==12.9.3.13 "$tmp/made" 'include/*' # no smaller wheel has the headers
	finish "$dir"
}

library() {
	folder=$cache/cudnn-$cudnn
	if [ ! -d "$folder" ]; then
		prepare "$folder"
		wheel nvidia-cudnn-cu12==$cudnn "$tmp/made" 'lib/*.so.9'
		finish "$folder"
	fi
	echo "$folder/lib"
}

compilers() {
	folder=$cache/nvrtc-$compilers
	if [ ! -d "$folder" ]; then
		prepare "$folder"
		wheel nvidia-cuda-nvrtc-cu12==$compilers "$tmp/made" 'lib/libnvrtc.so.*' 'lib/libnvrtc-builtins.so.*'
		wheel nvidia-cuda-nvcc-cu12==$compilers "$tmp/made" bin/ptxas
		mv "$tmp"/made/lib/* "$tmp"/made/bin/* "$tmp/made/"
		rmdir "$tmp/made/lib" "$tmp/made/bin"
		chmod +x "$tmp/made/ptxas"
		finish "$folder"
	fi
	echo "$folder"
}

# usable FLAGS...: the compiler finds headers that this program is written for.
usable() {
	$cc "$@" -fsyntax-only -x c - 2>/dev/null <<-'C'
		#include <cuda.h>
		#include <cublas_v2.h>
		#include <cublasLt.h>
		#include <cudnn.h>
		#if CUDA_VERSION < 12000 || CUDNN_MAJOR != 9
		#error CUDA 12 or 13 and cuDNN 9 wanted
		#endif
	C
}

# headers: sets found, the folder of the toolkit, and include and include2, where its headers and cuDNN's are.
headers() {
	nvcc=$(command -v nvcc 2>/dev/null) && nvcc=$(dirname "$(dirname "$(readlink -f "$nvcc")")") || nvcc=
	for found in "$dir" "${CUDA_HOME:-}" "${CUDA_PATH:-}" "$nvcc" /usr/local/cuda /opt/cuda /usr; do
		include=$found/include
		[ -n "$found" ] && [ -e "$include/cuda.h" ] || continue
		for include2 in "$include" "${CUDNN_HOME:-}/include" "${CUDNN_PATH:-}/include" \
			/usr/local/cuda/include /usr/include/x86_64-linux-gnu /usr/include; do
			if [ -e "$include2/cudnn.h" ] && usable "-I$include" "-I$include2"; then return; fi
		done
	done
	fail "no headers of CUDA 12 or 13 with cuDNN 9 (make cuda fetches them)"
}

# trampolines: sets hash, of all that they and the headers are, and made, the folder of libcuda.a, libcublas.a and
# libcudnn.a, which are the same file: gorgonia's packages ask for one or two of them each.
trampolines() {
	hash=$(cat "$include/cuda.h" "$include/cublas_api.h" "$include2/cudnn_version.h" "$dynlib"/compat/* \
		"$dynlib"/trampoline/* | sha256sum | cut -c1-12)
	made=$root/build/cuda-link/$hash
	[ ! -d "$made" ] || return 0
	mkdir -p "$root/build/cuda-link"
	tmp=$(mktemp -d "$root/build/cuda-link/new.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 130' INT TERM HUP
	set -- "-I$dynlib/compat" "-I$include" "-I$include2"
	"$dynlib/trampoline/functions.sh" $cc "$@" > "$tmp/functions.inc"
	$cc -O2 -fPIC -Wall "$@" "-I$tmp" -c "$dynlib/trampoline/resolve.c" -o "$tmp/resolve.o"
	$cc "-I$tmp" -c "$dynlib/trampoline/entry.S" -o "$tmp/entry.o"
	ar rcs "$tmp/libcuda.a" "$tmp/resolve.o" "$tmp/entry.o"
	rm "$tmp"/*.o
	ln -s libcuda.a "$tmp/libcublas.a"
	ln -s libcuda.a "$tmp/libcudnn.a"
	chmod 755 "$tmp"
	mv -T "$tmp" "$made" 2>/dev/null || [ -d "$made" ]
}

# Go's build cache does not look into headers or archives: the hash, in a macro and in a folder's name, is how it
# notices that they changed.
env() {
	[ "$(uname -sm)" = "Linux x86_64" ] || fail "the trampolines are written for Linux on x86-64, this is $(uname -sm)"
	cc=$(go env CC)
	command -v "${cc%% *}" >/dev/null 2>&1 || fail "no C compiler ($cc)"
	headers
	trampolines
	case $include$include2$made in *[[:space:]]*)
		fail "compilers' flags are split at spaces, and there is one in $include, $include2 or $made" ;;
	esac
	cat <<-SH
		export ALEXNET_CUDA="$found"
		export CGO_CFLAGS="${CGO_CFLAGS:--O2 -g} -I$dynlib/compat -I$include -I$include2 -DALEXNET_HEADERS=0x$hash"
		export CGO_LDFLAGS="${CGO_LDFLAGS:--O2 -g} -L$made"
	SH
}

case ${1:-} in
fetch) fetch ;;
cudnn) library ;;
nvrtc) compilers ;;
env) env ;;
*) sed -n '2,$ { /^#/!q; s/^# \{0,1\}//; p; }' "$0" >&2; exit 2 ;;
esac
