//go:build cgo && dnnl && linux

package cpu

// #include "cpu.h"
import "C"

import "alexnet/internal/device"

// What a net moves without computing is counted where it is moved: see device.Accountant.

// Idle tells that op has no steps of its own, as the normalisation that runs together with the pooling behind it.
func (n *Net) Idle(op int, backward bool) bool {
	if backward {
		return len(n.ops[op].backward) == 0
	}
	return len(n.ops[op].forward) == 0
}

// Moves tells what was moved since Alloc; of a closed device nothing.
func (n *Net) Moves() (m device.Moves) {
	_ = n.dev.do(func() { m = n.moves }) // fails after Close only
	return m
}

func (n *Net) copied(reorder bool) {
	if reorder {
		n.moves.Reorders++
	} else {
		n.moves.Copies++
	}
}

// bytesOf is what so many rows take, with the channels that fill the last block.
func bytesOf(v *C.cpu_view, rows int) int64 {
	blocks := (v.channels + v.block - 1) / v.block
	return int64(rows*size(v.half != 0)) * int64(blocks*v.block*v.pixels)
}

// uploadBytes is what making the input reads and writes: a byte a pixel of the rows in use, and all rows' numbers.
func (n *Net) uploadBytes() int64 {
	v := n.values[n.prog.Input.Value]
	return int64(n.pass.Rows*v.shape.Len()) + v.bytes(n.prog.Rows)
}
