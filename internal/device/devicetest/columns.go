package devicetest

import (
	"fmt"
	"testing"

	"alexnet/internal/device"
)

// pair is a program for each of two devices.
func pair(c, h, w, rows int) []*builder {
	return []*builder{newProgram(c, h, w, rows), newProgram(c, h, w, rows)}
}

// onEach calls f for both devices of a pair and gives what f gave.
func onEach(bs []*builder, vs []device.Value, f func(b *builder, d int, v device.Value) device.Value) []device.Value {
	out := make([]device.Value, len(bs))
	for d, b := range bs {
		out[d] = f(b, d, vs[d])
	}
	return out
}

func inputs(bs []*builder) []device.Value {
	return onEach(bs, make([]device.Value, len(bs)), func(b *builder, _ int, _ device.Value) device.Value {
		return b.Input.Value
	})
}

// exchange gives both devices both halves of a value, in column order.
func exchange(bs []*builder, vs []device.Value) [][]device.Value {
	links := []*device.Link{bs[0].send(0, 1, vs[0]), bs[1].send(1, 0, vs[1])}
	return [][]device.Value{{vs[0], bs[0].recv(links[1])}, {bs[1].recv(links[0]), vs[1]}}
}

// home gives device 0 both halves; the value of device 1 has no consumer there.
func home(bs []*builder, vs []device.Value) []device.Value {
	return []device.Value{vs[0], bs[0].recv(bs[1].send(1, 0, vs[1]))}
}

func results(vs []device.Value) [][]device.Value {
	out := make([][]device.Value, len(vs))
	for d, v := range vs {
		if v != device.None {
			out[d] = []device.Value{v}
		}
	}
	return out
}

// testColumns runs programs of two devices: what crosses, the gradients that come home, and the bytes.
func testColumns(t *testing.T, open opener) {
	whole(open)(t, columnCases())
	t.Run("the same net as on one device", func(t *testing.T) { testSameNet(t, open) })
}

