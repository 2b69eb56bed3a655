package infer

import (
	"alexnet/internal/checkpoint"
	"alexnet/internal/device"
	"alexnet/internal/model"
	"alexnet/internal/tensor"
)

// SlotsOf are the names and shapes of a net's parameters, for checkpoint.Fits.
func SlotsOf(a *model.Arch) []checkpoint.Slot {
	all := make([]checkpoint.Slot, len(a.Params))
	for i, p := range a.Params {
		all[i] = checkpoint.Slot{Name: p.Name, Shape: p.Shape}
	}
	return all
}

// Slots are the places of the model's parameters, for checkpoint.Restore.
func Slots(m *model.Model, part device.Part) []checkpoint.Slot {
	all := SlotsOf(m.Arch())
	for i := range all {
		all[i].Store = func(src []float32) error { return m.Store(i, part, src) }
	}
	return all
}

// Tensors are the model's parameters, for checkpoint.Save.
func Tensors(m *model.Model, part device.Part) []tensor.Tensor {
	var all []tensor.Tensor
	for i, p := range m.Arch().Params {
		all = append(all, tensor.Tensor{
			Name: p.Name, Shape: p.Shape, Fill: func(dst []float32) error { return m.Fetch(i, part, dst) },
		})
	}
	return all
}
