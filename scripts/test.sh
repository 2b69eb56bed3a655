#!/bin/sh
# go test with everything kept in build/test.log (or LOG): prints a line a package, every failure whole, and last why tests were skipped, and which.
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
	# A test says why between the line that begins it, or takes up its output again, and its verdict. Many with one reason share a line.
	awk '
		/^ *=== (RUN|NAME|CONT) / { test = $3 }
		sub(/^ +[^ ]+\.go:[0-9]+: /, "") { why[test] = $0 }
		/^ *--- SKIP/ { r = why[$3]; if (n[r]++ < 3) names[r] = names[r] " " $3 }
		END { for (r in n) print "  " r ":" names[r] (n[r] > 3 ? " and " n[r] - 3 " more" : "") }
	' "$log" | sort
fi
exit $status
