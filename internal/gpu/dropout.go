//go:build cuda

package gpu

import (
	"alexnet/internal/device"
	"alexnet/internal/philox"
)

// dropout zeroes units in training, drawing its mask again for the gradient, and scales all of them in inference.
type dropout struct {
	spec    *device.Dropout
	in, out *value
}

func (o *dropout) forward(c *compiler) error {
	x := c.read(o.in)
	o.apply(c, x, c.write(o.out))
	return nil
}

func (o *dropout) backward(c *compiler) error {
	if o.in.wants {
		dy := c.readGrad(o.out)
		o.apply(c, dy, c.writeGrad(o.in))
		c.wrote(o.in)
	}
	return nil
}

func (o *dropout) apply(c *compiler, from, to *buffer) {
	s, v, n := o.spec, o.in, c.elements(o.in)
	if !c.prog.Train {
		c.launch("scale"+suffix(v.typ), int64(n), from, to, n, 1-s.Rate)
		return
	}
	c.launch("dropout"+order(v.layout)+suffix(v.typ), int64(n), from, to, c.prog.Rows, v.depth, v.plane(), s.Stream,
		s.FirstUnit, philox.Threshold(s.Rate), c.passed)
}
