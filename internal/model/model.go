package model

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"alexnet/internal/config"
	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// Model is a net's parameters on its devices. Call it, and the Nets compiled from it, from one goroutine at a time.
type Model struct {
	arch   *Arch
	devs   []device.Device
	params []device.Params
	local  [][]device.Param // [parameter][device]; -1 where the device holds no part
}

// Open declares the parameters on one device, or on one a column. It takes no memory yet: the first Net.Alloc does.
func Open(a *Arch, devs []device.Device) (*Model, error) {
	if err := a.CheckDevices(len(devs)); err != nil {
		return nil, err
	}
	m := &Model{arch: a, devs: devs, local: a.localParams(len(devs))}
	for d, dev := range devs {
		p, err := dev.NewParams(a.paramSpecs(len(devs), d))
		if err != nil {
			return nil, closing(m.Close, err)
		}
		m.params = append(m.params, p)
	}
	return m, nil
}

// closing gives up what a failed call had already taken; the failure is what counts.
func closing(closer func() error, err error) error {
	_ = closer()
	return err
}

// Arch is the net.
func (m *Model) Arch() *Arch { return m.arch }

// Close frees the parameters, not the devices. Nets must be closed before.
func (m *Model) Close() error {
	var first error
	for _, p := range slices.Backward(m.params) {
		if err := p.Close(); err != nil && first == nil {
			first = err
		}
	}
	m.params = nil
	return first
}

// localParams numbers every parameter on every device.
func (a *Arch) localParams(devices int) [][]device.Param {
	local := make([][]device.Param, len(a.Params))
	next := make([]device.Param, devices)
	for i := range a.Layers {
		for _, p := range a.Layers[i].Params {
			local[p] = make([]device.Param, devices)
			for d := range local[p] {
				local[p][d] = -1
				if a.Layers[i].to == columns || d == 0 {
					local[p][d] = next[d]
					next[d]++
				}
			}
		}
	}
	return local
}

// paramSpecs are device d's shares, in the order of localParams. A share is a run of whole slices along the first
// dimension, thus contiguous in logical order.
func (a *Arch) paramSpecs(devices, d int) []device.ParamSpec {
	var specs []device.ParamSpec
	for i := range a.Layers {
		l := &a.Layers[i]
		if l.to == home && d > 0 {
			continue
		}
		for _, p := range l.Params {
			shape := slices.Clone(a.Params[p].Shape)
			if l.to == columns {
				shape[0] /= devices
			}
			if l.Kind == config.FC && !a.Params[p].Bias && l.own() && devices == 1 && a.Columns > 1 {
				// see planner.kernel: the same numbers in the same order
				shape = []int{shape[0], l.In.C / a.Columns, l.In.H, l.In.W}
			}
			specs = append(specs, device.ParamSpec{Name: a.Params[p].Name, Shape: shape})
		}
	}
	return specs
}

// Fetch reads a whole parameter, its momentum or gradient, merged over the devices, in logical order.
func (m *Model) Fetch(param int, part device.Part, dst []float32) error {
	return m.eachShare(param, dst, func(d int, p device.Param, share []float32) error {
		return m.params[d].Fetch(p, part, share)
	})
}

// Store writes it.
func (m *Model) Store(param int, part device.Part, src []float32) error {
	return m.eachShare(param, src, func(d int, p device.Param, share []float32) error {
		return m.params[d].Store(p, part, share)
	})
}

func (m *Model) eachShare(param int, data []float32, do func(d int, p device.Param, share []float32) error) error {
	if param < 0 || param >= len(m.local) {
		return fmt.Errorf("parameter %d of %d", param, len(m.local))
	}
	if info := &m.arch.Params[param]; len(data) != info.Len() {
		return fmt.Errorf("%s holds %d numbers, not %d", info.Name, info.Len(), len(data))
	}
	for d, p := range m.local[param] {
		if p < 0 {
			continue
		}
		n := m.params[d].Specs()[p].Len()
		if err := do(d, p, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Init stores the initial weights of a seed: normal numbers by parameter name and logical element, so the same net on
// any devices, and the same layers whatever layers are around them. Momentum is left alone. It needs memory, so it
// comes after the first Alloc.
func (m *Model) Init(seed uint64) error {
	return m.initWhere(seed, func(*ParamInfo) bool { return true })
}

// InitLayer is Init of one layer: what is in the others stays.
func (m *Model) InitLayer(seed uint64, layer string) error {
	return m.initWhere(seed, func(p *ParamInfo) bool { return p.Layer == layer })
}

func (m *Model) initWhere(seed uint64, chosen func(*ParamInfo) bool) error {
	largest := 0
	for i := range m.arch.Params {
		if p := &m.arch.Params[i]; chosen(p) {
			largest = max(largest, p.Len())
		}
	}
	buf := make([]float32, largest)
	for i := range m.arch.Params {
		p := &m.arch.Params[i]
		if !chosen(p) {
			continue
		}
		p.Initial(seed, buf[:p.Len()])
		if err := m.Store(i, device.Weight, buf[:p.Len()]); err != nil {
			return err
		}
	}
	debug.FreeOSMemory() // a step allocates nothing, so nothing else would give the 150 MB of the paper's net back
	return nil
}

// Initial writes what the parameter starts with.
func (p *ParamInfo) Initial(seed uint64, dst []float32) {
	if p.Bias {
		for i := range dst {
			dst[i] = float32(p.Value)
		}
		return
	}
	const chunk = 1 << 16 // a multiple of 4: a block gives four numbers
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for at := 0; at < len(dst); at += chunk {
		slots <- struct{}{}
		wg.Go(func() {
			p.normals(seed, at, dst[at:min(at+chunk, len(dst))])
			<-slots
		})
	}
	wg.Wait()
}

// normals writes elements first, first+1, ... of the tensor. Counter: (element/4, 0, stream, 0).
func (p *ParamInfo) normals(seed uint64, first int, dst []float32) {
	key, stream := philox.Key(seed, philox.PurposeInit), philox.Stream(p.Name)
	for i := 0; i < len(dst); i += 4 {
		four := philox.Normals(philox.Block(key, [4]uint32{uint32((first + i) / 4), 0, stream, 0}))
		for j := range min(4, len(dst)-i) {
			dst[i+j] = float32(p.Std * four[j])
		}
	}
}
