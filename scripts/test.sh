#!/bin/sh
# go test with everything kept in build/test.log (or LOG): prints a line a package, the output of every test that
# failed, the tests that hung, and last why tests were skipped, and which. A package has an hour, because a machine may
# be busy with others' work. usage: [LOG=NAME] test.sh ARGUMENTS OF GO TEST
set -u
mkdir -p build
log=build/${LOG:-test.log}
go test -v -timeout 60m "$@" >"$log" 2>&1
status=$?
grep -aE '^(ok|FAIL|panic:|\?)' "$log" | grep -v 'no test files'
if [ $status -ne 0 ]; then
	echo "failed; the whole output is in $log. Its failures:" >&2
	# Each line belongs to the test named last. A package that broke off (a panic, a signal) leaves tests without a
	# verdict: theirs is shown too.
	awk '
		/^ *=== (RUN|NAME|CONT|PAUSE) / { test = $3; next }
		/^ *--- (PASS|SKIP|FAIL): / {
			if ($2 == "FAIL:") { printf "%s%s\n", said[$3], $0 }
			delete said[$3]; test = ""; next
		}
		/^(ok[ \t]|PASS$|FAIL$|FAIL\t|\?)/ { for (t in said) printf "%s", said[t]; delete said; test = ""; next }
		test != "" { said[test] = said[test] $0 "\n"; next }
		{ print }
	' "$log" | head -300 >&2
	# What Go prints before the stacks when a package's time is over.
	awk '
		/^panic: test timed out/ { after = $NF; next }
		after != "" && /^\t\t/ { hung[n++] = $1 " " $2; next }
		/^FAIL\t/ {
			for (i = 0; i < n; i++) print "hung: " hung[i] " in " $2 ", stopped after " after
			n = 0; after = ""
		}
	' "$log" >&2
fi
skipped=$(grep -acE '^ *--- SKIP' "$log")
if [ "$skipped" -gt 0 ]; then
	echo "$skipped skipped:"
	# A test says why between the line that begins it, or takes up its output again, and its verdict. Many with one
	# reason share a line.
	awk '
		/^ *=== (RUN|NAME|CONT) / { test = $3 }
		sub(/^ +[^ ]+\.go:[0-9]+: /, "") { why[test] = $0 }
		/^ *--- SKIP/ { r = why[$3]; if (n[r]++ < 3) names[r] = names[r] " " $3 }
		END { for (r in n) print "  " r ":" names[r] (n[r] > 3 ? " and " n[r] - 3 " more" : "") }
	' "$log" | sort
fi
exit $status
