//go:build cuda

package link

import (
	"testing"

	"gorgonia.org/cu"
	cublas "gorgonia.org/cu/blas"
	cudnn "gorgonia.org/cu/dnn"
)

func TestX(t *testing.T) {
	t.Log(Init(), cu.Version(), CheckCUBLAS(), CheckCUDNN(), MissingSymbol())
	_ = cublas.Success
	_, err := cudnn.NewTensorDescriptor(cudnn.NCHW, cudnn.Float, []int{1, 2, 3, 4}, nil)
	t.Log(err)
}
