#!/bin/sh
# fuzz.sh [SECONDS]: every fuzz target of the module in turn, each so long (60). What fails leaves its input in the
# package's testdata/fuzz, where go test finds it from then on. What is new is made smaller in 20 tries at most: by
# default go test spends a minute on each, which is all there is.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
tags=$(scripts/tags.sh)
failed=
for package in $(grep -rl --include='*_test.go' '^func Fuzz' cmd internal test | xargs -n 1 dirname | sort -u); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$package"/*_test.go); do
		echo "fuzz: $package $target, $seconds s"
		go test -tags "$tags" -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" -fuzzminimizetime 20x \
			"./$package" ||
			failed="$failed $package:$target"
	done
done
test -z "$failed" || { echo "fuzz: failed:$failed" >&2; exit 1; }
