#!/bin/sh
# For a machine with a GPU: what it offers and every op checked (doctor), the suite that every backend must pass, the paper's net against PyTorch. Leaves all of it in
# build/gpu-check, one file each, and report.md, to be put into docs/results.md.
# usage: gpu_check.sh ALEXNET    (make gpu-check; BATCH and STEPS, 128 and 50, are the benchmark's; PYTHON is one with PyTorch for CUDA)
set -u
alexnet=$1
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/build/gpu-check
rm -rf "$out"
mkdir -p "$out"
failed=0

# part NAME COMMAND...: shows and keeps what a command says.
part() {
	name=$1
	shift
	echo "gpu-check: $name" >&2
	"$@" >"$out/$name.txt" 2>&1
	status=$?
	cat "$out/$name.txt"
	[ $status -eq 0 ] || { echo "gpu-check: $name failed" >&2; failed=1; }
}

"$alexnet" summary --config demo --gpus all >"$out/first.txt" 2>&1 || { cat "$out/first.txt" >&2; exit 11; }
part doctor "$alexnet" doctor --gpus all
cd "$root" || exit 1
eval "$(scripts/cuda.sh env)"
part devicetest "${GO:-go}" test -count=1 -tags "$(scripts/tags.sh)" -timeout 20m -run 'TestDevice|TestHalf$|TestOneGPU|TestTwentySteps|TestGolden|TestHalfGolden' ./internal/gpu
part bench "${PYTHON:-python3}" scripts/bench_gpu.py --alexnet "$alexnet" --batch "${BATCH:-128}" --steps "${STEPS:-50}"

{
	echo "## On a GPU"
	echo
	echo "\`make gpu-check\`, commit $(git rev-parse --short HEAD 2>/dev/null), $(date -u +%Y-%m-%d):"
	echo
	for name in doctor devicetest bench; do
		echo '```'
		cat "$out/$name.txt"
		echo '```'
		echo
	done
} >"$out/report.md"
echo "gpu-check: $out/report.md" >&2
exit $failed
