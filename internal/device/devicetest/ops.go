package devicetest

import (
	"testing"

	"alexnet/internal/device"
)

// netCase is a net on one device or several, small enough for the oracle.
type netCase struct {
	name       string
	rows, used int // of the program and of the pass; used 0: all
	// build writes the programs, and gives for each device the values to keep even where nothing else is: results that
	// take a gradient from outside, where the net ends in no loss.
	build func() ([]*builder, [][]device.Value)
}

func (c netCase) pass(r *rig, step int) device.Pass {
	if c.used == 0 {
		return r.defaultPass(step, c.rows)
	}
	return r.defaultPass(step, c.used)
}

// programs builds the case. full: everything is kept, gradients included, so that nothing may be fused away; else only
// the result.
func (c netCase) programs(train, full bool) []*builder {
	bs, results := c.build()
	for i, b := range bs {
		b.Train = train
		if full {
			b.InputGrad = true
			b.keepAll()
		} else {
			b.Keep = results[i]
		}
	}
	return bs
}

// run compares forward and gradients in a program that keeps everything and in one that keeps nothing, and the forward
// of an inference net on the same parameters.
func (c netCase) run(t *testing.T, open opener) {
	for _, full := range []bool{true, false} {
		name := map[bool]string{true: "kept", false: "fused"}[full]
		t.Run(name, func(t *testing.T) {
			play(t, open, func() []*builder { return c.programs(true, full) }, func(r *rig) {
				for s := range 2 { // the second finds what the first left behind
					r.step(c.pass(r, s))
					r.compareValues(true)
					r.compareParams(device.Gradient, gradientTolerance)
					r.compareTraffic()
				}
				infer := r.shadow(c.programs(false, false))
				infer.begin(c.pass(infer, 2))
				infer.forward()
				infer.compareValues(false)
				r.oracle.margin = min(r.oracle.margin, infer.oracle.margin)
				infer.closeNets()
			})
		})
	}
}

// runner runs cases in one way or another.
type runner func(t *testing.T, cases []netCase)

// whole runs cases as netCase.run does.
func whole(open opener) runner {
	return func(t *testing.T, cases []netCase) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { c.run(t, open) })
		}
	}
}

// one makes a case of one device: build gives the result.
func one(name string, c, h, w, rows, used int, build func(b *builder, in device.Value) device.Value) netCase {
	return netCase{name, rows, used, func() ([]*builder, [][]device.Value) {
		b := newProgram(c, h, w, rows)
		return []*builder{b}, [][]device.Value{{build(b, b.Input.Value)}}
	}}
}

// convCase is one convolution on the picture.
func convCase(name string, c, h, w, rows, used, kernels int, conv device.Conv) netCase {
	return one(name, c, h, w, rows, used, func(b *builder, in device.Value) device.Value {
		return b.conv("conv1", kernels, conv, in)
	})
}

// after is one op behind a 3x3 convolution, which gives it channels channels of the input's size.
func after(name string, channels, h, w, rows, used int, op func(b *builder, in device.Value) device.Value) netCase {
	return one(name, 3, h, w, rows, used, func(b *builder, in device.Value) device.Value {
		return op(b, b.conv("conv1", channels, device.Conv{Kernel: 3, Pad: 1}, in))
	})
}

func testOps(t *testing.T, run runner) {
	t.Run("Conv", func(t *testing.T) { run(t, convCases()) })
	t.Run("FC", func(t *testing.T) { run(t, fcCases()) })
	t.Run("Activate", func(t *testing.T) { run(t, activateCases()) })
	t.Run("LRN", func(t *testing.T) { run(t, lrnCases()) })
	t.Run("Pool", func(t *testing.T) { run(t, poolCases()) })
	t.Run("Dropout", func(t *testing.T) { run(t, dropoutCases()) })
	t.Run("SoftmaxLoss", func(t *testing.T) { run(t, softmaxCases()) })
}