// columnCases are programs of two devices.
func columnCases() []netCase {
	conv := func(name string, kernels int) func(*builder, int, device.Value) device.Value {
		return func(b *builder, d int, v device.Value) device.Value {
			return b.conv(fmt.Sprintf("%s@%d", name, d), kernels, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, v)
		}
	}
	crossing := func(channels int, then func(b *builder, d int, in []device.Value) device.Value) func() (
		[]*builder, [][]device.Value) {
		return func() ([]*builder, [][]device.Value) {
			bs := pair(3, 7, 6, 4)
			both := exchange(bs, onEach(bs, inputs(bs), conv("conv1", channels)))
			return bs, results([]device.Value{then(bs[0], 0, both[0]), then(bs[1], 1, both[1])})
		}
	}
	joinConv := func(b *builder, d int, in []device.Value) device.Value {
		return b.conv(fmt.Sprintf("conv3@%d", d), 20, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}, in...)
	}
	joinFC := func(b *builder, d int, in []device.Value) device.Value {
		return b.fc(fmt.Sprintf("fc6@%d", d), 19, device.ReLU, in...)
	}
	return []netCase{
		{"conv of both columns", 4, 0, crossing(16, joinConv)},
		{"conv of both columns, odd channels, fewer rows", 4, 3, crossing(13, joinConv)},
		// Large enough for Winograd's algorithm, which wants channels in blocks of 16: only both columns together fill
		// one.
		{"conv of both columns, each half a block", 4, 0, func() ([]*builder, [][]device.Value) {
			bs := pair(3, 12, 11, 4)
			both := exchange(bs, onEach(bs, inputs(bs), conv("conv1", 8)))
			conv2 := func(b *builder, d int, _ device.Value) device.Value {
				return b.conv(fmt.Sprintf("conv2@%d", d), 32, device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU},
					both[d]...)
			}
			return bs, results(onEach(bs, make([]device.Value, 2), conv2))
		}},
		{"strided conv of both columns", 4, 0, crossing(8, func(b *builder, d int, in []device.Value) device.Value {
			return b.conv(fmt.Sprintf("conv3@%d", d), 9,
				device.Conv{Kernel: 4, Stride: 3, RoundUp: true, Act: device.Tanh}, in...)
		})},
		{"fc of both columns", 4, 0, crossing(16, joinFC)},
		{"fc of both columns, odd channels, one row", 4, 1, crossing(5, joinFC)},
		{"fc of both columns' units", 4, 2, crossing(8, func(b *builder, d int, in []device.Value) device.Value {
			// What crosses here are the inputs; the net of two hidden layers is "two columns" below.
			return b.fc(fmt.Sprintf("fc7@%d", d), 7, device.Tanh, b.fc(fmt.Sprintf("fc6@%d", d), 33, device.ReLU,
				in...))
		})},
		{"unequal columns", 3, 0, func() ([]*builder, [][]device.Value) {
			bs := pair(3, 6, 6, 3)
			vs := onEach(bs, inputs(bs), func(b *builder, d int, v device.Value) device.Value {
				return conv("conv1", 5+12*d)(b, d, v)
			})
			both := exchange(bs, vs)
			return bs, results([]device.Value{joinConv(bs[0], 0, both[0]), joinFC(bs[1], 1, both[1])})
		}},
		{"sent home only", 3, 2, func() ([]*builder, [][]device.Value) {
			bs := pair(3, 5, 5, 3)
			in := home(bs, onEach(bs, onEach(bs, inputs(bs), conv("conv5", 8)),
				func(b *builder, d int, v device.Value) device.Value {
					return b.fc(fmt.Sprintf("fc7@%d", d), 12+d, device.ReLU, v)
				}))
			return bs, results([]device.Value{bs[0].softmax(bs[0].fc("fc8", 6, device.Linear, in...)), device.None})
		}},
		{"sent twice and read", 3, 0, sentTwice},
		{"received and pooled", 3, 0, func() ([]*builder, [][]device.Value) {
			bs := pair(3, 7, 7, 3)
			vs := onEach(bs, inputs(bs), conv("conv1", 6))
			there := bs[0].recv(bs[1].send(1, 0, vs[1]))
			there = bs[0].pool("pool", device.Pool{Window: 3, Stride: 2}, there)
			return bs, [][]device.Value{{vs[0], there}, nil}
		}},
		{"two columns", 3, 0, func() ([]*builder, [][]device.Value) {
			bs, prob := columnsNet(2, 3)
			return bs, [][]device.Value{{prob}, nil}
		}},
	}
}

// sentTwice has a value that crosses on two links and is read at home, and one that crosses on two and is not: three
// and two gradients add up.
func sentTwice() ([]*builder, [][]device.Value) {
	bs := pair(3, 5, 4, 3)
	relu := device.Conv{Kernel: 3, Pad: 1, Act: device.ReLU}
	a := bs[0].conv("conv1", 7, relu, bs[0].Input.Value)
	first, second := bs[0].send(0, 1, a), bs[0].send(0, 1, a)
	b := bs[0].conv("conv2", 6, relu, a)
	third, fourth := bs[0].send(0, 1, b), bs[0].send(0, 1, b)
	x := bs[1].conv("convA", 5, relu, bs[1].Input.Value, bs[1].recv(first), bs[1].recv(third))
	y := bs[1].fc("fcB", 9, device.Tanh, bs[1].recv(second), bs[1].recv(fourth))
	return bs, [][]device.Value{nil, {x, y}}
}

