//go:build cuda

package cuda

// #include <cudnn.h>
import "C"

import (
	"fmt"
	"slices"
)

// Algorithm is how cuDNN does one direction of a convolution.
type Algorithm struct {
	Number        int // cuDNN's, of the direction
	Workspace     int64
	Deterministic bool // gives the same bits each time
	math          C.cudnnMathType_t
}

// candidate is one that cuDNN offers, the one it expects to be fastest first.
type candidate struct {
	Algorithm
	status C.cudnnStatus_t
}

// Want says which algorithms will do.
type Want struct {
	Workspace     int64 // at most
	Deterministic bool
	Number        int // this one where cuDNN offers it; -1: any
}

// Choose asks cuDNN's heuristics, which run nothing, for the algorithms of a direction that will do: the one wanted,
// then the fastest first. There is at least one.
func (c *Conv) Choose(d *DNN, dir Direction, want Want) (fit []Algorithm, err error) {
	offered, err := c.offered(d, dir)
	if err != nil {
		return nil, err
	}
	var refused error
	for _, o := range offered {
		if o.status != C.CUDNN_STATUS_SUCCESS || want.Deterministic && !o.Deterministic ||
			!c.spec.allows(dir, o.Algorithm) {
			continue
		}
		a := o.Algorithm
		a.math = c.spec.Math.settled(a.math)
		if a.Workspace, err = c.workspace(d, dir, a); err != nil { // what was offered is for the math that was named
			refused = err
		} else if a.Workspace <= want.Workspace && !slices.Contains(fit, a) {
			fit = append(fit, a)
		}
	}
	if fit == nil {
		err := fmt.Errorf("cuDNN has no algorithm for its %v in %d MiB of workspace (of %d offered)", dir,
			want.Workspace>>20, len(offered))
		if refused != nil {
			err = fmt.Errorf("%w: %w", err, refused)
		}
		return nil, err
	}
	if i := slices.IndexFunc(fit, func(a Algorithm) bool { return a.Number == want.Number }); i > 0 {
		wanted := fit[i]
		fit = slices.Insert(slices.Delete(fit, i, i+1), 0, wanted)
	}
	return fit, nil
}

// Use settles the math that goes with an algorithm, which is the one that the direction is computed by from here on.
func (c *Conv) Use(dir Direction, a Algorithm) error {
	return cudnnStatus("cudnnSetConvolutionMathType", C.cudnnSetConvolutionMathType(c.desc(dir), a.math))
}

// winograd are the numbers of the algorithm WINOGRAD_NONFUSED, which is also for 5x5 taps.
var winograd = [...]int{
	C.CUDNN_CONVOLUTION_FWD_ALGO_WINOGRAD_NONFUSED, C.CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
	C.CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
}

// allows keeps tensor cores away from fp32, where they would round its factors, and Winograd's large tiles, whose
// transforms magnify rounding; and from tf32 and bf16 the conversion to fp16.
func (s Convolution) allows(dir Direction, a Algorithm) bool {
	if s.Math != Full {
		return a.math != C.CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION
	}
	return (a.math == C.CUDNN_FMA_MATH || a.math == C.CUDNN_DEFAULT_MATH) && (s.Size <= 3 || a.Number != winograd[dir])
}

// settled is the math type to set: FMA_MATH stays for fp32, whose DEFAULT_MATH would be TF32.
func (m Math) settled(t C.cudnnMathType_t) C.cudnnMathType_t {
	if m == Full {
		return C.CUDNN_FMA_MATH
	}
	return t
}

// workspace is what an algorithm takes with its math, which is set meanwhile.
func (c *Conv) workspace(d *DNN, dir Direction, a Algorithm) (int64, error) {
	if err := c.Use(dir, a); err != nil {
		return 0, err
	}
	var bytes C.size_t
	var err error
	switch dir {
	case Forward:
		err = cudnnStatus("cudnnGetConvolutionForwardWorkspaceSize", C.cudnnGetConvolutionForwardWorkspaceSize(d.c(),
			c.xDesc(), c.filter(), c.desc(dir), c.yDesc(), C.cudnnConvolutionFwdAlgo_t(a.Number), &bytes))
	case Data:
		err = cudnnStatus("cudnnGetConvolutionBackwardDataWorkspaceSize",
			C.cudnnGetConvolutionBackwardDataWorkspaceSize(d.c(), c.filter(), c.yDesc(), c.desc(dir), c.xDesc(),
				C.cudnnConvolutionBwdDataAlgo_t(a.Number), &bytes))
	case Filter:
		err = cudnnStatus("cudnnGetConvolutionBackwardFilterWorkspaceSize",
			C.cudnnGetConvolutionBackwardFilterWorkspaceSize(d.c(), c.xDesc(), c.yDesc(), c.desc(dir), c.filter(),
				C.cudnnConvolutionBwdFilterAlgo_t(a.Number), &bytes))
	}
	return int64(bytes), err
}

const maxAlgorithms = 32 // algorithms that cuDNN may offer: each of 8 in several math types

func (c *Conv) offered(d *DNN, dir Direction) (all []candidate, err error) {
	var n C.int
	add := func(number C.int, status C.cudnnStatus_t, memory C.size_t, det C.cudnnDeterminism_t,
		math C.cudnnMathType_t,
	) {
		all = append(all, candidate{
			Algorithm{int(number), int64(memory), det == C.CUDNN_DETERMINISTIC, math}, status,
		})
	}
	switch dir {
	case Forward:
		var perf [maxAlgorithms]C.cudnnConvolutionFwdAlgoPerf_t
		err = cudnnStatus("cudnnGetConvolutionForwardAlgorithm_v7",
			C.cudnnGetConvolutionForwardAlgorithm_v7(d.c(), c.xDesc(), c.filter(), c.desc(dir), c.yDesc(),
				maxAlgorithms, &n, &perf[0]))
		for _, p := range perf[:n] {
			add(C.int(p.algo), p.status, p.memory, p.determinism, p.mathType)
		}
	case Data:
		var perf [maxAlgorithms]C.cudnnConvolutionBwdDataAlgoPerf_t
		err = cudnnStatus("cudnnGetConvolutionBackwardDataAlgorithm_v7",
			C.cudnnGetConvolutionBackwardDataAlgorithm_v7(d.c(), c.filter(), c.yDesc(), c.desc(dir), c.xDesc(),
				maxAlgorithms, &n, &perf[0]))
		for _, p := range perf[:n] {
			add(C.int(p.algo), p.status, p.memory, p.determinism, p.mathType)
		}
	case Filter:
		var perf [maxAlgorithms]C.cudnnConvolutionBwdFilterAlgoPerf_t
		err = cudnnStatus("cudnnGetConvolutionBackwardFilterAlgorithm_v7",
			C.cudnnGetConvolutionBackwardFilterAlgorithm_v7(d.c(), c.xDesc(), c.yDesc(), c.desc(dir), c.filter(),
				maxAlgorithms, &n, &perf[0]))
		for _, p := range perf[:n] {
			add(C.int(p.algo), p.status, p.memory, p.determinism, p.mathType)
		}
	}
	return all, err
}
