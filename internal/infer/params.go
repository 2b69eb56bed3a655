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

// MomentumOf are those of a net's momentum, which only what learns has.
func MomentumOf(a *model.Arch) []checkpoint.Slot {
	var all []checkpoint.Slot
	for i, s := range SlotsOf(a) {
		if a.Learns(i) {
			all = append(all, s)
		}
	}
	return all
}

// Slots are the places of the model's parameters, for checkpoint.Restore; of momentum only those that have it.
func Slots(m *model.Model, part device.Part) []checkpoint.Slot {
	var all []checkpoint.Slot
	for i, s := range SlotsOf(m.Arch()) {
		if part == device.Weight || m.Arch().Learns(i) {
			s.Store = func(src []float32) error { return m.Store(i, part, src) }
			all = append(all, s)
		}
	}
	return all
}

// Tensors are the model's parameters, for checkpoint.Save; of momentum only those that have it.
func Tensors(m *model.Model, part device.Part) []tensor.Tensor {
	var all []tensor.Tensor
	for i, p := range m.Arch().Params {
		if part != device.Weight && !m.Arch().Learns(i) {
			continue
		}
		all = append(all, tensor.Tensor{
			Name: p.Name, Shape: p.Shape, Fill: func(dst []float32) error { return m.Fetch(i, part, dst) },
		})
	}
	return all
}
