package reference

import (
	"math"

	"alexnet/internal/device"
)

// fc is a fully connected layer: y = x w^T + b, x being the inputs side by side.
type fc[T Float] struct {
	*device.FC
	in    []int // elements in a row of each input
	units int
}

// weight is the weight (units, inputs).
func (f *fc[T]) weight(w []T) matrix[T] { return mat(f.units, len(w)/f.units, w) }

// eachInput calls i with the number of each input and the column of the weight at which it starts.
func (f *fc[T]) eachInput(call func(i, at int)) {
	at := 0
	for i, n := range f.in {
		call(i, at)
		at += n
	}
}

// forward computes y (rows, units) of x, one tensor (rows, in[i]) an input.
func (f *fc[T]) forward(rows int, x [][]T, w, b, y []T) {
	for r := range rows {
		copy(y[r*f.units:], b)
	}
	f.eachInput(func(i, at int) {
		gemm(mat(rows, f.in[i], x[i]), f.weight(w).columns(at, f.in[i]).t(), 1, mat(rows, f.units, y))
	})
	activate(f.Act, y[:rows*f.units], y[:rows*f.units])
}

// rounded is the weight as device.FC says of Int8, in working memory.
func (f *fc[T]) rounded(w, memory []T) []T {
	inputs := len(w) / f.units
	for u := range f.units {
		var most float32
		for _, x := range w[u*inputs:][:inputs] {
			most = max(most, float32(math.Abs(float64(x)))) // NaN if any is
		}
		scale := most / 127
		for i, x := range w[u*inputs:][:inputs] {
			q := 0.
			if scale != 0 {
				q = min(max(math.RoundToEven(float64(float32(x)/scale)), -127), 127)
			}
			memory[u*inputs+i] = T(q) * T(scale)
		}
	}
	return memory[:len(w)]
}

// backward writes the gradients of weight and bias (dw nil: not wanted) and of each input (dx nil, or dx[i] nil: not
// wanted). dz is working memory for rows x units numbers.
func (f *fc[T]) backward(rows int, x [][]T, w, y, dy []T, dx [][]T, dw, db, dz []T) {
	activateBackward(f.Act, y, dy, dz[:rows*f.units])
	z := mat(rows, f.units, dz)
	if dw != nil {
		for u := range db {
			sum := 0.
			for r := range rows {
				sum += float64(dz[r*f.units+u])
			}
			db[u] = T(sum)
		}
		f.eachInput(func(i, at int) { gemm(z.t(), mat(rows, f.in[i], x[i]), 0, f.weight(dw).columns(at, f.in[i])) })
	}
	f.eachInput(func(i, at int) {
		if dx != nil && dx[i] != nil {
			gemm(z, f.weight(w).columns(at, f.in[i]), 0, mat(rows, f.in[i], dx[i]))
		}
	})
}
