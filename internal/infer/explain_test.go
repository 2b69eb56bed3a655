package infer_test

import (
	_ "embed"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"alexnet/internal/checkpoint"
	"alexnet/internal/config"
	"alexnet/internal/cpu"
	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/device/devicetest"
	"alexnet/internal/files"
	"alexnet/internal/golden"
	"alexnet/internal/infer"
	"alexnet/internal/model"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
)

//go:embed testdata/explain.safetensors
var explainFile []byte

// explained is what the golden file is of: see scripts/golden.py, explain.
type explained struct {
	*golden.File
	class, copies, square int
	at                    []int
	cams                  []string
	net, picture          string // files
}

// explainGolden writes the golden's net and picture into files. The net is the small one of package modeltest.
func explainGolden(t *testing.T) *explained {
	t.Helper()
	g := &explained{File: golden.Open(t, explainFile)}
	var height, width, crop int
	var scale float32
	for key, v := range map[string]any{
		"class": &g.class, "copies": &g.copies, "square": &g.square, "at": &g.at, "cams": &g.cams, "height": &height,
		"width": &width, "crop": &crop, "scale": &scale,
	} {
		g.Meta(t, key, v)
	}
	pixels := make([]uint8, height*width*3)
	g.Picture(g.Text("picture"), height, width, 6, pixels)
	g.picture = writePicture(t, pixels, height, width)

	r := recipe.Recipe{
		Channels: 3, Height: height, Width: width, Crop: crop, MeanKind: config.MeanImage,
		MeanShape: []int{3, height, width}, Scale: []float32{scale, scale, scale},
	}
	for c := range 3 {
		for i := range height * width {
			r.Mean = append(r.Mean, float32(100+10*c)+float32(i/width)/4+float32(i%width)/8)
		}
	}
	g.net = writeSmall(t, g.Seed, r)
	return g
}

