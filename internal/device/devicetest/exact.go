package devicetest

import (
	"fmt"
	"math"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// testExact holds what is exact by definition to the bit: pictures, masks, ties, ranks, and what was stored.
func testExact(t *testing.T, open opener) {
	t.Run("input", func(t *testing.T) { testInput(t, open) })
	t.Run("dropout masks", func(t *testing.T) { testMasks(t, open) })
	t.Run("pool ties", func(t *testing.T) { testTies(t, open) })
	t.Run("ranks", func(t *testing.T) { testRanks(t, open) })
	t.Run("store and fetch", func(t *testing.T) { testStore(t, open) })
}

// equal demands the same numbers; 0 and -0 are one.
func equal(t testing.TB, what string, got []float32, want []float64) {
	t.Helper()
	for i, w := range want {
		if float64(got[i]) != w {
			t.Errorf("%s: number %d is %v, want %v", what, i, got[i], w)
			return
		}
	}
}

// testInput uses means, colours and scales with which single precision makes no error, in whatever order it is done.
func testInput(t *testing.T, open opener) {
	image := func(in *device.Input) {
		in.Mean = make([]float32, in.Channels*in.Height*in.Width)
		for i := range in.Mean {
			in.Mean[i] = float32(i*37%509) / 2
		}
	}
	cases := []struct {
		name    string
		c, h, w int
		change  func(in *device.Input)
	}{
		{"mean colour", 3, 6, 5, func(*device.Input) {}},
		{"mean image", 3, 6, 5, image},
		{"mean image, wide", 3, 4, 37, image},
		{"mean image, grey", 1, 5, 7, image},
		{"neither mean nor scale", 3, 5, 4, func(in *device.Input) { in.Mean, in.Scale = nil, nil }},
		{"an empty mean and scale", 3, 5, 4, func(in *device.Input) { in.Mean, in.Scale = []float32{}, []float32{} }},
		{"scale by channel", 3, 4, 4, func(in *device.Input) { in.Scale = []float32{.5, -.25, 2} }},
		{"whole pictures", 3, 4, 6, func(in *device.Input) { in.Height, in.Width = 4, 6 }},
	}
	for _, c := range cases {
		for _, rows := range []int{9, 4} {
			t.Run(fmt.Sprintf("%s, %d rows", c.name, rows), func(t *testing.T) {
				b := newProgram(c.c, c.h, c.w, 9)
				c.change(&b.Input)
				b.conv("conv1", 4, device.Conv{Kernel: 3}, b.Input.Value)
				r := newRig(t, 1, []*builder{b}, open(t, 1))
				for step := range 3 {
					r.begin(r.defaultPass(step, rows))
					s := b.shape(b.Input.Value)
					equal(t, "input", r.fetch(0, b.Input.Value, false),
						r.oracle.values[0][b.Input.Value][:rows*s.Len()])
				}
				r.close()
			})
		}
	}
}

// testMasks sends ones through dropout, so that what comes out is the mask.
func testMasks(t *testing.T, open opener) {
	const rows = 5
	for _, rate := range []float32{.5, .25, .9} {
		b := newProgram(3, 5, 5, rows)
		b.Train = true
		x := b.conv("conv1", 7, device.Conv{Kernel: 3}, b.Input.Value) // 7x3x3
		y := b.dropout("drop6", rate, 1021, x)
		b.Keep = []device.Value{x, y}
		r := newRig(t, 1, []*builder{b}, open(t, 1))
		for _, pass := range []device.Pass{
			{Seed: 1, Step: 0, First: 0},
			{Seed: 1, Step: 1, First: 128},
			{Seed: 1<<40 + 7, Step: 1 << 20, First: 1<<31 + 5},
			{Seed: math.MaxUint64, Step: 1<<32 - 1, First: 1<<32 - 3},
		} {
			pass.Rows, pass.Divisor, pass.LR, pass.Decay = rows-1, 1, make([]float32, 2), make([]float32, 2)
			r.begin(pass)
			r.forwardOp(opAt{0, 0})
			ones := make([]float32, pass.Rows*b.shape(x).Len())
			for i := range ones {
				ones[i] = 1
			}
			r.store(0, x, false, ones)
			r.forwardOp(opAt{0, 1})
			r.store(0, y, true, ones)
			r.backwardOp(opAt{0, 1})
			want := make([]float64, len(ones))
			n := b.shape(x).Len()
			for i := range want {
				if philox.Dropout(pass.Seed, pass.Step, philox.Stream("drop6"), pass.First+uint64(i/n),
					uint64(1021+i%n)) >= philox.Threshold(rate) {
					want[i] = 1
				}
			}
			equal(t, fmt.Sprintf("mask of rate %g at %+v", rate, pass), r.fetch(0, y, false), want)
			equal(t, "gradient", r.fetch(0, x, true), want)
		}
		r.close()
	}
}

// testTies pools small whole numbers, most of them equal to a neighbour: the gradient goes to the first of equals.
func testTies(t *testing.T, open opener) {
	for _, p := range []device.Pool{
		{Window: 3, Stride: 2},
		{Window: 3, Stride: 2, RoundUp: true},
		{Window: 3, Stride: 2, Pad: 1, RoundUp: true},
		{Window: 2, Stride: 2, RoundUp: true},
		{Window: 3, Stride: 1, Pad: 1},
	} {
		for _, channels := range []int{16, 5} {
			b := newProgram(3, 9, 8, 2)
			b.Train = true
			x := b.conv("conv1", channels, device.Conv{Kernel: 3}, b.Input.Value) // 7x6
			y := b.pool("pool1", p, x)
			b.Keep = []device.Value{x, y}
			r := newRig(t, 1, []*builder{b}, open(t, 1))
			r.begin(r.defaultPass(0, 2))
			r.forwardOp(opAt{0, 0})
			r.store(0, x, false, smallInts(r.source("ties", 0), 2*b.shape(x).Len(), -1, 1))
			r.forwardOp(opAt{0, 1})
			r.store(0, y, true, smallInts(r.source("gradient", 0), 2*b.shape(y).Len(), 1, 9))
			r.backwardOp(opAt{0, 1})
			what := fmt.Sprintf("pool %d/%d pad %d up %v of %d channels", p.Window, p.Stride, p.Pad, p.RoundUp,
				channels)
			equal(t, what, r.fetch(0, y, false), r.oracle.values[0][y])
			equal(t, what+": gradient", r.fetch(0, x, true), r.oracle.grads[0][x])
			r.close()
		}
	}
}

// smallInts are random whole numbers from low to high.
func smallInts(src *philox.Source, n, low, high int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(low + src.Intn(high-low+1))
	}
	return x
}

