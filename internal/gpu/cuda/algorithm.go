//go:build cuda

package cuda

// #include <cudnn.h>
import "C"

import "fmt"

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

// Choose asks cuDNN's heuristics, which run nothing, for the algorithm of a direction, and settles the math that goes with it.
func (c *Conv) Choose(d *DNN, dir Direction, want Want) (Algorithm, error) {
	offered, err := c.offered(d, dir)
	if err != nil {
		return Algorithm{}, err
	}
	best := -1
	for i, a := range offered {
		if a.status != C.CUDNN_STATUS_SUCCESS || a.Workspace > want.Workspace || want.Deterministic && !a.Deterministic || !c.spec.Math.allows(a.math) {
			continue
		}
		if best < 0 || a.Number == want.Number && offered[best].Number != want.Number {
			best = i
		}
	}
	if best < 0 {
		return Algorithm{}, fmt.Errorf("cuDNN has no algorithm for its %v in %d MiB of workspace (of %d offered)", dir, want.Workspace>>20, len(offered))
	}
	a := offered[best].Algorithm
	a.math = c.spec.Math.settled(a.math)
	return a, cudnnStatus("cudnnSetConvolutionMathType", C.cudnnSetConvolutionMathType(c.desc(dir), a.math))
}

// allows keeps tensor cores away from fp32: there they would round its factors.
func (m Math) allows(t C.cudnnMathType_t) bool {
	return m != Full || t == C.CUDNN_FMA_MATH || t == C.CUDNN_DEFAULT_MATH
}

// settled is the math type to set: FMA_MATH stays for fp32, whose DEFAULT_MATH would be TF32.
func (m Math) settled(t C.cudnnMathType_t) C.cudnnMathType_t {
	if m == Full {
		return C.CUDNN_FMA_MATH
	}
	return t
}

const most = 32 // algorithms that cuDNN may offer: each of 8 in several math types

func (c *Conv) offered(d *DNN, dir Direction) (all []candidate, err error) {
	var n C.int
	add := func(number C.int, status C.cudnnStatus_t, memory C.size_t, det C.cudnnDeterminism_t, math C.cudnnMathType_t) {
		all = append(all, candidate{
			Algorithm{int(number), int64(memory), det == C.CUDNN_DETERMINISTIC, math}, status,
		})
	}
	switch dir {
	case Forward:
		var perf [most]C.cudnnConvolutionFwdAlgoPerf_t
		err = cudnnStatus("cudnnGetConvolutionForwardAlgorithm_v7",
			C.cudnnGetConvolutionForwardAlgorithm_v7(d.c(), c.xDesc(), c.filter(), c.desc(dir), c.yDesc(), most, &n, &perf[0]))
		for _, p := range perf[:n] {
			add(C.int(p.algo), p.status, p.memory, p.determinism, p.mathType)
		}
	case Data:
		var perf [most]C.cudnnConvolutionBwdDataAlgoPerf_t
		err = cudnnStatus("cudnnGetConvolutionBackwardDataAlgorithm_v7",
			C.cudnnGetConvolutionBackwardDataAlgorithm_v7(d.c(), c.filter(), c.yDesc(), c.desc(dir), c.xDesc(), most, &n, &perf[0]))
		for _, p := range perf[:n] {
			add(C.int(p.algo), p.status, p.memory, p.determinism, p.mathType)
		}
	case Filter:
		var perf [most]C.cudnnConvolutionBwdFilterAlgoPerf_t
		err = cudnnStatus("cudnnGetConvolutionBackwardFilterAlgorithm_v7",
			C.cudnnGetConvolutionBackwardFilterAlgorithm_v7(d.c(), c.xDesc(), c.yDesc(), c.desc(dir), c.filter(), most, &n, &perf[0]))
		for _, p := range perf[:n] {
			add(C.int(p.algo), p.status, p.memory, p.determinism, p.mathType)
		}
	}
	return all, err
}
