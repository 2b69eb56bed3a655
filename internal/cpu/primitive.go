//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

// step is one prepared call. Nothing is looked up or allocated when it runs.
type step interface{ run(n *Net) error }

// primitive is a call of oneDNN with its arguments.
type primitive struct {
	handle C.dnnl_primitive_t
	args   []C.dnnl_exec_arg_t // as bound
	tie    []tie
}

// tie says what an argument is, until there is memory for it.
type tie struct {
	id     C.int
	layout C.cpu_desc
	data   *buffer
}

func (p *primitive) arg(id C.int, layout C.cpu_desc, data *buffer) {
	p.tie = append(p.tie, tie{id, layout, data})
}

func (p *primitive) run(n *Net) error {
	return status(C.cpu_run(p.handle, n.dev.stream, C.int(len(p.args)), &p.args[0]))
}

// primitives owns what oneDNN has made for a net or for parameters.
type primitives []*primitive

// create makes the primitive that pd describes.
func (all *primitives) create(pd C.dnnl_primitive_desc_t) (*primitive, error) {
	p := &primitive{}
	if err := status(C.cpu_create(pd, &p.handle)); err != nil {
		return nil, err
	}
	*all = append(*all, p)
	return p, nil
}

// bind gives each primitive its arguments' memory.
func (all primitives) bind(d *Device) error {
	for _, p := range all {
		for _, t := range p.tie[len(p.args):] {
			a := C.dnnl_exec_arg_t{arg: t.id}
			if err := status(C.cpu_memory(d.engine, &t.layout, t.data.data, &a.memory)); err != nil {
				return err
			}
			p.args = append(p.args, a)
		}
	}
	return nil
}

func (all *primitives) destroy() {
	for _, p := range *all {
		for _, a := range p.args {
			C.cpu_release(a.memory)
		}
		C.cpu_destroy(p.handle)
	}
	*all = nil
}

// tensor describes dims in a format, of floats or half as wide; dnnl_format_tag_any leaves the choice to an op.
func tensor(md *C.cpu_desc, dims []int, tag C.dnnl_format_tag_t, half bool) error {
	var d [C.DNNL_MAX_NDIMS]C.int64_t
	for i, n := range dims {
		d[i] = C.int64_t(n)
	}
	return status(C.cpu_tensor(md, C.int(len(dims)), &d[0], tag, flag(half)))
}

// blocked describes (rows, channels, height, width) with block channels side by side; 0 leaves the choice to an op.
func blocked(md *C.cpu_desc, dims []int, block int, half bool) error {
	tag := map[int]C.dnnl_format_tag_t{0: C.dnnl_format_tag_any, 1: C.dnnl_abcd, 8: C.dnnl_aBcd8b, 16: C.dnnl_aBcd16b}[block]
	return tensor(md, dims, tag, half)
}

// blockOf is the inverse of blocked; 0: the layout is none of ours.
func blockOf(md *C.cpu_desc, dims []int, half bool) int {
	for _, block := range []int{1, 8, 16} {
		var b C.cpu_desc
		if blocked(&b, dims, block, half) == nil && C.cpu_same(&b, md) != 0 {
			return block
		}
	}
	return 0
}
