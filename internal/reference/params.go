package reference

import (
	"errors"
	"fmt"

	"alexnet/internal/device"
)

// params holds the tensors of all parameters, each part in logical order.
type params[T Float] struct {
	dev       *Device
	specs     []device.ParamSpec
	nets      int      // compiled so far
	trained   bool     // one of them trains
	allocated bool     // by the first Alloc
	part      [3][][]T // by device.Part and device.Param; momentum and gradients only where a net trains
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

// compiled notes one more net, and refuses a training net that is not the first.
func (p *params[T]) compiled(train bool) error {
	if train && p.nets > 0 {
		return fmt.Errorf("%s: a training program must be the first on its parameters, and the only one", p.dev.name)
	}
	p.trained = p.trained || train
	p.nets++
	return nil
}

// alloc takes the memory, once.
func (p *params[T]) alloc() {
	if p.allocated {
		return
	}
	p.allocated = true
	parts := 1
	if p.trained {
		parts = 3
	}
	for i := range parts {
		p.part[i] = make([][]T, len(p.specs))
		for k, s := range p.specs {
			p.part[i][k] = aligned[T](s.Len())
		}
	}
}

// bytes is what one part takes.
func (p *params[T]) bytes() int64 {
	n := int64(0)
	for _, s := range p.specs {
		n += sizeOf[T]() * int64(s.Len())
	}
	return n
}

// tensor finds a part of a parameter, of which the caller means n elements.
func (p *params[T]) tensor(id device.Param, part device.Part, n int) ([]T, error) {
	if id < 0 || int(id) >= len(p.specs) {
		return nil, fmt.Errorf("%s: parameter %d of %d", p.dev.name, id, len(p.specs))
	}
	if !p.allocated {
		return nil, fmt.Errorf("%s: %v of %s before a net was allocated", p.dev.name, part, p.specs[id].Name)
	}
	if p.part[part] == nil {
		return nil, fmt.Errorf("%s: %s has no %v: no net trains it", p.dev.name, p.specs[id].Name, part)
	}
	if want := p.specs[id].Len(); n != want {
		return nil, fmt.Errorf("%s: %v of %s has %d elements, not %d", p.dev.name, part, p.specs[id].Name, want, n)
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
	if p.specs == nil {
		return errors.New("parameters closed twice")
	}
	*p = params[T]{dev: p.dev}
	return nil
}
