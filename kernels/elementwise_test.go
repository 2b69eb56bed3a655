package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"alexnet/internal/device"
)

// sizes of elementwise ops: fewer than a vector, a rest behind the last vector, more than three blocks.
var sizes = []int{1, 3, 4, 1023, 7001}

// eachOffset calls f for both types, aligned to vectors and not.
func eachOffset(t *testing.T, f func(t *testing.T, k numbers, size, offset int)) {
	start(t) // skips once, not every case
	for _, k := range kinds {
		for _, n := range sizes {
			for _, offset := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s/%d+%d", k.name, n, offset), func(t *testing.T) { f(t, k, n, offset) })
			}
		}
	}
}

// behind is the address of element number offset of a buffer of n+offset.
func (k numbers) behind(b *buf, offset int) at {
	return at{b, offset * len(b.data) / len(k.read(b))}
}

// TestHome: of three rows two are in use, or none, or all.
func TestHome(t *testing.T) {
	const rows = 3
	eachOffset(t, func(t *testing.T, k numbers, n, offset int) {
		for used := range rows + 1 {
			x, y := k.random(1, rows*n+offset), k.random(2, rows*n)
			for add := range 2 {
				want := slices.Clone(x)
				for i, came := range y {
					to := &want[i+offset]
					switch {
					case i < used*n && add == 1:
						*to += came
					case i < used*n:
						*to = came
					case add == 0:
						*to = 0
					}
				}
				for i := used * n; i < rows*n; i++ { // what never came may be anything
					y[i] = math.NaN()
				}
				dst := k.write(x)
				at, use := k.behind(dst, offset), pass(Pass{Rows: int64(used)})
				run(t, "home_"+k.name, int64(rows*n), at, k.write(y), rows, n, add, use)
				near(t, fmt.Sprintf("%d rows in use, add %d", used, add), k.read(dst), want, k.relative, 0)
			}
		}
	})
}

func TestScale(t *testing.T) {
	eachOffset(t, func(t *testing.T, k numbers, n, offset int) {
		x := k.random(1, n)
		y := k.write(unwritten(n + offset))
		run(t, "scale_"+k.name, int64(n), k.write(x), k.behind(y, offset), n, .7)
		want := unwritten(offset)
		for _, v := range x {
			want = append(want, v*.7)
		}
		near(t, "y", k.read(y), want, k.relative, 0)
	})
}

// corners are where rounding to bf16 is decided: ties to even, up and down, NaN, infinities, both zeros, the largest
// fp32 and the least.
var corners = []float64{
	1, 1 + 0x1p-8, 1 + 3*0x1p-8, 1 + 0x1p-8 + 0x1p-20, 1 + 0x1p-8 - 0x1p-20, -1 - 0x1p-8, 0, math.Copysign(0, -1),
	math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32, math.SmallestNonzeroFloat32, 0x1p-126, -0x1.fp-130,
	3.3895e38,
}

func TestConvert(t *testing.T) {
	for _, n := range append(sizes, len(corners)) {
		x := kinds[0].random(1, n)
		if n == len(corners) {
			x = corners
		}
		narrow, wide := bf16(unwritten(n)), f32(unwritten(n))
		run(t, "convert_f32_bf16", int64(n), f32(x), narrow, n)
		near(t, "rounded", narrow.bf16(), bf16(x).bf16(), 0, 0)
		run(t, "convert_bf16_f32", int64(n), narrow, wide, n)
		near(t, "widened", wide.f32(), narrow.bf16(), 0, 0)
	}
	// The test's own rounding, against distances: nothing in bf16 is nearer, and of two as near the even one is taken.
	for _, x := range kinds[0].random(2, 1000) {
		h := half(x)
		d := math.Abs(widen(h) - x)
		for _, other := range []uint16{h - 1, h + 1} {
			if e := math.Abs(widen(other) - x); e < d || e == d && h%2 == 1 {
				t.Fatalf("%g becomes %g, but %g is as good", x, widen(h), widen(other))
			}
		}
	}
}

func TestCopy(t *testing.T) {
	// A block of 2 x 3 x 5 x 7 out of a larger one into another, the dimensions in another order.
	const n = 2 * 3 * 5 * 7
	d, from, to := []int{2, 3, 5, 7}, []int{4 * 6 * 8, 6 * 8, 8, 1}, []int{3 * 7 * 6, 1, 3, 3 * 6}
	for _, k := range kinds {
		src := k.random(1, 2*4*6*8)
		want := unwritten(2 * 3 * 7 * 6)
		for i := range n {
			i0, i1, i2, i3 := i/105, i/35%3, i/7%5, i%7
			want[i0*to[0]+i1*to[1]+i2*to[2]+i3*to[3]] = k.round(src[i0*from[0]+i1*from[1]+i2*from[2]+i3*from[3]])
		}
		dst := k.write(unwritten(len(want)))
		run(t, "copy_"+k.name, n, k.write(src), dst, d[0], d[1], d[2], d[3], from[0], from[1], from[2], from[3], to[0],
			to[1], to[2], to[3])
		near(t, "copy", k.read(dst), want, 0, 0)
	}
}

