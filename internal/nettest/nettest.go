// Package nettest computes what other programs' nets are made of in the plainest way, for tests that hold a file's net
// to what another program computed with it. Everything is (batch, channels, height, width) or (batch, units), row after
// row, in float64; nothing is fast. It imports nothing of the program.
package nettest

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// Map is an array.
type Map struct {
	Shape []int
	Data  []float64
}

// New is a Map of zeros.
func New(shape ...int) Map {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return Map{shape, make([]float64, n)}
}

// Of is a Map of numbers of a file.
func Of(shape []int, v []float32) Map {
	m := New(shape...)
	for i, x := range v {
		m.Data[i] = float64(x)
	}
	return m
}

// Pictures are those of scripts/caffe_onnx.py, three channels of whole numbers from -110 to 145.
func Pictures(count, size int) Map {
	m := New(count, 3, size, size)
	for i := range m.Data {
		m.Data[i] = float64((i*7919+13)%256 - 110)
	}
	return m
}

// Window is what a convolution or a pooling is over: each a height and a width.
type Window struct{ Kernel, Stride, Before, After [2]int }

// size is how many places a window has in n, rounded up or down. One that would lie in the padding at the end alone is
// none, as in Caffe (PoolingLayer::Reshape).
func (w Window) size(n, axis int, up bool) int {
	free := n + w.Before[axis] + w.After[axis] - w.Kernel[axis]
	out := free/w.Stride[axis] + 1
	if up && free%w.Stride[axis] != 0 && out*w.Stride[axis] < n+w.Before[axis] {
		out++
	}
	return out
}

// Conv is a convolution: weights (out, in/group, kernel), biases (out).
func Conv(x, weight, bias Map, w Window, group int) Map {
	outs, ins := weight.Shape[0], weight.Shape[1]
	y := New(x.Shape[0], outs, w.size(x.Shape[2], 0, false), w.size(x.Shape[3], 1, false))
	for i := range y.Data {
		n, o, r, c := y.at(i)
		sum := bias.Data[o]
		for k := range ins {
			from := o/(outs/group)*ins + k
			w.each(x, r, c, func(dr, dc, row, col int) {
				sum += x.Data[((n*x.Shape[1]+from)*x.Shape[2]+row)*x.Shape[3]+col] *
					weight.Data[((o*ins+k)*w.Kernel[0]+dr)*w.Kernel[1]+dc]
			})
		}
		y.Data[i] = sum
	}
	return y
}

// at is where element i lies.
func (m Map) at(i int) (n, channel, row, col int) {
	h, w := m.Shape[2], m.Shape[3]
	return i / (w * h * m.Shape[1]), i / (w * h) % m.Shape[1], i / w % h, i % w
}

// each gives do the places of the window in x, for the output at r, c.
func (w Window) each(x Map, r, c int, do func(dr, dc, row, col int)) {
	for dr := range w.Kernel[0] {
		for dc := range w.Kernel[1] {
			row, col := r*w.Stride[0]+dr-w.Before[0], c*w.Stride[1]+dc-w.Before[1]
			if row >= 0 && row < x.Shape[2] && col >= 0 && col < x.Shape[3] {
				do(dr, dc, row, col)
			}
		}
	}
}

// MaxPool is the largest in each window; up: sizes are rounded up, as Caffe does.
func MaxPool(x Map, w Window, up bool) Map {
	y := New(x.Shape[0], x.Shape[1], w.size(x.Shape[2], 0, up), w.size(x.Shape[3], 1, up))
	for i := range y.Data {
		n, ch, r, c := y.at(i)
		most := math.Inf(-1)
		w.each(x, r, c, func(_, _, row, col int) {
			most = max(most, x.Data[((n*x.Shape[1]+ch)*x.Shape[2]+row)*x.Shape[3]+col])
		})
		y.Data[i] = most
	}
	return y
}

// LRN divides by (k + alpha/size * sum of squares of the channels around)^beta.
func LRN(x Map, size int, alpha, beta, k float64) Map {
	y, area := New(x.Shape...), x.Shape[2]*x.Shape[3]
	for i := range y.Data {
		_, ch, _, _ := x.at(i)
		sum := 0.0
		for j := max(ch-(size-1)/2, 0); j <= min(ch+size/2, x.Shape[1]-1); j++ {
			v := x.Data[i+(j-ch)*area]
			sum += v * v
		}
		y.Data[i] = x.Data[i] / math.Pow(k+alpha/float64(size)*sum, beta)
	}
	return y
}

// ReLU is 0 where it would be less.
func ReLU(x Map) Map {
	y := New(x.Shape...)
	for i, v := range x.Data {
		y.Data[i] = max(v, 0)
	}
	return y
}

// Linear is a fully connected layer: weights (out, in), biases (out).
func Linear(x, weight, bias Map) Map {
	outs, ins := weight.Shape[0], weight.Shape[1]
	y := New(x.Shape[0], outs)
	for i := range y.Data {
		y.Data[i] = bias.Data[i%outs]
		for k := range ins {
			y.Data[i] += x.Data[i/outs*ins+k] * weight.Data[i%outs*ins+k]
		}
	}
	return y
}

// Expected is what another program computed, by the file's name, of Pictures(2, Size).
type Expected map[string]struct {
	Size   int                `json:"size"`
	Order  string             `json:"order"` // of Caffe's layers: "alexnet" normalises, then pools; "caffenet" not
	V1     bool               `json:"v1"`
	Output string             `json:"output"`
	Logits [][]float64        `json:"logits"`
	Sums   map[string]float64 `json:"sums"` // of each blob's numbers
}

// Expect reads what the script wrote.
func Expect(t *testing.T, path string) (e Expected) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// Near sees that what was computed is what is expected, but for 1e-5 of its norm.
func Near(t *testing.T, name string, got Map, want [][]float64) {
	t.Helper()
	diff, norm, i := 0.0, 0.0, 0
	for _, row := range want {
		for _, v := range row {
			if i == len(got.Data) {
				t.Errorf("%s: only %d numbers", name, i)
				return
			}
			diff += (got.Data[i] - v) * (got.Data[i] - v)
			norm += v * v
			i++
		}
	}
	if i != len(got.Data) || norm == 0 || math.Sqrt(diff/norm) > 1e-5 || math.IsNaN(diff) {
		t.Errorf("%s: %d numbers, %d expected; they differ by %.2g of their norm", name, len(got.Data), i,
			math.Sqrt(diff/norm))
	}
}
