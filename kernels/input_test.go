package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"alexnet/internal/device"
	"alexnet/internal/reference"
)

// TestInput: crop, flip, mean, colour and scale against the reference, with margins of rows, columns and channels, and
// rows that are not in use.
func TestInput(t *testing.T) {
	const rows, used = 4, 3
	for _, c := range []struct {
		channels, height, width, h, w, depth, oh, ow int
		mean                                         string
		scale                                        bool
	}{
		{3, 9, 11, 7, 8, 3, 7, 8, "image", true},
		{3, 9, 11, 7, 8, 4, 9, 10, "color", false},
		{3, 8, 8, 8, 8, 8, 8, 8, "none", true},
		{1, 6, 5, 5, 3, 1, 5, 4, "image", false},
		{1, 6, 5, 5, 3, 2, 5, 3, "color", true},
	} {
		r := rand.New(rand.NewPCG(1, 0))
		numbers := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = r.Float32()
			}
			return x
		}
		in := device.Input{Channels: c.channels, Height: c.height, Width: c.width}
		switch c.mean {
		case "image":
			in.Mean = numbers(c.channels * c.height * c.width)
		case "color":
			in.Mean = numbers(c.channels)
		}
		if c.scale {
			in.Scale = numbers(c.channels)
		}
		shape := device.Shape{C: c.channels, H: c.h, W: c.w}
		net := pictures(t, used, in, shape)
		batch := device.NewBatch(used, make([]uint8, used*in.PictureBytes()))
		var crop, flip []int32
		var color []float64
		for i := range batch.Pixels {
			batch.Pixels[i] = uint8(r.Uint32())
		}
		for i := range used {
			batch.Crop[i] = [2]int32{r.Int32N(int32(c.height - c.h + 1)), r.Int32N(int32(c.width - c.w + 1))}
			batch.Flip[i] = i%2 == 1
			batch.Color[i] = [3]float32(numbers(3))
			crop, flip = append(crop, batch.Crop[i][:]...), append(flip, int32(i%2))
			for _, v := range batch.Color[i] {
				color = append(color, float64(v))
			}
		}
		net.Begin(batch, device.Pass{Rows: used})
		want := make([]float64, used*shape.Len())
		if err := net.(device.Precise).Fetch64(0, false, want); err != nil {
			t.Fatal(err)
		}
		want = margins(want, used, rows, shape, device.Shape{C: c.depth, H: c.oh, W: c.ow})
		pixels, flips := &buf{data: batch.Pixels}, &buf{}
		for _, f := range flip {
			flips.data = append(flips.data, byte(f))
		}
		for _, k := range kinds {
			for _, layout := range layouts {
				x := k.write(unwritten(rows * c.depth * c.oh * c.ow))
				run(t, "input_"+layout+"_"+k.name, int64(rows*c.oh*c.ow), pixels, i32(crop), flips, f32(color),
					optional(in.Mean), len(in.Mean), optional(in.Scale), x, rows, c.channels, c.height, c.width, c.h,
					c.w, c.depth, c.oh, c.ow, pass(Pass{Rows: used}))
				// 255 - mean cancels
				near(t, fmt.Sprint(layout, k.name, c), unlay(layout, k.read(x), c.depth, c.oh*c.ow), want, k.relative,
					1e-5)
			}
		}
	}
}

// pictures is a net on the float64 reference whose input is in question.
func pictures(t *testing.T, rows int, in device.Input, s device.Shape) device.Net {
	t.Helper()
	dev := reference.Open64()
	params, err := dev.NewParams(nil)
	if err != nil {
		t.Fatal(err)
	}
	net, err := dev.Compile(device.Program{
		Values: []device.ValueInfo{{Name: "input", Shape: s}, {Name: "out", Shape: s}}, Input: in, Params: params,
		Rows: rows, Ops: []device.Spec{&device.Activate{Op: device.Op{Name: "op", In: []device.Value{0}, Out: 1}}},
	})
	if err == nil {
		err = net.Alloc()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { net.Close(); params.Close(); dev.Close() })
	return net
}

// margins puts rows of shape s into a larger one, filled up with zeros.
func margins(x []float64, used, rows int, s, large device.Shape) []float64 {
	y := make([]float64, rows*large.Len())
	for i, v := range x {
		r, c, h, w := i/s.Len(), i/(s.H*s.W)%s.C, i/s.W%s.H, i%s.W
		y[((r*large.C+c)*large.H+h)*large.W+w] = v
	}
	return y
}

func optional(x []float32) *buf {
	if x == nil {
		return nil
	}
	b := &buf{}
	for _, v := range x {
		b.data = append(b.data, f32([]float64{float64(v)}).data...)
	}
	return b
}
