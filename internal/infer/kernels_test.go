package infer_test

import (
	"cmp"
	"errors"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/builtin"
	"alexnet/internal/config"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
)

func TestColorShare(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		kernel []float32 // red, green, blue of two places
		want   float64
	}{
		{[]float32{1, -2, 1, -2, 1, -2}, 0},
		{[]float32{1, 0, 0, 0, 0, 0}, 2. / 3}, // grey is 1/3: 4/9 + 1/9 + 1/9
		{[]float32{1, 0, -1, 0, 0, 0}, 1},
		{[]float32{1, 1, 0, 1, 0, 1}, 2. / 3 / 4}, // 2/3 of the red place over 1 + 3
		{[]float32{0, 0, 0, 0, 0, 0}, math.NaN()},
		{[]float32{nan, 0, 0, 0, 0, 0}, math.NaN()},
	} {
		got := infer.ColorShare(c.kernel)
		if math.IsNaN(c.want) != math.IsNaN(got) || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v has the colour share %g, want %g", c.kernel, got, c.want)
		}
	}
}

// TestKernelsOfBuiltin holds the column report of the net in the program to what was computed of it elsewhere: medians
// of .25 and .15, an AUC of .60, and a p of about .2.
func TestKernelsOfBuiltin(t *testing.T) {
	c, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k, err := infer.KernelsOf(c, "conv1")
	if err != nil {
		t.Fatal(err)
	}
	if k.Shape != [4]int{64, 3, 5, 5} || k.Columns != 2 || !k.Color {
		t.Errorf("conv1 is %v in %d columns, colour %t", k.Shape, k.Columns, k.Color)
	}
	r := k.ColorReport()
	near := func(got *float64, want, within float64) bool { return got != nil && math.Abs(*got-want) <= within }
	if !near(r.Columns[0].Median, .25, .005) || !near(r.Columns[1].Median, .15, .005) || !near(r.AUC, .60, .005) ||
		!near(r.P, .2, .03) {
		t.Errorf("medians %g and %g, AUC %g, p %g", *r.Columns[0].Median, *r.Columns[1].Median, *r.AUC, *r.P)
	}
	if k, err = infer.KernelsOf(c, "conv3"); err != nil || k.Color || k.ColorReport() != nil || k.Shape[1] != 128 {
		t.Errorf("conv3 is %v, colour %t, %v", k.Shape, k.Color, err)
	}
	for layer, said := range map[string]string{
		"cnov2": "nearest: conv2", "fc6": "layer fc6 has no kernels", "pool1": "conv5 have kernels",
		"a\x1b[2J": `no layer a\x1b[2J`,
	} {
		_, err := infer.KernelsOf(c, layer)
		if !errors.As(err, new(*config.Error)) || !strings.Contains(err.Error(), said) {
			t.Errorf("layer %q: %v", layer, err)
		}
	}
}

// The report of columns whose kernels do not overlap is a complete difference, kernels of zeros are left out, and one
// column is compared with none.
func TestColorReport(t *testing.T) {
	red, grey, zero := []float32{1, 0, 0}, []float32{1, 1, 1}, []float32{0, 0, 0}
	k := infer.Kernels{
		Shape: [4]int{8, 3, 1, 1}, Columns: 2, Color: true,
		Weights: slices.Concat(red, red, zero, red, grey, grey, grey, grey),
	}
	r := k.ColorReport()
	if *r.AUC != 1 || *r.P > .1 || *r.Columns[1].Median != 0 || r.Columns[0].Shares[2] != nil ||
		r.Columns[0].Histogram[13] != 3 || r.Columns[1].Histogram[0] != 4 {
		t.Errorf("%+v, AUC %g", r, *r.AUC)
	}
	k.Columns = 1
	if r := k.ColorReport(); r.AUC != nil || r.P != nil || len(r.Columns) != 1 {
		t.Errorf("of one column: %+v", r)
	}
	k.Columns, k.Weights = 2, slices.Concat(red, red, red, red, zero, zero, zero, zero)
	if r := k.ColorReport(); r.AUC != nil || r.Columns[1].Median != nil {
		t.Errorf("of a column of zeros: %+v", r)
	}
}

