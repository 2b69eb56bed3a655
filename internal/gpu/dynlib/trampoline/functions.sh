#!/bin/sh
# Reads NVIDIA's headers and prints a line for each function that they declare: F(number, name, library, what it
# returns). entry.S and resolve.c include it. usage: functions.sh C-COMPILER FLAGS... (flags: where the headers are)
set -eu
# cuda.h gives the functions of older versions only to the driver's own sources: under that macro, the plain names of
# renamed functions are those of the first version (cuMemAlloc), without it they are the current ones (cuMemAlloc_v2).
# Both are in the driver.
headers() {
	printf '#include <cuda.h>\n#include <cublas_v2.h>\n#include <cublasLt.h>\n#include <cudnn.h>\n' |
		"$@" -E -P -x c - &&
	printf '#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n' | "$@" -E -P -x c -
}
text=$(headers "$@")
printf '%s' "$text" | awk '
	BEGIN {
		RS = ";"
		kind["CUresult"] = kind["cublasStatus_t"] = kind["cudnnStatus_t"] = "STATUS"
		kind["char"] = "TEXT"; kind["size_t"] = kind["void"] = "NUMBER"
	}
	{
		gsub(/__attribute__ *\(\([^()]*(\([^()]*\))?[^()]*\)\)/, "")
		gsub(/[ \t\r\n]+/, " ")
	}
	# static inline functions have bodies, and this is no declaration of a variable or a type
	/\{|typedef|static|=/ { next }
	match($0, "^ ?(extern )?(const )?(CUresult|cublasStatus_t|cudnnStatus_t|char|size_t|void) ?[*]? ?" \
		"(cu|cublas|cudnn)[A-Z][A-Za-z0-9_]* ?[(]") {
		declaration = substr($0, RSTART, RLENGTH - 1)
		gsub(/extern |const |\*/, "", declaration)
		split(declaration, word, " ")
		name = word[2]
		library = name ~ /^cublasLt/ ? "CUBLASLT" : name ~ /^cublas/ ? "CUBLAS" : name ~ /^cudnn/ ? "CUDNN" : "CUDA"
		if (!seen[name]++) printf "F(%d, %s, %s, %s)\n", n++, name, library, kind[word[1]]
	}
	END { if (n < 500) { print "functions.sh: only " n+0 " functions in the headers" > "/dev/stderr"; exit 1 } }'
