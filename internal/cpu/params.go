//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// Params are weights, momentum and gradients. The first program that uses a parameter settles its layout: the one in
// which a training program's gradient is written, else the one that its op reads.
type Params struct {
	dev     *Device
	specs   []device.ParamSpec
	params  []*param
	used    bool // by a compiled program
	closed  bool
	arenas  []*arena
	pending []*buffer // planned by the program that is being compiled
	prims   primitives
}

type param struct {
	spec                       device.ParamSpec
	settled                    bool
	logical, layout            C.cpu_desc // in logical order; as it is here
	weight, momentum, gradient *buffer    // in the private order
	version                    uint64     // of the weight: grows when it changes
	packed                     []*packed
	sgd                        C.cpu_sgd // of its update, here so that a step allocates nothing
	int8                       *quantize // makes its int8 copy; nil: no program reads one
}

// packed is a copy of a weight in another form.
type packed struct {
	param   *param
	layout  C.cpu_desc // of those that Params keep
	data    *buffer
	version uint64 // of the weight that was copied
	fill    step
	line    int // not 0: the update writes it, of each two lines of so many numbers of the weight the numbers in turn
}

// NewParams declares parameters.
func (d *Device) NewParams(specs []device.ParamSpec) (device.Params, error) {
	p := &Params{dev: d, specs: slices.Clone(specs)}
	if d.queue.isClosed() {
		return nil, fmt.Errorf("%s: %w", d.name, backend.ErrDeviceClosed)
	}
	if err := backend.CheckSpecs(specs); err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	for _, s := range specs {
		q := &param{spec: s, version: 1}
		if err := tensor(&q.logical, []int{s.Len()}, C.dnnl_a, false); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", d.name, s.Name, err)
		}
		p.params = append(p.params, q)
	}
	return p, nil
}

// Specs are those that NewParams was given.
func (p *Params) Specs() []device.ParamSpec { return p.specs }

// settle fixes parameter q's layout, if no program did so before; logical describes the same dimensions in logical
// order.
func (p *Params) settle(q *param, logical, layout C.cpu_desc) {
	if q.settled {
		return
	}
	q.settled, q.logical, q.layout = true, logical, layout
	q.weight = p.plan(device.PurposeWeights, q.layout)
}

// train plans what a training program needs besides the weight.
func (p *Params) train(q *param) {
	if q.gradient == nil {
		q.momentum = p.plan(device.PurposeMomentum, q.layout)
		q.gradient = p.plan(device.PurposeGradients, q.layout)
	}
}

func (p *Params) plan(purpose string, layout C.cpu_desc) *buffer {
	return p.planBytes(purpose, int64(C.cpu_bytes(&layout)))
}

func (p *Params) planBytes(purpose string, bytes int64) *buffer {
	b := &buffer{Buffer: backend.Buffer{Purpose: purpose, Bytes: bytes}}
	p.pending = append(p.pending, b)
	return b
}

// pack returns a copy of the weight in the layout an op wants, shared by all programs that want the same; nil: the
// weight itself will do.
func (p *Params) pack(q *param, layout *C.cpu_desc) (*packed, error) {
	if C.cpu_same(&q.layout, layout) != 0 {
		return nil, nil
	}
	for _, k := range q.packed {
		if C.cpu_same(&k.layout, layout) != 0 {
			return k, nil
		}
	}
	var pd C.dnnl_primitive_desc_t
	if err := status(C.cpu_reorder(p.dev.engine, &q.layout, layout, &pd)); err != nil {
		return nil, fmt.Errorf("packing %s: %w", q.spec.Name, err)
	}
	defer C.cpu_forget(pd)
	k := &packed{param: q, layout: *layout, data: p.plan(device.PurposePacked, *layout)}
	prim, err := p.prims.create(pd)
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w", q.spec.Name, err)
	}
	prim.arg(C.DNNL_ARG_FROM, q.layout, q.weight)
	prim.arg(C.DNNL_ARG_TO, *layout, k.data)
	k.fill = &reorder{prim, q.weight.Bytes + k.data.Bytes}
	k.line = pairedLine(q, k)
	q.packed = append(q.packed, k)
	return k, nil
}

