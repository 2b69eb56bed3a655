package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

func TestLRN(t *testing.T) {
	for _, c := range []struct {
		in                   device.Shape
		rows, size, groups   int
		alpha, beta, k, grow float64
	}{
		{device.Shape{C: 96, H: 3, W: 5}, 2, 5, 2, 1e-4, .75, 2, 100}, // the paper's
		{device.Shape{C: 40, H: 7, W: 9}, 1, 5, 1, 1, .75, 1, 1},
		{device.Shape{C: 70, H: 2, W: 17}, 2, 5, 2, .5, .5, 2, 1}, // a tile and a bit in each group
		{device.Shape{C: 6, H: 1, W: 1}, 3, 3, 3, 1, .75, 1, 1},   // groups smaller than a window
		{device.Shape{C: 35, H: 6, W: 6}, 1, MaxLRN, 1, 1, .9, 1, 1},
		{device.Shape{C: 4, H: 5, W: 7}, 2, 1, 1, 1, .75, .5, 1},
		{device.Shape{C: 33, H: 1, W: 33}, 1, 9, 1, 1, .75, 1, 1},
	} {
		for _, k := range kinds {
			for _, layout := range layouts {
				n, plane := c.rows*c.in.Len(), c.in.H*c.in.W
				op := func(op device.Op) device.Spec {
					return &device.LRN{
						Op: op, Size: c.size, Alpha: float32(c.alpha), Beta: float32(c.beta), K: float32(c.k),
						Groups: c.groups,
					}
				}
				o := newOracle(t, c.rows, c.in, c.in, op, false, nil, device.Pass{})
				x, dy := k.random(1, n), k.random(2, n)
				for i := range x {
					x[i] = k.round(x[i] * c.grow) // so that the sums matter
				}
				args := []any{c.rows, c.in.C, plane, c.groups, c.size, c.alpha, c.beta, c.k}
				tiles := LRNTiles(c.rows, c.in.C, plane, c.groups)
				what := fmt.Sprintf("%s %s %v", layout, k.name, c)
				xb, y := k.write(lay(layout, x, c.in.C, plane)), k.write(unwritten(n))
				run(t, "lrn_"+layout+"_"+k.name, tiles, append([]any{xb, y}, args...)...)
				near(t, what, unlay(layout, k.read(y), c.in.C, plane), o.forward(x, n), k.relative, 0)
				dx := k.write(unwritten(n))
				run(t, "lrn_backward_"+layout+"_"+k.name, tiles,
					append([]any{xb, k.write(lay(layout, dy, c.in.C, plane)), dx}, args...)...)
				near(t, what+" gradient", unlay(layout, k.read(dx), c.in.C, plane), o.backward(dy, n), k.relative, 2e-6)
			}
		}
	}
}

var pools = []struct {
	in                        device.Shape
	rows, window, stride, pad int
	up                        bool
}{
	{device.Shape{C: 5, H: 13, W: 13}, 2, 3, 2, 0, false}, // pool5
	{device.Shape{C: 8, H: 8, W: 7}, 2, 3, 2, 0, true},    // the last window clipped
	{device.Shape{C: 4, H: 9, W: 9}, 1, 2, 3, 0, false},   // gaps
	{device.Shape{C: 3, H: 7, W: 8}, 2, 3, 2, 1, true},
	{device.Shape{C: 9, H: 5, W: 5}, 1, 2, 3, 1, true}, // a window that starts outside is dropped
	{device.Shape{C: 6, H: 6, W: 6}, 3, 6, 6, 0, false},
	{device.Shape{C: 1, H: 4, W: 11}, 1, 3, 1, 1, false}, // every pixel in nine windows
}

func TestPool(t *testing.T) {
	for _, c := range pools {
		for _, k := range kinds {
			for _, layout := range layouts {
				for _, kind := range []device.PoolKind{device.Max, device.Avg} {
					out := device.Shape{
						C: c.in.C, H: device.PoolSize(c.in.H, c.window, c.stride, c.pad, c.up),
						W: device.PoolSize(c.in.W, c.window, c.stride, c.pad, c.up),
					}
					op := func(op device.Op) device.Spec {
						return &device.Pool{
							Op: op, Kind: kind, Window: c.window, Stride: c.stride, Pad: c.pad, RoundUp: c.up,
						}
					}
					o := newOracle(t, c.rows, c.in, out, op, false, nil, device.Pass{})
					n, m := c.rows*c.in.Len(), c.rows*out.Len()
					x, dy := k.random(1, n), k.random(2, m)
					for i := range x {
						x[i] = k.round(math.Round(2*x[i]) / 2) // many ties
					}
					what := fmt.Sprintf("%v %s %s %v", kind, layout, k.name, c)
					args := []any{c.rows, c.in.C, c.in.H, c.in.W, out.H, out.W, c.window, c.stride, c.pad}
					y, dx, best := k.write(unwritten(m)), k.write(unwritten(n)), &buf{data: make([]byte, 2*m)}
					to := []any{k.write(lay(layout, x, c.in.C, c.in.H*c.in.W)), y}
					back := []any{k.write(lay(layout, dy, c.in.C, out.H*out.W)), dx}
					if kind == device.Max {
						to, back = append(to, best), append([]any{best}, back...)
					}
					run(t, fmt.Sprintf("pool_%v_%s_%s", kind, layout, k.name), int64(m), append(to, args...)...)
					near(t, what, unlay(layout, k.read(y), c.in.C, out.H*out.W), o.forward(x, m), k.relative, 1e-7)
					run(t, fmt.Sprintf("pool_%v_backward_%s_%s", kind, layout, k.name), int64(n),
						append(back, args...)...)
					near(t, what+" gradient", unlay(layout, k.read(dx), c.in.C, c.in.H*c.in.W), o.backward(dy, n),
						k.relative, 5e-7)
				}
			}
		}
	}
}

