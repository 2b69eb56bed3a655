#!/bin/sh
# Puts oneDNN 3.2.0, headers and library, into the cache folder from its Python wheels (40 MB, GNU OpenMP, nothing else
# needed) and prints the folder. Debian 12 has 2.6; this is for testing the other generation of the interface, and for
# whoever wants to build with it:
#   dir=$(scripts/onednn3.sh); CGO_CFLAGS="-O2 -g -I$dir/include" make build; LD_LIBRARY_PATH=$dir/lib bin/alexnet ...
set -eu
version=2023.2.0 # of the wheels; the last without the SYCL runtimes
dir=${XDG_CACHE_HOME:-$HOME/.cache}/alexnet/onednn-3.2.0
if [ ! -e "$dir/lib/libdnnl.so.3" ]; then
	tmp=$dir.$$
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$tmp/wheels" "$tmp/made/lib"
	python3 -m pip download -q --no-deps --only-binary :all: --platform manylinux1_x86_64 -d "$tmp/wheels" \
		onednn-cpu-gomp==$version onednn-devel-cpu-gomp==$version >&2
	for wheel in "$tmp"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$tmp/out" >&2; done
	mv "$tmp"/out/onednn_devel_cpu_gomp-$version.data/data/include "$tmp/made/"
	mv "$tmp"/out/onednn_cpu_gomp-$version.data/data/lib/libdnnl.so.3 "$tmp/made/lib/"
	[ -e "$dir/lib/libdnnl.so.3" ] || rm -rf "$dir"
	mv -T "$tmp/made" "$dir" 2>/dev/null || [ -e "$dir/lib/libdnnl.so.3" ] # somebody else may have been faster
fi
echo "$dir"