// testRanks stores logits with many equal ones: an equal logit is ahead where its class has the lower number.
func testRanks(t *testing.T, open opener) {
	for _, classes := range []int{1, 2, 4, 5, 6, 37} {
		const rows = 40
		b := newProgram(1, 3, 3, rows)
		x := b.fc("fc8", classes, device.Linear, b.Input.Value)
		prob := b.softmax(x)
		b.Keep = []device.Value{x, prob}
		r := newRig(t, 1, []*builder{b}, open(t, 1))
		r.begin(r.defaultPass(0, rows))
		r.forwardOp(opAt{0, 0})
		r.store(0, x, false, smallInts(r.source("logits", 0), rows*classes, 0, 5))
		r.forwardOp(opAt{0, 1})
		stats := b.Ops[1].(*device.SoftmaxLoss).Stats
		got, want := r.fetch(0, stats, false), r.oracle.values[0][stats]
		for i := range rows {
			equal(t, fmt.Sprintf("top-1 and top-5 error of row %d, label %d of %d", i, r.labels[i], classes),
				got[3*i+1:3*i+3], want[3*i+1:3*i+3])
		}
		near(t, "stats", got, want, forwardTolerance)
		// Logits far apart: the loss stays finite where the probability is too small for a float32.
		far := make([]float32, rows*classes)
		for i := range far {
			far[i] = float32(-200 * (i % classes))
		}
		r.store(0, x, false, far)
		r.forwardOp(opAt{0, 1})
		near(t, "stats of far logits", r.fetch(0, stats, false), r.oracle.values[0][stats], forwardTolerance)
		near(t, "probabilities of far logits", r.fetch(0, prob, false), r.oracle.values[0][prob], forwardTolerance)
		r.close()
	}
}

// testStore: values and gradients come out as they went in, whatever the private layout.
func testStore(t *testing.T, open opener) {
	b := newProgram(3, 7, 6, 5)
	b.Train, b.InputGrad = true, true
	x := b.conv("conv1", 13, device.Conv{Kernel: 3, Act: device.ReLU}, b.Input.Value)
	x = b.lrn("lrn1", 5, 1, x)
	x = b.pool("pool1", device.Pool{Window: 2, Stride: 2}, x)
	b.softmax(b.fc("fc6", 9, device.ReLU, x))
	b.keepAll()
	r := newRig(t, 1, []*builder{b}, open(t, 1))
	r.step(r.defaultPass(0, 5))
	r.begin(r.defaultPass(1, 3)) // fewer rows: the others stay out of it
	r.forward()
	loss := b.Ops[len(b.Ops)-1].(*device.SoftmaxLoss)
	for v, info := range b.Values {
		id := device.Value(v)
		for _, grad := range []bool{false, true} {
			if grad && (id == loss.Out || id == loss.Stats) {
				continue
			}
			want := normals(r.source(info.Name, 1), 3*info.Shape.Len(), 1)
			r.store(0, id, grad, want)
			got := r.fetch(0, id, grad)
			equal(t, fmt.Sprintf("%s (gradient: %v)", info.Name, grad), got, doubles(want))
		}
	}
	r.close()
}