func convCases() []netCase {
	relu, tanh := device.ReLU, device.Tanh
	behind := func(kernels int, conv device.Conv) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value { return b.conv("conv2", kernels, conv, in) }
	}
	return []netCase{
		convCase("1x1", 1, 1, 1, 1, 0, 1, device.Conv{Kernel: 1}),
		convCase("one channel", 1, 7, 9, 2, 0, 5, device.Conv{Kernel: 3, Pad: 1}),
		convCase("relu", 3, 8, 8, 3, 0, 16, device.Conv{Kernel: 3, Pad: 1, Act: relu}),
		convCase("tanh", 3, 8, 8, 3, 0, 16, device.Conv{Kernel: 3, Pad: 1, Act: tanh}),
		// 35 = ceil((35-11)/4)+1 = 7 exactly; 38: 7.75 -> 8 rounded up, 7 down; 36: 7.25 -> 8, the paper's 224 -> 54.25
		// -> 55
		convCase("11x11 stride 4 exact", 3, 35, 35, 2, 0, 8, device.Conv{Kernel: 11, Stride: 4, Act: relu}),
		convCase("11x11 stride 4 up", 3, 36, 38, 2, 0, 24, device.Conv{
			Kernel: 11, Stride: 4, RoundUp: true, Act: relu,
		}),
		convCase("11x11 stride 4 down", 3, 36, 38, 2, 0, 24, device.Conv{Kernel: 11, Stride: 4, Act: relu}),
		convCase("pad and up", 3, 10, 7, 2, 0, 6, device.Conv{Kernel: 4, Stride: 3, Pad: 2, RoundUp: true}),
		convCase("fewer rows", 3, 9, 9, 7, 3, 16, device.Conv{Kernel: 5, Pad: 2, Act: relu}),
		convCase("one row of many", 3, 9, 9, 4, 1, 16, device.Conv{Kernel: 3, Act: relu}),
		convCase("5x5 stride 2 up, 16 kernels", 3, 11, 12, 3, 0, 16, device.Conv{
			Kernel: 5, Stride: 2, Pad: 1, RoundUp: true, Act: relu,
		}),
		convCase("3x3 grey, 16 kernels", 1, 9, 6, 2, 0, 16, device.Conv{Kernel: 3, Pad: 1, Act: relu}),
		convCase("2x2 stride 3, 32 kernels", 3, 10, 8, 2, 0, 32, device.Conv{Kernel: 2, Stride: 3}),
		after("5x5 of 48", 48, 7, 8, 2, 0, behind(24, device.Conv{Kernel: 5, Pad: 2, Act: relu})),
		after("odd channels", 13, 6, 5, 3, 0, behind(21, device.Conv{Kernel: 3, Pad: 1, Act: relu})),
		after("two groups", 32, 7, 7, 2, 0, behind(48, device.Conv{Kernel: 3, Pad: 1, Groups: 2, Act: relu})),
		after("groups of odd channels", 10, 7, 6, 2, 0, behind(14, device.Conv{
			Kernel: 5, Pad: 2, Groups: 2, Act: relu,
		})),
		after("five groups", 15, 6, 6, 2, 0, behind(20, device.Conv{Kernel: 3, Groups: 5, Act: tanh})),
		after("groups, fewer rows", 8, 7, 7, 5, 2, behind(8, device.Conv{Kernel: 3, Pad: 1, Groups: 2})),
		// Where there are many pixels or channels a backend may take Winograd's algorithm, and for a stride of 4 as
		// many phases.
		after("3x3, many pixels", 32, 17, 16, 2, 0, behind(48, device.Conv{Kernel: 3, Pad: 1, Act: relu})),
		after("3x3, many pixels, two groups", 64, 13, 13, 5, 4, behind(32, device.Conv{
			Kernel: 3, Pad: 1, Groups: 2, Act: relu,
		})),
		after("3x3, many pixels, no pad, three groups", 48, 15, 19, 3, 0, behind(96, device.Conv{
			Kernel: 3, Groups: 3, Act: tanh,
		})),
		after("3x3, wide pad", 16, 4, 9, 2, 0, behind(80, device.Conv{Kernel: 3, Pad: 2, Act: relu})),
		after("5x5, many channels, two groups", 96, 11, 13, 3, 2, behind(128, device.Conv{
			Kernel: 5, Pad: 2, Groups: 2, Act: relu,
		})),
		after("5x5, many channels, little pad", 80, 9, 8, 2, 0, behind(112, device.Conv{Kernel: 5, Pad: 1, Act: tanh})),
		after("3x3, many channels", 160, 6, 11, 2, 0, behind(144, device.Conv{Kernel: 3, Pad: 1, Act: relu})),
		convCase("11x11 stride 4 up, many kernels", 3, 39, 36, 3, 2, 96, device.Conv{
			Kernel: 11, Stride: 4, RoundUp: true, Act: relu,
		}),
		convCase("11x11 stride 4, pad", 3, 40, 33, 2, 0, 64, device.Conv{Kernel: 11, Stride: 4, Pad: 2, Act: relu}),
		convCase("9x9 stride 4, grey", 1, 31, 45, 2, 0, 32, device.Conv{Kernel: 9, Stride: 4, Pad: 3, Act: tanh}),
		convCase("12x12 stride 4", 3, 27, 28, 2, 0, 48, device.Conv{Kernel: 12, Stride: 4}),
		after("1x1 of 64", 64, 5, 5, 2, 0, behind(17, device.Conv{Kernel: 1})),
		after("kernel larger than map", 4, 3, 3, 2, 0, behind(6, device.Conv{Kernel: 5, Pad: 1, Act: relu})),
	}
}

