package infer

import (
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/weights"
)

// Slots are the places of the model's parameters, for weights.Restore.
func Slots(m *model.Model, part device.Part) []weights.Slot {
	var all []weights.Slot
	for i, p := range m.Arch().Params {
		all = append(all, weights.Slot{
			Name: p.Name, Shape: p.Shape, Store: func(src []float32) error { return m.Store(i, part, src) },
		})
	}
	return all
}

// Tensors are the model's parameters, for weights.Save.
func Tensors(m *model.Model, part device.Part) []weights.Tensor {
	var all []weights.Tensor
	for i, p := range m.Arch().Params {
		all = append(all, weights.Tensor{
			Name: p.Name, Shape: p.Shape, Fill: func(dst []float32) error { return m.Fetch(i, part, dst) },
		})
	}
	return all
}
