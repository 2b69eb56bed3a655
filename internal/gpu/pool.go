//go:build cuda

package gpu

import (
	"fmt"

	"alexnet/internal/device"
	"alexnet/kernels"
)

// pool takes the maximum or the mean of windows. For the gradient of maxima it keeps their places in the windows.
type pool struct {
	spec    *device.Pool
	in, out *value
	best    *buffer
}

func (o *pool) forward(c *compiler) error {
	x, y := c.read(o.in), c.write(o.out)
	if o.spec.Kind == device.Avg {
		o.launch(c, "pool_avg", int64(c.elements(o.out)), x, y)
		return nil
	}
	if o.spec.Window > kernels.MaxWindow {
		return fmt.Errorf("max pooling with window %d is not available (at most %d)", o.spec.Window, kernels.MaxWindow)
	}
	var best pointer
	if c.backward && o.in.wants {
		o.best = c.buffer(device.PurposeWorkspace, 2*int64(c.elements(o.out)))
		best = o.best
	}
	o.launch(c, "pool_max", int64(c.elements(o.out)), x, y, best)
	return nil
}

func (o *pool) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	dy, dx := c.readGrad(o.out), c.writeGrad(o.in)
	if o.spec.Kind == device.Avg {
		o.launch(c, "pool_avg_backward", int64(c.elements(o.in)), dy, dx)
	} else {
		o.launch(c, "pool_max_backward", int64(c.elements(o.in)), o.best.use(c.time), dy, dx)
	}
	c.wrote(o.in)
	return nil
}

func (o *pool) launch(c *compiler, name string, items int64, places ...any) {
	s, in, out := o.spec, o.in, o.out
	c.launch(name+order(in.layout)+suffix(in.typ), items,
		append(places, c.prog.Rows, in.depth, in.height, in.width, out.height, out.width, s.Window, s.Stride, s.Pad)...)
}
