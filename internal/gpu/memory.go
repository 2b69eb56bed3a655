//go:build cuda

package gpu

import (
	"cmp"
	"errors"
	"slices"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/gpu/cuda"
)

// line is what buffers begin at a multiple of: enough for the widest loads, and for cuDNN and cuBLAS.
const line = 256

// buffer is device memory in use from one place of a program's walk to another.
type buffer struct {
	purpose     string
	bytes       int64
	first, last int
	arena       *arena
	offset      int64
}

// use extends the time in which the buffer is in use.
func (b *buffer) use(at int) *buffer {
	b.first, b.last = min(b.first, at), max(b.last, at)
	return b
}

// ptr is the buffer's place, once its arena is taken; nil has none.
func (b *buffer) ptr() cu.DevicePtr {
	if b == nil || b.bytes == 0 {
		return 0
	}
	return b.arena.base + cu.DevicePtr(b.offset)
}

// part is a buffer from byte number at on.
type part struct {
	of *buffer
	at int64
}

func (p part) ptr() cu.DevicePtr { return p.of.ptr() + cu.DevicePtr(p.at) }

// arena is the memory of one purpose. Buffers that are never in use at the same time share it.
type arena struct {
	purpose string
	bytes   int64
	base    cu.DevicePtr
	buffers []*buffer
}

// arenas packs buffers by purpose.
func arenas(buffers []*buffer) []*arena {
	var all []*arena
	for _, b := range buffers {
		if b.bytes == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(a *arena) bool { return a.purpose == b.purpose })
		if i < 0 {
			i = len(all)
			all = append(all, &arena{purpose: b.purpose})
		}
		b.arena = all[i]
		all[i].buffers = append(all[i].buffers, b)
	}
	for _, a := range all {
		a.pack()
	}
	return all
}

// pack gives the largest buffers their place first, each the lowest that is free for as long as it is in use.
func (a *arena) pack() {
	order := slices.Clone(a.buffers)
	slices.SortStableFunc(order, func(x, y *buffer) int { return cmp.Compare(y.bytes, x.bytes) })
	var placed []*buffer // by offset
	for _, b := range order {
		b.offset = 0
		for _, p := range placed {
			if p.first > b.last || b.first > p.last {
				continue
			}
			if b.offset+b.bytes <= p.offset {
				break
			}
			b.offset = max(b.offset, up(p.offset+p.bytes))
		}
		at, _ := slices.BinarySearchFunc(placed, b.offset, func(p *buffer, offset int64) int { return cmp.Compare(p.offset, offset) })
		placed = slices.Insert(placed, at, b)
		a.bytes = max(a.bytes, up(b.offset+b.bytes))
	}
}

func up(n int64) int64 { return (n + line - 1) / line * line }

// take allocates arenas, filled with zeros: rows that take no part must be finite.
func take(all []*arena, s cu.Stream) (err error) {
	for _, a := range all {
		if a.base != 0 {
			continue
		}
		if a.base, err = cuda.Alloc(a.bytes); err != nil {
			return errors.Join(err, release(all))
		}
		if err := cu.MemsetD8Async(a.base, 0, a.bytes, s); err != nil {
			return errors.Join(cuda.Wrap("cuMemsetD8Async", err), release(all))
		}
	}
	return nil
}

func release(all []*arena) (err error) {
	for _, a := range all {
		err = errors.Join(err, cuda.Free(a.base))
		a.base = 0
	}
	return err
}

// room tells, before anything is allocated, whether the nets that were compiled on this GPU fit into its memory together.
func (c *card) room() error {
	free, _, err := cu.MemInfo()
	if err != nil {
		return cuda.Wrap("cuMemGetInfo", err)
	}
	var fixed, growing int64
	var plan device.MemoryPlan
	rows := 0
	for _, n := range c.waiting {
		rows = max(rows, n.prog.Rows)
		for _, item := range n.plan {
			switch item.Purpose {
			case device.PurposePinned:
				continue
			case device.PurposeWeights, device.PurposeMomentum, device.PurposeGradients, device.PurposePacked, device.PurposeWorkspace:
				fixed += item.Bytes
			default:
				growing += item.Bytes
			}
			plan = plan.Add(item)
		}
	}
	if fixed+growing <= free {
		return nil
	}
	fits := 0
	if per := growing / int64(rows); free > fixed && per > 0 {
		fits = int((free - fixed) / per)
	}
	return &device.MemoryError{Plan: plan, Free: free, Rows: rows, Fits: fits}
}
