package step

import (
	"alexnet/internal/device"
	"alexnet/internal/model"
)

// Memory is what a device's nets take, by purpose, settled before any of it is allocated.
type Memory struct {
	Device string
	Plan   device.MemoryPlan
}

// MemoryOf adds up, by device and purpose, what nets are going to take.
func MemoryOf(devs []device.Device, nets ...*model.Net) []Memory {
	all := make([]Memory, len(devs))
	for d, dev := range devs {
		all[d].Device = dev.Name()
		for _, n := range nets {
			for _, item := range n.Memory()[d] {
				all[d].add(item)
			}
		}
	}
	return all
}

func (m *Memory) add(item device.MemoryItem) {
	for i := range m.Plan {
		if m.Plan[i].Purpose == item.Purpose {
			m.Plan[i].Bytes += item.Bytes
			return
		}
	}
	m.Plan = append(m.Plan, item)
}