// TestPoolMax: NaN is kept, in inference nothing is noted, and the largest window's places fit.
func TestPoolMax(t *testing.T) {
	x := []float64{1, math.NaN(), 3, math.Inf(-1), math.Inf(-1), math.Inf(-1)}
	for _, k := range kinds {
		for _, layout := range layouts {
			y, best := k.write(unwritten(2)), &buf{data: make([]byte, 4)}
			args := []any{1, 2, 1, 3, 1, 1, 3, 1, 0}
			in := k.write(lay(layout, x, 2, 3))
			run(t, "pool_max_"+layout+"_"+k.name, 2, append([]any{in, y, best}, args...)...)
			near(t, "NaN and infinity", k.read(y), []float64{math.NaN(), math.Inf(-1)}, 0, 0)
			if p := binary.LittleEndian.Uint32(best.data); p != 1 {
				t.Errorf("%s: NaN is at 1, the first of three infinities at 0; found %x", layout, p)
			}
			y = k.write([]float64{7, 7})
			run(t, "pool_max_"+layout+"_"+k.name, 2, append([]any{in, y, (*buf)(nil)}, args...)...)
			near(t, "without places", k.read(y), []float64{math.NaN(), math.Inf(-1)}, 0, 0)
		}
	}
	k, large := kinds[1], make([]float64, MaxWindow*MaxWindow)
	large[len(large)-1] = 1
	best, dx := &buf{data: make([]byte, 2)}, k.write(unwritten(len(large)))
	args := []any{1, 1, MaxWindow, MaxWindow, 1, 1, MaxWindow, 1, 0}
	run(t, "pool_max_nchw_bf16", 1, append([]any{k.write(large), k.write(unwritten(1)), best}, args...)...)
	run(t, "pool_max_backward_nchw_bf16", int64(len(large)), append([]any{best, k.write([]float64{1}), dx}, args...)...)
	near(t, "a window of 256", k.read(dx), large, 0, 0)
}

func TestDropout(t *testing.T) {
	for _, c := range []struct {
		in    device.Shape
		first int
	}{
		{device.Shape{C: 64, H: 1, W: 1}, 0},
		{device.Shape{C: 64, H: 1, W: 1}, 2048},
		{device.Shape{C: 13, H: 1, W: 1}, 5}, // no four units in one block of Philox
		{device.Shape{C: 13, H: 1, W: 1}, 8},
		{device.Shape{C: 8, H: 3, W: 3}, 2},
		{device.Shape{C: 5, H: 3, W: 7}, 105},
	} {
		for _, k := range kinds {
			for _, layout := range layouts {
				const rows, rate = 7, .4
				// the sample's number leaves 32 bits on the way
				p := device.Pass{Seed: 1<<63 + 12345, Step: 77, First: 1<<32 - 3}
				op := func(op device.Op) device.Spec {
					return &device.Dropout{Op: op, Rate: rate, Stream: philox.Stream("fc6"), FirstUnit: c.first}
				}
				o := newOracle(t, rows, c.in, c.in, op, true, nil, p)
				n, plane := rows*c.in.Len(), c.in.H*c.in.W
				x := k.random(1, n)
				y := k.write(lay(layout, x, c.in.C, plane))
				run(t, "dropout_"+layout+"_"+k.name, int64(n), y, y, rows, c.in.C, plane, int(philox.Stream("fc6")),
					c.first, int(philox.Threshold(rate)), pass(Pass{
						Seed: p.Seed, Step: p.Step, First: p.First, Rows: rows,
					}))
				near(t, fmt.Sprint(layout, k.name, c), unlay(layout, k.read(y), c.in.C, plane), o.forward(x, n), 0, 0)
			}
		}
	}
}
