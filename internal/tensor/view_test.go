package tensor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// numbers are as many as fp32, in a file.
func numbers(n int) []byte {
	var b []byte
	for i := range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(i)))
	}
	return b
}

// Any view that is not refused has the numbers that the definition says, one by one.
func TestViewFill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SampledFrom([]int{1, 30, 2*windowLen + 5}).Draw(t, "count")
		shape := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 2, 3, 7, 100}), 0, 4).Draw(t, "shape")
		v := RowMajor(shape)
		v.Offset = int64(rapid.IntRange(0, count).Draw(t, "offset"))
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0: // any strides
			for i := range v.Stride {
				v.Stride[i] = int64(rapid.SampledFrom([]int{0, 1, 2, 3, 5, 14, 200, 9000}).Draw(t, "stride"))
			}
		case 1: // a permuted tensor
			order := rapid.Permutation(seq(len(shape))).Draw(t, "order")
			stride := int64(rapid.IntRange(1, 3).Draw(t, "gap"))
			for _, i := range order {
				v.Stride[i] = stride
				stride *= int64(max(1, shape[i]))
			}
		case 2:
			v.Stride = ColumnMajor(shape).Stride
		}
		if err := v.Check(int64(count)); err != nil {
			if !errors.As(err, new(*BadFile)) {
				t.Fatalf("%T: %v", err, err)
			}
			t.Skip("not a view of that storage: ", err)
		}
		want := make([]float32, v.Len())
		for i := range want {
			at, rest := v.Offset, i
			for d := len(shape) - 1; d >= 0; d-- {
				at, rest = at+int64(rest%shape[d])*v.Stride[d], rest/shape[d]
			}
			want[i] = float32(at)
		}
		file := numbers(count)
		got := make([]float32, v.Len())
		for _, r := range []io.Reader{bytes.NewReader(file), io.MultiReader(bytes.NewReader(file))} {
			clear(got)
			if err := v.Fill(got, r, "F32"); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%+v of %d: %v, %.20v, want %.20v", v, count, err, got, want)
			}
		}
	})
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func TestViewRefuses(t *testing.T) {
	for _, c := range []struct {
		v     View
		count int64
		want  string
	}{
		{View{0, []int{2, 3}, []int64{3, 1}}, 6, ""},
		{View{0, []int{2, 3}, []int64{3, 1}}, 5, "reaches beyond the 5"},
		{View{1, []int{2, 3}, []int64{3, 1}}, 6, "reaches beyond"},
		{View{0, []int{3, 2}, []int64{-1, 3}}, 6, "a negative stride: -1"},
		{View{-1, []int{1}, []int64{1}}, 6, "begins at number -1"},
		{View{7, []int{0}, []int64{1}}, 6, "begins at number 7 of 6"},
		{View{6, []int{0}, []int64{1}}, 6, ""},
		{View{0, []int{2, -3}, []int64{3, 1}}, 6, "negative dimension"},
		{View{0, []int{1 << 40, 1 << 40}, []int64{0, 0}}, 6, "too large"},
		{View{0, []int{1 << 40}, []int64{0}}, 6, "of 6 numbers"},
		{View{0, []int{4096}, []int64{0}}, 1, ""},
		{View{0, []int{2}, []int64{math.MaxInt64}}, 6, "reaches beyond"},
		{View{0, []int{3, 2, 2}, []int64{math.MaxInt64, math.MaxInt64, 2}}, math.MaxInt64, "reaches beyond"},
		{View{0, []int{4, 3}, []int64{1, 1}}, 100, "overlaps"},
		{View{0, []int{4, 3}, []int64{2, 1}}, 100, "overlaps"},
		{View{0, []int{1, 3}, []int64{1, 1}}, 100, ""},
		{View{0, []int{3}, nil}, 100, "1 dimensions and 0 strides"},
		{View{0, make([]int, 9), make([]int64, 9)}, 100, "9 dimensions"},
	} {
		err := c.v.Check(c.count)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v of %d: %v, want %q", c.v, c.count, err, c.want)
		}
	}
	v := RowMajor([]int{2})
	if err := v.Fill(make([]float32, 2), bytes.NewReader(numbers(1)), "F32"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
	var bad *BadFile
	if err := v.Fill(make([]float32, 2), nil, "I64"); !errors.As(err, &bad) || bad.Fault != OtherType {
		t.Errorf("integers: %v", err)
	}
	if err := v.Fill(make([]float32, 3), nil, "F32"); err == nil {
		t.Error("a buffer of another length was filled")
	}
}
