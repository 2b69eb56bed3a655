//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

// winogradPixels is the least number of output pixels, over all rows, for which Winograd's transforms pay: on two cores of a Zen 4 a
// convolution of 256 channels to 384 took 1.27 ms against 1.19 for one row of 13x13, 3.14 against 4.83 for four rows, 83 against 155 for 128.
const winogradPixels = 512

// winograd tries the algorithm of that name (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015: 4x4 outputs at a time,
// 36 multiplications for 144), which halves the time of a convolution of 3x3 at an error of 1e-6. oneDNN 2.x has it for fp32 and AVX-512, without
// groups; these are run one by one, on copies of their channels. False: the convolution is none for it, or oneDNN has none.
func (l *layer) winograd(c *compiler) (bool, error) {
	k, rows, out := l.conv, l.src[0], l.out.shape
	if l.half() || k.Kernel != 3 || k.Stride != 1 || rows*out.H*out.W < winogradPixels {
		return false, nil
	}
	in, kernels := l.shape.C/k.Groups, out.C/k.Groups
	l.block = 16
	if in%l.block != 0 || kernels%l.block != 0 || !l.joinable() {
		return false, nil
	}
	src, dst, kernel := []int{rows, in, l.shape.H, l.shape.W}, []int{rows, kernels, out.H, out.W}, []int{kernels, in, 3, 3}
	desc := l.desc
	desc.algorithm = C.dnnl_convolution_winograd
	for _, t := range []struct {
		md   *C.cpu_desc
		dims []int
		tag  C.dnnl_format_tag_t
	}{
		{&desc.src, src, C.dnnl_aBcd16b},
		{&desc.dst, dst, C.dnnl_aBcd16b},
		{&desc.diff_dst, dst, C.dnnl_aBcd16b},
		{&desc.weights, kernel, C.dnnl_OIhw16i16o},
		{&desc.diff_weights, kernel, C.dnnl_OIhw16i16o},
		{&desc.bias, []int{kernels}, C.dnnl_a},
	} {
		if err := tensor(t.md, t.dims, t.tag, false); err != nil {
			return false, err
		}
	}
	if l.hint = c.available(&desc); l.hint == nil {
		return false, nil
	}
	l.desc, l.apart = desc, k.Groups
	l.whole = &C.cpu_desc{}
	if k.Groups == 1 {
		*l.whole = desc.weights
		return true, nil
	}
	return true, tensor(l.whole, l.kernel, C.dnnl_gOIhw16i16o, false)
}

// available gives the forward primitive's description where oneDNN has all that the program asks of a layer, else nil.
func (c *compiler) available(desc *C.cpu_layer) C.dnnl_primitive_desc_t {
	var hint, pd C.dnnl_primitive_desc_t
	if C.cpu_forward(c.dev.engine, desc, &hint) != C.dnnl_success {
		return nil
	}
	ok := true
	if c.backward {
		if ok = C.cpu_backward_data(c.dev.engine, desc, hint, &pd) == C.dnnl_success; ok {
			C.cpu_forget(pd)
		}
	}
	if ok && c.prog.Train {
		if ok = C.cpu_backward_weights(c.dev.engine, desc, hint, &pd) == C.dnnl_success; ok {
			C.cpu_forget(pd)
		}
	}
	if !ok {
		C.cpu_forget(hint)
		return nil
	}
	return hint
}
