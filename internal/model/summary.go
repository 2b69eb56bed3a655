package model

import (
	"alexnet/internal/config"
	"alexnet/internal/device"
)

// Summary is what can be told of a net without running it.
type Summary struct {
	Columns         int             `json:"columns"`
	Classes         int             `json:"classes"`
	Batch           int             `json:"batch"`
	Parameters      int64           `json:"parameters"`
	MultiplyAdds    int64           `json:"multiply_adds"` // forward, a picture
	Neurons         int64           `json:"neurons"`       // outputs of the conv and fc layers, a picture
	Layers          []LayerSummary  `json:"layers"`
	Devices         []DeviceSummary `json:"devices"`
	Exchange        []ExchangeRow   `json:"exchange"`
	ForwardBytes    int64           `json:"exchange_bytes_forward"` // of a batch, fp32
	BackwardBytes   int64           `json:"exchange_bytes_backward"`
	BytesPerStep    int64           `json:"exchange_bytes_per_step"`
	BytesPerPicture int64           `json:"exchange_bytes_per_picture"` // both ways, in a step
}

// LayerSummary is one layer, all columns together.
type LayerSummary struct {
	Name         string `json:"name"`
	Kind         string `json:"kind"`
	Inputs       string `json:"inputs,omitempty"` // "both": reads every column
	Output       [3]int `json:"output"`           // channels, height, width
	Parameters   int64  `json:"parameters"`
	MultiplyAdds int64  `json:"multiply_adds"`
}

// DeviceSummary is one device's share. Name and Memory are left to those who have opened it.
type DeviceSummary struct {
	Name         string          `json:"name,omitempty"`
	Parameters   int64           `json:"parameters"`
	MultiplyAdds int64           `json:"multiply_adds"`
	Memory       []MemorySummary `json:"memory,omitempty"`
	MemoryTotal  int64           `json:"memory_total,omitempty"`
}

// MemorySummary is one purpose's bytes.
type MemorySummary struct {
	Purpose string `json:"purpose"`
	Bytes   int64  `json:"bytes"`
}

// ExchangeRow is what crosses between devices before one layer, forward, in fp32 bytes, all directions summed. Its
// gradients cross backward in the same number of bytes, where anything below learns.
type ExchangeRow struct {
	Value      string `json:"value"`  // "pool2"; dropout between the layer and the crossing is passed over
	Reader     string `json:"reader"` // "conv3"
	PerPicture int64  `json:"bytes_per_picture"`
	PerBatch   int64  `json:"bytes_per_batch"`
	Returns    bool   `json:"-"` // its gradients do
}

// Summary describes the net on so many devices, trained with a batch of so many pictures. It plans as Compile does, so
// what it says is what will run.
func (a *Arch) Summary(devices, batch int) (Summary, error) {
	plan, err := newPlan(a, devices, Options{Rows: batch, Train: true})
	if err != nil {
		return Summary{}, err
	}
	s := Summary{
		Columns: a.Columns, Classes: a.Classes, Batch: batch, Devices: make([]DeviceSummary, devices),
		Exchange: []ExchangeRow{},
	}
	for i := range a.Layers {
		s.layer(a, &a.Layers[i])
	}
	for i, link := range plan.Links {
		s.crossing(plan.sources[i], plan.readers[i], plan.returns[i], link)
	}
	for _, r := range s.Exchange {
		s.ForwardBytes += r.PerBatch
		s.BytesPerPicture += r.PerPicture
		if r.Returns {
			s.BackwardBytes += r.PerBatch
			s.BytesPerPicture += r.PerPicture
		}
	}
	s.BytesPerStep = s.ForwardBytes + s.BackwardBytes
	return s, nil
}

func (s *Summary) layer(a *Arch, l *Layer) {
	row := LayerSummary{
		Name: l.Name, Kind: string(l.Kind), Output: [3]int{l.Out.C, l.Out.H, l.Out.W}, MultiplyAdds: l.MACs,
	}
	for _, p := range l.Params {
		row.Parameters += int64(a.Params[p].Len())
	}
	if l.Kind.Weighted() {
		row.Inputs = string(config.Own)
		if l.Inputs == config.Both && l.from == columns && a.Columns > 1 {
			row.Inputs = string(config.Both)
		}
		s.Neurons += int64(l.Out.Len())
	}
	s.Layers = append(s.Layers, row)
	s.Parameters += row.Parameters
	s.MultiplyAdds += row.MultiplyAdds
	holders := int64(len(s.Devices))
	if l.to == home {
		holders = 1
	}
	for d := range s.Devices[:holders] {
		s.Devices[d].Parameters += row.Parameters / holders
		s.Devices[d].MultiplyAdds += row.MultiplyAdds / holders
	}
}

func (s *Summary) crossing(value, reader string, returns bool, link *device.Link) {
	if n := len(s.Exchange); n == 0 || s.Exchange[n-1].Value != value {
		s.Exchange = append(s.Exchange, ExchangeRow{Value: value, Reader: reader, Returns: returns})
	}
	row := &s.Exchange[len(s.Exchange)-1]
	bytes := 4 * int64(link.Shape.Len())
	row.PerPicture += bytes
	row.PerBatch += bytes * int64(s.Batch)
}

// Opened adds what only opened devices know: their names and what a net takes there.
func (s *Summary) Opened(names []string, memory []device.MemoryPlan) {
	for d := range s.Devices {
		dev := &s.Devices[d]
		dev.Name, dev.MemoryTotal, dev.Memory = names[d], memory[d].Total(), nil
		for _, item := range memory[d] {
			dev.Memory = append(dev.Memory, MemorySummary{item.Purpose, item.Bytes})
		}
	}
}
