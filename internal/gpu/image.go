//go:build cuda

package gpu

import (
	"fmt"

	"gorgonia.org/cu"

	"alexnet/internal/gpu/cuda"
	"alexnet/internal/gpu/dynlib"
	"alexnet/kernels"
)

// loadImage loads the first of the kernels' images that the driver takes, and tells which that is.
func loadImage(info cuda.Info) (cu.Module, string, error) {
	images := kernels.Images(info.Major, info.Minor)
	var m cu.Module
	var err error
	for i, image := range images {
		if m, err = cu.LoadData(string(image)); err == nil {
			if i == len(images)-1 {
				return m, "PTX", nil
			}
			return m, fmt.Sprintf("machine code for %d.%d", info.Major, info.Minor), nil
		}
	}
	return m, "", &dynlib.Error{
		What: "the driver does not take the program's kernels", Err: cuda.Wrap("cuModuleLoadData", err),
		Advice: fmt.Sprintf("install a newer driver (this one is for CUDA %s)", dynlib.Version(dynlib.DriverVersion())),
	}
}
