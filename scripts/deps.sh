#!/bin/sh
# Installs the two libraries that make alexnet fast, where apt and the right to use it are there: oneDNN (compute; 2.6
# on Debian 12) and TurboJPEG (decoding). Without them everything works, slower: the reference backend and Go's JPEG
# decoder take over. Never fails.
set -u
[ "$(uname -s)" = Linux ] || exit 0
missing=""
[ -e /usr/include/oneapi/dnnl/dnnl.h ] || missing="$missing libdnnl-dev"
ls /usr/lib/*/libturbojpeg.so.0 >/dev/null 2>&1 || ls /usr/lib/libturbojpeg.so.0 >/dev/null 2>&1 ||
	missing="$missing libturbojpeg0-dev"
[ -n "$missing" ] || exit 0
go_on="going on without:$missing (slower: reference backend, Go's JPEG decoder)"
command -v apt-get >/dev/null 2>&1 || { echo "deps: no apt-get here; $go_on" >&2; exit 0; }
if [ "$(id -u)" = 0 ]; then
	sudo=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
	sudo="sudo -n"
else
	echo "deps: neither root nor sudo without a password; $go_on. To install them: sudo apt-get install$missing" >&2
	exit 0
fi
echo "deps: installing$missing" >&2
install() { DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends $missing >/dev/null 2>&1; }
install || { $sudo apt-get update >/dev/null 2>&1; install; } || echo "deps: apt-get could not install them; $go_on" >&2
exit 0
