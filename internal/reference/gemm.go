package reference

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// matrix is a view of numbers that lie row by row, stride apart; trans means that a product takes it transposed.
type matrix[T Float] struct {
	rows, cols, stride int
	data               []T
	trans              bool
}

// mat is a whole matrix of rows x cols.
func mat[T Float](rows, cols int, data []T) matrix[T] {
	return matrix[T]{rows: rows, cols: cols, stride: cols, data: data[:rows*cols]}
}

// columns is the part from column at on, n wide.
func (m matrix[T]) columns(at, n int) matrix[T] {
	m.data, m.cols = m.data[at:], n
	return m
}

func (m matrix[T]) t() matrix[T] { m.trans = !m.trans; return m }

func (m matrix[T]) op() blas.Transpose {
	if m.trans {
		return blas.Trans
	}
	return blas.NoTrans
}

func (m matrix[T]) single() blas32.General {
	return blas32.General{Rows: m.rows, Cols: m.cols, Stride: m.stride, Data: any(m.data).([]float32)}
}

func (m matrix[T]) double() blas64.General {
	return blas64.General{Rows: m.rows, Cols: m.cols, Stride: m.stride, Data: any(m.data).([]float64)}
}

// gemm is c = a b + beta c. gonum cuts c into blocks of fixed size and sums each in a fixed order: the bits do not
// depend on the cores.
func gemm[T Float](a, b matrix[T], beta T, c matrix[T]) {
	if _, ok := any(c.data).([]float32); ok {
		blas32.Gemm(a.op(), b.op(), 1, a.single(), b.single(), float32(beta), c.single())
		return
	}
	blas64.Gemm(a.op(), b.op(), 1, a.double(), b.double(), float64(beta), c.double())
}
