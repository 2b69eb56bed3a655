#!/bin/sh
# For a machine with a GPU: what it offers and every op checked (doctor), the suite that every backend must pass, twenty
# steps through the host's memory (the exchange without peer access), the paper's net against PyTorch. Leaves all of it
# in build/gpu-check, one file each, and report.md; with a real GPU that takes its place between the two marks in
# docs/results.md. usage: gpu_check.sh ALEXNET (make gpu-check; BATCH and STEPS, 128 and 50, are the benchmark's; PYTHON
# is one with PyTorch for CUDA; ALONE=1 measures without PyTorch)
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
part devicetest "${GO:-go}" test -count=1 -tags "$(scripts/tags.sh)" -timeout 20m \
	-run 'TestDevice|TestHalf$|TestOneGPU|TestTwentySteps|TestGolden|TestHalfGolden|TestTF32|TestReplay' ./internal/gpu
part staged env ALEXNET_PEER=0 "${GO:-go}" test -count=1 -tags "$(scripts/tags.sh)" -timeout 20m \
	-run 'TestTwentySteps' ./internal/gpu
part bench "${PYTHON:-python3}" scripts/bench_gpu.py --alexnet "$alexnet" --batch "${BATCH:-128}" \
	--steps "${STEPS:-50}" ${ALONE:+--alone}

{
	echo "\`make gpu-check\`, commit $(git rev-parse --short HEAD 2>/dev/null), $(date -u +%Y-%m-%d):"
	echo
	for name in doctor devicetest staged bench; do
		echo '```'
		cat "$out/$name.txt"
		echo '```'
		echo
	done
} >"$out/report.md"

# publish PAGE: puts the report between the marks.
publish() {
	[ "$(grep -c '^<!-- gpu-check: ' "$1")" -eq 2 ] || {
		echo "gpu-check: $1 lacks the two marks of gpu-check; the report stays $out/report.md" >&2
		return 1
	}
	awk -v report="$out/report.md" '
		/^<!-- gpu-check: end/ { inside = 0 }
		!inside { print }
		/^<!-- gpu-check: written/ {
			inside = 1
			while ((getline line < report) > 0) print line
		}' "$1" >"$out/page.md" &&
		cp "$out/page.md" "$1"
}
if [ $failed -ne 0 ] || grep -q 'emulated GPU' "$out/doctor.txt"; then
	echo "gpu-check: $out/report.md; docs/results.md stays as it is: something failed, or the GPUs are emulated" >&2
else
	publish docs/results.md || exit 1
	echo "gpu-check: $out/report.md, which is in docs/results.md now" >&2
fi
exit $failed
