package model

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"alexnet/internal/config"
)

// A net whose sizes no number or no memory could hold is refused with its layer's name, before anything is taken.
func TestAbsurdNets(t *testing.T) {
	conv := func(n, kernels, size, pad int) string {
		return fmt.Sprintf("{name: c%d, kind: conv, kernels: %d, size: %d, pad: %d}", n, kernels, size, pad)
	}
	fc := func(n, units int) string { return fmt.Sprintf("{name: f%d, kind: fc, units: %d}", n, units) }
	var growing, many []string
	for i := range 400 {
		growing = append(growing, conv(i, 2, 1, 4096)) // each map is 8192 wider than the one before
		many = append(many, fc(i, 40_000))
	}
	for _, c := range []struct{ layers, want string }{
		{conv(0, 1<<20, 1, 0), "model.c0 gives 1048576x4096x4096 numbers"},
		{
			conv(0, 64, 1, 0) + ", " + conv(1, 1<<20, 4096, 0),
			"model.c1 has a c1.weight of [1048576 64 4096 4096] numbers",
		},
		{conv(0, 8, 4096, 4096), "model.c0 takes more than 70368744177664 multiply-adds"},
		{conv(0, 4, 1, 0) + ", " + fc(1, 1<<24), "model.f1 has a f1.weight of [16777216 67108864] numbers"},
		{
			conv(5, 1, 4000, 0) + ", " + fc(0, 200) + ", " + fc(1, 1<<24),
			"model.f1 has a f1.weight of [16777216 200] numbers",
		},
		{strings.Join(growing, ", "), "model.c3 gives 2x36864x36864 numbers"},
		{conv(0, 1, 4000, 0) + ", " + strings.Join(many, ", "), "model.f11 makes the net too large"},
	} {
		page := "model: {input: {size: 4096}, layers: [" + c.layers + ", {name: last, kind: fc}, " +
			"{name: prob, kind: softmax}]}\ndata: {resize: 4096}"
		cfg, err := config.Parse([]byte(page), nil)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = Of(cfg, 10)
		runtime.ReadMemStats(&after)
		var wrong *config.Error
		if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%s: %d MB", c.want, n>>20)
		}
	}
}

func TestProduct(t *testing.T) {
	for _, c := range []struct {
		sizes []int
		want  int64
	}{
		{nil, 1},
		{[]int{3, 0, math.MaxInt}, 0},
		{[]int{1 << 31, 1 << 31}, 1 << 62},
		{[]int{1 << 32, 1 << 31}, math.MaxInt64},             // 2^63
		{[]int{1 << 32, 1 << 32, 2}, math.MaxInt64},          // 2^65
		{[]int{1 << 22, 1 << 22, 1 << 20, 1}, math.MaxInt64}, // 2^64, which wraps to 0
	} {
		if got := product(c.sizes...); got != c.want {
			t.Errorf("%v: %d, want %d", c.sizes, got, c.want)
		}
	}
}