// packInt8 returns the copy of a fully connected weight in int8, in logical order, and its scales: see device.FC. All
// programs share it.
func (p *Params) packInt8(q *param, dims []int) (*packed, *buffer, error) {
	if s := q.int8; s != nil {
		return s.packed, s.scale, nil
	}
	var logical C.cpu_desc
	if err := tensor(&logical, dims, C.dnnl_ab, false); err != nil {
		return nil, nil, err
	}
	from, err := p.pack(q, &logical) // where a training program has the weight in another order
	if err != nil {
		return nil, nil, err
	}
	units, inputs := int64(dims[0]), int64(dims[1])
	q.int8 = &quantize{
		packed: &packed{param: q, data: p.planBytes(device.PurposePacked, units*inputs)},
		scale:  p.planBytes(device.PurposePacked, 4*units), from: q.weight, units: units, inputs: inputs,
	}
	if from != nil {
		q.int8.from, q.int8.first = from.data, &refresh{from}
	}
	q.int8.packed.fill = q.int8
	return q.int8.packed, q.int8.scale, nil
}

// pairedLine recognises how oneDNN packs fully connected weights in bf16: in (units/64, inputs/16, 8, 64, two inputs),
// with tiles (units/64, inputs/32, 16, 64, two), or 32 or 16 units a block, where the weights themselves are in
// (units/64, inputs/16, 16, 64). Either way two lines of these make one of those, which has as many numbers before it.
func pairedLine(q *param, k *packed) int {
	if len(q.spec.Shape) != 2 || q.weight.Bytes != 2*k.data.Bytes {
		return 0
	}
	is := func(layout *C.cpu_desc, half bool, tags ...C.dnnl_format_tag_t) bool {
		return slices.ContainsFunc(tags, func(tag C.dnnl_format_tag_t) bool {
			var d C.cpu_desc
			return tensor(&d, q.spec.Shape, tag, half) == nil && C.cpu_same(&d, layout) != 0
		})
	}
	switch {
	case is(&q.layout, false, C.dnnl_AB16b64a) && is(&k.layout, true, C.dnnl_AB8b64a2b, C.dnnl_AB16b64a2b):
		return 64
	case is(&q.layout, false, C.dnnl_AB16b32a) && is(&k.layout, true, C.dnnl_AB8b32a2b, C.dnnl_AB16b32a2b):
		return 32
	case is(&q.layout, false, C.dnnl_AB16b16a) && is(&k.layout, true, C.dnnl_AB8b16a2b, C.dnnl_AB16b16a2b):
		return 16
	}
	return 0
}

// paired is the copy that the update writes, or nil.
func (q *param) paired() *packed {
	for _, k := range q.packed {
		if k.line != 0 && k.data.data != nil {
			return k
		}
	}
	return nil
}

// planned ends a program's planning: parameters that it does not use stay in logical order. It returns the arenas that
// the program asked for.
func (p *Params) planned(prog *device.Program) []*arena {
	for id, q := range p.params {
		p.settle(q, q.logical, q.logical)
		if prog.Learns(device.Param(id)) {
			p.train(q)
		}
	}
	p.used = true
	added := arenas(p.pending)
	p.pending = nil
	p.arenas = append(p.arenas, added...)
	return added
}

func (p *Params) alloc() error {
	if err := allocAll(p.arenas); err != nil {
		return err
	}
	return p.prims.bind(p.dev)
}

// tensor finds a part of a parameter, of which the caller means n numbers.
func (p *Params) tensor(id device.Param, part device.Part, n int) (*param, *buffer, error) {
	if p.closed {
		return nil, nil, backend.ErrParamsClosed
	}
	if err := backend.CheckParam(p.specs, id, n); err != nil {
		return nil, nil, err
	}
	q := p.params[id]
	b := [...]*buffer{q.weight, q.momentum, q.gradient}[part]
	if b == nil || b.data == nil {
		return nil, nil, backend.NoPart(q.spec, part)
	}
	return q, b, nil
}

