//go:build cuda

package gpu

import (
	"fmt"

	"alexnet/internal/device"
	"alexnet/kernels"
)

// lrn is local response normalisation. Nothing is kept for the gradient, which computes the scale anew.
type lrn struct {
	spec    *device.LRN
	in, out *value
}

func (o *lrn) forward(c *compiler) error {
	if o.spec.Size > kernels.MaxLRN {
		return fmt.Errorf("normalisation over %d channels is not available (at most %d)", o.spec.Size, kernels.MaxLRN)
	}
	x, y := c.read(o.in), c.write(o.out)
	o.launch(c, "lrn", []any{x, y})
	return nil
}

func (o *lrn) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	o.launch(c, "lrn_backward", []any{c.read(o.in), c.readGrad(o.out), c.writeGrad(o.in)})
	c.wrote(o.in)
	return nil
}

func (o *lrn) launch(c *compiler, name string, places []any) {
	s, v := o.spec, o.in
	c.launch(name+order(v.layout)+suffix(v.typ), kernels.LRNTiles(c.prog.Rows, v.depth, v.plane(), s.Groups),
		append(places, c.prog.Rows, v.depth, v.plane(), s.Groups, s.Size, s.Alpha, s.Beta, s.K)...)
}
