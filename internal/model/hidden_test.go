package model

import (
	"testing"

	"alexnet/internal/config"
)

// TestLastHidden: what the last layer with weights reads, of nets whose last hidden layer is fully connected, a pooling
// layer or a dropped one; of a net of one layer, the picture.
func TestLastHidden(t *testing.T) {
	for page, want := range map[string]string{
		"alexnet": "fc7", "torchvision": "fc7", "caffenet": "fc7", "fig1": "pool3", "cifar10-quick": "fc64",
	} {
		cfg, err := config.Load(page, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Of(cfg, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.LastHidden(); got != want {
			t.Errorf("%s: %s, want %s", page, got, want)
		}
	}
	const one = `model: {columns: 1, classes: 2, input: {channels: 3, size: 4}, layers: [
  {name: fc1, kind: fc, act: none}, {name: prob, kind: softmax}]}`
	cfg, err := config.Parse([]byte(one), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Of(cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.LastHidden(); got != "input" {
		t.Errorf("one layer: %s", got)
	}
}
