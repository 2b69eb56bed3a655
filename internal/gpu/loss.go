//go:build cuda

package gpu

import "alexnet/kernels"

// loss is softmax with cross-entropy.
type loss struct {
	in, out, stats *value
}

func (o *loss) forward(c *compiler) error {
	x, classes := c.read(o.in), o.in.shape.C
	c.launch("softmax"+suffix(o.in.typ), int64(c.prog.Rows), x, c.labels, c.write(o.out), c.write(o.stats), c.prog.Rows,
		classes, c.passed)
	c.lossOf = o.stats
	if !c.prog.Train { // nothing else will look at it
		c.launch("check_loss", 1, o.stats.data, 3*c.prog.Rows, c.flags)
		c.emit(&report{})
	}
	return nil
}

func (o *loss) backward(c *compiler) error {
	if !o.in.wants {
		return nil
	}
	c.launch("softmax_backward"+suffix(o.in.gradType), int64(c.prog.Rows), c.read(o.out), c.labels, c.writeGrad(o.in),
		c.prog.Rows, o.in.shape.C, c.passed)
	c.wrote(o.in)
	return nil
}

// report is the end of a check: its flags go to the host.
type report struct{}

func (*report) run(n *Net) error {
	if n.replay.capturing { // the place differs from time to time
		n.replay.reports = true
		return nil
	}
	return n.sendFlags()
}

// update compiles what Update enqueues: loss and gradients are looked at, then weights and momentum change.
func (c *compiler) update() {
	c.params.train()
	c.list = &c.updating
	tensors := len(c.params.params)
	if c.lossOf != nil {
		c.launch("check_loss", 1, c.lossOf.data, 3*c.prog.Rows, c.flags)
	}
	chunks := c.params.chunks()
	if chunks == 0 { // nothing here learns
		c.emit(&report{})
		return
	}
	c.launch("check", chunks, c.params.table, tensors, chunks, c.flags)
	c.launch("update", chunks, c.params.table, tensors, chunks, c.rates,
		part{c.rates.of, c.rates.at + 4*int64(tensors)}, c.passed, c.flags)
	c.emit(&report{})
}

// flagBytes is what the flags of a program take.
func (c *compiler) flagBytes() int64 { return 4 * int64(kernels.FlagCount(len(c.params.params))) }