var activations = []device.Activation{device.Linear, device.ReLU, device.Tanh}

// TestActivate: forward and backward against the reference, without a bias.
func TestActivate(t *testing.T) {
	const rows = 3
	in := device.Shape{C: 5, H: 7, W: 9}
	n := rows * in.Len()
	for _, k := range kinds {
		for _, act := range activations {
			o := newOracle(t, rows, in, in, func(op device.Op) device.Spec {
				return &device.Activate{Op: op, Act: act}
			}, false, nil, device.Pass{})
			x, dy := k.random(1, n), k.random(2, n)
			y, dx := k.write(x), k.write(dy)
			want := o.forward(x, n)
			run(t, "activate_"+k.name, int64(n), y, (*buf)(nil), y, 1, n, 1, int(act))
			near(t, act.String(), k.read(y), want, k.relative, 0)
			o.net.Store(o.out, false, narrow(k.read(y)))
			run(t, "activate_backward_"+k.name, int64(n), y, dx, dx, n, int(act))
			near(t, act.String()+" gradient", k.read(dx), o.backward(dy, n), k.relative, 1e-7) // 1 - y^2 cancels
		}
	}
}

func TestActivateKeepsNaN(t *testing.T) {
	for _, k := range kinds {
		for _, act := range activations {
			x := k.write(unwritten(6))
			run(t, "activate_"+k.name, 6, x, f32([]float64{1, 1}), x, 1, 2, 3, int(act))
			near(t, act.String(), k.read(x), unwritten(6), 0, 0)
		}
	}
}

// shapes of values with a bias: (outer, channels, inner) as in NCHW, NHWC and behind a fully connected layer.
var biased = [][3]int{{2, 5, 7}, {3, 8, 49}, {1, 3, 1}, {14, 5, 1}, {300, 33, 1}, {2, 2, 6000}, {5, 1, 3}, {9, 70, 2}}

func TestBias(t *testing.T) {
	name := map[string]string{"f32": "activate_f32", "bf16": "activate_bf16"}
	for _, s := range kinds {
		for _, k := range kinds {
			kernel := name[s.name]
			if s.name != k.name {
				kernel = "activate_f32_bf16"
			}
			if s.name == "bf16" && k.name == "f32" {
				continue // nobody wants it
			}
			for _, c := range biased {
				n := c[0] * c[1] * c[2]
				x, bias := s.random(1, n), kinds[0].random(2, c[1])
				want := make([]float64, n)
				for i := range x {
					want[i] = math.Max(x[i]+bias[i/c[2]%c[1]], 0)
				}
				y := k.write(unwritten(n))
				run(t, kernel, int64(n), s.write(x), f32(bias), y, c[0], c[1], c[2], int(device.ReLU))
				near(t, fmt.Sprint(kernel, c), k.read(y), want, k.relative, 1e-7)
			}
		}
	}
}

func TestBiasBackward(t *testing.T) {
	for _, k := range kinds {
		for _, act := range activations {
			for _, c := range biased {
				for _, splits := range []int{1, 3, BiasSplits(c[0], c[1], c[2])} {
					n := c[0] * c[1] * c[2]
					y, dy := k.random(1, n), k.random(2, n)
					for i := range y {
						y[i] = k.round(math.Max(math.Tanh(y[i]), 0))
					}
					want, db, size := make([]float64, n), make([]float64, c[1]), make([]float64, c[1])
					for i := range want {
						want[i] = [...]float64{dy[i], dy[i], dy[i] * (1 - y[i]*y[i])}[act]
						if act == device.ReLU && y[i] == 0 {
							want[i] = 0
						}
						db[i/c[2]%c[1]] += want[i]
						size[i/c[2]%c[1]] += math.Abs(want[i])
					}
					what := fmt.Sprintf("%s %v %v in %d", k.name, act, c, splits)
					yb, dx, partial, sums := k.write(y), k.write(dy), f32(unwritten(splits*c[1])), f32(unwritten(c[1]))
					if act == device.Linear {
						yb = nil
					}
					run(t, "bias_backward_"+k.name, BiasTiles(c[1], c[2], splits), yb, dx, dx, partial, c[0], c[1],
						c[2], int(act), splits)
					near(t, what, k.read(dx), want, k.relative, 1e-7)
					run(t, "bias_sum", int64(c[1]), partial, sums, c[1], splits)
					for i, got := range sums.f32() { // in fp32, before anything is rounded to bf16
						if math.Abs(got-db[i]) > 1e-6*size[i] {
							t.Fatalf("%s: bias %d is %g, want %g", what, i, got, db[i])
						}
					}
				}
			}
		}
	}
}
