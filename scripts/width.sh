#!/bin/sh
# Names each line wider than 120 columns as file:line, of the files in git that are Go, C, CUDA, C++, assembler, shell,
# make or Markdown, and exits with 1 where there is one. A tab counts 4, whatever column it starts in.
# Exempt are, because a break would change what they say:
#   - tests in Go: lines of a text between backquotes that has several lines (pages, what is expected);
#   - Markdown: tables, lines of a single word (a link), and what a program writes between its marks (gpu-check,
#     bench-peers).
# usage: width.sh [FILE...], from any folder; without files all of them
set -eu
if [ $# -eq 0 ]; then
	cd "$(dirname "$0")/.."
	# No name in this repository has a space.
	set -- $(git ls-files '*.go' '*.c' '*.h' '*.cc' '*.cu' '*.inc' '*.S' '*.sh' '*.md' Makefile .ci/run)
fi
# In the locale C an awk counts bytes, and some (mawk) do so in every locale: so the bytes of a character but its first
# are taken out before counting.
LC_ALL=C awk '
	BEGIN { text = "^([^\"\\\\]|\\\\.)*\""; letter = "^([^\047\\\\]|\\\\.)*\047" }
	# after is whether a text between backquotes is still open at the end of the line.
	function after(open, s,    c) {
		while (s != "") {
			if (open) {
				if (!(c = index(s, "`"))) return 1
				open = 0
				s = substr(s, c + 1)
				continue
			}
			if (!match(s, /["\047`]|\/\//)) return 0
			c = substr(s, RSTART, 1)
			s = substr(s, RSTART + 1)
			if (c == "/") return 0
			if (c == "`") open = 1
			else if (match(s, c == "\"" ? text : letter)) s = substr(s, RLENGTH + 1)
			else return 0
		}
		return open
	}
	FNR == 1 { open = written = 0; go = FILENAME ~ /_test\.go$/; page = FILENAME ~ /\.md$/ }
	{ exempt = 0 }
	go && (open || index($0, "`")) { exempt = open; open = after(open, $0); exempt = exempt || open }
	page && /^<!-- .*: written by/ { written = 1 }
	page && /^<!-- .*: end -->/ { written = 0 }
	page && (written || /^[ \t]*\|/ || NF == 1) { exempt = 1 }
	exempt { next }
	{
		line = $0
		gsub(/[\200-\277]/, "", line)
		gsub(/\t/, "    ", line)
		if (length(line) > 120) { print FILENAME ":" FNR ": " length(line) " columns"; wide++ }
	}
	END { if (wide) { print "width: " wide " lines are wider than 120 columns" > "/dev/stderr"; exit 1 } }' "$@"
