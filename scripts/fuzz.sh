#!/bin/sh
# fuzz.sh [SECONDS]: every fuzz target of the module in turn, each so long (60). What fails leaves its input in the
# package's testdata/fuzz, where go test finds it from then on. What is new is made smaller in 20 tries at most: by
# default go test spends a minute on each, which is all there is.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
tags=$(scripts/tags.sh)
log=build/fuzz.log
mkdir -p build

# Whether go test tried inputs and then failed only because its time was over: golang/go#75804, mended in Go 1.27. See
# test/faults/fuzz.go.
only_time() {
	awk '
		/panic: / { other = 1 }
		/execs: [1-9]/ { tried = 1 }
		/^--- FAIL: / { at = 1; next }
		at && ++at == 2 { if (!/^ +context deadline exceeded$/) other = 1; over = 1; next }
		at && !/^(FAIL|exit status 1|FAIL\t.*)$/ { other = 1 }
		END { exit !(tried && over && !other) }
	' "$log"
}

failed=
for package in $(grep -rl --include='*_test.go' '^func Fuzz' cmd internal test | xargs -n 1 dirname | sort -u); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$package"/*_test.go); do
		echo "fuzz: $package $target, $seconds s"
		: >"$log.failed"
		{ go test -tags "$tags" -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" -fuzzminimizetime 20x \
			"./$package" && rm "$log.failed"; } 2>&1 | tee "$log"
		if test -e "$log.failed" && ! only_time; then
			failed="$failed $package:$target"
		fi
	done
done
rm -f "$log.failed"
test -z "$failed" || { echo "fuzz: failed:$failed" >&2; exit 1; }
