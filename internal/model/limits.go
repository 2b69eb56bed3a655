package model

import (
	"math"
	"math/bits"

	"alexnet/internal/config"
)

// What a net may be. The largest that anybody trained on pictures have a thousandth of this; what a batch of 65536 of
// it takes, in bytes and over all layers, is still a number of 64 bits, and so are the sizes of whatever is made of one
// op (columns of a convolution, tiles).
const (
	maxTensor = math.MaxInt32 // numbers in a parameter, or in a layer's output for one picture
	maxParams = 1 << 34       // numbers in all parameters
	maxValues = 1 << 34       // numbers in all outputs, for one picture
	maxMACs   = 1 << 46       // multiply-adds, for one picture
)

// product is that of sizes from 0, or math.MaxInt64 where it is larger.
func product(sizes ...int) int64 {
	n := uint64(1)
	for _, s := range sizes {
		hi, lo := bits.Mul64(n, uint64(s))
		if hi != 0 || lo > math.MaxInt64 {
			return math.MaxInt64
		}
		n = lo
	}
	return int64(n)
}

// sizes are those of the layers so far.
type sizes struct{ params, values, macs int64 }

// add refuses a layer, whose output and parameters are known, that makes the net too large to be one.
func (s *sizes) add(a *Arch, l *Layer) error {
	key := "model." + l.Name
	out := product(l.Out.C, l.Out.H, l.Out.W)
	if out > maxTensor {
		return config.Errorf(key, "gives %v numbers for one picture, more than the %d that are possible", l.Out,
			maxTensor)
	}
	for _, p := range l.Params {
		n := product(a.Params[p].Shape...)
		if n > maxTensor {
			return config.Errorf(key, "has a %s of %v numbers, more than the %d that are possible", a.Params[p].Name,
				a.Params[p].Shape, maxTensor)
		}
		s.params += n
	}
	if l.MACs > maxMACs {
		return config.Errorf(key, "takes more than %d multiply-adds for one picture", int64(maxMACs))
	}
	s.values, s.macs = s.values+out, s.macs+l.MACs
	if s.params > maxParams || s.values > maxValues || s.macs > maxMACs {
		return config.Errorf(key, "makes the net too large: more than %d parameters, %d numbers in the layers' "+
			"outputs or %d multiply-adds for one picture", int64(maxParams), int64(maxValues), int64(maxMACs))
	}
	return nil
}
