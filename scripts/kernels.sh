#!/bin/sh
# Compiles kernels/all.cu into kernels/built, which programs with the build tag cuda embed: kernels.ptx for every GPU
# from compute capability 7.5 on, which the driver compiles when the program starts, and sm_*.cubin, machine code for
# the usual ones. No GPU, driver or toolkit is needed: the compilers, NVRTC and ptxas 12.9, come from Python wheels (130
# MB, once) in the cache folder. Warnings of the compilers and registers spilled to memory are errors. Where the wheels
# are not there, a toolkit's compilers are taken if it has some that work: beside the headers (ALEXNET_CUDA, from
# cuda.sh env) or in the PATH. Then warnings and spills are only shown. NVCC=/usr/local/cuda/bin/nvcc names one to be
# taken in any case. Without any compiler the exit code is 3.
set -eu
cd "$(dirname "$0")/.."
version=12.9.86 # as cuda.sh has it
# Turing; A100; RTX 30; RTX 40; H100; B100; RTX 50. Later minor versions run the machine code of earlier ones.
targets="75 80 86 89 90 100 120"
# The version of the PTX language: the first that knows sm_75, so that no driver is too old; ptxas checks that nothing
# newer is used.
ptx=6.3
dir=${XDG_CACHE_HOME:-$HOME/.cache}/alexnet/nvrtc-$version

stamp() { cat scripts/kernels.sh scripts/nvrtc.py kernels/*.cu kernels/*.h; echo "${NVCC:-$version}"; }
made() { [ "$(cat kernels/built/stamp 2>/dev/null)" = "$(stamp | sha256sum)" ]; }
made && exit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# works NVCC: it is there with its ptxas, knows the oldest target, and finds a C++ compiler that it takes.
works() {
	[ -x "$1" ] && [ -x "$(dirname "$1")/ptxas" ] || return 1
	echo '__global__ void k(float *x) { *x = 0; }' >"$work/try.cu"
	"$1" -std=c++17 -ptx -arch=compute_75 -o "$work/try.ptx" "$work/try.cu" >/dev/null 2>&1
}

if [ -z "${NVCC:-}" ] && [ ! -e "$dir/ptxas" ]; then
	for nvcc in "${ALEXNET_CUDA:-}/bin/nvcc" "$(readlink -f "$(command -v nvcc)")"; do
		if works "$nvcc"; then
			NVCC=$nvcc
			made && exit
			break
		fi
	done
	[ -n "${NVCC:-}" ] || dir=$(scripts/cuda.sh nvrtc) || {
		echo "kernels: no compiler for them: no nvcc that works was found, and NVRTC's wheels cannot be had." \
			"NVCC=/usr/local/cuda/bin/nvcc names one" >&2
		exit 3
	}
fi

if [ -n "${NVCC:-}" ]; then
	ptxas=$(dirname "$NVCC")/ptxas
	known=$("$NVCC" --list-gpu-code)
	targets=$(for t in $targets; do case $known in *sm_$t*) echo "$t" ;; esac; done | xargs)
	"$NVCC" -std=c++17 -Ikernels -ptx -arch=compute_75 -o "$work/new.ptx" kernels/all.cu
else
	ptxas=$dir/ptxas
	python3 scripts/nvrtc.py "$dir" kernels/all.cu compute_75 "$work/new.ptx"
fi
sed "s/^\.version .*/.version $ptx/" "$work/new.ptx" >"$work/kernels.ptx"
echo "$targets" | tr ' ' '\n' | xargs -P "$(nproc)" -I % sh -c \
	'"$1" -v -arch=sm_% -o "$2/sm_%.cubin" "$2/kernels.ptx" >"$2/sm_%.log" 2>&1 || { cat "$2/sm_%.log" >&2; exit 1; }' \
	- "$ptxas" "$work"

# What ptxas -v says of each kernel: a line of the registers, and "0 bytes stack frame, 0 bytes spill stores, 0 bytes
# spill loads".
for target in $targets; do
	log=$work/sm_$target.log
	kernels=$(grep -c 'Compiling entry function' "$log")
	clean=$(grep -c '^ *0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads' "$log") || true
	if [ "$kernels" -eq 0 ] || [ "$clean" -ne "$kernels" ] || grep -qi warning "$log"; then
		grep -iE -B2 'warning|[1-9][0-9]* bytes (stack frame|spill)' "$log" >&2 || true
		echo "kernels: sm_$target: $clean of $kernels kernels keep to their registers, or ptxas warns" >&2
		[ -n "${NVCC:-}" ] || exit 1
		said="warnings or spills as said above"
	fi
done
mkdir -p kernels/built
rm -f kernels/built/stamp kernels/built/*.cubin # of another compiler there may have been more
mv "$work/kernels.ptx" "$work"/*.cubin kernels/built/
stamp | sha256sum >kernels/built/stamp
echo "kernels: $kernels kernels in kernels/built, PTX $ptx for compute capability 7.5 on and machine" \
	"code for $targets; ${said:-no warning, no spill}" >&2