// Maps are what Features gives, on one device and on two, and strongest first they are in the order of their strength.
func TestMaps(t *testing.T) {
	images := shapes(t)
	for _, devices := range []int{1, 2} {
		p, err := infer.NewPredictor(infer.PredictOptions{
			Checkpoint: openTrained(t), Devices: reference.Open(devices), Layers: []string{"conv1", "fc2"},
			Files: files.OS, FP32: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, layer := range []string{"conv1", "fc2", "input", "prob"} {
			m, err := p.Maps(t.Context(), images[3], layer)
			if err != nil {
				t.Fatal(err)
			}
			want, err := features(t.Context(), p, images[3:4], layer)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Values, want.values) || m.Count*m.Height*m.Width != len(m.Values) {
				t.Errorf("%s on %d devices: %dx%dx%d maps differ from the features", layer, devices, m.Count, m.Height,
					m.Width)
			}
			columns := map[string]int{"conv1": 2, "fc2": 2, "input": 1, "prob": 1}[layer]
			if m.Columns != columns {
				t.Errorf("%s lies in %d columns, want %d", layer, m.Columns, columns)
			}
			order, decreasing := m.Order(), func(a, b int) int { return cmp.Compare(m.Strength(b), m.Strength(a)) }
			if len(order) != m.Count || !slices.IsSortedFunc(order, decreasing) {
				t.Errorf("the strongest of %s are not first: %v", layer, order)
			}
		}
		_, err = p.Maps(t.Context(), "none.png", "conv1")
		if !errors.As(err, new(*data.BadPicture)) {
			t.Errorf("a picture that is not there: %v", err)
		}
	}
}

func TestOrderOfMaps(t *testing.T) {
	m := infer.Maps{Count: 4, Height: 1, Width: 2, Values: []float32{1, 1, -3, 2, float32(math.NaN()), 0, 2, 0}}
	if got := m.Order(); !slices.Equal(got, []int{1, 0, 3, 2}) {
		t.Errorf("the order is %v", got)
	}
}

// Views are the answers of Predict, each with its own picture.
func TestViews(t *testing.T) {
	images := append(shapes(t)[:5], "none.png")
	p := predictor(t, infer.PredictOptions{Files: files.OS, Batch: 2})
	want, err := predict(t.Context(), p, images, 3)
	if err != nil {
		t.Fatal(err)
	}
	pictures := data.Files(files.OS, images)
	var seen []color.RGBA
	for m, err := range p.Seen(t.Context(), pictures) {
		if err == nil {
			seen = append(seen, m.RGBAAt(7, 7))
		}
	}
	n := 0
	for v, err := range p.Views(t.Context(), pictures, 3) {
		if err != nil {
			t.Fatal(err)
		}
		if v.Image != want[n].Image || !slices.Equal(v.Predictions, want[n].Predictions) ||
			(v.Err == nil) != (n < 5) || (v.Seen == nil) != (v.Err != nil) {
			t.Errorf("view %d is %+v, want %+v", n, v, want[n])
		}
		if v.Seen != nil && v.Seen.RGBAAt(7, 7) != seen[n] {
			t.Errorf("view %d is of another picture", n)
		}
		n++
	}
	if n != len(images) {
		t.Errorf("%d views", n)
	}
}

// With FP32 a net computes in fp32 though its configuration says otherwise.
func TestFP32(t *testing.T) {
	c := openTrained(t)
	c.Config = []byte(strings.Replace(string(c.Config), "precision: fp32", "precision: bf16", 1))
	if !strings.Contains(string(c.Config), "precision: bf16") {
		t.Fatal("the configuration does not say a precision")
	}
	var kept device.Precision
	p, err := infer.NewPredictor(infer.PredictOptions{
		Checkpoint: c, Devices: []device.Device{&watching{reference.Open(1)[0], &kept}}, FP32: true, Files: files.OS,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if kept != device.FP32 {
		t.Errorf("it computes in %v", kept)
	}
}

// watching is a device that would compute in any precision, and tells in which a net was compiled.
type watching struct {
	device.Device
	in *device.Precision
}

// Supports takes all.
func (w *watching) Supports(device.Precision) error { return nil }

// Compile notes the precision.
func (w *watching) Compile(p device.Program) (device.Net, error) {
	*w.in = p.Precision
	return w.Device.Compile(p)
}
