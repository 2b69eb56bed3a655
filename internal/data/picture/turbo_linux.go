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
static int (*tj_decompress)(tjhandle, const unsigned char *, unsigned long, unsigned char *dst, int w, int pitch,
	int h, int format, int flags);
static int (*tj_destroy)(tjhandle);
static char *(*tj_error)(tjhandle);
static tjhandle (*tj_init_compress)(void);
static int (*tj_compress)(tjhandle, const unsigned char *src, int w, int pitch, int h, int format,
	unsigned char **jpeg, unsigned long *size, int sampling, int quality, int flags);
static unsigned long (*tj_buf_size)(int w, int h, int sampling);
static char tj_path[PATH_MAX];

enum { TJPF_RGB = 0, TJPF_CMYK = 11, TJFLAG_LIMITSCANS = 32768 };
enum { TJSAMP_420 = 2, TJFLAG_NOREALLOC = 1024, TJFLAG_ACCURATEDCT = 4096 };

// turbo_load returns the library's file, or NULL if it or one of its functions is missing.
static const char *turbo_load(void) {
	void *lib = dlopen("libturbojpeg.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!lib) return NULL;
	*(void **)&tj_init = dlsym(lib, "tjInitDecompress");
	*(void **)&tj_decompress = dlsym(lib, "tjDecompress2");
	*(void **)&tj_destroy = dlsym(lib, "tjDestroy");
	*(void **)&tj_error = dlsym(lib, "tjGetErrorStr2");
	*(void **)&tj_init_compress = dlsym(lib, "tjInitCompress");
	*(void **)&tj_compress = dlsym(lib, "tjCompress2");
	*(void **)&tj_buf_size = dlsym(lib, "tjBufSize");
	if (!tj_init || !tj_error || !tj_decompress || !tj_destroy) return NULL;
	if (!tj_init_compress || !tj_compress || !tj_buf_size) return NULL;
	Dl_info info;
	if (!dladdr((void *)tj_init, &info) || !realpath(info.dli_fname, tj_path)) strcpy(tj_path, "libturbojpeg.so.0");
	return tj_path;
}

static tjhandle turbo_open(void) { return tj_init(); }
static void turbo_close(tjhandle h) { tj_destroy(h); }
static tjhandle turbo_open_encoder(void) { return tj_init_compress(); }
static unsigned long turbo_room(int w, int h) { return tj_buf_size(w, h, TJSAMP_420); }

// turbo_encode writes a 4:2:0 JPEG of at most *size bytes and sets *size, or says what is wrong.
static const char *turbo_encode(tjhandle t, const unsigned char *rgb, int w, int h, int quality,
	unsigned char *jpeg, unsigned long *size) {
	return tj_compress(t, rgb, w, 3 * w, h, TJPF_RGB, &jpeg, size, TJSAMP_420, quality,
		TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) ? tj_error(t) : NULL;
}

// turbo_decode fails on warnings too. Defaults: the accurate (islow) inverse DCT and interpolated chroma, as Pillow
// uses them.
static const char *turbo_decode(tjhandle t, const unsigned char *buf, unsigned long n, unsigned char *dst,
	int w, int h, int cmyk) {
	int failed = cmyk ? tj_decompress(t, buf, n, dst, w, 4 * w, h, TJPF_CMYK, TJFLAG_LIMITSCANS) :
		tj_decompress(t, buf, n, dst, w, 3 * w, h, TJPF_RGB, TJFLAG_LIMITSCANS);
	return failed ? tj_error(t) : NULL;
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

// decode writes RGB pixels (height, width, 3), or with cmyk the four that are stored, to dst, and gives what there is
// to complain about: errors and warnings.
func (t *turbo) decode(raw []byte, dst []uint8, height, width int, cmyk bool) string {
	samples := 3
	if cmyk {
		samples = 4
	}
	if len(dst) < height*width*samples {
		return "no room"
	}
	said := C.turbo_decode(t.handle, bytePtr(raw), C.ulong(len(raw)), bytePtr(dst), C.int(width), C.int(height),
		C.int(samples-3))
	if said == nil {
		return ""
	}
	return "libjpeg-turbo: " + C.GoString(said)
}

// openTurboEncoder is openTurbo for a compressor.
func openTurboEncoder() *turbo {
	if turboPath() == "" {
		return nil
	}
	h := C.turbo_open_encoder()
	if h == nil {
		return nil
	}
	return &turbo{h}
}

// encode writes a JPEG of RGB pixels (height, width, 3), in dst where it fits, and gives what there is to complain
// about.
func (t *turbo) encode(rgb []uint8, height, width, quality int, dst []byte) ([]byte, string) {
	room := C.turbo_room(C.int(width), C.int(height))
	if room == 0 || room > 1<<30 || len(rgb) < height*width*3 {
		return nil, "libjpeg-turbo: no size for a picture"
	}
	if uint64(cap(dst)) < uint64(room) {
		dst = make([]byte, room)
	}
	dst = dst[:room]
	if said := C.turbo_encode(t.handle, bytePtr(rgb), C.int(width), C.int(height), C.int(quality), bytePtr(dst),
		&room); said != nil {
		return nil, "libjpeg-turbo: " + C.GoString(said)
	}
	return dst[:room], ""
}

func bytePtr(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(unsafe.SliceData(b))) }
