//go:build cuda

package gpu

import (
	"fmt"
	"slices"
	"unsafe"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/gpu/cuda"
	"alexnet/kernels"
)

// Params are weights, momentum and gradients on a GPU.
type Params struct {
	dev     *Device
	specs   []device.ParamSpec
	params  []*param
	layout  cuda.Layout // of all nets on them, from the first
	settled bool
	closed  bool
	pending []*buffer
	arenas  []*arena
	table   *buffer // kernels.Tensor, of all parameters, where a net trains
}

// param is one parameter. All of its tensors lie in the order that the first net's layer wants.
type param struct {
	spec                       device.ParamSpec
	blocks                     []block // nil: in logical order
	len                        int     // as it lies: channels of zeros may be added
	settled                    bool
	weight, momentum, gradient *buffer
	half                       *buffer // a bf16 copy of the weight; nil until a net wants it
}

// NewParams declares parameters; memory comes with the first Alloc.
func (d *Device) NewParams(specs []device.ParamSpec) (device.Params, error) {
	if d.closed {
		return nil, fmt.Errorf("%s: %w", d.name, backend.ErrDeviceClosed)
	}
	if err := backend.CheckSpecs(specs); err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	p := &Params{dev: d}
	for _, s := range specs {
		s.Shape = slices.Clone(s.Shape)
		p.specs = append(p.specs, s)
		p.params = append(p.params, &param{spec: s, len: s.Len()})
	}
	return p, nil
}

// Specs are those that NewParams was given.
func (p *Params) Specs() []device.ParamSpec { return p.specs }

// layoutOf is how a parameter is to lie: the numbers that it takes, and where they are; no blocks: in logical order.
type layoutOf struct {
	len    int
	blocks []block
}

// settle fixes how a parameter lies. Nets after the first must want the same, which they do where they split layers
// alike.
func (p *Params) settle(q *param, want layoutOf) error {
	if q.settled {
		if q.len != want.len || !slices.Equal(q.blocks, want.blocks) {
			return fmt.Errorf("%s lies as another net on it wants it, and this one wants it otherwise", q.spec.Name)
		}
		return nil
	}
	q.settled, q.len, q.blocks = true, want.len, want.blocks
	return nil
}

func (p *Params) reserve(purpose string, bytes int) *buffer {
	b := &buffer{Buffer: backend.Buffer{Purpose: purpose, Bytes: int64(bytes)}}
	p.pending = append(p.pending, b)
	return b
}

// halved asks for a bf16 copy of the weight.
func (p *Params) halved(q *param) *buffer {
	if q.half == nil {
		q.half = p.reserve(device.PurposePacked, 2*q.len)
	}
	return q.half
}

// planned ends a program's planning, and gives the arenas that it asked for.
func (p *Params) planned(prog *device.Program) []*arena {
	for id, q := range p.params {
		p.planParam(q, prog.Learns(device.Param(id)))
	}
	p.settled = true
	added := arenas(p.pending)
	p.pending = nil
	p.arenas = append(p.arenas, added...)
	return added
}

// planParam plans the tensors of a parameter, which may learn, once.
func (p *Params) planParam(q *param, learns bool) {
	if q.weight == nil {
		q.weight = p.reserve(device.PurposeWeights, 4*q.len)
	}
	if learns && q.gradient == nil {
		q.momentum = p.reserve(device.PurposeMomentum, 4*q.len)
		q.gradient = p.reserve(device.PurposeGradients, 4*q.len)
	}
}

// train plans the table of a training net.
func (p *Params) train() {
	p.table = p.reserve(device.PurposeWorkspace, kernels.TensorSize*len(p.params))
}

// alloc takes what is not taken yet. Tables and copies follow.
func (p *Params) alloc() error {
	fresh := slices.ContainsFunc(p.arenas, func(a *arena) bool { return a.base == 0 })
	if !fresh {
		return nil
	}
	if err := take(p.arenas, p.dev.main); err != nil {
		return err
	}
	if err := cuda.Wrap("cuStreamSynchronize", p.dev.main.Synchronize()); err != nil {
		return err
	}
	for _, q := range p.params {
		if err := p.copyHalf(q); err != nil {
			return err
		}
	}
	return p.fillTable()
}

