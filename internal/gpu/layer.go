//go:build cuda

package gpu

import (
	"slices"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
	"alexnet/kernels"
)

// activate appends y = act(x + bias) over a value, which may be done in place.
func (c *compiler) activate(x pointer, xType cuda.Type, bias pointer, y *value, act device.Activation) {
	name := "activate" + suffix(xType)
	if xType != y.typ {
		name = "activate_f32_bf16"
	}
	if bias == nil && act == device.Linear && xType == y.typ && x == pointer(y.data) {
		return
	}
	c.launch(name, int64(c.elements(y)), x, bias, y.data, y.outer(c.prog.Rows), y.depth, y.inner(), int(act))
}

// ahead gives the gradient ahead of a layer's activation, and in a training net has the bias's gradient written in the
// same pass. It lies where the gradient of the output does, unless somebody wants to see that.
func (c *compiler) ahead(out *value, act device.Activation, bias *param) *buffer {
	dy, dz := c.readGrad(out), out.grad
	if act != device.Linear && out.kept {
		dz = c.buffer(device.PurposeBackward, dy.Bytes)
	}
	var y pointer
	if act != device.Linear {
		y = c.read(out)
	}
	rows, channels, inner := out.outer(c.prog.Rows), out.depth, out.inner()
	switch {
	case c.prog.Train:
		splits := kernels.BiasSplits(rows, channels, inner)
		partial := bias.gradient
		if splits > 1 {
			partial = c.buffer(device.PurposeWorkspace, 4*int64(splits)*int64(channels))
		}
		c.launch("bias_backward"+suffix(out.gradType), kernels.BiasTiles(channels, inner, splits), y, dy, dz, partial,
			rows, channels, inner, int(act), splits)
		if splits > 1 {
			c.launch("bias_sum", int64(channels), partial, bias.gradient, channels, splits)
		}
	case act != device.Linear:
		c.launch("activate_backward"+suffix(out.gradType), int64(c.elements(out)), y, dy, dz, c.elements(out), int(act))
	}
	return dz
}

// weight is the parameter as ops in the net's precision read it.
func (c *compiler) weight(q *param) *buffer {
	if c.half {
		return c.params.halved(q)
	}
	return q.weight
}

// parameter plans the tensors of a parameter that lies as want says.
func (c *compiler) parameter(id device.Param, want layoutOf) (*param, error) {
	q := c.params.params[id]
	if err := c.params.settle(q, want); err != nil {
		return nil, err
	}
	c.params.planParam(q, c.prog.Train && c.backward)
	return q, nil
}

// localFirst are the numbers of a layer's inputs: those of this device, then those that come from the other.
func localFirst(in []*value) []int {
	numbers := make([]int, len(in))
	for i := range in {
		numbers[i] = i
	}
	slices.SortStableFunc(numbers, func(a, b int) int { return remote(in[a]) - remote(in[b]) })
	return numbers
}

// remoteFirst is the order of the gradients: those that another device waits for come first.
func remoteFirst(in []*value) []int {
	numbers := localFirst(in)
	slices.Reverse(numbers)
	return numbers
}

func remote(v *value) int {
	if v.port != nil {
		return 1
	}
	return 0
}
