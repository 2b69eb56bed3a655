package reference

import (
	"slices"

	"alexnet/internal/device"
	"alexnet/internal/device/backend"
)

// plan says which memory each value and gradient of a program gets. Tensors whose lives do not meet share a slot: in
// inference most values, in training the gradients.
type plan struct {
	value, grad []int // slot of each device.Value, or -1
	slots       []int // elements of each slot
	values      int   // elements of the slots that hold values; the others hold gradients
	// by op: a Send whose Backward writes (=) its value's gradient, because no local consumer does
	firstSend []bool
	loose     []device.Value // whose gradient no op writes, only a Store
}

// newPlan walks the program.
func newPlan(p *device.Program) *plan {
	walk := backend.Walk(len(p.Ops))
	uses := backend.Uses(p)
	value, grad := make([]backend.Life, len(p.Values)), make([]backend.Life, len(p.Values))
	for v := range p.Values {
		value[v], grad[v] = walk.Never(), walk.Never()
	}
	back := make([]bool, len(p.Values)) // an op that runs backward has to do with it
	for i, s := range p.Ops {
		for _, v := range slices.Concat(s.Base().In, outputs(s)) {
			value[v].Extend(i)
			grad[v].Extend(walk.Backward(i))
			back[v] = back[v] || backend.Backward(p, i)
		}
	}
	pl := &plan{firstSend: make([]bool, len(p.Ops))}
	pl.firstWriters(p, uses)
	for v, use := range uses {
		loss := p.IsLoss(device.Value(v))
		if back[v] || use.Kept || use.Input || loss {
			value[v] = walk.Always()
		}
		switch {
		case !use.Wants || loss:
			grad[v] = walk.Never()
		case use.Kept || slices.Contains(pl.loose, device.Value(v)):
			grad[v] = walk.Always()
		}
	}
	pl.value = pl.assign(p, value)
	for _, e := range pl.slots {
		pl.values += e
	}
	pl.grad = pl.assign(p, grad)
	return pl
}

// firstWriters finds the Sends that write a gradient before anything else does, and the values to which nothing writes
// one.
func (pl *plan) firstWriters(p *device.Program, uses []backend.Use) {
	has := make([]bool, len(p.Values))
	for v, use := range uses {
		has[v] = use.Reader != nil
	}
	for i := len(p.Ops) - 1; i >= 0; i-- {
		if !isSend(p.Ops[i]) {
			continue
		}
		if v := p.Ops[i].Base().In[0]; !has[v] {
			pl.firstSend[i], has[v] = true, true
		}
	}
	for v := range has {
		if id := device.Value(v); !has[v] && !p.IsLoss(id) {
			pl.loose = append(pl.loose, id)
		}
	}
}

// assign gives every tensor that lives a slot of its own or one whose tensors have all died, the largest first.
// It is not backend.Pack, which packs some nets closer: the oracle's plans stand in the summaries of recorded runs,
// which later versions have to give again.
func (pl *plan) assign(p *device.Program, lives []backend.Life) []int {
	slot, first := make([]int, len(lives)), len(pl.slots)
	var until []int // when the slot's last tensor dies
	for v := range slot {
		slot[v] = -1
	}
	for at := -1; at <= 2*len(p.Ops); at++ {
		for v, l := range lives {
			if l.First != at || l.Last < l.First {
				continue
			}
			best := -1
			for s, end := range until {
				if end < at && (best < 0 || pl.slots[first+s] > pl.slots[first+best]) {
					best = s
				}
			}
			if best < 0 {
				best = len(until)
				until, pl.slots = append(until, 0), append(pl.slots, 0)
			}
			until[best] = l.Last
			slot[v] = first + best
			pl.slots[first+best] = max(pl.slots[first+best], p.Rows*p.Values[v].Shape.Len())
		}
	}
	return slot
}

func isSend(s device.Spec) bool {
	_, ok := s.(*device.Send)
	return ok
}

// outputs are the values that an op writes.
func outputs(s device.Spec) []device.Value {
	switch s := s.(type) {
	case *device.Send:
		return nil
	case *device.SoftmaxLoss:
		return []device.Value{s.Out, s.Stats}
	}
	return []device.Value{s.Base().Out}
}

// memory lists what Alloc takes.
func (n *net[T]) Memory() device.MemoryPlan {
	all := 0
	for _, e := range n.plan.slots {
		all += e
	}
	var m device.MemoryPlan
	add := func(purpose string, bytes int64) {
		if bytes > 0 {
			m = append(m, device.MemoryItem{Purpose: purpose, Bytes: bytes})
		}
	}
	if n.firstOnParams {
		add(device.PurposeWeights, n.params.bytes(device.Weight))
		add(device.PurposeMomentum, n.params.bytes(device.Momentum))
		add(device.PurposeGradients, n.params.bytes(device.Gradient))
	}
	add(device.PurposeActivations, sizeOf[T]()*int64(n.plan.values))
	add(device.PurposeBackward, sizeOf[T]()*int64(all-n.plan.values))
	work, exchange := sizeOf[T]()*(int64(n.workers)*int64(n.need.worker)+shares*int64(n.need.share)+
		int64(n.need.whole)), int64(0)
	for _, op := range n.ops {
		work += op.workspace(n)
		exchange += op.exchange(n)
	}
	add(device.PurposeWorkspace, work)
	add(device.PurposeStaging, 4*int64(n.prog.Rows)) // labels
	add(device.PurposeExchange, exchange)
	return m
}
