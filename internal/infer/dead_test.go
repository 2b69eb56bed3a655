package infer_test

import (
	"testing"

	"alexnet/internal/data"
	"alexnet/internal/files"
	"alexnet/internal/infer"
	"alexnet/internal/reference"
)

// TestDead: the units counted are those whose features are 0 for every picture, over several batches, the last of which
// is not full.
func TestDead(t *testing.T) {
	c := openTrained(t)
	layers, err := infer.RectifiedIn(c)
	if err != nil || len(layers) == 0 {
		t.Fatalf("layers %v, %v", layers, err)
	}
	images := append(shapes(t)[:7:7], broken(t))
	p, err := infer.NewPredictor(infer.PredictOptions{
		Checkpoint: c, Devices: reference.Open(1), Files: files.OS, Batch: 3, Layers: layers,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dead, looked, err := p.Dead(t.Context(), data.Files(files.OS, images))
	if err != nil || looked != 7 || len(dead) != len(layers) {
		t.Fatalf("%d layers, %d pictures, %v", len(dead), looked, err)
	}
	found := 0
	for i, layer := range layers {
		all, err := features(t.Context(), p, images, layer)
		if err != nil {
			t.Fatal(err)
		}
		shape, err := p.FeatureShape(layer)
		if err != nil {
			t.Fatal(err)
		}
		area := 1
		for _, n := range shape[1:] {
			area *= n
		}
		want := 0
		for unit := range shape[0] {
			alive := false
			for k, v := range all.values {
				alive = alive || v > 0 && k/area%shape[0] == unit
			}
			if !alive {
				want++
			}
		}
		if d := dead[i]; d.Layer != layer || d.Units != shape[0] || d.Dead != want {
			t.Errorf("%s: %d of %d dead (%s), want %d of %d", layer, d.Dead, d.Units, d.Layer, want, shape[0])
		}
		found += want
	}
	if found == 0 {
		t.Error("no unit is dead: the test says nothing")
	}
}
