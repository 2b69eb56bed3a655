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

// layoutOf finds the format of (rows, channels, height, width) and how many channels are side by side in it; 0: it is
// none of ours.
func layoutOf(md *C.cpu_desc, dims []int, half bool) (tag C.dnnl_format_tag_t, block int) {
	for _, l := range []struct {
		tag   C.dnnl_format_tag_t
		block int
	}{{C.dnnl_abcd, 1}, {C.dnnl_aBcd8b, 8}, {C.dnnl_aBcd16b, 16}, {C.dnnl_acdb, dims[1]}} {
		var b C.cpu_desc
		if tensor(&b, dims, l.tag, half) == nil && C.cpu_same(&b, md) != 0 {
			return l.tag, l.block
		}
	}
	return 0, 0
}
