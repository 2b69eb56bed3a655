package reference

import (
	"fmt"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// params holds the tensors of all parameters, each part in logical order.
type params[T Float] struct {
	dev       *Device
	specs     []device.ParamSpec
	nets      int    // compiled so far
	learns    []bool // by parameter, in the one that trains; nil: none does
	allocated bool   // by the first Alloc
	closed    bool
	part      [3][][]T // by device.Part and device.Param; momentum and gradients only of what learns
}

func newParams[T Float](d *Device, specs []device.ParamSpec) *params[T] {
	p := &params[T]{dev: d}
	for _, s := range specs {
		s.Shape = append([]int(nil), s.Shape...)
		p.specs = append(p.specs, s)
	}
	return p
}

func (p *params[T]) Specs() []device.ParamSpec { return p.specs }

// compiled notes one more net.
func (p *params[T]) compiled(prog *device.Program) {
	p.nets++
	if !prog.Train {
		return
	}
	p.learns = make([]bool, len(p.specs))
	for id := range p.learns {
		p.learns[id] = prog.Learns(device.Param(id))
	}
}

// alloc takes the memory, once.
func (p *params[T]) alloc() {
	if p.allocated {
		return
	}
	p.allocated = true
	for part := range p.part {
		p.part[part] = make([][]T, len(p.specs))
		for k, s := range p.specs {
			if p.has(k, device.Part(part)) {
				p.part[part][k] = aligned[T](s.Len())
			}
		}
	}
}

// has tells whether there is a part of parameter k.
func (p *params[T]) has(k int, part device.Part) bool {
	return part == device.Weight || p.learns != nil && p.learns[k]
}

// bytes is what one part takes.
func (p *params[T]) bytes(part device.Part) int64 {
	n := int64(0)
	for k, s := range p.specs {
		if p.has(k, part) {
			n += sizeOf[T]() * int64(s.Len())
		}
	}
	return n
}

// tensor finds a part of a parameter, of which the caller means n elements.
func (p *params[T]) tensor(id device.Param, part device.Part, n int) ([]T, error) {
	if p.closed {
		return nil, fmt.Errorf("%s: %w", p.dev.name, backend.ErrParamsClosed)
	}
	if err := backend.CheckParam(p.specs, id, n); err != nil {
		return nil, fmt.Errorf("%s: %w", p.dev.name, err)
	}
	if p.part[part] == nil || p.part[part][id] == nil {
		return nil, fmt.Errorf("%s: %w", p.dev.name, backend.NoPart(p.specs[id], part))
	}
	return p.part[part][id], nil
}

func (p *params[T]) Fetch(id device.Param, part device.Part, dst []float32) error {
	t, err := p.tensor(id, part, len(dst))
	convert(dst, t)
	return err
}

func (p *params[T]) Store(id device.Param, part device.Part, src []float32) error {
	t, err := p.tensor(id, part, len(src))
	convert(t, src)
	return err
}

func (p *params[T]) Close() error {
	if p.closed {
		return fmt.Errorf("%s: %w", p.dev.name, backend.ErrParamsClosed)
	}
	*p = params[T]{dev: p.dev, closed: true}
	return nil
}