// writePicture makes a file of pixels, (height, width, 3).
func writePicture(t *testing.T, pixels []uint8, height, width int) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i := range height * width {
		copy(m.Pix[4*i:], append(slices.Clone(pixels[3*i:][:3]), 255))
	}
	path := filepath.Join(t.TempDir(), "picture.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, m), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeSmall makes a checkpoint of the small net with its first weights.
func writeSmall(t *testing.T, seed uint64, r recipe.Recipe) string {
	t.Helper()
	page, err := os.ReadFile("../model/modeltest/testdata/small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := &checkpoint.Checkpoint{Seed: seed, Config: page, Dropout: checkpoint.DropoutPaper, Recipe: r}
	for i := range 10 {
		c.Classes = append(c.Classes, fmt.Sprintf("class %d", i))
	}
	cfg, err := c.Page(nil)
	if err != nil {
		t.Fatal(err)
	}
	arch, err := model.Of(cfg, len(c.Classes))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Open(arch, reference.Open(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	n, err := m.Compile(model.Options{Rows: 1, Input: r})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c.Params = infer.Tensors(m, device.Weight)
	path := filepath.Join(t.TempDir(), "small.safetensors")
	if err := errors.Join(n.Alloc(), m.Init(seed), checkpoint.Save(files.OS, path, c)); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens the net on devices.
func (g *explained) open(t *testing.T, devs []device.Device, o infer.PredictOptions) *infer.Predictor {
	t.Helper()
	c, err := checkpoint.Load(files.OS, g.net)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o.Checkpoint, o.Devices, o.Files, o.FP32 = c, devs, files.OS, true
	return opened(t, o)
}

// explainDevices are devices of each kind, one and one a column.
func explainDevices(t *testing.T) map[string]func() []device.Device {
	all := map[string]func() []device.Device{}
	for n := 1; n <= 2; n++ {
		all[fmt.Sprintf("reference, %d", n)] = func() []device.Device { return reference.Open(n) }
		if cpu.Built {
			all[fmt.Sprintf("cpu, %d", n)] = func() []device.Device {
				devs, err := cpu.Open(n)
				if err != nil {
					t.Fatal(err)
				}
				return devs
			}
		}
	}
	return all
}

// What PyTorch computes: occlusion's probabilities within 1e-5, saliency and Grad-CAM within 1e-4.
func TestExplanationsOfPyTorch(t *testing.T) {
	g := explainGolden(t)
	for name, open := range explainDevices(t) {
		t.Run(name, func(t *testing.T) {
			devs := devicetest.CloseLater(t, open())
			p := g.open(t, devs, infer.PredictOptions{Batch: 3, Gradients: true, Layers: g.cams})
			o, err := p.Occlude(t.Context(), g.picture, g.class, nil)
			if err != nil {
				t.Fatal(err)
			}
			if o.Square != g.square || !slices.Equal(o.At, g.at) {
				t.Errorf("squares of %d at %v", o.Square, o.At)
			}
			g.Check(t, "occlusion", o.Probability, golden.Forward)
			for i, want := range g.Tensor(t, "winners") {
				if got := o.Winners[i]; got.Index != int(want) || string(got.Class) != fmt.Sprint("class ", want) {
					t.Errorf("place %d: %+v, want class %g", i, got, want)
				}
			}
			s, err := p.Saliency(t.Context(), g.picture, g.class, 0, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			g.Check(t, "saliency", s.Map, golden.Gradient)
			if s, err = p.Saliency(t.Context(), g.picture, g.class, g.copies, g.Seed, nil); err != nil {
				t.Fatal(err)
			}
			g.Check(t, "smooth", s.Map, golden.Gradient)
			for _, layer := range g.cams {
				m, err := p.GradCAM(t.Context(), g.picture, g.class, layer)
				if err != nil {
					t.Fatal(err)
				}
				g.Check(t, "cam."+layer, m.Map, golden.Gradient)
				if m.Height*m.Width != len(m.Map) || m.Layer != layer {
					t.Errorf("%dx%d of %s", m.Width, m.Height, m.Layer)
				}
			}
			g.answered(t, o.Explained, s.Explained)
		})
	}
}

// answered checks the class that was asked for, the most probable one, and the crop.
func (g *explained) answered(t *testing.T, all ...infer.Explained) {
	t.Helper()
	prob := g.Tensor(t, "prob")
	best := slices.Index(prob, slices.Max(prob))
	for _, e := range all {
		got := []float32{float32(e.Class.Probability), float32(e.Best.Probability)}
		if d := max(got[0]-prob[g.class], prob[g.class]-got[0], got[1]-prob[best], prob[best]-got[1]); !(d < 1e-5) ||
			e.Class.Index != g.class || e.Best.Index != best || e.Seen.Rect.Dx() != 34 {
			t.Errorf("class %+v, best %+v, crop %v", e.Class, e.Best, e.Seen.Rect)
		}
	}
}

// However many rows the net has, and with the most probable class for none: the same, and every picture counted.
func TestExplainedInBatches(t *testing.T) {
	g := explainGolden(t)
	var probability, smooth [][]float32
	for _, rows := range []int{1, 7, infer.OcclusionBatch} {
		p := g.open(t, reference.Open(1), infer.PredictOptions{Batch: rows, Gradients: true})
		counted, last := 0, 0
		count := func(done, total int) { counted, last = done, total }
		o, err := p.Occlude(t.Context(), g.picture, infer.MostProbable, count)
		if err != nil {
			t.Fatal(err)
		}
		if counted != 170 || last != 170 || o.Class != o.Best {
			t.Errorf("%d of %d counted, of class %+v, best %+v", counted, last, o.Class, o.Best)
		}
		s, err := p.Saliency(t.Context(), g.picture, infer.MostProbable, 9, 1, count)
		if err != nil {
			t.Fatal(err)
		}
		if counted != 9 || last != 9 || s.Copies != 9 {
			t.Errorf("%d of %d copies counted", counted, last)
		}
		probability, smooth = append(probability, o.Probability), append(smooth, s.Map)
	}
	for i := range probability {
		if d := largest(probability[0], probability[i]); d > 1e-6 {
			t.Errorf("occlusion off by %g", d)
		}
		if d := largest(smooth[0], smooth[i]); d > 1e-5 {
			t.Errorf("saliency off by %g", d)
		}
	}
}

// largest is the largest difference of two maps, in units of the largest value.
func largest(a, b []float32) (d float32) {
	for i := range a {
		d = max(d, a[i]-b[i], b[i]-a[i])
	}
	return d / slices.Max(a)
}

// A seed's noise is its own, and more copies leave less of it.
func TestSmoothed(t *testing.T) {
	g := explainGolden(t)
	p := g.open(t, reference.Open(1), infer.PredictOptions{Batch: 8, Gradients: true})
	smooth := func(copies int, seed uint64) []float32 {
		s, err := p.Saliency(t.Context(), g.picture, g.class, copies, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.Map
	}
	if !slices.Equal(smooth(2, 5), smooth(2, 5)) {
		t.Error("a seed draws otherwise the second time")
	}
	if slices.Equal(smooth(2, 5), smooth(2, 6)) {
		t.Error("two seeds draw alike")
	}
	if few, many := largest(smooth(1, 5), smooth(1, 6)), largest(smooth(64, 5), smooth(64, 6)); !(many < few/3) {
		t.Errorf("one copy apart by %g, 64 by %g", few, many)
	}
}

func TestCAMLayer(t *testing.T) {
	g := explainGolden(t)
	c, err := checkpoint.Load(files.OS, g.net)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const have = "conv1, lrn1, pool1, conv2, lrn2, pool2, conv3"
	for _, test := range []struct{ layer, want, refused string }{
		{"", "conv3", ""},
		{"pool1", "pool1", ""},
		{"conv2.pre", "conv2.pre", ""},
		{"fc4", "", "fc4 is not one that has maps; there are " + have},
		{"prob", "", "prob is not one that has maps; there are " + have},
		{"input", "", "input is not one that has maps; there are " + have},
		{"conv5", "", "nearest: conv"},
		{"pool1.pre", "", "no layer pool1.pre"},
	} {
		layer, err := infer.CAMLayer(c, test.layer)
		var none *infer.NoMaps
		switch {
		case test.refused == "" && (err != nil || layer != test.want):
			t.Errorf("%q: %q, %v", test.layer, layer, err)
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
			t.Errorf("%q: %v, want %q", test.layer, err, test.refused)
		case strings.Contains(test.refused, have) != errors.As(err, &none):
			t.Errorf("%q: a %T", test.layer, err)
		}
	}
}

func TestUnexplained(t *testing.T) {
	g := explainGolden(t)
	p := g.open(t, reference.Open(1), infer.PredictOptions{Gradients: true, Layers: []string{"conv3"}})
	for name, explain := range map[string]func(image string, class int) error{
		"occlusion": func(image string, class int) error {
			_, err := p.Occlude(t.Context(), image, class, nil)
			return err
		},
		"saliency": func(image string, class int) error {
			_, err := p.Saliency(t.Context(), image, class, 0, 0, nil)
			return err
		},
		"cam": func(image string, class int) error {
			_, err := p.GradCAM(t.Context(), image, class, "conv3")
			return err
		},
	} {
		if err := explain(broken(t), 0); !errors.As(err, new(*data.BadPicture)) {
			t.Errorf("%s of what is no picture: %v", name, err)
		}
		if err := explain(g.picture, 10); err == nil {
			t.Errorf("%s of class 10 of ten", name)
		}
	}
	if _, err := p.GradCAM(t.Context(), g.picture, 0, "conv2"); err == nil {
		t.Error("Grad-CAM of a layer that is not kept")
	}
}
