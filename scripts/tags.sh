#!/bin/sh
# Prints the build tags for this machine: "dnnl" where a C compiler and oneDNN 2.x headers are found. Says on standard error what is left out.
set -u
[ "${CGO_ENABLED:-1}" = 0 ] && { echo "build: CGO_ENABLED=0: reference backend only" >&2; exit 0; }
cc=$(go env CC)
command -v "${cc%% *}" >/dev/null 2>&1 || { echo "build: no C compiler ($cc): reference backend only" >&2; exit 0; }
if printf '#include <oneapi/dnnl/dnnl.h>\n#if DNNL_VERSION_MAJOR != 2\n#error oneDNN 2.x wanted\n#endif\n' | $cc -fopenmp -fsyntax-only -x c - 2>/dev/null; then
	echo dnnl
else
	echo "build: no oneDNN 2.x headers (Debian 12: apt-get install libdnnl-dev): reference backend only" >&2
fi