func fcCases() []netCase {
	fc := func(units int, act device.Activation) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value { return b.fc("fc6", units, act, in) }
	}
	return []netCase{
		one("picture", 3, 5, 4, 2, 0, fc(7, device.Linear)),
		one("one number", 1, 1, 1, 1, 0, fc(1, device.Linear)),
		one("one unit", 3, 4, 4, 3, 0, fc(1, device.ReLU)),
		after("map, relu", 16, 6, 6, 3, 0, fc(40, device.ReLU)),
		after("odd map, relu", 13, 5, 3, 4, 0, fc(33, device.ReLU)),
		after("map, tanh", 32, 4, 4, 3, 0, fc(16, device.Tanh)),
		after("one row", 16, 4, 4, 1, 0, fc(64, device.ReLU)),
		after("fewer rows", 16, 4, 4, 6, 2, fc(20, device.ReLU)),
		after("few inputs, many units", 2, 4, 4, 16, 0, fc(2048, device.Linear)),
		after("few inputs, many units, one row", 4, 8, 8, 1, 0, fc(1100, device.Linear)),
		after("many inputs, many units", 11, 10, 10, 5, 0, fc(1100, device.Linear)),
		after("many inputs, few units", 11, 10, 10, 16, 3, fc(5, device.Linear)),
		after("fc on fc", 8, 4, 4, 3, 0, func(b *builder, in device.Value) device.Value {
			return b.fc("fc7", 19, device.Linear, b.fc("fc6", 50, device.ReLU, in))
		}),
	}
}

func activateCases() []netCase {
	act := func(a device.Activation) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value { return b.activate("act", a, in) }
	}
	return []netCase{
		after("relu", 16, 6, 5, 3, 0, act(device.ReLU)),
		after("relu, odd channels, fewer rows", 5, 3, 3, 4, 3, act(device.ReLU)),
		after("tanh", 7, 4, 4, 2, 0, act(device.Tanh)),
		after("linear", 3, 4, 4, 2, 0, act(device.Linear)),
		one("relu on units", 1, 3, 3, 2, 0, func(b *builder, in device.Value) device.Value {
			return b.activate("relu", device.ReLU, b.fc("fc", 11, device.Linear, in))
		}),
	}
}

func lrnCases() []netCase {
	lrn := func(size, groups int) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value { return b.lrn("lrn1", size, groups, in) }
	}
	return []netCase{
		after("size 5", 16, 5, 4, 2, 0, lrn(5, 1)),
		after("size 5, two groups", 32, 4, 5, 2, 0, lrn(5, 2)),
		after("groups of 48", 96, 3, 3, 2, 0, lrn(5, 2)),
		after("groups of odd channels", 14, 4, 3, 3, 2, lrn(5, 2)),
		after("size 3, three groups", 12, 4, 3, 2, 0, lrn(3, 3)),
		after("size 1", 6, 3, 3, 2, 0, lrn(1, 1)),
		after("wider than the channels", 3, 3, 3, 2, 0, lrn(9, 1)),
		after("one channel", 1, 4, 4, 2, 0, lrn(5, 1)),
		after("the paper's constants", 20, 4, 4, 2, 0, func(b *builder, in device.Value) device.Value {
			return b.add(&device.LRN{Op: b.same("lrn1", in), Size: 5, Alpha: 1e-4, Beta: .75, K: 2, Groups: 1})
		}),
		after("k 1, beta .5", 18, 4, 4, 2, 0, func(b *builder, in device.Value) device.Value {
			return b.add(&device.LRN{Op: b.same("lrn1", in), Size: 5, Alpha: 1, Beta: .5, K: 1, Groups: 2})
		}),
	}
}

