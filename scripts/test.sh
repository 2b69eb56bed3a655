#!/bin/sh
# go test with everything kept in build/test.log (or LOG): prints a line a package, every failure whole, and last each test that was skipped and why.
# usage: [LOG=NAME] test.sh ARGUMENTS OF GO TEST
set -u
mkdir -p build
log=build/${LOG:-test.log}
go test -v "$@" >"$log" 2>&1
status=$?
grep -E '^(ok|FAIL|panic:|\?)' "$log" | grep -v 'no test files'
if [ $status -ne 0 ]; then
	echo "failed; the whole output is in $log. Its failures:" >&2
	grep -vE '^ *(=== |--- (PASS|SKIP))|^(ok|PASS|\?)' "$log" | head -200 >&2
fi
skipped=$(grep -cE '^ *--- SKIP' "$log")
if [ "$skipped" -gt 0 ]; then
	echo "$skipped skipped:"
	# The reason stands on the line before the verdict (go test -v) or after it.
	awk '/^ *--- SKIP/ {n=$3; getline r; if (r !~ /\.go:/) r=before; sub(/^ */, "", r); print "  " n "  " r} {before=$0}' "$log" | sort | uniq
fi
exit $status
