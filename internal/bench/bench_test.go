package bench

import (
	"context"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"alexnet/internal/data"
	"alexnet/internal/device"
	"alexnet/internal/recipe"
	"alexnet/internal/reference"
	"alexnet/internal/step/steptest"
)

// TestMain looks for goroutines that are left: loaders have workers.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBench: each mode gives medians over as many steps as asked for, of generated and of real pictures.
func TestBench(t *testing.T) {
	t.Parallel()
	for _, source := range []*data.Source{nil, steptest.Pictures()} {
		for _, mode := range []string{Train, Infer, Data} {
			o := Options{
				Config: steptest.Page(t), Devices: reference.Open(1), Source: source, Mode: mode,
				Steps: 5, Warmup: 2,
			}
			r, err := Run(context.Background(), o)
			if mode == Data && source == nil {
				if err == nil {
					t.Error("bench of data without data")
				}
				continue
			}
			if err != nil {
				t.Fatal(mode, err)
			}
			if r.Steps != 5 || r.Batch != 16 || !(r.ImagesPerSecond > 0) || !(r.MillisecondsPerStep > 0) ||
				r.DataStall < 0 || r.DataStall > 1 {
				t.Errorf("%s: %+v", mode, r)
			}
		}
	}
	if _, err := Run(context.Background(), Options{Config: steptest.Page(t), Mode: "dream"}); err == nil {
		t.Error("a mode that is not there")
	}
}

// TestBenchSteps: bench in mode train moves every parameter, in mode infer none.
func TestBenchSteps(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{Train, Infer} {
		b := &measurement{
			Options: Options{Config: steptest.Page(t), Devices: reference.Open(1), Mode: mode},
			cfg:     *steptest.Page(t),
		}
		var err error
		if b.cfg.Model, err = b.cfg.Model.ForClasses(10); err != nil {
			t.Fatal(err)
		}
		s, err := b.open(t.Context(), device.FP32)
		if err != nil {
			t.Fatal(err)
		}
		before := steptest.TensorsOf(t, b.model, device.Weight)
		for range 3 {
			if _, err := s.Step(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Drain(); err != nil {
			t.Fatal(err)
		}
		for name, v := range steptest.TensorsOf(t, b.model, device.Weight) {
			if moved := !slices.Equal(v, before[name]); moved != (mode == Train) {
				t.Errorf("mode %s: %s moved: %v", mode, name, moved)
			}
		}
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSynthetic: made-up batches have labels and crops that a net can take.
func TestSynthetic(t *testing.T) {
	t.Parallel()
	by := recipe.Recipe{Height: 20, Width: 18, Channels: 3, Crop: 14}
	feed := &synthetic{by: &by, classes: 10, batch: 64, seed: 1, slots: oneSlot(*device.NewBatch(64,
		make([]uint8, 64*by.Pixels())))}
	info, err := feed.Next()
	if err != nil || info.Rows != 64 || info.Good != 64 {
		t.Fatal(info, err)
	}
	b := info.Batch
	seen := map[int32]bool{}
	for r := range 64 {
		if l := b.Labels[r]; l < 0 || l >= 10 {
			t.Errorf("label %d", l)
		}
		seen[b.Labels[r]] = true
		if y, x := b.Crop[r][0], b.Crop[r][1]; y < 0 || x < 0 || y+14 > 20 || x+14 > 18 {
			t.Errorf("crop at %d, %d", y, x)
		}
	}
	if len(seen) < 5 {
		t.Errorf("labels %v", seen)
	}
}

// oneSlot is a batch that nobody reads.
type oneSlot device.Batch

func (b oneSlot) Count() int { return 1 }

func (b oneSlot) Rows(int) data.Rows {
	return data.Rows{Pixels: b.Pixels, Labels: b.Labels, Crop: b.Crop, Flip: b.Flip, Color: b.Color}
}