func poolCases() []netCase {
	pool := func(p device.Pool) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value { return b.pool("pool1", p, in) }
	}
	return []netCase{
		after("max 3/2", 16, 7, 9, 2, 0, pool(device.Pool{Window: 3, Stride: 2})),
		after("max 3/2 down", 5, 8, 8, 3, 0, pool(device.Pool{Window: 3, Stride: 2})),
		after("max 3/2 up", 5, 8, 6, 3, 0, pool(device.Pool{Window: 3, Stride: 2, RoundUp: true})),
		after("max 2/2", 32, 6, 6, 2, 0, pool(device.Pool{Window: 2, Stride: 2})),
		after("max 2/3, gaps", 4, 9, 9, 2, 0, pool(device.Pool{Window: 2, Stride: 3})),
		after("max 3/2 pad 1", 8, 7, 8, 2, 0, pool(device.Pool{Window: 3, Stride: 2, Pad: 1})),
		after("max 3/2 pad 1 up", 8, 8, 7, 2, 0, pool(device.Pool{Window: 3, Stride: 2, Pad: 1, RoundUp: true})),
		after("max whole map", 8, 4, 4, 2, 0, pool(device.Pool{Window: 4, Stride: 4})),
		after("max 3/2, wide", 8, 3, 259, 2, 0, pool(device.Pool{Window: 3, Stride: 2})),
		after("max 5/2 pad 2, wide", 16, 5, 133, 2, 0, pool(device.Pool{Window: 5, Stride: 2, Pad: 2})),
		after("max 2/3, wide gaps", 5, 3, 262, 2, 0, pool(device.Pool{Window: 2, Stride: 3})),
		after("max fewer rows", 16, 7, 7, 5, 2, pool(device.Pool{Window: 3, Stride: 2})),
		after("avg 3/2", 16, 7, 9, 2, 0, pool(device.Pool{Kind: device.Avg, Window: 3, Stride: 2})),
		after("avg 3/2 up", 5, 8, 6, 3, 0, pool(device.Pool{Kind: device.Avg, Window: 3, Stride: 2, RoundUp: true})),
		after("avg 3/2 pad 1 up", 6, 8, 8, 2, 0, pool(device.Pool{
			Kind: device.Avg, Window: 3, Stride: 2, Pad: 1, RoundUp: true,
		})),
		after("avg 2/2", 32, 6, 6, 2, 1, pool(device.Pool{Kind: device.Avg, Window: 2, Stride: 2})),
		after("avg 2/1", 3, 4, 5, 2, 0, pool(device.Pool{Kind: device.Avg, Window: 2, Stride: 1})),
		// Out of 5 with window 2, stride 3, pad 1, rounded up, a third window would start at row 5, beyond the map: it
		// is dropped.
		after("last window dropped", 4, 5, 5, 2, 0, pool(device.Pool{Window: 2, Stride: 3, Pad: 1, RoundUp: true})),
	}
}

func dropoutCases() []netCase {
	drop := func(rate float32, first int) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value { return b.dropout("drop6", rate, first, in) }
	}
	return []netCase{
		after("half", 16, 4, 4, 3, 0, drop(.5, 0)),
		after("odd channels, fewer rows", 7, 3, 3, 4, 2, drop(.5, 0)),
		after("first unit 2050", 5, 3, 3, 2, 0, drop(.3, 2050)),
		after("rate 0", 4, 3, 3, 2, 0, drop(0, 0)),
		one("units", 3, 5, 5, 4, 0, func(b *builder, in device.Value) device.Value {
			return b.dropout("drop6", .5, 37, b.fc("fc6", 61, device.ReLU, in))
		}),
	}
}

func softmaxCases() []netCase {
	loss := func(classes int) func(*builder, device.Value) device.Value {
		return func(b *builder, in device.Value) device.Value {
			return b.softmax(b.fc("fc8", classes, device.Linear, in))
		}
	}
	return []netCase{
		one("10 classes", 3, 6, 6, 8, 0, loss(10)),
		one("2 classes", 1, 4, 4, 5, 0, loss(2)),
		one("1 class", 1, 4, 4, 2, 0, loss(1)),
		one("106 classes, fewer rows", 3, 6, 6, 8, 5, loss(106)),
		after("behind a map", 16, 4, 4, 3, 0, loss(6)),
	}
}
