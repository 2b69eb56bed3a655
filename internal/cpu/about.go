//go:build cgo && dnnl && linux

package cpu

/*
#define _GNU_SOURCE
#include <dlfcn.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <stddef.h>

// about_isa asks the library, which is loaded by then, what instructions it uses at most (dnnl_get_effective_cpu_isa, since oneDNN 1.7); 0: it does not tell.
static int about_isa(const char *file) {
	void *lib = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
	if (!lib) return 0;
	int (*isa)(void);
	*(void **)&isa = dlsym(lib, "dnnl_get_effective_cpu_isa");
	int found = isa ? isa() : 0;
	dlclose(lib);
	return found;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Headers is the version of oneDNN that the program was compiled for: "2.6.3".
func Headers() string {
	return fmt.Sprintf("%d.%d.%d", C.DNNL_VERSION_MAJOR, C.DNNL_VERSION_MINOR, C.DNNL_VERSION_PATCH)
}

// ISA names the instructions that oneDNN, loaded from file, uses at most (dnnl_cpu_isa_t of oneDNN 2.6; ONEDNN_MAX_CPU_ISA limits them); "" where it does not tell.
func ISA(file string) string {
	if load() != nil || file == "" {
		return ""
	}
	name := []byte(file + "\x00")
	isa := int(C.about_isa((*C.char)(unsafe.Pointer(&name[0]))))
	names := map[int]string{
		0x1: "sse41", 0x3: "avx", 0x7: "avx2", 0x407: "avx2_vnni", 0xf: "avx512_mic", 0x1f: "avx512_mic_4ops", 0x27: "avx512_core",
		0x67: "avx512_core_vnni", 0xe7: "avx512_core_bf16", 0x3e7: "avx512_core_amx",
	}
	switch {
	case isa == 0:
		return ""
	case names[isa] == "":
		return fmt.Sprintf("isa %#x", isa)
	}
	return names[isa]
}
