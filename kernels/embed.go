//go:build cuda

package kernels

import (
	"embed"
	"fmt"
)

//go:embed built/kernels.ptx built/*.cubin
var built embed.FS // made by scripts/kernels.sh

// Images are the module's forms for a GPU of compute capability major.minor, the best first: machine code, if there is
// any that it runs, and PTX. Where loading one fails (an integrated GPU may not run the machine code of its generation)
// the next is to be tried.
func Images(major, minor int) [][]byte {
	var images [][]byte
	for m := minor; m >= 0 && len(images) == 0; m-- { // machine code runs on the same major and later minor versions
		if cubin, err := built.ReadFile(fmt.Sprintf("built/sm_%d%d.cubin", major, m)); err == nil {
			images = append(images, cubin)
		}
	}
	return append(images, append(PTX(), 0)) // cuModuleLoadData wants an end to its text
}

// PTX is the module as text.
func PTX() []byte {
	ptx, err := built.ReadFile("built/kernels.ptx")
	if err != nil {
		panic(err) // it is embedded
	}
	return ptx
}