// fillTable writes what check and update walk, nothing of what does not learn; nets compiled later may have added
// copies.
func (p *Params) fillTable() error {
	if p.table == nil || len(p.params) == 0 {
		return nil
	}
	table := make([]kernels.Tensor, len(p.params))
	chunks := int64(0)
	for i, q := range p.params {
		table[i] = kernels.Tensor{
			Weight: uint64(q.weight.ptr()), Momentum: uint64(q.momentum.ptr()), Gradient: uint64(q.gradient.ptr()),
			Half: uint64(q.half.ptr()), FirstChunk: chunks,
		}
		if q.gradient != nil {
			table[i].Len = int64(q.len)
			chunks += kernels.Chunks(q.len)
		}
	}
	return cuda.Write(p.table.ptr(), unsafe.Pointer(&table[0]), int64(len(table)*kernels.TensorSize), p.dev.main)
}

// chunks is the number of pieces that check and update take the parameters in.
func (p *Params) chunks() (n int64) {
	for _, q := range p.params {
		if q.gradient != nil {
			n += kernels.Chunks(q.len)
		}
	}
	return n
}

// copyHalf brings the bf16 copy up to date; after that update does.
func (p *Params) copyHalf(q *param) error {
	if q.half == nil {
		return nil
	}
	k := &kernel{name: "convert_f32_bf16", items: int64(q.len), args: []any{q.weight, q.half, q.len}}
	k.bind(p.dev)
	return k.launch.Run(p.dev.main)
}

// part finds a tensor, of which the caller means n numbers.
func (p *Params) part(id device.Param, part device.Part, n int) (*param, *buffer, error) {
	if err := backend.CheckParam(p.specs, id, n); err != nil {
		return nil, nil, err
	}
	q := p.params[id]
	b := [...]*buffer{q.weight, q.momentum, q.gradient}[part]
	if b.ptr() == 0 {
		return nil, nil, backend.NoPart(q.spec, part)
	}
	return q, b, nil
}

// Fetch reads a part of a parameter in logical order.
func (p *Params) Fetch(id device.Param, part device.Part, dst []float32) error {
	return p.move(func() error {
		q, b, err := p.part(id, part, len(dst))
		if err != nil {
			return err
		}
		x := dst
		if q.blocks != nil {
			x = make([]float32, q.len)
		}
		if err := cuda.Wrap("cuMemcpyDtoH", cu.MemcpyDtoH(unsafe.Pointer(&x[0]), b.ptr(), int64(4*len(x)))); err !=
			nil {
			return err
		}
		for _, k := range q.blocks {
			k.eachNumber(func(private, logical int) { dst[logical] = x[private] })
		}
		return nil
	})
}

// Store writes a part of a parameter.
func (p *Params) Store(id device.Param, part device.Part, src []float32) error {
	return p.move(func() error {
		q, b, err := p.part(id, part, len(src))
		if err != nil {
			return err
		}
		x := src
		if q.blocks != nil {
			x = make([]float32, q.len)
			for _, k := range q.blocks {
				k.eachNumber(func(private, logical int) { x[private] = src[logical] })
			}
		}
		if err := cuda.Write(b.ptr(), unsafe.Pointer(&x[0]), int64(4*len(x)), p.dev.main); err != nil ||
			part != device.Weight {
			return err
		}
		return p.copyHalf(q)
	})
}

// move waits for what is enqueued, and runs f.
func (p *Params) move(f func() error) error {
	if p.closed {
		return fmt.Errorf("%s: %w", p.dev.name, backend.ErrParamsClosed)
	}
	err := p.dev.do(func() error {
		if err := cuda.Wrap("cuStreamSynchronize", p.dev.main.Synchronize()); err != nil {
			return err
		}
		return f()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.dev.name, err)
	}
	return nil
}

// Close frees the memory.
func (p *Params) Close() error {
	err := p.move(func() error { return release(p.arenas) })
	*p = Params{dev: p.dev, closed: true}
	return err
}