// columnsNet is the paper's net in small, on one device (columns as groups) or two. Parameters have the same names and
// order on every device; the last layer lies whole on device 0. rows 4 and more are not needed: what matters is what
// crosses.
func columnsNet(devices, rows int) (bs []*builder, prob device.Value) {
	n := 2 / devices // columns on each
	for range devices {
		bs = append(bs, newProgram(3, 47, 47, rows))
	}
	relu := func(c device.Conv) device.Conv { c.Act = device.ReLU; return c }
	pool := device.Pool{Window: 3, Stride: 2, RoundUp: true}
	own := func(b *builder, _ int, v device.Value) device.Value {
		v = b.conv("conv1", 4*n, relu(device.Conv{Kernel: 11, Stride: 4, RoundUp: true}), v) // 4x10x10 a column
		v = b.pool("pool1", pool, b.lrn("lrn1", 5, n, v))                                    // 4x5x5
		v = b.conv("conv2", 8*n, relu(device.Conv{Kernel: 5, Pad: 2, Groups: n}), v)
		return b.pool("pool2", pool, b.lrn("lrn2", 5, n, v)) // 8x2x2
	}
	hidden := func(name, drop string, units int) func(b *builder, d int, in []device.Value) device.Value {
		return func(b *builder, d int, in []device.Value) device.Value {
			return b.dropout(drop, .5, d*units*n, b.fc(name, units*n, device.ReLU, in...))
		}
	}
	conv3to5 := func(b *builder, _ int, in []device.Value) device.Value {
		v := b.conv("conv3", 6*n, relu(device.Conv{Kernel: 3, Pad: 1}), in...)
		v = b.conv("conv4", 6*n, relu(device.Conv{Kernel: 3, Pad: 1, Groups: n}), v)
		v = b.conv("conv5", 4*n, relu(device.Conv{Kernel: 3, Pad: 1, Groups: n}), v)
		return b.pool("pool5", device.Pool{Window: 2, Stride: 2}, v) // 4x1x1
	}
	vs := onEach(bs, inputs(bs), own)
	for _, layer := range []func(*builder, int, []device.Value) device.Value{
		conv3to5, hidden("fc6", "drop6", 12), hidden("fc7", "drop7", 12),
	} {
		in := [][]device.Value{{vs[0]}}
		if devices == 2 {
			in = exchange(bs, vs)
		}
		for d, b := range bs {
			vs[d] = layer(b, d, in[d])
		}
	}
	last := []device.Value{vs[0]}
	if devices == 2 {
		last = home(bs, vs)
	}
	return bs, bs[0].softmax(bs[0].fc("fc8", 5, device.Linear, last...))
}

// testSameNet trains columnsNet for three steps on one device and on two, from the same weights, and compares every
// tensor. A device's share of a parameter is the half of its first axis; fc8 lies whole on device 0.
func testSameNet(t *testing.T, open opener) {
	const rows, steps = 4, 3
	build := func(devices int) []*builder {
		bs, prob := columnsNet(devices, rows)
		for _, b := range bs {
			b.Train = true
		}
		bs[0].Keep = []device.Value{prob}
		return bs
	}
	play(t, open, func() []*builder { return build(1) }, func(whole *rig) {
		if whole.nets == nil {
			trainSteps(whole, rows, steps)
			return
		}
		split := newRig(t, whole.seed, build(2), open(t, 2))
		for p := range whole.specs[0] {
			for d, part := range shareOf(whole, split, device.Param(p), device.Weight) {
				split.storeParam(d, device.Param(p), device.Weight, part)
			}
		}
		trainSteps(whole, rows, steps)
		trainSteps(split, rows, steps)
		for p, s := range whole.specs[0] {
			for _, part := range []device.Part{device.Weight, device.Momentum} {
				for d, want := range shareOf(whole, split, device.Param(p), part) {
					near(t, fmt.Sprintf("%v of %s on device %d of 2", part, s.Name, d),
						split.fetchParam(d, device.Param(p), part), doubles(want), gradientTolerance)
				}
			}
		}
		split.close()
	})
}

// shareOf cuts a parameter of the one device as the two hold it.
func shareOf(whole, split *rig, p device.Param, part device.Part) [][]float32 {
	x := whole.fetchParam(0, p, part)
	var out [][]float32
	for _, specs := range split.specs {
		if int(p) < len(specs) {
			out = append(out, x[:specs[p].Len()])
			x = x[specs[p].Len():]
		}
	}
	return out
}

func trainSteps(r *rig, rows, steps int) {
	for s := range steps {
		r.step(r.defaultPass(s, rows))
		r.update()
	}
	r.sync()
}
