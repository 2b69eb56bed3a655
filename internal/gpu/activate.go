//go:build cuda

package gpu

import "alexnet/internal/device"

// activate is an activation that stands alone.
type activate struct {
	act     device.Activation
	in, out *value
}

func (o *activate) forward(c *compiler) error {
	x := c.read(o.in)
	c.write(o.out)
	c.activate(x, o.in.typ, nil, o.out, o.act)
	return nil
}

func (o *activate) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	n := c.elements(o.in)
	c.launch("activate_backward"+suffix(o.in.gradType), int64(n), c.read(o.out), c.readGrad(o.out), c.writeGrad(o.in),
		n, int(o.act))
	c.wrote(o.in)
	return nil
}
