#!/bin/sh
# Builds the emulated GPUs into build/softgpu: libcuda.so.1, libcublas.so.13 and .12, libcudnn.so.9, and the kernels
# compiled for the host (libsoftkernels.so); and what only their tests use: selftest, and testkernels.so with the
# kernels of testkernels.cu. Needs g++ and NVIDIA's headers (scripts/cuda.sh).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/build/softgpu
cxx=${CXX:-g++}
[ -n "${ALEXNET_CUDA:-}" ] || { settings=$("$root/scripts/cuda.sh" env); eval "$settings"; }

# The folders of the real headers, without the one that adapts them to gorgonia, and the compiler's own, which must keep
# its place.
eval "set -- $CGO_CFLAGS"
include=
for flag; do
	case $flag in
	-I*/compat | -I/usr/include) ;;
	-I*) include="$include -isystem ${flag#-I}" ;;
	esac
done

# Nothing is done where nothing has changed since.
mkdir -p "$out/obj"
cd "$here"
made=$($cxx --version | cat - *.cc *.h *.cu *.sh selftest/* "$root"/kernels/*.h "$root"/kernels/*.cu \
	"$ALEXNET_CUDA/include/cuda.h" | sha256sum)
[ "$made" != "$(cat "$out/made" 2>/dev/null)" ] || exit 0
rm -f "$out/made"
flags="-std=c++17 -O2 -g1 -fPIC -fvisibility=hidden -Wall -Wextra -Wmissing-declarations -Werror $include"
compile() { # compile NAME [FLAG...]
	name=$1
	shift
	$cxx $flags "$@" -c "$name.cc" -o "$out/obj/$name.o"
}
# link LIBRARY OBJECT...: into a new file that then takes the place of the old one, which a program may be running.
link() {
	name=$1
	shift
	$cxx -shared -Wl,-soname,"$name" -Wl,-z,defs -Wl,-rpath,'$ORIGIN' -o "$out/new.$name" "$@"
	mv "$out/new.$name" "$out/$name"
}
# kernels LIBRARY FILE: CUDA source compiled for the host by kernels/host.h, with a table of the kernels in it.
kernels() {
	name=$1 file=$2
	{
		printf '#include "%s/kernels/host.h"\n#include "kernel.h"\n#include "%s"\n' "$root" "$file"
		echo '#pragma GCC visibility push(default)'
		echo 'extern "C" const softgpu_kernel *softgpu_kernels() {'
		echo '    static const softgpu_kernel table[] = {'
		$cxx -E -P -x c++ "-D__launch_bounds__(...)=" "$file" | grep -oE '__global__ +void +[A-Za-z0-9_]+' |
			sed 's/.* \(.*\)/        HOST_KERNEL(\1),/'
		echo '        {nullptr, nullptr, 0, 0, false}};'
		echo '    return table;'
		echo '}'
		echo 'extern "C" const char *softgpu_run(const softgpu_kernel *k, const unsigned g[3], const unsigned b[3],'
		echo '    bool backwards, void **arguments) {'
		echo '    host::backwards = backwards;'
		echo '    return host::launch(k->run, {g[0], g[1], g[2]}, {b[0], b[1], b[2]}, arguments);'
		echo '}'
	} > "$out/obj/$name.cc"
	$cxx -std=c++17 -O3 -g1 -fPIC -fvisibility=hidden -Wno-unknown-pragmas -I. -c "$out/obj/$name.cc" \
		-o "$out/obj/$name.o"
	link "$name" "$out/obj/$name.o"
}

driver="settings errors schedule stats memory context stream copy graph module submit"
objects=
for name in $driver; do
	compile "$name"
	objects="$objects $out/obj/$name.o"
done
link libcuda.so.1 $objects -ldl
cuda="-L$out -l:libcuda.so.1"
compile gemm -O3
compile conv -O3
compile cublas -DSOFTGPU_CUBLAS=13
link libcublas.so.13 "$out/obj/cublas.o" "$out/obj/gemm.o" $cuda
compile cublas -DSOFTGPU_CUBLAS=12
link libcublas.so.12 "$out/obj/cublas.o" "$out/obj/gemm.o" $cuda
compile cudnn -Wno-deprecated-declarations
compile descriptors -Wno-deprecated-declarations
link libcudnn.so.9 "$out/obj/cudnn.o" "$out/obj/descriptors.o" "$out/obj/conv.o" "$out/obj/gemm.o" $cuda
kernels libsoftkernels.so "$root/kernels/all.cu"
kernels testkernels.so "$here/testkernels.cu"
for name in main driver streams libraries; do
	$cxx -std=c++17 -O1 -g1 -Wall -Wextra -Werror -Wno-deprecated-declarations $include -c "selftest/$name.cc" \
		-o "$out/obj/selftest-$name.o"
done
$cxx -o "$out/selftest" "$out"/obj/selftest-*.o -L"$out" -l:libcuda.so.1 -l:libcublas.so.13 -l:libcudnn.so.9 \
	-Wl,-rpath,'$ORIGIN'
echo "$made" > "$out/made"
