//go:build cuda

package gpu

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"gorgonia.org/cu"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
	"alexnet/internal/gpu/cuda"
)

// line is what buffers begin at a multiple of: enough for the widest loads, and for cuDNN and cuBLAS.
const line = 256

// buffer is device memory in use from one place of a program's walk to another.
type buffer struct {
	backend.Buffer
	arena *arena
}

// use extends the time in which the buffer is in use.
func (b *buffer) use(at int) *buffer {
	b.Life.Extend(at)
	return b
}

// ptr is the buffer's place, once its arena is taken; nil has none.
func (b *buffer) ptr() cu.DevicePtr {
	if b == nil || b.Bytes == 0 {
		return 0
	}
	return b.arena.base + cu.DevicePtr(b.Offset)
}

// part is a buffer from byte number at on.
type part struct {
	of *buffer
	at int64
}

func (p part) ptr() cu.DevicePtr { return p.of.ptr() + cu.DevicePtr(p.at) }

// arena is the memory of one purpose.
type arena struct {
	backend.Arena[*buffer]
	base cu.DevicePtr
}

// arenas packs buffers by purpose.
func arenas(buffers []*buffer) []*arena {
	var all []*arena
	for _, planned := range backend.Arenas(buffers, func(int64) int64 { return line }) {
		planned.Bytes = up(planned.Bytes)
		a := &arena{Arena: planned}
		for _, b := range a.Buffers {
			b.arena = a
		}
		all = append(all, a)
	}
	return all
}

// up is n rounded up to where a buffer may begin.
func up(n int64) int64 { return backend.RoundUp(n, line) }

// take allocates the arenas that are not there yet, filled with zeros: rows that take no part must be finite. Where one
// cannot be had it gives back what it took, and nothing else.
func take(all []*arena, s cu.Stream) (err error) {
	var taken []*arena
	for _, a := range all {
		if a.base != 0 {
			continue
		}
		if a.base, err = cuda.Alloc(a.Bytes); err != nil {
			return errors.Join(err, release(taken))
		}
		taken = append(taken, a)
		if err := cu.MemsetD8Async(a.base, 0, a.Bytes, s); err != nil {
			return errors.Join(cuda.Wrap("cuMemsetD8Async", err), release(taken))
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

// Room tells, before anything is allocated, whether the nets that were compiled fit into the memory of the net's GPU
// and of those that it exchanges with, and where not, the batch that fits everywhere.
func (n *Net) Room() error {
	var least *device.MemoryError
	var at string
	for _, d := range n.exchanging() {
		err := d.do(d.room)
		var short *device.MemoryError
		if err != nil && !errors.As(err, &short) {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		if short != nil && (least == nil || short.Fits < least.Fits) {
			least, at = short, d.name
		}
	}
	if least == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", at, least)
}

// exchanging gives a device of each GPU that takes part in the net.
func (n *Net) exchanging() []*Device {
	all := []*Device{n.dev}
	for _, p := range n.ports {
		for _, end := range p.link.Ends {
			other, ok := end.(*port)
			if ok && !slices.ContainsFunc(all, func(d *Device) bool { return d.card == other.net.dev.card }) {
				all = append(all, other.net.dev)
			}
		}
	}
	return all
}

// room tells whether the nets that were compiled on this GPU fit into its memory together.
func (c *card) room() error {
	free, _, err := cu.MemInfo()
	if err != nil {
		return cuda.Wrap("cuMemGetInfo", err)
	}
	var plan device.MemoryPlan
	rows := 0
	for _, n := range c.waiting {
		rows = max(rows, n.prog.Rows)
		for _, item := range n.plan {
			if item.Purpose != device.PurposePinned {
				plan = plan.Add(item)
			}
		}
	}
	plan = plan.Add(device.MemoryItem{Purpose: device.PurposeReserve, Bytes: c.reserve()})
	need := plan.Total()
	if need <= free {
		return nil
	}
	now, err := c.trial(rows)
	if err != nil {
		return err
	}
	fits := sort.Search(rows, func(less int) bool {
		then, err := c.trial(less + 1)
		return err != nil || need-now+then > free
	})
	return &device.MemoryError{Plan: plan, Free: free, Rows: rows, Fits: fits}
}

// reserve is left to the driver, cuBLAS and cuDNN, which load their kernels when they are first called, hundreds of
// MiB, after free memory was asked for.
func (c *card) reserve() int64 { return max(512<<20, c.info.Memory*3/100) }

// trial is what the waiting nets would need if they had so many rows at most, as the plan of nets compiled anew has it,
// which allocate nothing: memory does not just grow with the rows, for cuDNN chooses algorithms with another workspace.
// Of parameters it counts all, also those that are allocated already.
func (c *card) trial(rows int) (bytes int64, err error) {
	devs, params := map[*Device]*Device{}, map[*Params]*Params{}
	for _, n := range c.waiting {
		if devs[n.dev] == nil {
			dev := *n.dev
			dev.chosen, dev.blasPlanned = map[string]int{}, true
			devs[n.dev] = &dev
		}
		if params[n.params] == nil {
			fresh, err := devs[n.dev].NewParams(n.params.specs)
			if err != nil {
				return 0, err
			}
			params[n.params] = fresh.(*Params)
		}
		prog := n.prog
		prog.Rows, prog.Params, prog.Ops = min(prog.Rows, rows), params[n.params], slices.Clone(prog.Ops)
		for i, spec := range prog.Ops {
			prog.Ops[i] = unlinked(spec)
		}
		trial, err := compile(devs[n.dev], prog)
		if err != nil {
			return 0, err
		}
		if err := closeConvs(trial.convs); err != nil {
			return 0, err
		}
		for _, item := range trial.plan {
			if item.Purpose != device.PurposePinned {
				bytes += item.Bytes
			}
		}
	}
	return bytes, nil
}

// unlinked gives a Send or Recv a link of its own, so that compiling it leaves that of the net alone.
func unlinked(spec device.Spec) device.Spec {
	apart := func(l *device.Link) *device.Link { return device.NewLink(l.Name, l.From, l.To, l.Shape) }
	switch s := spec.(type) {
	case *device.Send:
		own := *s
		own.Link = apart(s.Link)
		return &own
	case *device.Recv:
		own := *s
		own.Link = apart(s.Link)
		return &own
	}
	return spec
}
