//go:build linux && cgo

package picture

/*
#cgo CFLAGS: -D_GNU_SOURCE
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

// The library is opened when the program runs and its few functions are declared here (from the documentation of the
// TurboJPEG API, unchanged since version 2.0), so that neither building nor starting needs it.
typedef void *tjhandle;
static tjhandle (*tj_init)(void);
static int (*tj_header)(tjhandle, const unsigned char *, unsigned long, int *w, int *h, int *subsampling,
	int *colorspace);
static int (*tj_decompress)(tjhandle, const unsigned char *, unsigned long, unsigned char *dst, int w, int pitch,
	int h, int format, int flags);
static int (*tj_destroy)(tjhandle);
static char tj_path[PATH_MAX];

enum { TJPF_RGB = 0, TJFLAG_LIMITSCANS = 32768 };

// turbo_load returns the library's file, or NULL if it or one of its functions is missing.
static const char *turbo_load(void) {
	void *lib = dlopen("libturbojpeg.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!lib) return NULL;
	*(void **)&tj_init = dlsym(lib, "tjInitDecompress");
	*(void **)&tj_header = dlsym(lib, "tjDecompressHeader3");
	*(void **)&tj_decompress = dlsym(lib, "tjDecompress2");
	*(void **)&tj_destroy = dlsym(lib, "tjDestroy");
	if (!tj_init || !tj_header || !tj_decompress || !tj_destroy) return NULL;
	Dl_info info;
	if (!dladdr((void *)tj_init, &info) || !realpath(info.dli_fname, tj_path)) strcpy(tj_path, "libturbojpeg.so.0");
	return tj_path;
}

static tjhandle turbo_open(void) { return tj_init(); }
static void turbo_close(tjhandle h) { tj_destroy(h); }

static int turbo_header(tjhandle t, const unsigned char *buf, unsigned long n, int *w, int *h, int *colorspace) {
	int subsampling;
	return tj_header(t, buf, n, w, h, &subsampling, colorspace);
}

// turbo_decode fails on warnings too. Defaults: the accurate (islow) inverse DCT and interpolated chroma, as Pillow
// uses them.
static int turbo_decode(tjhandle t, const unsigned char *buf, unsigned long n, unsigned char *dst, int w, int h) {
	return tj_decompress(t, buf, n, dst, w, 3 * w, h, TJPF_RGB, TJFLAG_LIMITSCANS);
}
*/
import "C"

import (
	"sync"
	"unsafe"
)

// turboPath is the library's file, or "" where there is none.
var turboPath = sync.OnceValue(func() string {
	return C.GoString(C.turbo_load()) // of NULL: ""
})

// turbo is a TurboJPEG decompressor; nil where the library is missing.
type turbo struct{ handle C.tjhandle }

func openTurbo() *turbo {
	if turboPath() == "" {
		return nil
	}
	h := C.turbo_open()
	if h == nil {
		return nil
	}
	return &turbo{h}
}

func (t *turbo) close() {
	if t != nil && t.handle != nil {
		C.turbo_close(t.handle)
		t.handle = nil
	}
}

// header reads size and colours from a JPEG's header.
func (t *turbo) header(raw []byte) (height, width int, kind string, ok bool) {
	if t == nil {
		return 0, 0, "", false
	}
	var w, h, cs C.int
	if C.turbo_header(t.handle, bytePtr(raw), C.ulong(len(raw)), &w, &h, &cs) != 0 {
		return 0, 0, "", false
	}
	// enum TJCS: RGB, YCbCr, GRAY, CMYK, YCCK
	kinds := [...]string{"rgb", "rgb", "grey", "cmyk", "cmyk"}
	if w < 1 || h < 1 || int(cs) < 0 || int(cs) >= len(kinds) { // a file of three bytes passes with 0x0
		return 0, 0, "", false
	}
	return int(h), int(w), kinds[cs], true
}

// decode writes RGB pixels (height, width, 3) to dst, and tells whether it had nothing to complain about.
func (t *turbo) decode(raw []byte, dst []uint8, height, width int) bool {
	if len(dst) < height*width*3 {
		return false
	}
	return C.turbo_decode(t.handle, bytePtr(raw), C.ulong(len(raw)), bytePtr(dst), C.int(width), C.int(height)) == 0
}

func bytePtr(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(unsafe.SliceData(b))) }