// Fetch reads a part of a parameter in logical order.
func (p *Params) Fetch(id device.Param, part device.Part, dst []float32) error {
	return p.convert(id, part, dst, false)
}

// Store writes a part of a parameter.
func (p *Params) Store(id device.Param, part device.Part, src []float32) error {
	return p.convert(id, part, src, true)
}

func (p *Params) convert(id device.Param, part device.Part, host []float32, store bool) error {
	err := p.dev.attempt(func() error {
		q, b, err := p.tensor(id, part, len(host))
		if err != nil {
			return err
		}
		logical := unsafe.Pointer(unsafe.SliceData(host))
		if !store {
			return status(C.cpu_convert(p.dev.engine, p.dev.stream, &q.layout, b.data, &q.logical, logical))
		}
		if part == device.Weight {
			q.version++
		}
		return status(C.cpu_convert(p.dev.engine, p.dev.stream, &q.logical, logical, &q.layout, b.data))
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.dev.name, err)
	}
	return nil
}

// Close frees the memory.
func (p *Params) Close() error {
	err := p.dev.attempt(func() error {
		if p.closed {
			return backend.ErrParamsClosed
		}
		p.prims.destroy()
		freeAll(p.arenas)
		p.arenas, p.closed = nil, true
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.dev.name, err)
	}
	return nil
}

// refresh brings a packed copy up to date.
type refresh struct{ packed *packed }

func (s *refresh) run(n *Net) error {
	k := s.packed
	if k.version == k.param.version {
		return nil
	}
	k.version = k.param.version
	return k.fill.run(n)
}

// reorder packs a weight.
type reorder struct {
	*primitive
	bytes int64 // read and written
}

func (s *reorder) run(n *Net) error {
	n.copied(true)
	n.moves.PackedWeights += s.bytes
	return s.primitive.run(n)
}

// quantize makes an int8 copy.
type quantize struct {
	packed        *packed
	scale, from   *buffer
	first         *refresh // of from, or nil
	units, inputs int64
}

func (s *quantize) run(n *Net) error {
	if s.first != nil {
		if err := s.first.run(n); err != nil {
			return err
		}
	}
	n.copied(true)
	n.moves.PackedWeights += s.from.Bytes + s.packed.data.Bytes + s.scale.Bytes
	C.cpu_quantize((*C.int8_t)(s.packed.data.data), s.scale.floats(), s.from.floats(), C.int64_t(s.inputs),
		C.int64_t(s.units))
	return nil
}

// update: see device.Net.
func (n *Net) update() {
	if !n.guard.Update() {
		return
	}
	var bad []string
	if !n.finite {
		bad = append(bad, "loss")
	}
	for _, id := range n.own {
		q := n.params.params[id]
		if C.cpu_finite(q.gradient.floats(), C.int64_t(q.gradient.Bytes/4)) == 0 {
			bad = append(bad, "gradient of "+q.spec.Name)
		}
	}
	if bad == nil {
		bad = n.apply()
	}
	if bad != nil {
		n.guard.Fail("update", &device.NonFiniteError{Device: n.dev.name, Step: n.pass.Step, Tensors: bad})
	}
}

// apply changes the weights and returns the names of those that did not stay finite.
func (n *Net) apply() (bad []string) {
	for _, id := range n.own {
		q := n.params.params[id]
		lr := n.pass.LR[id]
		if lr == 0 {
			continue
		}
		var pairs unsafe.Pointer
		q.sgd = C.cpu_sgd{
			n: C.int64_t(q.weight.Bytes / 4), momentum: C.float(n.pass.Momentum), lr: C.float(lr),
			decay: C.float(n.pass.Decay[id]),
		}
		k := q.paired()
		if k != nil {
			pairs, q.sgd.line = k.data.data, C.int64_t(k.line)
		}
		ok := C.cpu_update(&q.sgd, q.weight.floats(), q.momentum.floats(), q.gradient.floats(), pairs)
		q.version++
		if k != nil {
			k.version = q.version
			n.moves.PackedWeights += k.data.Bytes
		}
		if ok == 0 {
			bad = append(bad, q.spec.Name)
		}
	}
	return bad
}
