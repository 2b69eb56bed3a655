package reference

import (
	"encoding/binary"
	"hash/maphash"

	"alexnet/internal/device"
)

// choicesSeed makes fingerprints comparable within the process.
var choicesSeed = maphash.MakeSeed()

// Choices is a fingerprint of the ReLUs that are on and of the pixels that won in max pooling: see device.Precise.
func (n *net[T]) Choices() uint64 {
	var h maphash.Hash
	h.SetSeed(choicesSeed)
	for i, s := range n.prog.Ops {
		switch s := s.(type) {
		case *device.Conv:
			n.addSigns(&h, s.Act, s.Out)
		case *device.FC:
			n.addSigns(&h, s.Act, s.Out)
		case *device.Activate:
			n.addSigns(&h, s.Act, s.Out)
		case *device.Pool:
			if best := n.ops[i].(*poolOp[T]).best; best != nil {
				addNumbers(&h, best[:n.pass.Rows*n.shape(s.Out).Len()])
			}
		}
	}
	return h.Sum64()
}

func (n *net[T]) addSigns(h *maphash.Hash, act device.Activation, v device.Value) {
	if act != device.ReLU {
		return
	}
	var bits [256]byte
	y := n.used(n.value, v)
	for len(y) > 0 {
		part := y[:min(len(bits), len(y))]
		for i, x := range part {
			bits[i] = oneIf[byte](x > 0)
		}
		_, _ = h.Write(bits[:len(part)]) // never fails
		y = y[len(part):]
	}
}

func addNumbers(h *maphash.Hash, x []int32) {
	var word [4]byte
	for _, v := range x {
		binary.LittleEndian.PutUint32(word[:], uint32(v))
		_, _ = h.Write(word[:])
	}
}
